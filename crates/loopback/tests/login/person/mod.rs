//! The person at the machine: a browser that does what a test says, and a server that knows her.

#![allow(dead_code, missing_docs, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

use std::time::Duration;

use httpmock::Method::POST;
use httpmock::{Mock, MockServer};
use tokenkeeper::{Error, ManualClock, TokenSet, async_trait};
use tokenkeeper_loopback::{Browser, LoopbackLogin};
use tokenkeeper_providers::{AuthorizationCodeLogin, ClientAuth};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use url::Url;

/// A browser that hands the URL to the test and does nothing by itself.
#[derive(Debug)]
pub(crate) struct Window(mpsc::UnboundedSender<String>);

#[async_trait]
impl Browser for Window {
    async fn open(&self, url: &str) -> Result<(), Error> {
        let _ = self.0.send(url.to_owned());
        Ok(())
    }
}

/// A login of a public client at this server.
pub(crate) fn login_at(server: &MockServer) -> AuthorizationCodeLogin {
    let (authorize, token) = (server.url("/authorize"), server.url("/token"));
    AuthorizationCodeLogin::builder("calendar", &authorize, &token)
        .client("native", ClientAuth::none())
        .build()
        .unwrap()
}

/// A token endpoint that takes any code.
pub(crate) fn issuing(server: &MockServer) -> Mock<'_> {
    server.mock(|when, then| {
        when.method(POST).path("/token").form_urlencoded_tuple("grant_type", "authorization_code");
        then.status(200).header("content-type", "application/json").body(TOKENS);
    })
}

/// A login under way, whose browser shows the page.
pub(crate) struct Begun {
    pub(crate) page: LoginPage,
    pub(crate) result: JoinHandle<Result<TokenSet, Error>>,
    pub(crate) clock: ManualClock,
}

impl Begun {
    pub(crate) async fn at(server: &MockServer) -> Self {
        Self::with(LoopbackLogin::new(login_at(server))).await
    }

    pub(crate) async fn with(login: LoopbackLogin) -> Self {
        let (window, mut pages) = mpsc::unbounded_channel();
        let clock = ManualClock::new();
        let login = login.browser(Window(window)).clock(clock.clone());
        let result = tokio::spawn(async move { login.log_in().await });
        let page = LoginPage::of(&pages.recv().await.unwrap());
        Self { page, result, clock }
    }

    pub(crate) async fn tokens(self) -> TokenSet {
        within_reason(self.result).await.unwrap().unwrap()
    }

    pub(crate) async fn error(self) -> Error {
        within_reason(self.result).await.unwrap().unwrap_err()
    }

    /// Waits until so many time limits are measured.
    pub(crate) async fn sleepers(&self, count: usize) {
        within_reason(async {
            while self.clock.sleepers() != count {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

/// What the authorization URL asks for.
#[derive(Clone, Debug)]
pub(crate) struct LoginPage {
    pub(crate) url: Url,
    pub(crate) redirect_uri: Url,
    pub(crate) state: String,
}

impl LoginPage {
    pub(crate) fn of(url: &str) -> Self {
        let url = Url::parse(url).unwrap();
        let redirect_uri = Url::parse(&parameter(&url, "redirect_uri")).unwrap();
        let state = parameter(&url, "state");
        Self { url, redirect_uri, state }
    }

    pub(crate) fn parameter(&self, name: &str) -> String {
        parameter(&self.url, name)
    }

    /// Host and port of the redirect URI.
    pub(crate) fn authority(&self) -> &str {
        self.redirect_uri.authority()
    }

    /// Path and query of the callback that belongs to this login.
    pub(crate) fn target(&self, answer: &str) -> String {
        format!("{}?{answer}&state={}", self.redirect_uri.path(), self.state)
    }

    /// The browser is sent back with an answer of the server.
    pub(crate) async fn comes_back(&self, answer: &str) -> Answer {
        self.get(&self.target(answer)).await
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.send(&format!("GET {target} HTTP/1.1\r\nhost: {}\r\n\r\n", self.authority())).await
    }

    pub(crate) async fn send(&self, request: &str) -> Answer {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        Answer::read(stream).await
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.authority()).await.unwrap()
    }

    pub(crate) async fn is_closed(&self) -> bool {
        TcpStream::connect(self.authority()).await.is_err()
    }
}

/// So that a broken login fails a test, and does not hang it.
pub(crate) async fn within_reason<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("this takes forever")
}

fn parameter(url: &Url, name: &str) -> String {
    let found = url.query_pairs().find(|(found, _)| found == name);
    found.unwrap_or_else(|| panic!("{name} is missing")).1.into_owned()
}

/// What was answered until the connection was closed.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) whole: String,
}

impl Answer {
    pub(crate) async fn read(mut stream: TcpStream) -> Self {
        let mut whole = String::new();
        within_reason(stream.read_to_string(&mut whole)).await.unwrap();
        let status = whole.split(' ').nth(1).unwrap_or("0").parse().unwrap();
        Self { status, whole }
    }

    pub(crate) fn says(&self, text: &str) -> bool {
        self.whole.contains(text)
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let mut lines = self.whole.lines().take_while(|line| !line.is_empty());
        let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.unwrap_or_else(|| panic!("{name} is missing in {}", self.whole))
    }
}

pub(crate) const TOKENS: &str =
    r#"{"access_token":"at-1","token_type":"Bearer","expires_in":900,"refresh_token":"rt-1"}"#;
pub(crate) const FIVE_MINUTES: Duration = Duration::from_secs(300);
