//! tokenkeeper in five chapters: `cargo run --example quickstart`
//!
//! Nothing leaves this machine. The authorization server is a real one with a socket, but it runs
//! in this process, counts every request, and fails when it is told to. Chapters 2 to 5 use a clock
//! that is moved by hand, so that a day passes in a second. Where a promise is broken, the program
//! ends with an error.
//!
//! # At a server of yours
//!
//! | variable | |
//! |---|---|
//! | `TOKEN_URL` | the token endpoint; everything else is read only if this is set |
//! | `CLIENT_ID`, `CLIENT_SECRET` | required then |
//! | `CLIENT_AUTH` | `post` sends the secret in the body; by default it is in the header |
//! | `PASSWORD`, `USERNAME` | the password grant instead of client credentials; `USERNAME` alone means nothing, because many systems set it for every program |
//! | `SCOPE` | scopes, separated by blanks |
//!
//! It makes two token requests and nothing else.

use std::env;
use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::AUTHORIZATION;
use tokenkeeper::{
    AccessToken, Clock, Event, EventKind, ManualClock, Observer, SystemClock, TokenManager,
    TokenProvider, TokenSet,
};
use tokenkeeper_providers::{
    ClientAuth, ClientCredentialsProvider, PasswordProvider, RefreshTokenProvider,
};
use tokenkeeper_testkit::{Endpoint, FakeAuthServer, Fault};
use tokio::task::JoinSet;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> ExitCode {
    let out = &mut io::stdout();
    let result = match env::var("TOKEN_URL") {
        Ok(token_url) => real_server(&token_url, out).await,
        Err(_) => tour(out).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}"); // one line that says what to do next, and never holds a secret
            ExitCode::FAILURE
        }
    }
}

/// All chapters, at a server in this process.
pub(crate) async fn tour(out: &mut impl Write) -> Result<()> {
    let clock = ManualClock::new();
    let server =
        FakeAuthServer::builder().token_lifetime(TOKEN_LIFETIME).clock(clock.clone()).start();
    writeln!(out, "An authorization server runs in this process, at {}.\n", server.url())?;

    writeln!(out, "1. A service starts, and all of its tasks want a token.")?;
    writeln!(out, "   {}\n", many_callers(&server).await?)?;

    let alice = user(&server, &clock).await?;
    writeln!(out, "2. A user's login is kept alive for a day.")?;
    writeln!(out, "   {}\n", rotation(&server, &clock, &alice).await?)?;
    writeln!(out, "3. The API says 401 to a token that should have been good.")?;
    writeln!(out, "   {}\n", late_rejections(&server, &alice).await?)?;
    writeln!(out, "4. The authorization server is down, and says 503.")?;
    writeln!(out, "   {}\n", outage(&server, &clock, &alice).await?)?;
    writeln!(out, "5. The process ends while a refresh is under way.")?;
    writeln!(out, "   {}\n", shutdown(&server, &clock, &alice).await?)?;

    writeln!(out, "What the server saw:")?;
    for line in server.stats().to_string().split("; ") {
        writeln!(out, "   {line}")?;
    }
    Ok(())
}

async fn many_callers(server: &FakeAuthServer) -> Result<String> {
    let provider = ClientCredentialsProvider::builder("quickstart", &server.token_url())
        .client("client", ClientAuth::basic("secret"))
        .build()?;
    let manager = TokenManager::new(provider);

    ask(&manager, 1_000).await?;

    let exchanges = server.exchanges();
    assert_eq!(exchanges, 1);
    Ok(format!("1,000 callers, {exchanges} exchange. {}.", manager.status()))
}

/// A manager for a user who logged in elsewhere, in a browser say: all we got is a refresh token.
async fn user(server: &FakeAuthServer, clock: &ManualClock) -> Result<TokenManager> {
    let provider = RefreshTokenProvider::builder("calendar", &server.token_url())
        .client("client", ClientAuth::basic("secret"))
        .subject("alice")
        .build()?;
    let manager = TokenManager::builder(provider).clock(clock.clone()).build()?;
    let refresh_token = server.issue_refresh_token("client", "alice");
    // At every start: a restart must not put the spent token in the place of its successor.
    manager.install_if_absent(TokenSet::from_refresh_token(refresh_token)).await?;
    Ok(manager)
}

