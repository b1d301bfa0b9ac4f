//! An API client of MangaDex on its good and bad days: `cargo run --example mangadex_client`
//!
//! `api.rs` is the client, as a program would have it. Here it meets three servers in this process:
//! the realm at auth.mangadex.org, the API at api.mangadex.org, and uploads.mangadex.org, where the
//! images are. Each chapter has servers of its own, and what it says is what they received. Where a
//! promise is broken, the program ends with an error.

mod api;
mod rate_limit;
mod stand_ins;

use std::error::Error;
use std::io::{self, Write};
use std::time::Duration;

use reqwest::Response;
use tokenkeeper::ManualClock;
use tokenkeeper_testkit::{Endpoint, Fault};
use tokio::task::{JoinSet, yield_now};

use api::Failed;
use stand_ins::{StandIns, with_token};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Result<()> {
    tour(&mut io::stdout()).await
}

/// The whole example. What it says goes to `out`.
pub(crate) async fn tour(out: &mut impl Write) -> Result<()> {
    writeln!(out, "1. No one is logged in.\n{}\n", anonymous().await?)?;
    writeln!(out, "2. Alice is logged in.\n{}\n", alice().await?)?;
    writeln!(out, "3. Images are on another host.\n{}\n", images().await?)?;
    writeln!(out, "4. The session token is wrong.\n{}\n", wrong_session_token().await?)?;
    writeln!(out, "5. The refresh token is wrong too.\n{}\n", wrong_refresh_token().await?)?;
    writeln!(out, "6. So is the password.\n{}\n", wrong_password().await?)?;
    writeln!(out, "7. Five calls at once, and then their token is wrong.\n{}\n", limit().await?)?;
    writeln!(out, "8. Alice logs out.\n{}", logout().await?)?;
    Ok(())
}

async fn anonymous() -> Result<String> {
    let servers = StandIns::start()?;
    let api = servers.anonymous()?;

    let manga = api.manga().await?.status();
    let error = refusal(api.follow("1").await)?;

    let (sent, tokens) = (servers.api.requests(), with_token(&servers.api));
    let logins = servers.realm.requests();
    assert_eq!((sent, tokens, logins), (1, 0, 0));
    servers.check();
    Ok(format!(
        "   GET /manga: {manga}, without a token.\n   {error}\n   \
         The API saw {sent} request, the realm {logins}."
    ))
}

async fn alice() -> Result<String> {
    let servers = StandIns::start()?;
    let api = servers.alice()?;

    let statuses = [api.me().await?, api.manga().await?, api.follow("1").await?];
    let statuses = statuses.map(|answer| answer.status().as_u16());

    let (sent, tokens) = (servers.api.received(), with_token(&servers.api));
    let without = sent.iter().find(|request| request.header("authorization").is_none());
    let without = without.map_or("none", |request| request.path());
    let logins = servers.realm.count("password", 200);
    assert_eq!((statuses, tokens, without, logins), ([200; 3], 2, "/manga", 1));
    servers.check();
    Ok(format!(
        "   {} calls, {logins} login. {tokens} had the token; {without} needs none and had none.",
        sent.len()
    ))
}

async fn images() -> Result<String> {
    let servers = StandIns::start()?;
    let api = servers.alice()?;
    let cover = format!("{}/covers/1.png", servers.uploads.url());

    let direct = api.image(&cover).await?.status();
    servers.api.fail_next_at(Endpoint::Resource, 1, Fault::Redirect(cover));
    let redirected = api.me().await?.status();

    let (sent, tokens) = (servers.uploads.requests(), with_token(&servers.uploads));
    assert_eq!((sent, tokens, with_token(&servers.api)), (2, 0, 1));
    servers.check();
    Ok(format!(
        "   A cover: {direct}. A call that the API redirects there: {redirected}.\n   \
         {sent} requests came there, {tokens} of them with a token."
    ))
}

