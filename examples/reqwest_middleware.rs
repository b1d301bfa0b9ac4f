//! Tokens on the requests of reqwest: `cargo run --example reqwest_middleware`
//!
//! One client asks two services, each with tokens of its own, and a third one that must not see
//! any. The services are servers in this process.

use std::error::Error;
use std::io::{self, Write};

use reqwest_middleware::ClientBuilder;
use tokenkeeper::TokenManager;
use tokenkeeper_providers::{ClientAuth, ClientCredentialsProvider};
use tokenkeeper_reqwest::{
    Route, SendWithToken, TokenChoice, TokenRoutes, Tokens, token_error, without_redirects,
};
use tokenkeeper_testkit::{FakeAuthServer, Fault};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tour(&mut io::stdout().lock()).await
}

/// The whole example. What it says goes to `out`.
pub(crate) async fn tour(out: &mut (impl Write + ?Sized)) -> Result<(), Box<dyn Error>> {
    let (billing, stock, stranger) =
        (FakeAuthServer::start(), FakeAuthServer::start(), FakeAuthServer::start());

    // Which tokens go where. Nothing else gets one, wherever redirects lead.
    let tokens = Tokens::new(TokenRoutes::new([
        Route::new(manager("billing", &billing)?).origin(billing.url()),
        Route::new(manager("stock", &stock)?).origin(stock.url()).exclude_path("/api/health"),
    ])?);
    let client = without_redirects(reqwest::Client::builder()).build()?;
    let chain = ClientBuilder::new(client.clone()).with(tokens.clone()).build();

    writeln!(out, "1. One client, two services, each with tokens of its own.")?;
    for server in [&billing, &stock] {
        let status = chain.get(server.resource_url()).send().await?.status();
        writeln!(out, "   {status}, {} exchange there.", server.exchanges())?;
        assert!(status.is_success());
    }

    writeln!(out, "\n2. A service takes its tokens back, and no caller sees it.")?;
    billing.revoke_all_access_tokens();
    let invoice = chain.post(billing.resource_url()).body("an invoice").send().await?;
    let refused = billing.stats().resource(401);
    let healed = invoice.status();
    writeln!(out, "   {refused} answer was 401; sent again with a new token: {healed}.")?;
    assert!(healed.is_success() && refused == 1);

    writeln!(out, "\n3. Some requests want no token.")?;
    chain.get(stock.resource_url() + "/health").send().await?;
    writeln!(out, "   An excluded path: {}.", seen_by(&stock))?;
    chain.get(stock.resource_url()).with_extension(TokenChoice::Without).send().await?;
    writeln!(out, "   A request that says so: {}.", seen_by(&stock))?;
    assert_eq!(seen_by(&stock), NO_TOKEN);

    writeln!(out, "\n4. A host that is on no route gets none.")?;
    chain.get(stranger.resource_url()).send().await?;
    writeln!(out, "   By the middleware it is asked without: {}.", seen_by(&stranger))?;
    assert_eq!(seen_by(&stranger), NO_TOKEN);
    // Who asks for a token by name is told that there is none for this host.
    let request = client.get(stranger.resource_url());
    let Err(refusal) = request.send_with_token(&tokens).await else {
        return Err("a stranger was asked with a token".into());
    };
    writeln!(out, "   By send_with_token() it is an error: {refusal}.")?;
    assert_eq!(stranger.requests(), 1);

    writeln!(out, "\n5. Without a token that it should have, a request does not go out.")?;
    stock.revoke_all_access_tokens();
    stock.fail_next(1, Fault::Unavailable(None));
    let answer = chain.get(stock.resource_url()).send().await?; // there is nothing to heal it with
    let asked = stock.stats().resource(401);
    let Err(error) = chain.get(stock.resource_url()).send().await else {
        return Err("a request went out without a token".into());
    };
    let why = token_error(&error).ok_or("it failed for another reason")?;
    writeln!(out, "   The first to notice gets the {}.", answer.status())?;
    writeln!(out, "   The next one is not sent: {why}.")?;
    assert!(why.retry_after().is_some() && stock.stats().resource(401) == asked);
    Ok(())
}

fn manager(name: &str, server: &FakeAuthServer) -> Result<TokenManager, tokenkeeper::Error> {
    let provider = ClientCredentialsProvider::builder(name, &server.token_url())
        .client("client", ClientAuth::basic("secret"))
        .build()?;
    Ok(TokenManager::new(provider))
}

/// Whether the last request to a server had a token.
fn seen_by(server: &FakeAuthServer) -> &'static str {
    let last = server.last_request();
    match last.is_some_and(|request| request.header("authorization").is_some()) {
        true => "the service saw a token",
        false => NO_TOKEN,
    }
}

const NO_TOKEN: &str = "the service saw no token";
