//! The column of `oidc-provider`.

use tokenkeeper::{Secret, async_trait};
use tokenkeeper_providers::ClientAuth;

use super::{Client, InteropServer};
use crate::{OidcProvider, Person, server_url};

/// `oidc-provider`, for one cell at a time.
#[derive(Debug)]
pub struct OidcProviderColumn(OidcProvider);

impl OidcProviderColumn {
    /// Waits for the other cells.
    pub async fn alone() -> Self {
        Self(OidcProvider::alone().await)
    }
}

#[async_trait]
impl InteropServer for OidcProviderColumn {
    fn issuer(&self) -> String {
        self.0.issuer()
    }

    fn issuer_with_nonces(&self) -> String {
        server_url("TOKENKEEPER_OIDC_PROVIDER_NONCE_URL")
    }

    fn short_lived(&self) -> (String, Client) {
        let auth = ClientAuth::basic("short-lived-secret");
        (self.issuer(), Client { id: "short-lived", auth })
    }

    fn client(&self) -> Client {
        Client { id: "basic", auth: ClientAuth::basic("basic-secret") }
    }

    fn signing_client(&self, _: &str) -> &'static str {
        "key"
    }

    fn mac_client(&self) -> (&'static str, Secret) {
        ("mac", "a secret of at least thirty-two bytes".into())
    }

    fn api_scope(&self) -> &'static str {
        "api:read"
    }

    fn login_scopes(&self) -> &'static [&'static str] {
        &["openid", "email", "offline_access"]
    }

    fn resource(&self) -> &'static str {
        "https://calendar.example.test/"
    }

    async fn consents(&self, authorization_url: &str) -> String {
        Person::alice().consents(authorization_url).await
    }

    async fn declines(&self, authorization_url: &str) -> String {
        Person::alice().declines(authorization_url).await
    }

    async fn approves(&self, verification_url_complete: &str) {
        Person::alice().approves(verification_url_complete).await;
    }

    async fn denies(&self, verification_url_complete: &str) {
        Person::alice().denies(verification_url_complete).await;
    }
}