async fn wrong_session_token() -> Result<String> {
    let servers = StandIns::start()?;
    let api = servers.alice()?;
    api.me().await?;
    servers.realm.revoke_all_access_tokens();

    let healed = api.me().await?.status();

    let seen = (servers.exchanges(), servers.answers());
    assert_eq!(seen, ([(1, 0), (1, 0)], (2, 1)));
    servers.check();
    Ok(format!("   {healed}; {}.", servers.tries()))
}

async fn wrong_refresh_token() -> Result<String> {
    let servers = StandIns::start()?;
    let api = servers.alice()?;
    api.me().await?;
    servers.realm.revoke_all_access_tokens();
    servers.realm.kill_refresh_tokens();

    let healed = api.me().await?.status();

    let seen = (servers.exchanges(), servers.answers());
    assert_eq!(seen, ([(2, 0), (0, 1)], (2, 1)));
    servers.check();
    Ok(format!("   {healed}; {}.", servers.tries()))
}

async fn wrong_password() -> Result<String> {
    let servers = StandIns::start()?;
    let api = servers.alice()?;
    api.me().await?;
    servers.realm.revoke_all_access_tokens();
    servers.realm.kill_refresh_tokens();
    servers.realm.set_password("alice", "changed");

    let first = refusal(api.me().await)?;
    let tries = servers.tries();
    let next = refusal(api.follow("1").await)?;

    let seen = (servers.exchanges(), servers.answers());
    assert_eq!(seen, ([(1, 1), (0, 1)], (1, 1)));
    servers.check();
    Ok(format!("   {first}\n   So far {tries}.\n   {next}\n   Still {}.", servers.tries()))
}

async fn limit() -> Result<String> {
    let servers = StandIns::start()?;
    let api = servers.alice()?;
    api.session().login().await?;
    servers.realm.revoke_all_access_tokens();

    let held = servers.api.hold_at(Endpoint::Resource);
    let mut calls = JoinSet::new();
    for _ in 0..5 {
        let api = api.clone();
        calls.spawn(async move { api.me().await.map(|answer| answer.status().as_u16()) });
    }
    held.arrived(5).await;
    held.release();
    tokio::select! {
        _ = calls.join_next() => return Err("a call did not have to wait for the limit".into()),
        () = somebody_sleeps(&servers.limit_clock) => {}
    }
    let (at_once, [_, (refreshes, _)]) = (servers.limit.passed(), servers.exchanges());
    servers.limit_clock.advance(Duration::from_secs(1));
    let mut served = 0;
    while let Some(call) = calls.join_next().await {
        served += usize::from(call?? == 200);
    }

    let in_all = servers.limit.passed();
    assert_eq!((at_once, refreshes, served, in_all), (5, 1, 5, 10));
    servers.check();
    Ok(format!(
        "   {at_once} requests used up what the API allows in a second; {refreshes} refresh went \
         out all the same.\n   A second later {served} calls were served. {in_all} requests \
         counted, and the API saw {}.",
        servers.api.requests()
    ))
}

async fn logout() -> Result<String> {
    let servers = StandIns::start()?;
    let api = servers.alice()?;
    api.me().await?;

    api.session().logout().await?;
    let error = refusal(api.me().await)?;
    let manga = api.manga().await?.status();

    let (sent, alive) =
        (servers.realm.stats().revocations(200), servers.realm.live_access_tokens());
    assert!(sent > 0 && alive == 0 && with_token(&servers.api) == 1);
    servers.check();
    Ok(format!(
        "   The realm was told: {sent} tokens revoked, {alive} still good.\n   {error}\n   \
         GET /manga: {manga}."
    ))
}

async fn somebody_sleeps(clock: &ManualClock) {
    while clock.sleepers() == 0 {
        yield_now().await;
    }
}

/// The call that failed for want of a login, and why.
fn refusal(outcome: std::result::Result<Response, Failed>) -> Result<String> {
    let Err(error) = outcome else { return Err("a call went through without a login".into()) };
    let call = error.unauthorized().ok_or("it failed for another reason")?;
    Ok(format!("{} {}: unauthorized. {error}.", call.method(), call.path()))
}
