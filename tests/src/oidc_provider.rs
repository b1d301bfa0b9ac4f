//! The `oidc-provider` that `cargo xtask test` started, and what it says of itself.

use serde_json::Value;
use tokenkeeper::Secret;
use tokio::sync::{Mutex, MutexGuard};

use crate::server_url;
use crate::wire::{json_of, post_form};

/// The server for one test, which has it alone: the counters are per client, and most tests use
/// the same one.
#[derive(Debug)]
pub struct OidcProvider {
    url: String,
    _alone: MutexGuard<'static, ()>,
}

impl OidcProvider {
    /// Waits for the other tests of this process, then resets all counters.
    pub async fn alone() -> Self {
        Self::at("TOKENKEEPER_OIDC_PROVIDER_URL").await
    }

    /// The same of the other server, which wants a nonce of its own in every DPoP proof.
    pub async fn alone_with_nonces() -> Self {
        Self::at("TOKENKEEPER_OIDC_PROVIDER_NONCE_URL").await
    }

    async fn at(variable: &str) -> Self {
        let alone = ALONE.lock().await;
        let url = server_url(variable);
        json_of(&format!("{url}/_reset")).await;
        Self { url, _alone: alone }
    }

    /// The issuer.
    #[must_use]
    pub fn issuer(&self) -> String {
        self.url.clone()
    }

    /// The token endpoint.
    #[must_use]
    pub fn token_url(&self) -> String {
        format!("{}/token", self.url)
    }

    /// The revocation endpoint.
    #[must_use]
    pub fn revocation_url(&self) -> String {
        format!("{}/token/revocation", self.url)
    }

    /// The token requests that have arrived, `{"<client id>": {"<grant> <status>": n}}`. Those of
    /// a client that was not let in are counted there too, or under `unknown`.
    pub async fn stats(&self) -> Value {
        json_of(&format!("{}/_stats", self.url)).await
    }

    /// What the server says of a token (RFC 7662), to a client that may ask about all of them.
    ///
    /// # Panics
    ///
    /// When the server does not answer with JSON.
    pub async fn introspect(&self, token: &Secret) -> Value {
        let url = format!("{}/token/introspection", self.url);
        let form = [("token", token.expose_secret())];
        let answer = post_form(&url, BASIC, &form).await;
        serde_json::from_slice(answer.body()).expect("an answer in JSON")
    }

    /// Whether the server would still take a token.
    pub async fn knows(&self, token: &Secret) -> bool {
        self.introspect(token).await["active"] == true
    }
}

static ALONE: Mutex<()> = Mutex::const_new(());

const BASIC: &str = "Basic YmFzaWM6YmFzaWMtc2VjcmV0"; // basic:basic-secret
