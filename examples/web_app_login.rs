//! A web application whose people log in: `cargo run --example web_app_login`
//!
//! `/login` sends the browser to the authorization server, `/callback` makes tokens of what it brings
//! back, `/calendar` asks an API in the name of whoever is logged in, and `/logout` ends that at the
//! server too. Each person has a token manager in a map. A login that is under way belongs to the
//! session of its browser, so that nobody can finish it elsewhere, and has a state of its own, so
//! that any number of tabs may be at it.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use http::{HeaderMap, StatusCode, Uri, header};
use reqwest::Client;
use tokenkeeper::{Error, ErrorKind, Recovery, TokenManager, TokenManagerMap};
use tokenkeeper_providers::{
    AuthorizationCodeLogin, Callback, ClientAuth, IdTokenClaims, PendingLogin,
};
use tokenkeeper_reqwest::{
    Attach, Route, SendError, SendWithToken, TokenChoice, Tokens, without_redirects,
};
use tokenkeeper_testkit::{Decision, FakeAuthServer};
use tokio::net::TcpListener;

type Outcome<T> = Result<T, Box<dyn StdError + Send + Sync>>;

struct WebApp {
    login: Arc<AuthorizationCodeLogin>,
    people: TokenManagerMap<String>,
    sessions: Mutex<HashMap<String, Session>>,
    client: Client,
    tokens: Tokens,
    calendar_url: String,
}

/// What the server knows of one browser.
#[derive(Default)]
struct Session {
    person: Option<String>,
    /// By state: one for each tab. `PendingLogin` can be serialized, for sessions in a database.
    pending: HashMap<String, PendingLogin>,
}

impl WebApp {
    fn new(server: &FakeAuthServer, redirect_uri: &str) -> Outcome<Self> {
        let login = AuthorizationCodeLogin::builder(
            "calendar",
            &server.authorization_url(),
            &server.token_url(),
        )
        .client("client", ClientAuth::basic("secret"))
        .issuer(server.issuer())
        .iss_parameter_required()
        .pushed_authorization_request_url(server.pushed_authorization_request_url())
        .revocation_url(server.revocation_url())
        .redirect_uri(redirect_uri)
        .scopes(["openid", "calendar.read"])
        .build()?;
        let login = Arc::new(login);
        let logins = Arc::clone(&login);
        Ok(Self {
            login,
            people: TokenManagerMap::new(move |person: &String| logins.provider(person)),
            sessions: Mutex::default(),
            client: without_redirects(Client::builder()).build()?,
            tokens: Tokens::new(Attach::new([Route::per_request().origin(server.url())])?),
            calendar_url: server.resource_url(),
        })
    }

