//! The person whom other tests let log in: whether they get where a person with a browser gets.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "these are tests")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokenkeeper_tests::{Glewlwyd, OidcProvider, Person, post_form};
use url::Url;

#[tokio::test]
async fn who_consents_at_oidc_provider_brings_a_code_that_is_good() {
    let server = oidc_provider().await;

    let back = Person::alice().consents(&server.authorization_url(CHALLENGE)).await;

    assert_eq!(parameter(&back, "state").unwrap(), "s");
    assert_eq!(parameter(&back, "iss").unwrap(), server.issuer);
    assert!(server.redeem(&back).await["id_token"].is_string());
}

#[tokio::test]
async fn who_consents_at_glewlwyd_brings_a_code_that_is_good() {
    let server = glewlwyd().await;

    let back = Person::alice().consents(&server.authorization_url(CHALLENGE)).await;

    assert_eq!(parameter(&back, "state").unwrap(), "s");
    assert_eq!(parameter(&back, "iss").unwrap(), server.issuer);
    assert!(server.redeem(&back).await["id_token"].is_string());
}

#[tokio::test]
async fn who_is_logged_in_gets_through_again() {
    for server in [oidc_provider().await, glewlwyd().await] {
        let mut alice = Person::alice();

        let first = alice.consents(&server.authorization_url(CHALLENGE)).await;
        let second = alice.consents(&server.authorization_url(CHALLENGE)).await;

        assert_ne!(parameter(&first, "code").unwrap(), parameter(&second, "code").unwrap());
    }
}

#[tokio::test]
async fn who_declines_at_oidc_provider_brings_the_refusal_back() {
    let server = oidc_provider().await;

    let back = Person::alice().declines(&server.authorization_url(CHALLENGE)).await;

    assert_eq!(parameter(&back, "error").unwrap(), "access_denied");
    assert_eq!(parameter(&back, "state").unwrap(), "s");
}

#[tokio::test]
async fn a_plain_challenge_is_refused_by_both() {
    for server in [oidc_provider().await, glewlwyd().await] {
        let url = server.authorization_url("challenge&code_challenge_method=plain");

        let back = Person::alice().consents(&url).await;

        assert_eq!(parameter(&back, "error").unwrap(), "invalid_request");
    }
}

#[tokio::test]
async fn a_device_that_is_approved_gets_tokens() {
    for server in [oidc_provider().await, glewlwyd().await] {
        let device = server.begin_device_login().await;

        Person::alice().approves(device["verification_uri_complete"].as_str().unwrap()).await;

        assert!(server.poll(&device).await["access_token"].is_string());
    }
}

#[tokio::test]
async fn a_device_that_is_denied_at_oidc_provider_is_told_so() {
    let server = oidc_provider().await;
    let device = server.begin_device_login().await;

    Person::alice().denies(device["verification_uri_complete"].as_str().unwrap()).await;

    assert_eq!(server.poll(&device).await["error"], "access_denied");
}

struct Server {
    issuer: String,
    device_path: &'static str,
    _alone: Box<dyn Send + Sync>,
}

impl Server {
    fn authorization_url(&self, challenge: &str) -> String {
        format!(
            "{}/auth?response_type=code&client_id=basic&state=s&nonce=n&scope=openid\
             &redirect_uri=https://app.example.test/callback&code_challenge={challenge}",
            self.issuer
        )
    }

    async fn redeem(&self, back: &str) -> Value {
        let code = parameter(back, "code").unwrap();
        let redirect = "https://app.example.test/callback";
        self.ask(
            "token",
            &[
                ("grant_type", "authorization_code"),
                ("code", &code),
                ("redirect_uri", redirect),
                ("code_verifier", VERIFIER),
            ],
        )
        .await
    }

    async fn begin_device_login(&self) -> Value {
        self.ask(self.device_path, &[("client_id", "basic"), ("scope", "openid")]).await
    }

    async fn poll(&self, device: &Value) -> Value {
        let grant = "urn:ietf:params:oauth:grant-type:device_code";
        let code = device["device_code"].as_str().unwrap();
        self.ask("token", &[("grant_type", grant), ("device_code", code)]).await
    }

    async fn ask(&self, path: &str, form: &[(&str, &str)]) -> Value {
        let basic = format!("Basic {}", STANDARD.encode("basic:basic-secret"));
        let answer = post_form(&format!("{}/{path}", self.issuer), &basic, form).await;
        serde_json::from_slice(answer.body()).unwrap()
    }
}

async fn oidc_provider() -> Server {
    let server = OidcProvider::alone().await;
    Server { issuer: server.issuer(), device_path: "device/auth", _alone: Box::new(server) }
}

async fn glewlwyd() -> Server {
    let server = Glewlwyd::alone().await;
    Server {
        issuer: server.issuer(),
        device_path: "device_authorization",
        _alone: Box::new(server),
    }
}

fn parameter(url: &str, name: &str) -> Option<String> {
    let url = Url::parse(url).unwrap();
    url.query_pairs().find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
}

// The example of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";
