//! Assertions and tokens that are exchanged for tokens at a real server (RFC 7523, RFC 8693).

#![allow(clippy::unwrap_used, reason = "these are tests")]

use tokenkeeper::{ErrorKind, Secret, TokenManager};
use tokenkeeper_jwt::{Algorithm, JwtAssertion, SigningKey};
use tokenkeeper_providers::{
    ClientAuth, JwtBearerBuilder, JwtBearerProvider, PasswordProvider, TokenExchangeBuilder,
    TokenExchangeProvider, TokenTypeUri,
};
use tokenkeeper_tests::{Managed, SPACING, Wire, client_key, fetch, server_url};

fn issuer() -> String {
    server_url("TOKENKEEPER_OIDC_PROVIDER_URL")
}

fn assertion_about(subject: &str) -> JwtBearerBuilder {
    let key = SigningKey::from_pem(Algorithm::Es256, &client_key("ES256")).unwrap();
    JwtBearerProvider::builder("reports", &format!("{}/token", issuer()))
        .client("basic", ClientAuth::basic("basic-secret"))
        .assertion(JwtAssertion::for_subject("key", subject, key))
        .subject(subject)
        .issuer(issuer())
}

fn exchange(wire: &Wire) -> TokenExchangeBuilder {
    TokenExchangeProvider::builder("billing", &format!("{}/token", issuer()))
        .client("basic", ClientAuth::basic("basic-secret"))
        .subject("alice")
        .transport(wire.clone())
}

fn login(wire: &Wire) -> TokenManager {
    let provider = PasswordProvider::builder("login", &format!("{}/token", issuer()))
        .client("basic", ClientAuth::basic("basic-secret"))
        .user("alice", "wonderland")
        .transport(wire.clone())
        .build()
        .unwrap();
    TokenManager::new(provider)
}

#[tokio::test]
async fn oidc_provider_takes_each_assertion_once_and_there_is_one_for_every_exchange() {
    let wire = Wire::new();
    let provider = assertion_about("alice").scopes(["api:read"]).transport(wire.clone());
    let managed = Managed::new(provider.build().unwrap());

    let first = managed.manager.token().await.unwrap();
    managed.clock.advance(SPACING);
    let second = managed.manager.force_refresh().await.unwrap();

    assert!(!first.secret().ct_eq(second.secret()));
    let exchange = "urn:ietf:params:oauth:grant-type:jwt-bearer 200";
    assert_eq!(wire.exchanges(), [exchange, exchange]);
}

#[tokio::test]
async fn oidc_provider_gives_a_refresh_token_for_an_assertion_and_takes_it() {
    let wire = Wire::new();
    let provider = assertion_about("alice").scopes(["offline_access"]).transport(wire.clone());
    let managed = Managed::new(provider.build().unwrap());

    managed.manager.token().await.unwrap();
    managed.clock.advance(SPACING);
    managed.manager.force_refresh().await.unwrap();

    assert_eq!(wire.exchanges().last().unwrap(), "refresh_token 200");
}

#[tokio::test]
async fn an_assertion_about_a_stranger_is_a_refused_credential() {
    let error = fetch(&assertion_about("mallory").build().unwrap()).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::CredentialsRejected);
    assert!(error.to_string().contains("refused the assertion"), "{error}");
}

#[tokio::test]
async fn the_token_of_a_login_buys_another_at_oidc_provider() {
    let wire = Wire::new();
    let actor = login(&wire).token().await.unwrap().secret().clone();
    let provider = exchange(&wire)
        .subject_token(TokenTypeUri::ACCESS_TOKEN, login(&wire))
        .actor("gateway")
        .actor_token(TokenTypeUri::ACCESS_TOKEN, actor)
        .scopes(["api:read"])
        .build()
        .unwrap();

    let token = TokenManager::new(provider).token().await.unwrap();

    assert!(token.is_bearer() && token.expires_at().is_some());
    let exchange = "urn:ietf:params:oauth:grant-type:token-exchange 200";
    assert_eq!(wire.exchanges(), ["password 200", "password 200", exchange]);
}

#[tokio::test]
async fn a_subject_token_that_is_not_good_is_named_in_the_error() {
    let provider = exchange(&Wire::new())
        .subject_token(TokenTypeUri::ACCESS_TOKEN, Secret::from("of yesterday"))
        .build()
        .unwrap();

    let error = fetch(&provider).await.unwrap_err();

    assert_eq!(error.oauth().unwrap().code(), "invalid_request");
    assert!(error.to_string().contains("perhaps the subject token"), "{error}");
}

#[tokio::test]
async fn a_type_of_token_that_oidc_provider_does_not_issue_is_refused_by_it() {
    let wire = Wire::new();
    let provider = exchange(&wire)
        .subject_token(TokenTypeUri::ACCESS_TOKEN, login(&wire))
        .requested_token_type(TokenTypeUri::SAML2)
        .build()
        .unwrap();

    let error = fetch(&provider).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::RequestRejected);
}
