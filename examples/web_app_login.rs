//! A web application whose people log in: `cargo run --example web_app_login`
//!
//! `/login` sends the browser to the authorization server, `/callback` makes tokens of what it brings
//! back, `/calendar` asks an API in the name of the person who is logged in, and `/logout` ends that at the
//! server too. Each person has a token manager in a map. A login that is under way has a cookie of
//! its own, so that it cannot be finished in another browser, and any number of tabs may be at it.

use std::collections::{BTreeMap, HashMap};
use std::error::Error as StdError;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use http::{HeaderMap, Method, StatusCode, Uri, header};
use reqwest::Client;
use tokenkeeper::{Clock, Error, ErrorKind, Recovery, SystemClock, TokenManagerMap};
use tokenkeeper_providers::{
    AuthorizationCodeLogin, Callback, ClientAuth, IdTokenClaims, PendingLogin,
};
use tokenkeeper_reqwest::{
    Route, SendError, SendWithToken, TokenChoice, TokenRoutes, Tokens, without_redirects,
};
use tokenkeeper_testkit::{Decision, Endpoint, FakeAuthServer, Fault};
use tokio::net::TcpListener;

type Outcome<T> = Result<T, Box<dyn StdError + Send + Sync>>;

struct WebApp {
    login: Arc<AuthorizationCodeLogin>,
    people: TokenManagerMap<String>,
    /// By state. `PendingLogin` can be serialized, for a database.
    pending: Mutex<HashMap<String, PendingLogin>>,
    /// By the value of the cookie.
    sessions: Mutex<HashMap<String, Session>>,
    client: Client,
    tokens: Tokens,
    calendar_url: String,
}

/// A person who is logged in at one browser.
struct Session {
    person: String,
    /// The person logged out, and the server has not been told yet.
    is_ending: bool,
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
            pending: Mutex::default(),
            sessions: Mutex::default(),
            client: without_redirects(Client::builder()).build()?,
            tokens: Tokens::new(TokenRoutes::new([Route::per_request().origin(server.url())])?),
            calendar_url: server.resource_url(),
        })
    }

    fn routes(self) -> Router {
        Router::new()
            .route("/login", get(login))
            .route("/callback", get(callback))
            .route("/calendar", get(calendar))
            .route("/logout", post(logout))
            .with_state(Arc::new(self))
    }

    fn pending(&self) -> MutexGuard<'_, HashMap<String, PendingLogin>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<String, Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who is logged in at this browser.
    fn person(&self, headers: &HeaderMap) -> Option<String> {
        let sessions = self.sessions();
        let session = sessions.get(cookie_of(headers, SESSION)?)?;
        (!session.is_ending).then(|| session.person.clone())
    }
}

async fn login(State(app): State<Arc<WebApp>>) -> Result<Response, Refusal> {
    let pending = app.login.begin().await?;
    let state = pending.state().to_owned();
    let redirect = Redirect::to(pending.authorization_url());
    let begun = cookie(&login_cookie(&state), "begun", "Path=/callback; Max-Age=600");
    let now = SystemClock.now().wall();
    let mut all = app.pending();
    all.retain(|_, pending| pending.expires_at() > now); // no callback came for those
    all.insert(state, pending);
    Ok((AppendHeaders([begun]), redirect).into_response())
}