    fn routes(self) -> Router {
        Router::new()
            .route("/login", get(login))
            .route("/callback", get(callback))
            .route("/calendar", get(calendar))
            .route("/logout", get(logout))
            .with_state(Arc::new(self))
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<String, Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who is logged in at this browser.
    fn person(&self, headers: &HeaderMap) -> Option<String> {
        self.sessions().get(session_id(headers)?)?.person.clone()
    }
}

async fn login(State(app): State<Arc<WebApp>>, headers: HeaderMap) -> Result<Response, Refusal> {
    let pending = app.login.begin().await?;
    let redirect = Redirect::to(pending.authorization_url());
    let known = session_id(&headers).map(str::to_owned);
    let id = known.filter(|id| app.sessions().contains_key(id)).map_or_else(new_id, Ok)?;
    let mut sessions = app.sessions();
    let session = sessions.entry(id.clone()).or_default();
    session.pending.insert(pending.state().to_owned(), pending);
    Ok((cookie(&id), redirect).into_response())
}

async fn callback(
    State(app): State<Arc<WebApp>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Refusal> {
    let callback = Callback::parse(&uri.to_string())?;
    let pending = session_id(&headers)
        .and_then(|id| app.sessions().get_mut(id)?.pending.remove(callback.state()));
    let Some(pending) = pending else {
        let what = "this browser has not begun the login that it wants to finish";
        return Err(Error::new(ErrorKind::LoginRequired, what).into());
    };
    let tokens = app.login.finish(pending, &callback).await?;
    let claims = IdTokenClaims::of(&tokens);
    let Some(person) = claims.as_ref().and_then(IdTokenClaims::subject) else {
        let what = "the server does not say who logged in";
        return Err(Error::new(ErrorKind::InvalidResponse, what).into());
    };
    app.people.get(person)?.install(tokens).await?;

    // A new id: whoever knew the old one is not logged in with it.
    let id = new_id()?;
    let mut sessions = app.sessions();
    let mut session = session_id(&headers).and_then(|id| sessions.remove(id)).unwrap_or_default();
    session.person = Some(person.to_owned());
    sessions.insert(id.clone(), session);
    Ok((cookie(&id), Redirect::to("/calendar")).into_response())
}

async fn calendar(State(app): State<Arc<WebApp>>, headers: HeaderMap) -> Result<String, Refusal> {
    let Some(person) = app.person(&headers) else {
        return Err(Error::new(ErrorKind::LoginRequired, "nobody is logged in here").into());
    };
    let tokens = app.people.get(&person)?;
    let request = app.client.get(format!("{}/today", app.calendar_url));
    let answer = request.send_with_choice(&app.tokens, TokenChoice::Of(tokens)).await?;
    Ok(answer.text().await?)
}

async fn logout(State(app): State<Arc<WebApp>>, headers: HeaderMap) -> Result<String, Refusal> {
    let person = app.person(&headers);
    if let Some(id) = session_id(&headers) {
        app.sessions().remove(id);
    }
    if let Some(person) = person {
        // At the server too. If that fails, the tokens are alive, and the manager keeps them.
        let tokens: TokenManager = app.people.get(&person)?;
        tokens.revoke().await?;
        app.people.remove(&person);
    }
    Ok("logged out".to_owned())
}

/// What a browser is told. The error is one line without secrets, and says what to do.
struct Refusal(Error);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match (self.0.recovery(), self.0.kind()) {
            (Recovery::Retry { .. }, _) => StatusCode::SERVICE_UNAVAILABLE,
            (_, ErrorKind::LoginRequired | ErrorKind::RefreshRejected) => StatusCode::UNAUTHORIZED,
            _ => StatusCode::INTERNAL_SERVER_ERROR, // wake somebody up
        };
        (status, self.0.to_string()).into_response()
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl From<SendError> for Refusal {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Token(error) => Self(error),
            other => Self(Error::new(ErrorKind::Transport, "the API failed").with_source(other)),
        }
    }
}

impl From<reqwest::Error> for Refusal {
    fn from(error: reqwest::Error) -> Self {
        SendError::Http(error).into()
    }
}

