//! Tokens for tokens: `cargo run --example token_exchange`
//!
//! A gateway has a user's login and calls two services behind it, each with a token that is good
//! there alone and that says who acts for whom (RFC 8693). Nothing leaves this machine: the
//! authorization server runs in this process. Where a promise is broken, the program ends with an
//! error.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use tokenkeeper::{AccessToken, ManualClock, TokenManager, TokenSet};
use tokenkeeper_providers::{
    ClientAuth, ClientCredentialsProvider, RefreshTokenProvider, TokenExchangeProvider,
    TokenTypeUri,
};
use tokenkeeper_testkit::FakeAuthServer;
use tokio::task::JoinSet;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> ExitCode {
    match tour(&mut io::stdout()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

pub(crate) async fn tour(out: &mut impl Write) -> Result<()> {
    let server = FakeAuthServer::start();
    let clock = ManualClock::new();
    let login = login_of_alice(&server).await?;
    let itself = the_gateway_itself(&server)?;
    let billing = behind(&server, "https://billing.example.org", &login, &itself, &clock)?;
    let library = behind(&server, "https://library.example.org", &login, &itself, &clock)?;

    writeln!(out, "1. A hundred requests of Alice go to each service.")?;
    let tokens = [a_hundred_times(&billing).await?, a_hundred_times(&library).await?];
    let exchanges = server.count(TOKEN_EXCHANGE, 200);
    let hers = login.token().await?;
    let all_differ = !tokens[0].secret().ct_eq(tokens[1].secret())
        && tokens.iter().all(|token| !token.secret().ct_eq(hers.secret()));
    if exchanges != 2 || !all_differ {
        return Err("there should have been one token for each service".into());
    }
    writeln!(out, "   {exchanges} exchanges; neither service ever sees her login.")?;

    writeln!(
        out,
        "2. A service rejects its token: another is bought, with a login that is fresh."
    )?;
    server.revoke_access(tokens[0].secret().expose_secret());
    let replaced = billing.replace_rejected(&tokens[0]).await?;
    let exchanges = server.count(TOKEN_EXCHANGE, 200);
    writeln!(out, "   {exchanges} exchanges, and a new token: {}.", replaced.is_some())?;

    writeln!(out, "3. Her access token is taken back, and the gateway was not told.")?;
    server.revoke_access(hers.secret().expose_secret());
    clock.advance(std::time::Duration::from_secs(900));
    billing.token().await?; // refused, then bought with the token that her login is renewed to
    let exchanges = server.count(TOKEN_EXCHANGE, 200);
    writeln!(out, "   {exchanges} exchanges: her login was renewed, and the exchange repeated.")?;

    writeln!(out, "4. She logs out.")?;
    login.clear().await?;
    clock.advance(std::time::Duration::from_secs(900));
    let error = billing.token().await.err().ok_or("nothing should be bought for her")?;
    writeln!(out, "   {error}")?;
    Ok(())
}

/// Tokens for one service, on Alice's behalf.
fn behind(
    server: &FakeAuthServer,
    service: &str,
    login: &TokenManager,
    itself: &TokenManager,
    clock: &ManualClock,
) -> Result<TokenManager> {
    let name = service.trim_start_matches("https://").split('.').next().unwrap_or_default();
    let provider = TokenExchangeProvider::builder(name, &server.token_url())
        .client("client", ClientAuth::basic("secret"))
        .subject("alice")
        .subject_token(TokenTypeUri::ACCESS_TOKEN, login.clone())
        .actor("gateway")
        .actor_token(TokenTypeUri::ACCESS_TOKEN, itself.clone())
        .resource(service)
        .build()?;
    Ok(TokenManager::builder(provider).clock(clock.clone()).build()?)
}

/// What she logged in with elsewhere, kept alive.
async fn login_of_alice(server: &FakeAuthServer) -> Result<TokenManager> {
    let provider = RefreshTokenProvider::builder("login", &server.token_url())
        .client("client", ClientAuth::basic("secret"))
        .subject("alice")
        .build()?;
    let manager = TokenManager::new(provider);
    let refresh_token = server.issue_refresh_token("client", "alice");
    manager.install(TokenSet::from_refresh_token(refresh_token)).await?;
    Ok(manager)
}

fn the_gateway_itself(server: &FakeAuthServer) -> Result<TokenManager> {
    let provider = ClientCredentialsProvider::builder("gateway", &server.token_url())
        .client("client", ClientAuth::basic("secret"))
        .build()?;
    Ok(TokenManager::new(provider))
}

async fn a_hundred_times(manager: &TokenManager) -> Result<std::sync::Arc<AccessToken>> {
    let mut calls = JoinSet::new();
    for _ in 0..100 {
        let manager = manager.clone();
        calls.spawn(async move { manager.token().await });
    }
    for result in calls.join_all().await {
        result?;
    }
    Ok(manager.token().await?)
}

const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
