//! Clients that sign, at servers that look: assertions are verified by OpenSSL (`oidc-provider`) and
//! by GnuTLS (glewlwyd).

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::time::{Duration, UNIX_EPOCH};

use tokenkeeper::{Error, ErrorKind, ManualClock, Secret, TokenSet, async_trait};
use tokenkeeper_jwt::{Algorithm, JwtAssertion, SigningKey, client_secret_jwt, private_key_jwt};
use tokenkeeper_providers::{AssertionSource, ClientAuth, ClientCredentialsProvider};
use tokenkeeper_tests::{Glewlwyd, client_key, fetch, server_url};

/// The algorithms, and the file that the key is in.
const AT_OIDC_PROVIDER: [(Algorithm, &str); 5] = [
    (Algorithm::Es256, "ES256"),
    (Algorithm::Rs256, "RS256"),
    (Algorithm::Ps256, "RS256"),
    (Algorithm::EdDsa, "EdDSA"),
    (Algorithm::Ed25519, "EdDSA"),
];

const MAC_SECRET: &str = "a secret of at least thirty-two bytes";

fn key(algorithm: Algorithm, file: &str) -> SigningKey {
    SigningKey::from_pem(algorithm, &client_key(file)).unwrap()
}

async fn at_oidc_provider(client_id: &str, auth: ClientAuth) -> Result<TokenSet, Error> {
    let url = server_url("TOKENKEEPER_OIDC_PROVIDER_URL");
    let provider = ClientCredentialsProvider::builder("machine", &format!("{url}/token"))
        .client(client_id, auth)
        .issuer(url)
        .build()?;
    fetch(&provider).await
}

async fn at_glewlwyd(client_id: &str, auth: ClientAuth) -> Result<TokenSet, Error> {
    let url = server_url("TOKENKEEPER_GLEWLWYD_URL");
    let provider = ClientCredentialsProvider::builder("machine", &format!("{url}/api/oidc/token"))
        .client(client_id, auth)
        .scopes(["read"])
        .build()?;
    fetch(&provider).await
}

#[tokio::test]
async fn oidc_provider_lets_in_a_client_that_signs_with_any_algorithm() {
    for (algorithm, file) in AT_OIDC_PROVIDER {
        let tokens = at_oidc_provider("key", private_key_jwt(key(algorithm, file))).await;
        assert!(tokens.is_ok(), "{algorithm}: {tokens:?}");
    }
}

#[tokio::test]
async fn oidc_provider_lets_in_a_client_that_signs_with_its_secret() {
    at_oidc_provider("mac", client_secret_jwt(MAC_SECRET).unwrap()).await.unwrap();
}

#[tokio::test]
async fn oidc_provider_takes_the_explicit_type_and_the_url_of_the_endpoint_as_audience() {
    let url = server_url("TOKENKEEPER_OIDC_PROVIDER_URL");
    let assertion = JwtAssertion::for_client(key(Algorithm::Es256, "ES256"))
        .header_type("client-authentication+jwt")
        .audience(format!("{url}/token"));

    at_oidc_provider("key", ClientAuth::assertion(assertion)).await.unwrap();
}

#[tokio::test]
async fn oidc_provider_refuses_a_key_that_it_does_not_know_and_an_assertion_of_yesterday() {
    let stranger = SigningKey::generate(Algorithm::Es256).unwrap();
    let yesterday = ManualClock::starting_at(UNIX_EPOCH + Duration::from_secs(1_000));
    let expired = JwtAssertion::for_client(key(Algorithm::Es256, "ES256")).clock(yesterday);
    let other_secret = client_secret_jwt("another secret of thirty-two bytes").unwrap();

    for (client_id, auth) in [
        ("key", private_key_jwt(stranger)),
        ("key", ClientAuth::assertion(expired)),
        ("mac", other_secret),
    ] {
        let error = at_oidc_provider(client_id, auth).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CredentialsRejected, "{error}");
    }
}

#[tokio::test]
async fn oidc_provider_takes_an_assertion_once() {
    let issuer = server_url("TOKENKEEPER_OIDC_PROVIDER_URL");
    let once = JwtAssertion::for_client(key(Algorithm::Es256, "ES256"));
    let jwt = once.client_assertion("key", &issuer).await.unwrap();
    let again = ClientAuth::assertion(Always(jwt));

    at_oidc_provider("key", again.clone()).await.unwrap();
    let error = at_oidc_provider("key", again).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::CredentialsRejected, "{error}");
}

#[tokio::test]
async fn glewlwyd_lets_in_a_client_that_signs() {
    let _glewlwyd = Glewlwyd::alone().await;
    for (algorithm, file) in
        [(Algorithm::Es256, "ES256"), (Algorithm::Rs256, "RS256"), (Algorithm::EdDsa, "EdDSA")]
    {
        let client_id = format!("key {file}");
        let tokens = at_glewlwyd(&client_id, private_key_jwt(key(algorithm, file))).await;
        assert!(tokens.is_ok(), "{algorithm}: {tokens:?}");
    }
    at_glewlwyd("mac", client_secret_jwt(MAC_SECRET).unwrap()).await.unwrap();
}

#[tokio::test]
async fn glewlwyd_refuses_a_key_that_it_does_not_know() {
    let _glewlwyd = Glewlwyd::alone().await;
    let stranger = SigningKey::generate(Algorithm::Es256).unwrap();

    let error = at_glewlwyd("key ES256", private_key_jwt(stranger)).await.unwrap_err();

    assert!(error.status().is_some_and(|status| status.is_client_error()), "{error}");
}

/// The same one each time, which no client should send.
#[derive(Debug)]
struct Always(Secret);

#[async_trait]
impl AssertionSource for Always {
    async fn assertion(&self, _audience: &str) -> Result<Secret, Error> {
        Ok(self.0.clone())
    }
}