async fn callback(
    State(app): State<Arc<WebApp>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Refusal> {
    let callback = Callback::parse(&uri.to_string())?;
    let login_cookie = login_cookie(callback.state());
    let begun_here = cookie_of(&headers, &login_cookie);
    let pending = begun_here.and_then(|_| app.pending().remove(callback.state()));
    let Some(pending) = pending else {
        let what = "this browser has not begun the login that it wants to finish";
        return Err(Error::new(ErrorKind::LoginRequired, what).into());
    };
    let tokens = app.login.finish(pending, &callback).await?;
    let claims = IdTokenClaims::of(&tokens);
    let Some(person) = claims.as_ref().and_then(IdTokenClaims::subject) else {
        let what = "scopes: need `openid`, so that the server says who logged in";
        return Err(Error::new(ErrorKind::Config, what).into());
    };
    app.people.get(person)?.install(tokens).await?;

    // Always a new id: a stranger who put another one into this browser is not logged in with it.
    let id = new_id()?;
    let mut sessions = app.sessions();
    cookie_of(&headers, SESSION).and_then(|old| sessions.remove(old));
    sessions.insert(id.clone(), Session { person: person.to_owned(), is_ending: false });
    let cookies =
        [cookie(SESSION, &id, "Path=/"), cookie(&login_cookie, "", "Path=/callback; Max-Age=0")];
    Ok((AppendHeaders(cookies), Redirect::to("/calendar")).into_response())
}

async fn calendar(State(app): State<Arc<WebApp>>, headers: HeaderMap) -> Result<String, Refusal> {
    let Some(person) = app.person(&headers) else {
        return Err(Error::new(ErrorKind::LoginRequired, "no one is logged in here").into());
    };
    let tokens = app.people.get(&person)?;
    let request = app.client.get(format!("{}/today", app.calendar_url));
    let answer = request.send_with_choice(&app.tokens, TokenChoice::Of(tokens)).await?;
    Ok(answer.text().await?)
}

/// By POST, for which a browser takes no `Lax` cookie along from another site.
async fn logout(State(app): State<Arc<WebApp>>, headers: HeaderMap) -> Result<String, Refusal> {
    if let Some(id) = cookie_of(&headers, SESSION) {
        let ending = app.sessions().get_mut(id).map(|session| {
            session.is_ending = true;
            session.person.clone()
        });
        if let Some(person) = ending {
            // At the server too, and so at all browsers of this person. If that fails, the tokens are
            // alive, and the session is good for nothing but to try again.
            app.people.get(&person)?.revoke().await?;
            app.people.remove(&person);
            app.sessions().remove(id);
        }
    }
    Ok("logged out".to_owned())
}

/// What a browser is told. The error is one line without secrets, and says what to do.
struct Refusal(Error);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match self.0.recovery() {
            Recovery::Retry { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Recovery::Reauthenticate if self.0.needs_login() => StatusCode::UNAUTHORIZED,
            _ => StatusCode::INTERNAL_SERVER_ERROR, // alert an operator
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

fn cookie_of<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    lines.find_map(|line| {
        line.split("; ").find_map(|cookie| cookie.strip_prefix(name)?.strip_prefix('='))
    })
}

/// `Lax`, because a callback comes from another site. Over https it is `Secure`, too.
fn cookie(name: &str, value: &str, scope: &str) -> (header::HeaderName, String) {
    (header::SET_COOKIE, format!("{name}={value}; {scope}; HttpOnly; SameSite=Lax"))
}

/// A state cannot be guessed, so the name alone proves that the login was begun in this browser.
fn login_cookie(state: &str) -> String {
    format!("login-{state}")
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

    writeln!(out, "No one is logged in:\n  {}", browser.get("/calendar").await?)?;

    writeln!(out, "\nAlice logs in, in two tabs at once:")?;
    let tabs = [browser.begin().await?, browser.begin().await?];
    let [first, second] = tabs.map(|tab| server.browser().visit(&tab));
    let mut under_way = browser.clone(); // with the cookies from before the other was answered
    writeln!(out, "  {}", browser.get(&second).await?)?;
    let late = under_way.get(&first).await?;
    writeln!(out, "  {late}")?;
    assert!(late.starts_with("303"));
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

    writeln!(out, "\nThe API takes all tokens back, and no caller sees it:")?;
    server.expire_access_tokens();
    writeln!(out, "  {}\n  {}", browser.get("/calendar").await?, other.get("/calendar").await?)?;
    assert_eq!((server.count("refresh_token", 200), server.reuses()), (2, 0));

    let link = browser.get("/logout").await?;
    writeln!(out, "\nA link cannot log alice out:\n  {}", link.trim_end_matches(": "))?;

    writeln!(out, "\nAlice logs out while the server is busy, and tries again:")?;
    let before = server.live_access_tokens();
    server.fail_next_at(Endpoint::Revocation, 1, Fault::Unavailable(None));
    writeln!(out, "  {}", browser.post("/logout").await?)?;
    writeln!(out, "  {}", browser.get("/calendar").await?)?;
    assert_eq!(server.live_access_tokens(), before);
    writeln!(out, "  {}", browser.post("/logout").await?)?;
    let revoked = before - server.live_access_tokens();
    writeln!(out, "  The server was told: {revoked} access token is good no more.")?;
    assert_eq!(revoked, 1);

    writeln!(out, "\nBob is logged in as before:\n  {}", other.get("/calendar").await?)?;
    serving.abort();
    Ok(())
}

/// A browser that remembers its cookies, and shows where it is sent to.
#[derive(Clone)]
struct Browser {
    client: Client,
    url: String,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    fn new(url: &str) -> Outcome<Self> {
        let client = without_redirects(Client::builder()).build()?;
        Ok(Self { client, url: url.to_owned(), cookies: BTreeMap::new() })
    }

    /// Clicks on "log in"; gives where the browser is sent.
    async fn begin(&mut self) -> Outcome<String> {
        let answer = self.open(Method::GET, "/login").await?;
        Ok(location(&answer).ok_or("the browser was not sent to the server")?.to_owned())
    }

    async fn get(&mut self, target: &str) -> Outcome<String> {
        shown(self.open(Method::GET, target).await?).await
    }

    async fn post(&mut self, target: &str) -> Outcome<String> {
        shown(self.open(Method::POST, target).await?).await
    }

    async fn open(&mut self, method: Method, target: &str) -> Outcome<reqwest::Response> {
        let path = target.strip_prefix(&self.url).unwrap_or(target);
        let cookies: Vec<_> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = self.client.request(method, format!("{}{path}", self.url));
        let answer = request.header(header::COOKIE, cookies.join("; ")).send().await?;
        for set in answer.headers().get_all(header::SET_COOKIE) {
            let (cookie, rest) = set.to_str()?.split_once(';').unwrap_or_default();
            let (name, value) = cookie.split_once('=').unwrap_or_default();
            if rest.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(answer)
    }
}

/// The status and the text, or where the browser is sent.
async fn shown(answer: reqwest::Response) -> Outcome<String> {
    let status = answer.status();
    Ok(match location(&answer) {
        Some(location) => format!("{status}: {location}"),
        None => format!("{status}: {}", answer.text().await?),
    })
}

fn location(answer: &reqwest::Response) -> Option<&str> {
    answer.headers().get(header::LOCATION)?.to_str().ok()
}

#[tokio::main]
async fn main() -> Outcome<()> {
    tour(&mut io::stdout()).await
}

const SESSION: &str = "session";
