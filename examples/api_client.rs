//! A client of one API, with a base URL: `cargo run --example api_client`
//!
//! The API is a server in this process, which is its own authorization server.

use std::error::Error;
use std::io::{self, Write};
use std::time::Duration;

use tokenkeeper::TokenManager;
use tokenkeeper_providers::{ClientAuth, ClientCredentialsProvider};
use tokenkeeper_reqwest::{Client, UnauthorizedRetries};
use tokenkeeper_testkit::FakeAuthServer;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tour(&mut io::stdout().lock()).await
}

/// The whole example. What it says goes to `out`.
pub(crate) async fn tour(out: &mut (impl Write + ?Sized)) -> Result<(), Box<dyn Error>> {
    let server = FakeAuthServer::start();
    let provider = ClientCredentialsProvider::builder("billing", &server.token_url())
        .client("client", ClientAuth::basic("secret"))
        .build()?;
    let manager = TokenManager::new(provider);

    writeln!(out, "1. One line, and requests have a token.")?;
    let client = Client::new(&server.resource_url(), manager.clone())?;
    let users = client.get("/users?page=2").send().await?;
    writeln!(out, "   GET {}: {}", users.url().path(), users.status())?;
    assert!(users.status().is_success());

    writeln!(out, "\n2. The service takes its tokens back: the request is sent again.")?;
    server.revoke_all_access_tokens();
    let made = client.post("/users").header("accept", "text/plain").body("Alice").send().await?;
    writeln!(out, "   POST {}: {}", made.url().path(), made.status())?;
    assert!(made.status().is_success());

    writeln!(out, "\n3. With options.")?;
    let http = reqwest::Client::builder().user_agent("shop/1.0").timeout(Duration::from_secs(30));
    let client = Client::builder(&server.resource_url(), manager)
        .http(http)
        .exclude_path("/health")
        .unauthorized_retries(UnauthorizedRetries::new(3, Duration::from_millis(500)))
        .build()?;
    let health = client.get("/health").send().await?;
    writeln!(out, "   GET {} without a token: {}", health.url().path(), health.status())?;
    assert_eq!(health.status(), 401); // this server wants one everywhere
    Ok(())
}
