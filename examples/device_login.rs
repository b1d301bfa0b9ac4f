//! A login on another device: `cargo run --example device_login`
//!
//! A television shows a code, and a person types it in on a telephone. Nothing leaves this machine:
//! the authorization server runs in this process, and a clock that is moved by hand makes the waiting
//! short. Where a promise is broken, the program ends with an error.
//!
//! # At a server of yours
//!
//! | variable | |
//! |---|---|
//! | `DEVICE_AUTHORIZATION_URL` | everything else is read only if this is set; GitHub's is `https://github.com/login/device/code` |
//! | `TOKEN_URL`, `CLIENT_ID` | required then |
//! | `CLIENT_SECRET` | for clients that have one; it goes into the header |
//! | `SCOPE` | scopes, separated by blanks |

use std::env;
use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use tokenkeeper::{ErrorKind, ManualClock, TokenManager};
use tokenkeeper_providers::{ClientAuth, DeviceLogin};
use tokenkeeper_testkit::FakeAuthServer;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> ExitCode {
    let out = &mut io::stdout();
    let result = match env::var("DEVICE_AUTHORIZATION_URL") {
        Ok(url) => real_login(&url, out).await,
        Err(_) => tour(out).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// All chapters, at a server in this process.
pub(crate) async fn tour(out: &mut impl Write) -> Result<()> {
    let clock = ManualClock::new();
    let server = FakeAuthServer::builder()
        .clock(clock.clone())
        .polling_interval(INTERVAL)
        .device_code_lifetime(LIFETIME)
        .start();
    let login =
        DeviceLogin::builder("television", &server.device_authorization_url(), &server.token_url())
            .client("client", ClientAuth::basic("secret"))
            .clock(clock.clone())
            .build()?;

    writeln!(out, "1. A person approves it.")?;
    approved(&server, &login, &clock, out).await?;
    writeln!(out, "2. A person declines it.")?;
    declined(&server, &login, &clock, out).await?;
    writeln!(out, "3. No one comes.")?;
    forgotten(&login, &clock, out).await
}

async fn approved(
    server: &FakeAuthServer,
    login: &DeviceLogin,
    clock: &ManualClock,
    out: &mut impl Write,
) -> Result<()> {
    let pending = login.begin().await?;
    writeln!(out, "   Open {} and type in {}", pending.verification_url(), pending.user_code())?;
    let user_code = pending.user_code().to_owned();
    let person = async {
        time_passes(clock, 3).await;
        waiting(clock).await;
        server.approve_device(&user_code);
        time_passes(clock, 1).await;
    };
    let (tokens, ()) = tokio::join!(login.finish(pending), person);

    let polls = server.count(DEVICE_CODE, 400) + server.count(DEVICE_CODE, 200);
    writeln!(out, "   It was approved after 15 s: {polls} polls, the last brought the tokens.")?;

    let manager = TokenManager::new(login.provider("alice")?);
    manager.install(tokens?).await?;
    let token = manager.token().await?;
    writeln!(
        out,
        "   {}, and the service takes it: {}",
        manager.status(),
        is_live(server, &token)
    )?;
    Ok(())
}

async fn declined(
    server: &FakeAuthServer,
    login: &DeviceLogin,
    clock: &ManualClock,
    out: &mut impl Write,
) -> Result<()> {
    let pending = login.begin().await?;
    server.deny_device(pending.user_code());
    let (outcome, ()) = tokio::join!(login.finish(pending), time_passes(clock, 1));
    say_how_it_ended(outcome.err(), out)
}

async fn forgotten(login: &DeviceLogin, clock: &ManualClock, out: &mut impl Write) -> Result<()> {
    let pending = login.begin().await?;
    let intervals = LIFETIME.as_secs() / INTERVAL.as_secs();
    let (outcome, ()) = tokio::join!(login.finish(pending), time_passes(clock, intervals));
    say_how_it_ended(outcome.err(), out)
}

fn say_how_it_ended(error: Option<tokenkeeper::Error>, out: &mut impl Write) -> Result<()> {
    let error = error.ok_or("this login must not succeed")?;
    if error.kind() != ErrorKind::LoginRequired {
        return Err(error.into());
    }
    writeln!(out, "   {error}")?;
    Ok(())
}

/// Lets so many intervals pass, each when the login waits for it.
async fn time_passes(clock: &ManualClock, intervals: u64) {
    for _ in 0..intervals {
        waiting(clock).await;
        clock.advance(INTERVAL);
    }
}

/// Until the login waits for its next poll. One whose time has come is not waiting any more.
async fn waiting(clock: &ManualClock) {
    while clock.next_wake().unwrap_or_default().is_zero() {
        tokio::task::yield_now().await;
    }
}

fn is_live(server: &FakeAuthServer, token: &tokenkeeper::AccessToken) -> bool {
    server.is_live(token.secret().expose_secret())
}

/// One login at a server of yours, with real waiting.
async fn real_login(device_authorization_url: &str, out: &mut impl Write) -> Result<()> {
    let setting = |name: &str| env::var(name).map_err(|_| format!("{name} is not set"));
    let auth = env::var("CLIENT_SECRET").map_or_else(|_| ClientAuth::none(), ClientAuth::basic);
    let scope = env::var("SCOPE").unwrap_or_default();
    let login =
        DeviceLogin::builder("your service", device_authorization_url, &setting("TOKEN_URL")?)
            .client(setting("CLIENT_ID")?, auth)
            .scopes(scope.split_whitespace())
            .build()?;

    let pending = login.begin().await?;
    writeln!(out, "Open {} and type in {}", pending.verification_url(), pending.user_code())?;
    if let Some(url) = pending.verification_url_complete() {
        writeln!(out, "or open {url} and compare the code")?;
    }
    let tokens = login.finish(pending).await?;

    writeln!(out, "That worked. Scopes: {:?}.", tokens.scopes().map(ToString::to_string))?;
    writeln!(out, "A refresh token came with it: {}.", tokens.refresh_token().is_some())?;
    Ok(())
}

const INTERVAL: Duration = Duration::from_secs(5);
const LIFETIME: Duration = Duration::from_secs(600);
const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
