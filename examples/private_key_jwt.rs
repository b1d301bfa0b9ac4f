//! A client that signs instead of sending a secret: `cargo run --example private_key_jwt`
//!
//! The server knows the public half of the key and checks every signature. Each token request has an
//! assertion of its own, which says who asks, whom, and until when, and is worth nothing a minute
//! later. Then the key moves into a key service, which signs and never gives it away, and which fails
//! once.

use std::error::Error;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokenkeeper::{ErrorKind, ManualClock, TokenManager, async_trait};
use tokenkeeper_jwt::{Algorithm, JwtAssertion, Signer, SigningKey, private_key_jwt};
use tokenkeeper_providers::{ClientAuth, ClientCredentialsProvider};
use tokenkeeper_testkit::{ClientAuth as RegisteredAuth, FakeAuthServer};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Result<()> {
    // let pem = std::fs::read("client-key.pem")?; // openssl genpkey -algorithm EC -pkeyopt …
    // let key = SigningKey::from_pem(Algorithm::Es256, &pem)?.with_key_id("2026");
    let key = SigningKey::generate(Algorithm::Es256)?.with_key_id("2026");
    let server = FakeAuthServer::builder()
        .client("billing-job", "", RegisteredAuth::PrivateKeyJwt)
        .public_key("billing-job", &key.public_jwk().to_string())
        .token_lifetime(TOKEN_LIFETIME)
        .start();
    tour(&server, key, &mut io::stdout()).await
}

pub(crate) async fn tour(
    server: &FakeAuthServer,
    key: SigningKey,
    out: &mut impl Write,
) -> Result<()> {
    let clock = ManualClock::new();
    writeln!(out, "Registered at the server, under the name 2026:\n  {}", key.public_jwk())?;

    let manager = manager(server, private_key_jwt(key.clone()), &clock)?;
    for _ in 0..3 {
        manager.token().await?;
        clock.advance(TOKEN_LIFETIME);
    }
    writeln!(out, "\n3 tokens for 3 assertions; the key stayed here.")?;
    assert_eq!(server.exchanges(), 3);

    let service = Arc::new(KeyService { key, down: AtomicBool::new(true) });
    let signs = JwtAssertion::for_client(service.clone())
        .lifetime(Duration::from_secs(30))?
        .header_type("client-authentication+jwt");
    let manager = self::manager(server, ClientAuth::assertion(signs), &clock)?;
    let Err(error) = manager.token().await else { return Err("who signed that?".into()) };
    writeln!(out, "\nThe key service is down:\n  {error}")?;
    assert_eq!(server.exchanges(), 3);

    service.down.store(false, Ordering::Relaxed);
    clock.advance(error.retry_after().unwrap_or_default());
    manager.token().await?;
    writeln!(out, "\nIt is back: {} exchanges.", server.exchanges())?;
    Ok(())
}

fn manager(server: &FakeAuthServer, auth: ClientAuth, clock: &ManualClock) -> Result<TokenManager> {
    let provider = ClientCredentialsProvider::builder("billing", &server.token_url())
        .client("billing-job", auth)
        .build()?;
    Ok(TokenManager::builder(provider).clock(clock.clone()).build()?)
}

/// Stands for a key service in the network.
#[derive(Debug)]
struct KeyService {
    key: SigningKey,
    down: AtomicBool,
}

#[async_trait]
impl Signer for KeyService {
    fn algorithm(&self) -> &str {
        self.key.algorithm().as_str()
    }

    fn key_id(&self) -> Option<&str> {
        self.key.key_id()
    }

    async fn sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, tokenkeeper::Error> {
        if self.down.load(Ordering::Relaxed) {
            let what = "the key service does not sign now";
            return Err(tokenkeeper::Error::new(ErrorKind::Unavailable, what));
        }
        self.key.sign(message)
    }
}

const TOKEN_LIFETIME: Duration = Duration::from_secs(15 * 60);
