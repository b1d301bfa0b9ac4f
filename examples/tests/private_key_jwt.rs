//! The example of a client that signs says what it promises, and its assertions are good.

#[path = "../private_key_jwt.rs"]
#[expect(dead_code, reason = "the tests do not need its main")]
mod private_key_jwt;

use std::collections::HashSet;

use jsonwebtoken::{Algorithm as Jose, DecodingKey, Validation, decode};
use serde_json::Value;
use tokenkeeper_jwt::{Algorithm, SigningKey};
use tokenkeeper_testkit::{ClientAuth, FakeAuthServer};

#[tokio::test]
async fn every_token_costs_an_assertion_that_others_verify_and_no_secret() {
    let key = SigningKey::generate(Algorithm::Es256).unwrap().with_key_id("2026");
    let jwk = serde_json::from_str(&key.public_jwk().to_string()).unwrap();
    let server = FakeAuthServer::builder().client("billing-job", "", ClientAuth::Assertion).start();
    let mut out = Vec::new();

    private_key_jwt::tour(&server, key, &mut out).await.unwrap();

    let said = String::from_utf8(out).unwrap();
    for promise in [
        "3 tokens for 3 assertions",
        "billing: the key service does not sign now; ask again",
        "It is back: 4 exchanges",
    ] {
        assert!(said.contains(promise), "{promise:?} is missing in\n{said}");
    }
    let mut validation = Validation::new(Jose::ES256);
    validation.set_audience(&[server.token_url()]);
    validation.set_issuer(&["billing-job"]);
    let mut identifiers = HashSet::new();
    for request in server.received() {
        let form = request.form();
        let field = |name| form.iter().find(|(field, _)| field == name).map(|(_, value)| value);
        let key = DecodingKey::from_jwk(&jwk).unwrap();
        let assertion = field("client_assertion").unwrap();
        let claims = decode::<Value>(assertion, &key, &validation).unwrap().claims;
        assert_eq!(claims["sub"], "billing-job");
        assert!(identifiers.insert(claims["jti"].to_string()));
        assert!(field("client_secret").is_none() && request.header("authorization").is_none());
    }
    assert_eq!(identifiers.len(), 4);
}
