//! A thousand users, a hundred managers: `cargo run --example multi_tenant`
//!
//! Each user logged in somewhere else, in a browser say, and left a refresh token with us. A map
//! has a manager for each user who is being served, and drops it when another user needs the place. That
//! logs no user out, because the tokens stay in the storage. The clock is moved by hand, so that
//! three hours pass in a few seconds.

use std::error::Error;
use std::io::{self, Write};
use std::time::Duration;

use tokenkeeper::{ManualClock, Recovery, Status, TokenManagerMap, TokenSet, TokenState};
use tokenkeeper_providers::{ClientAuth, RefreshTokenProvider};
use tokenkeeper_testkit::FakeAuthServer;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Result<()> {
    tour(&mut io::stdout()).await
}

pub(crate) async fn tour(out: &mut impl Write) -> Result<()> {
    let clock = ManualClock::new();
    let server =
        FakeAuthServer::builder().token_lifetime(TOKEN_LIFETIME).clock(clock.clone()).start();
    let users = users(&server, &clock)?;

    for number in 0..USERS {
        let login = TokenSet::from_refresh_token(server.issue_refresh_token("client", "alice"));
        let manager = users.get(&name(number))?;
        manager.install_if_absent(login).await?;
        manager.token().await?;
        clock.advance(SECOND);
    }
    writeln!(out, "{USERS} users logged in, one a second: {} exchanges.", server.exchanges())?;
    writeln!(out, "{}", dashboard(&users))?;
    assert!(users.len() <= BOUND + BOUND / 8);

    for number in 0..USERS {
        users.get(&name(number))?.token().await?;
    }
    writeln!(out, "\nAll of them came back: {} exchanges.", server.exchanges())?;
    assert_eq!(server.exchanges(), USERS);

    // Logout: the service is told, the storage keeps a mark, and the manager is not needed.
    let leaves = name(1);
    users.get(&leaves)?.revoke().await?;
    users.remove(&leaves);
    let Err(error) = users.get(&leaves)?.token().await else {
        return Err("who logged out got a token".into());
    };
    writeln!(out, "\n{leaves} logged out, at the server too. Asked for a token all the same:")?;
    writeln!(out, "  {error}")?;

    clock.advance(TOKEN_LIFETIME);
    for number in 2..USERS {
        users.get(&name(number))?.token().await?;
        clock.advance(SECOND);
    }
    writeln!(out, "\nAll others got a new token: {} exchanges.", server.exchanges())?;

    // The first of these tokens ends, and the service does not accept its refresh token any more.
    clock.advance(TOKEN_LIFETIME * 3 / 4);
    let ended = name(2);
    server.set_next_response(400, &[], r#"{"error":"invalid_grant"}"#);
    let before = server.exchanges();
    for _ in 0..100 {
        let Err(error) = users.get(&ended)?.token().await else {
            return Err("a dead login gave a token".into());
        };
        assert_eq!(error.recovery(), Recovery::Reauthenticate);
    }
    let asked = server.exchanges() - before;
    writeln!(out, "\nThe service ended the login of {ended}: 100 calls, {asked} request.")?;
    writeln!(out, "{}", dashboard(&users))?;
    assert_eq!(asked, 1);

    // That user logs in again, in a browser, and is one of many.
    let login = TokenSet::from_refresh_token(server.issue_refresh_token("client", "alice"));
    users.get(&ended)?.install(login).await?;
    users.get(&ended)?.token().await?;
    writeln!(out, "\n{ended} logged in again, and has a token.")?;

    users.flush().await?; // before the process ends
    writeln!(out, "Refresh tokens sent twice: {}.", server.reuses())?;
    assert_eq!(server.reuses(), 0);
    Ok(())
}

fn users(server: &FakeAuthServer, clock: &ManualClock) -> Result<TokenManagerMap<String>> {
    let (token_url, revocation_url) = (server.token_url(), server.revocation_url());
    let users = TokenManagerMap::builder(move |user: &String| {
        RefreshTokenProvider::builder("calendar", &token_url)
            .client("client", ClientAuth::basic("secret"))
            .revocation_url(revocation_url.as_str())
            .subject(user) // tells users apart, and their stored tokens
            .build()
    });
    Ok(users.clock(clock.clone()).bound(BOUND).build()?)
}

/// One line for all users that have a manager now.
fn dashboard(users: &TokenManagerMap<String>) -> String {
    let statuses = users.statuses();
    let count = |is: fn(&Status) -> bool| statuses.iter().filter(|(_, status)| is(status)).count();
    let serve = count(|s| matches!(s.token_state(), TokenState::Fresh | TokenState::Due));
    let need_login = count(Status::needs_login);
    let all = statuses.len();
    format!("  {all} managers: {serve} have a token that serves, {need_login} need a login")
}

fn name(number: usize) -> String {
    format!("user-{number}")
}

const USERS: usize = 1_000;
const BOUND: usize = 100;
const TOKEN_LIFETIME: Duration = Duration::from_secs(3_600);
const SECOND: Duration = Duration::from_secs(1);
