//! The example of a client that signs says what it promises, and its assertions are good.

#[path = "../private_key_jwt.rs"]
#[expect(dead_code, reason = "the tests do not need its main")]
mod private_key_jwt;

use std::collections::HashSet;

use tokenkeeper_jwt::{Algorithm, SigningKey};
use tokenkeeper_testkit::{ClientAuth, FakeAuthServer};

#[tokio::test]
async fn every_token_costs_an_assertion_that_the_server_verifies_and_no_secret() {
    let key = SigningKey::generate(Algorithm::Es256).unwrap().with_key_id("2026");
    let server = FakeAuthServer::builder()
        .client("billing-job", "", ClientAuth::PrivateKeyJwt)
        .public_key("billing-job", &key.public_jwk().to_string())
        .start();
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
    let mut assertions = HashSet::new();
    for request in server.received() {
        for (name, value) in request.form() {
            assert_ne!(name, "client_secret");
            if name == "client_assertion" {
                assertions.insert(value);
            }
        }
        assert!(request.header("authorization").is_none());
    }
    assert_eq!(assertions.len(), 4);
}