/// 256 random bits.
fn new_id() -> Result<String, Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|_| Error::new(ErrorKind::Internal, "the machine has no random numbers"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn session_id(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get(header::COOKIE)?.to_str().ok()?;
    cookies.split("; ").find_map(|cookie| cookie.strip_prefix("session="))
}

/// `Lax`, because a callback comes from another site. Over https it is `Secure`, too.
fn cookie(id: &str) -> [(header::HeaderName, String); 1] {
    [(header::SET_COOKIE, format!("session={id}; Path=/; HttpOnly; SameSite=Lax"))]
}

pub(crate) async fn tour(out: &mut impl Write) -> Outcome<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let redirect_uri = format!("{url}/callback");
    let server = FakeAuthServer::builder().redirect_uri("client", &redirect_uri).start();
    let app = WebApp::new(&server, &redirect_uri)?;
    let serving = tokio::spawn(axum::serve(listener, app.routes()).into_future());
    let mut browser = Browser::new(&url)?;
    let mut other = Browser::new(&url)?;

    writeln!(out, "Nobody is logged in:\n  {}", browser.get("/calendar").await?)?;

    writeln!(out, "\nAlice logs in, in two tabs at once:")?;
    let tabs = [browser.begin().await?, browser.begin().await?];
    for tab in tabs.iter().rev() {
        let callback = server.browser().visit(tab);
        writeln!(out, "  {}", browser.get(&callback).await?)?;
    }
    writeln!(out, "  {}", browser.get("/calendar").await?)?;

    writeln!(out, "\nBob logs in, at another browser:")?;
    server.set_person("bob");
    let callback = server.browser().visit(&other.begin().await?);
    writeln!(out, "  {}", other.get(&callback).await?)?;
    writeln!(out, "  {}", other.get("/calendar").await?)?;

    writeln!(out, "\nBob sends alice the callback of a login of his, and she clicks on it:")?;
    let lure = server.browser().visit(&other.begin().await?);
    let refused = browser.get(&lure).await?;
    writeln!(out, "  {refused}\n  {}", browser.get("/calendar").await?)?;
    assert!(refused.starts_with("401"));

    writeln!(out, "\nAlice declines a second login:")?;
    server.decide_next(1, Decision::Decline);
    let callback = server.browser().visit(&browser.begin().await?);
    writeln!(out, "  {}", browser.get(&callback).await?)?;

    writeln!(out, "\nThe API takes all tokens back, and nobody notices:")?;
    server.expire_access_tokens();
    writeln!(out, "  {}\n  {}", browser.get("/calendar").await?, other.get("/calendar").await?)?;
    assert_eq!((server.count("refresh_token", 200), server.reuses()), (2, 0));

    writeln!(out, "\nAlice logs out, and bob does not:")?;
    let before = server.live_access_tokens();
    writeln!(out, "  {}", browser.get("/logout").await?)?;
    writeln!(out, "  {}\n  {}", browser.get("/calendar").await?, other.get("/calendar").await?)?;
    let revoked = before - server.live_access_tokens();
    writeln!(out, "  The server was told: {revoked} access token is good no more.")?;
    assert_eq!(revoked, 1);
    serving.abort();
    Ok(())
}

/// A browser that remembers its cookie, and shows where it is sent to.
struct Browser {
    client: Client,
    url: String,
    cookie: Option<String>,
}

impl Browser {
    fn new(url: &str) -> Outcome<Self> {
        let client = without_redirects(Client::builder()).build()?;
        Ok(Self { client, url: url.to_owned(), cookie: None })
    }

    /// Clicks on "log in"; gives where the browser is sent.
    async fn begin(&mut self) -> Outcome<String> {
        let answer = self.open("/login").await?;
        Ok(location(&answer).ok_or("the browser was not sent to the server")?.to_owned())
    }

    /// The status and the text, or where the browser is sent.
    async fn get(&mut self, target: &str) -> Outcome<String> {
        let answer = self.open(target).await?;
        let status = answer.status();
        Ok(match location(&answer) {
            Some(location) => format!("{status}: {location}"),
            None => format!("{status}: {}", answer.text().await?),
        })
    }

    async fn open(&mut self, target: &str) -> Outcome<reqwest::Response> {
        let path = target.strip_prefix(&self.url).unwrap_or(target);
        let mut request = self.client.get(format!("{}{path}", self.url));
        if let Some(cookie) = &self.cookie {
            request = request.header(header::COOKIE, cookie);
        }
        let answer = request.send().await?;
        let set = answer.headers().get(header::SET_COOKIE).and_then(|value| value.to_str().ok());
        if let Some(cookie) = set.and_then(|value| value.split(';').next()) {
            self.cookie = Some(cookie.to_owned());
        }
        Ok(answer)
    }
}

fn location(answer: &reqwest::Response) -> Option<&str> {
    answer.headers().get(header::LOCATION)?.to_str().ok()
}

#[tokio::main]
async fn main() -> Outcome<()> {
    tour(&mut io::stdout()).await
}
