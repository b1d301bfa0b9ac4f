//! The column of Keycloak.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tokenkeeper::{Secret, async_trait};
use tokenkeeper_jwt::{Algorithm, SigningKey};
use tokenkeeper_providers::ClientAuth;
use tokio::sync::OnceCell;

use super::{Client, InteropServer, JWT_ISSUER};
use crate::{Keycloak, Person, client_key};

/// Keycloak's realm `interop`.
#[derive(Debug)]
pub struct KeycloakColumn(Keycloak);

impl KeycloakColumn {
    /// Registers what has to do with the keys of this machine, once.
    pub async fn alone() -> Self {
        static REGISTERED: OnceCell<()> = OnceCell::const_new();
        let keycloak = Keycloak::realm("interop").await;
        REGISTERED.get_or_init(|| register(&keycloak)).await;
        Self(keycloak)
    }
}

async fn register(keycloak: &Keycloak) {
    for (name, algorithm) in
        [("ES256", Algorithm::Es256), ("RS256", Algorithm::Rs256), ("EdDSA", Algorithm::EdDsa)]
    {
        let client = json!({
            "clientId": client_of(name),
            "clientAuthenticatorType": "client-jwt",
            "standardFlowEnabled": false,
            "serviceAccountsEnabled": true,
            "attributes": {
                "use.jwks.string": "true",
                "jwks.string": json!({ "keys": [jwk(name, algorithm)] }).to_string(),
            },
        });
        keycloak.add_client(&client).await;
    }
    let people = json!({
        "alias": "people",
        "providerId": "jwt-authorization-grant",
        "enabled": true,
        "config": {
            "issuer": JWT_ISSUER,
            "publicKeySignatureVerifier": public_key_in_pem(&jwk("ES256", Algorithm::Es256)),
            "jwtAuthorizationGrantEnabled": "true",
            "jwtAuthorizationGrantAssertionSignatureAlg": "ES256",
        },
    });
    keycloak.act("/identity-provider/instances", &people).await;
    let alice = keycloak.read("/users?username=alice").await;
    let path = format!("/users/{}/federated-identity/people", alice[0]["id"].as_str().expect("id"));
    keycloak.act(&path, &json!({ "userId": "alice", "userName": "alice" })).await;
}

fn jwk(name: &str, algorithm: Algorithm) -> Value {
    let key = SigningKey::from_pem(algorithm, &client_key(name)).expect("a key");
    let mut jwk = serde_json::to_value(key.public_jwk()).expect("a JWK");
    if let Some(members) = jwk.as_object_mut() {
        members.remove("alg"); // the RSA key is for PS256 too
        members.insert("use".to_owned(), "sig".into());
    }
    jwk
}

/// RFC 5480: a point of the curve P-256.
fn public_key_in_pem(jwk: &Value) -> String {
    let mut der = P256_HEADER.to_vec();
    for coordinate in ["x", "y"] {
        let text = jwk[coordinate].as_str().expect("a coordinate");
        der.extend(URL_SAFE_NO_PAD.decode(text).expect("base64url"));
    }
    let text = STANDARD.encode(der);
    format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n")
}

fn client_of(algorithm: &str) -> &'static str {
    match algorithm {
        "ES256" => "key ES256",
        "RS256" => "key RS256",
        _ => "key EdDSA",
    }
}

#[async_trait]
impl InteropServer for KeycloakColumn {
    fn issuer(&self) -> String {
        self.0.issuer()
    }

    fn issuer_with_nonces(&self) -> String {
        self.0.issuer() // it asks for none
    }

    fn short_lived(&self) -> (String, Client) {
        let auth = ClientAuth::basic("short-lived-secret");
        (self.issuer(), Client { id: "short-lived", auth })
    }

    fn client(&self) -> Client {
        Client { id: "basic", auth: ClientAuth::basic("basic-secret") }
    }

    fn login_client(&self) -> Client {
        Client { id: "browser", auth: ClientAuth::basic("browser-secret") }
    }

    fn declinable_client(&self) -> Client {
        Client { id: "asks", auth: ClientAuth::basic("asks-secret") }
    }

    fn signing_client(&self, algorithm: &str) -> &'static str {
        client_of(algorithm)
    }

    fn mac_client(&self) -> (&'static str, Secret) {
        ("mac", "a secret of at least thirty-two bytes".into())
    }

    fn api_scope(&self) -> &'static str {
        "phone" // one that every client may ask for
    }

    fn login_scopes(&self) -> &'static [&'static str] {
        &["openid", "email"]
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

const P256_HEADER: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];