async fn rotation(
    server: &FakeAuthServer,
    clock: &ManualClock,
    alice: &TokenManager,
) -> Result<String> {
    for _ in 0..96 {
        clock.advance(TOKEN_LIFETIME);
        ask(alice, 100).await?;
    }

    // Every answer brings a new refresh token and ends the old one. Had one been sent twice, the
    // server would have taken it for stolen and ended the login.
    let (rotations, reuses) = (server.count("refresh_token", 200), server.reuses());
    assert_eq!((rotations, reuses), (96, 0));
    Ok(format!(
        "9,600 callers, {rotations} exchanges: each spent one refresh token and brought the next; \
         {reuses} were sent twice."
    ))
}

async fn late_rejections(server: &FakeAuthServer, alice: &TokenManager) -> Result<String> {
    let before = server.exchanges();
    // A client that follows redirects may take the token along.
    let no_redirects = reqwest::redirect::Policy::none();
    let http = reqwest::Client::builder().redirect(no_redirects).build()?;

    // A hundred requests are under way when their token dies.
    let held = server.hold_at(Endpoint::Resource);
    let mut requests = JoinSet::new();
    for _ in 0..100 {
        requests.spawn(call_api(http.clone(), server.resource_url(), alice.clone()));
    }
    held.arrived(100).await;
    server.revoke_all_access_tokens();
    held.release();
    for answer in requests.join_all().await {
        assert_eq!(answer?, StatusCode::OK);
    }

    let (rejected, exchanges) = (server.stats().resource(401), server.exchanges() - before);
    assert_eq!((rejected, exchanges), (100, 1));
    Ok(format!("{rejected} late 401s, {exchanges} exchange; all were sent again and answered 200."))
}

/// What a call to an API comes to by hand. An HTTP client can also do this on its own: that is what
/// the integrations are for.
async fn call_api(http: reqwest::Client, url: String, manager: TokenManager) -> Result<StatusCode> {
    let token = manager.token().await?;
    let send = |token: &AccessToken| http.get(&url).header(AUTHORIZATION, token.authorization());
    let answer = send(&token).send().await?;
    if answer.status() != StatusCode::UNAUTHORIZED {
        return Ok(answer.status());
    }
    match manager.replace_rejected(&token).await? {
        Some(newer) => Ok(send(&newer).send().await?.status()),
        None => Ok(answer.status()), // there is no use in sending it again
    }
}

async fn outage(
    server: &FakeAuthServer,
    clock: &ManualClock,
    alice: &TokenManager,
) -> Result<String> {
    let before = server.exchanges();
    let old = alice.token().await?;
    server.fail_next(1_000, Fault::Unavailable(None));

    // The token is due for renewal, but good: no caller waits, and none gets an error.
    clock.advance(TOKEN_LIFETIME * 4 / 5);
    for step in 1..=3 {
        // The first half starts a request in the background, the other comes after it has failed.
        for _ in 0..2 {
            let served = ask(alice, 500).await?;
            alice.flush().await?; // waits for that request
            assert!(Arc::ptr_eq(&served, &old));
        }
        assert_eq!(server.exchanges() - before, step);
        clock.advance(alice.status().paused_for().unwrap_or_default());
    }

    // Its time is up: all callers share the error of one more request.
    clock.advance(TOKEN_LIFETIME);
    let Err(error) = ask(alice, 1_000).await else { return Err("a dead token was served".into()) };
    assert_eq!(server.exchanges() - before, 4);
    let after = error.retry_after().ok_or("the error does not say when to come back")?;

    server.heal();
    clock.advance(after);
    ask(alice, 1_000).await?;
    assert_eq!(server.exchanges() - before, 5);
    Ok(format!(
        "3,000 callers got the old token at once, and the server saw 3 requests, each after a \
         longer pause.\n   \
         Then the token's time was up: 1,000 callers, 1 request, 1 error for all of them:\n     \
         {error}\n   \
         After that pause the server was back: 1,000 callers, 1 exchange."
    ))
}

