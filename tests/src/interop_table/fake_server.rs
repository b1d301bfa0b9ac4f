//! The column of the test kit's `FakeAuthServer`.

use std::time::Duration;

use tokenkeeper::{Secret, async_trait};
use tokenkeeper_jwt::{Algorithm, SigningKey};
use tokenkeeper_providers::ClientAuth;
use tokenkeeper_testkit::{
    ClientAuth as Registered, Decision, FakeAuthServer, FakeAuthServerBuilder,
};

use super::people::REDIRECT_URI;
use super::{Client, InteropServer, JWT_ISSUER};
use crate::client_key;

/// Fake servers of one cell.
#[derive(Debug)]
pub struct FakeServerColumn {
    usual: FakeAuthServer,
    with_nonces: FakeAuthServer,
    short_lived: FakeAuthServer,
}

impl FakeServerColumn {
    /// Starts them.
    #[expect(clippy::unused_async, reason = "the other columns wait here")]
    pub async fn alone() -> Self {
        Self {
            usual: server().start(),
            with_nonces: server().dpop_nonces().start(),
            short_lived: server().device_code_lifetime(Duration::from_secs(1)).start(),
        }
    }
}

fn server() -> FakeAuthServerBuilder {
    let mut server = FakeAuthServer::builder()
        .client("basic", "basic-secret", Registered::Basic)
        .client("mac", MAC_SECRET, Registered::ClientSecretJwt)
        .redirect_uri("basic", REDIRECT_URI)
        .user("alice", "wonderland")
        .allowed_scopes("openid email read")
        .allowed_resources([RESOURCE])
        .polling_interval(Duration::from_secs(1))
        .trust_issuer(JWT_ISSUER);
    for (name, algorithm) in
        [("ES256", Algorithm::Es256), ("RS256", Algorithm::Rs256), ("EdDSA", Algorithm::EdDsa)]
    {
        let key = SigningKey::from_pem(algorithm, &client_key(name)).expect("a key");
        let mut jwk = serde_json::to_value(key.public_jwk()).expect("a JWK");
        if let Some(members) = jwk.as_object_mut() {
            members.remove("alg"); // the RSA key is for PS256 too
        }
        server = server
            .client(client_of(name), "", Registered::PrivateKeyJwt)
            .public_key(client_of(name), &jwk.to_string())
            .public_key(JWT_ISSUER, &jwk.to_string());
    }
    server
}

fn client_of(algorithm: &str) -> &'static str {
    match algorithm {
        "ES256" => "key ES256",
        "RS256" => "key RS256",
        _ => "key EdDSA",
    }
}

#[async_trait]
impl InteropServer for FakeServerColumn {
    fn issuer(&self) -> String {
        self.usual.issuer()
    }

    fn issuer_with_nonces(&self) -> String {
        self.with_nonces.issuer()
    }

    fn short_lived(&self) -> (String, Client) {
        (self.short_lived.issuer(), self.client())
    }

    fn client(&self) -> Client {
        Client { id: "basic", auth: ClientAuth::basic("basic-secret") }
    }

    fn signing_client(&self, algorithm: &str) -> &'static str {
        client_of(algorithm)
    }

    fn mac_client(&self) -> (&'static str, Secret) {
        ("mac", MAC_SECRET.into())
    }

    fn api_scope(&self) -> &'static str {
        "read"
    }

    fn login_scopes(&self) -> &'static [&'static str] {
        &["openid", "email"]
    }

    fn resource(&self) -> &'static str {
        RESOURCE
    }

    async fn consents(&self, authorization_url: &str) -> String {
        self.usual.browser().visit(authorization_url)
    }

    async fn declines(&self, authorization_url: &str) -> String {
        self.usual.decide_next(1, Decision::Decline);
        self.usual.browser().visit(authorization_url)
    }

    async fn approves(&self, verification_url_complete: &str) {
        assert!(self.usual.approve_device(&user_code(verification_url_complete)));
    }

    async fn denies(&self, verification_url_complete: &str) {
        assert!(self.usual.deny_device(&user_code(verification_url_complete)));
    }
}

fn user_code(verification_url_complete: &str) -> String {
    let url = url::Url::parse(verification_url_complete).expect("a URL");
    let (_, code) = url.query_pairs().find(|(name, _)| name == "user_code").expect("a user code");
    code.into_owned()
}

const MAC_SECRET: &str = "a secret of at least thirty-two bytes";
const RESOURCE: &str = "https://calendar.example.test/";
