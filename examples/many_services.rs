//! Three services in one process: `cargo run --example many_services`
//!
//! Each has a manager with a policy of its own. They share a storage and an observer; what
//! happens to one of them does not reach the others.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use tokenkeeper::{
    Clock, Event, EventKind, MemoryStorage, Observer, RefreshPolicy, SystemClock, TokenManager,
    TokenStorage,
};
use tokenkeeper_providers::{ClientAuth, ClientCredentialsProvider, PasswordProvider};
use tokenkeeper_testkit::{FakeAuthServer, Fault};

/// Writes a line for every exchange. A program would count them, or log them.
#[derive(Debug)]
struct Printer;

impl Observer for Printer {
    fn on_event(&self, event: &Event) {
        let service = event.service_name();
        match event.kind() {
            EventKind::TokenRequestSucceeded { exchange, .. } => {
                println!("  [{service}: {exchange:?} succeeded]")
            }
            EventKind::TokenRequestFailed { exchange, .. } => {
                println!("  [{service}: {exchange:?} failed]")
            }
            _ => {}
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (billing_server, library_server, weather_server) =
        (FakeAuthServer::start(), FakeAuthServer::start(), FakeAuthServer::start());
    weather_server.fail_next(1, Fault::Unavailable(None));

    // Keys are made of service, endpoint, client, user and scopes, so one storage will do.
    let storage = Arc::new(MemoryStorage::new());

    let billing = TokenManager::builder(
        ClientCredentialsProvider::builder("billing", &billing_server.token_url())
            .client("client", ClientAuth::basic("secret"))
            .scopes(["invoices.read"])
            .build()?,
    )
    .storage(storage.clone())
    .observer(Printer)
    .build()?;

    // A service that ends logins early: renewed at half of a token's life.
    let library = TokenManager::builder(
        PasswordProvider::builder("library", &library_server.token_url())
            .client("client", ClientAuth::post("secret"))
            .user("alice", "wonderland")
            .build()?,
    )
    .storage(storage.clone())
    .policy(RefreshPolicy::new().with_advisory_percent(50))
    .observer(Printer)
    .build()?;

    // A service that is often down, and soon back.
    let soon = Duration::from_millis(200);
    let weather = TokenManager::builder(
        ClientCredentialsProvider::builder("weather", &weather_server.token_url())
            .client("client", ClientAuth::basic("secret"))
            .default_lifetime(Duration::from_secs(600))
            .build()?,
    )
    .storage(storage.clone())
    .policy(RefreshPolicy::new().with_backoff(soon, Duration::from_secs(10)))
    .observer(Printer)
    .build()?;

    println!("All three are asked for a token, and one server is down:");
    let (for_billing, for_library, for_weather) =
        tokio::join!(billing.token(), library.token(), weather.token());
    for_billing?;
    for_library?;
    let Err(error) = for_weather else { return Err("weather should have failed".into()) };

    // The lines of a health page. They hold no secret.
    println!("\nHow they are:");
    for manager in [&billing, &library, &weather] {
        println!("  {}", manager.status());
    }

    println!("\nThe error says when it makes sense to ask again:");
    SystemClock.sleep(error.retry_after().unwrap_or_default()).await;
    weather.token().await?;
    println!("  {}", weather.status());

    // Before the process ends.
    for manager in [&billing, &library, &weather] {
        manager.flush().await?;
        assert!(storage.exists(manager.key()).await?);
    }
    println!("\nThree records in one storage, each under a key of its own.");
    Ok(())
}