async fn shutdown(
    server: &FakeAuthServer,
    clock: &ManualClock,
    alice: &TokenManager,
) -> Result<String> {
    let old = alice.token().await?;
    clock.advance(TOKEN_LIFETIME / 3);

    // The request is at the server, and the task that made it is cancelled.
    let held = server.hold();
    let manager = alice.clone();
    let caller = tokio::spawn(async move { manager.force_refresh().await });
    held.arrived(1).await;
    caller.abort();
    assert!(caller.await.is_err_and(|error| error.is_cancelled()));
    held.release();

    alice.flush().await?; // what a program should do last

    let new = alice.token().await?;
    assert!(!Arc::ptr_eq(&old, &new));
    clock.advance(TOKEN_LIFETIME);
    ask(alice, 1).await?; // the refresh token that came with it is good
    assert_eq!(server.reuses(), 0);
    Ok("Its caller was cancelled, but flush() waited for the answer: the new refresh token is kept, \
        and it works."
        .to_owned())
}

/// So many tasks ask for a token at once. All must get the same one, or the same error.
async fn ask(
    manager: &TokenManager,
    callers: usize,
) -> std::result::Result<Arc<AccessToken>, tokenkeeper::Error> {
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let manager = manager.clone();
        tasks.spawn(async move { manager.token().await });
    }
    let tokens: Vec<_> =
        tasks.join_all().await.into_iter().collect::<std::result::Result<_, _>>()?;
    assert!(tokens.iter().all(|token| Arc::ptr_eq(token, &tokens[0])));
    Ok(tokens[0].clone())
}

/// Chapter 1 and one refresh, at a server elsewhere.
async fn real_server(token_url: &str, out: &mut impl Write) -> Result<()> {
    let exchanges = Arc::new(ExchangeCounter::default());
    let manager =
        TokenManager::builder(real_provider(token_url)?).observer(exchanges.clone()).build()?;

    writeln!(out, "1. A thousand tasks want a token of your server.")?;
    let token = ask(&manager, 1_000).await?;
    writeln!(out, "   1,000 callers, {} exchange. {}.", exchanges.count(), manager.status())?;
    assert_eq!(exchanges.count(), 1);
    writeln!(out, "   {}\n", end_of(&token))?;

    // Sooner after an exchange, the newest token answers.
    writeln!(out, "2. One refresh, in five seconds.")?;
    SystemClock.sleep(Duration::from_secs(5)).await;
    let token = manager.force_refresh().await?;
    writeln!(out, "   {} exchanges so far. {}.", exchanges.count(), manager.status())?;
    writeln!(out, "   {}", end_of(&token))?;
    manager.flush().await?;
    Ok(())
}

fn real_provider(token_url: &str) -> Result<Box<dyn TokenProvider>> {
    let required = |name| env::var(name).map_err(|_| format!("{name} must be set with TOKEN_URL"));
    let client_id = required("CLIENT_ID")?;
    let secret = required("CLIENT_SECRET")?;
    let auth = match env::var("CLIENT_AUTH").as_deref() {
        Ok("post") => ClientAuth::post(secret),
        _ => ClientAuth::basic(secret),
    };
    let scope = env::var("SCOPE").unwrap_or_default();

    if let Ok(password) = env::var("PASSWORD") {
        let provider = PasswordProvider::builder("your server", token_url)
            .client(client_id, auth)
            .scopes(scope.split_whitespace())
            .user(required("USERNAME")?, password)
            .build()?;
        return Ok(Box::new(provider));
    }
    let provider = ClientCredentialsProvider::builder("your server", token_url)
        .client(client_id, auth)
        .scopes(scope.split_whitespace())
        .build()?;
    Ok(Box::new(provider))
}

fn end_of(token: &AccessToken) -> String {
    match token.expires_at() {
        Some(at) => {
            let left = at.duration_since(SystemClock.now().wall()).unwrap_or_default();
            format!("The token ends in {} s.", left.as_secs())
        }
        None => "The server does not say how long the token lives.".to_owned(),
    }
}

/// Counts requests where the server's own count cannot be seen.
#[derive(Debug, Default)]
struct ExchangeCounter(AtomicUsize);

impl ExchangeCounter {
    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Observer for ExchangeCounter {
    fn on_event(&self, event: &Event) {
        if let EventKind::TokenRequestStarted { .. } = event.kind() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

const TOKEN_LIFETIME: Duration = Duration::from_secs(15 * 60);
