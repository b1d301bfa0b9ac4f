//! A command-line tool whose user logs in with the browser: `cargo run --example login_in_browser`
//!
//! The tool is started three times. The first time there is no login, so it opens the browser and waits at a
//! port of this machine (RFC 8252). Then it has a refresh token in a private file, and needs no
//! browser: neither a minute later, when the token is still good, nor the next day.
//!
//! Nothing leaves this machine: the authorization server runs in this process, and so does what stands
//! in for a browser. Where a promise is broken, the program ends with an error.
//!
//! # At a server of yours, with your browser
//!
//! | variable | |
//! |---|---|
//! | `AUTHORIZATION_URL`, `TOKEN_URL` | the endpoints; everything else is read only if the first is set |
//! | `CLIENT_ID` | a public client with the redirect URI `http://127.0.0.1/callback`; required then |
//! | `ISSUER` | the name of the server; required if it sends `iss`, or with the scope `openid` |
//! | `SCOPE` | scopes, separated by blanks |
//! | `TOKENS` | a folder for the tokens, kept for the next start; by default they are gone with the program |

use std::env;
use std::error::Error;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokenkeeper::{Clock, ManualClock, SystemClock, TokenManager, async_trait};
use tokenkeeper_loopback::{Browser, LoopbackLogin};
use tokenkeeper_providers::{AuthorizationCodeLogin, AuthorizationRequest, ClientAuth};
use tokenkeeper_storage_file::FileStorage;
use tokenkeeper_testkit::{self as testkit, Decision, FakeAuthServer};
use tokio::task::{JoinHandle, spawn_blocking};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Result<()> {
    match env::var("AUTHORIZATION_URL") {
        Ok(url) => at_a_server_of_yours(&url).await,
        Err(_) => tour(&mut io::stdout()).await,
    }
}

/// What the tool does whenever it is started.
async fn start(login: &LoopbackLogin, tokens: &TokenManager, out: &mut impl Write) -> Result<()> {
    let mut token = tokens.token().await;
    if token.as_ref().is_err_and(|error| error.needs_login()) {
        writeln!(out, "  No one is logged in. The browser opens.")?;
        login.log_in_to(tokens).await?;
        token = tokens.token().await;
    }
    let _header = token?.authorization(); // and now to work
    writeln!(out, "  {}", tokens.status())?;
    tokens.flush().await?;
    Ok(())
}

/// The tokens of the person at this machine. The folder is for them alone; `EncryptedStorage` around
/// it, with its key in the keyring, keeps them from readers of the disk.
fn tokens(login: &LoopbackLogin, folder: &str, clock: impl Clock) -> Result<TokenManager> {
    let provider = login.login().provider("me")?;
    let storage = FileStorage::directory(folder)?;
    Ok(TokenManager::builder(provider).storage(storage).clock(clock).build()?)
}

pub(crate) async fn tour(out: &mut impl Write) -> Result<()> {
    let clock = ManualClock::new();
    let server = FakeAuthServer::builder()
        .client(CLIENT, "", testkit::ClientAuth::None)
        .redirect_uri(CLIENT, "http://127.0.0.1/callback")
        .clock(clock.clone())
        .start();
    let login = AuthorizationCodeLogin::builder(
        "calendar",
        &server.authorization_url(),
        &server.token_url(),
    )
    .client(CLIENT, ClientAuth::none())
    .issuer(server.issuer())
    .clock(clock.clone())
    .build()?;
    let browser = StandIn::default();
    let login = LoopbackLogin::new(login).browser(browser.clone());
    let folder = tempfile::tempdir()?;
    let folder = folder.path().to_str().ok_or("a folder with an odd name")?;

    writeln!(out, "1. The tool is started for the first time.")?;
    server.decide_next(1, Decision::Decline);
    let declined = start(&login, &tokens(&login, folder, clock.clone())?, out).await;
    writeln!(out, "  In the browser: {}", browser.page().await?)?;
    writeln!(out, "  {}", declined.err().ok_or("who declined was logged in")?)?;
    start(&login, &tokens(&login, folder, clock.clone())?, out).await?;
    writeln!(out, "  In the browser: {}", browser.page().await?)?;

    writeln!(out, "2. It is started again, a minute later.")?;
    clock.advance(MINUTE);
    start(&login, &tokens(&login, folder, clock.clone())?, out).await?;

    writeln!(out, "3. It is started again, the next day.")?;
    clock.advance(DAY);
    start(&login, &tokens(&login, folder, clock.clone())?, out).await?;

    let (logins, refreshes) =
        (server.count("authorization_code", 200), server.count("refresh_token", 200));
    writeln!(out, "The server saw {logins} login and {refreshes} refresh.")?;
    assert_eq!((logins, refreshes), (1, 1));
    Ok(())
}

async fn at_a_server_of_yours(authorization_url: &str) -> Result<()> {
    let required = |name| env::var(name).map_err(|_| format!("{name} must be set"));
    let login =
        AuthorizationCodeLogin::builder("your server", authorization_url, &required("TOKEN_URL")?)
            .client(required("CLIENT_ID")?, ClientAuth::none())
            .scopes(env::var("SCOPE").unwrap_or_default().split_whitespace());
    let login = match env::var("ISSUER") {
        Ok(issuer) => login.issuer(issuer),
        Err(_) => login,
    };
    let login = login.build()?;
    // Many servers give a refresh token only to who was asked for consent.
    let consent = AuthorizationRequest::new().extra_parameter("prompt", "consent");
    let login = LoopbackLogin::new(login)
        .request(consent)
        .show_url_with(|url| eprintln!("If no browser opens, open this: {url}"));
    let gone = tempfile::tempdir()?;
    let gone = gone.path().to_string_lossy().into_owned();
    let folder = env::var("TOKENS").unwrap_or(gone);

    let tokens = tokens(&login, &folder, SystemClock)?;
    start(&login, &tokens, &mut io::stdout()).await
}

/// What stands in for a browser: it goes where it is sent, and remembers what it read there.
#[derive(Clone, Debug, Default)]
struct StandIn(Arc<Mutex<Option<JoinHandle<String>>>>);

impl StandIn {
    /// The heading of the page that it came to.
    async fn page(&self) -> Result<String> {
        let reading = self.0.lock().map_err(|_| "a browser that crashed")?.take();
        let page = reading.ok_or("no browser was opened")?.await?;
        let heading = page.split("<h1>").nth(1).and_then(|rest| rest.split("</h1>").next());
        Ok(heading.ok_or("a page without a heading")?.to_owned())
    }
}

#[async_trait]
impl Browser for StandIn {
    async fn open(&self, url: &str) -> std::result::Result<(), tokenkeeper::Error> {
        let url = url.to_owned();
        let reading = spawn_blocking(move || {
            let browser = testkit::Browser::default();
            browser.open(&browser.visit(&url)).body().to_owned()
        });
        if let Ok(mut window) = self.0.lock() {
            *window = Some(reading);
        }
        Ok(())
    }
}

const CLIENT: &str = "calendar-cli";
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
