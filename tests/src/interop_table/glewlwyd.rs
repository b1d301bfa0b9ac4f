//! The column of glewlwyd.

use tokenkeeper::{Secret, async_trait};
use tokenkeeper_providers::ClientAuth;

use super::{Client, InteropServer};
use crate::{Glewlwyd, Person};

/// glewlwyd, for one cell at a time.
#[derive(Debug)]
pub struct GlewlwydColumn(Glewlwyd);

impl GlewlwydColumn {
    /// Waits for the other cells.
    pub async fn alone() -> Self {
        Self(Glewlwyd::alone().await)
    }
}

#[async_trait]
impl InteropServer for GlewlwydColumn {
    fn issuer(&self) -> String {
        self.0.issuer()
    }

    fn issuer_with_nonces(&self) -> String {
        self.0.strict_issuer()
    }

    fn short_lived(&self) -> (String, Client) {
        (self.0.strict_issuer(), self.client())
    }

    fn client(&self) -> Client {
        Client { id: "basic", auth: ClientAuth::basic("basic-secret") }
    }

    fn signing_client(&self, algorithm: &str) -> &'static str {
        match algorithm {
            "ES256" => "key ES256",
            "RS256" => "key RS256",
            _ => "key EdDSA",
        }
    }

    fn assertion_audience(&self) -> Option<String> {
        Some(format!("{}/token", self.issuer()))
    }

    fn mac_client(&self) -> (&'static str, Secret) {
        ("mac", "a secret of at least thirty-two bytes".into())
    }

    fn api_scope(&self) -> &'static str {
        "read"
    }

    fn login_scopes(&self) -> &'static [&'static str] {
        &["openid", "read"]
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
