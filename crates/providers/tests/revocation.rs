//! Revoking tokens (RFC 7009).

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod support;

use std::time::{Duration, UNIX_EPOCH};

use support::{Playback, TOKEN_URL, printed};
use tokenkeeper::{AccessToken, ErrorKind, TokenProvider, TokenSet};
use tokenkeeper_providers::{ClientAuth, RefreshTokenBuilder, RefreshTokenProvider};

fn builder(playback: &Playback) -> RefreshTokenBuilder {
    RefreshTokenProvider::builder("svc", TOKEN_URL)
        .client("id", ClientAuth::basic("planted-secret"))
        .revocation_url("https://auth.example.org/revoke")
        .transport(playback.clone())
}

fn access_only() -> TokenSet {
    TokenSet::new(AccessToken::new("planted-at", "Bearer").unwrap(), UNIX_EPOCH)
}

fn both() -> TokenSet {
    access_only().with_refresh_token("planted-rt")
}

#[tokio::test]
async fn the_refresh_token_goes_first_and_the_access_token_after_it() {
    let playback = Playback::default().and(200, "").and(200, "<html>nothing to parse</html>");

    builder(&playback).build().unwrap().revoke(&both()).await.unwrap();

    assert_eq!(playback.body(0), "token=planted-rt&token_type_hint=refresh_token");
    assert_eq!(playback.body(1), "token=planted-at&token_type_hint=access_token");
    let request = playback.request(0);
    assert_eq!(request.method(), "POST");
    assert_eq!(request.uri(), "https://auth.example.org/revoke");
    assert_eq!(request.headers()["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(playback.authorization(0).unwrap(), "Basic aWQ6cGxhbnRlZC1zZWNyZXQ=");
}

#[tokio::test]
async fn an_error_in_the_body_of_a_200_is_not_read() {
    let playback = Playback::default().and(200, r#"{"error":"invalid_client"}"#);

    builder(&playback).build().unwrap().revoke(&access_only()).await.unwrap();
}

#[tokio::test]
async fn revocation_may_have_an_authentication_of_its_own() {
    let playback = Playback::default().and(200, "").and(200, "");
    let provider = builder(&playback).revocation_auth(ClientAuth::post("other")).build().unwrap();

    provider.revoke(&access_only()).await.unwrap();

    let body = "token=planted-at&token_type_hint=access_token&client_id=id&client_secret=other";
    assert_eq!(playback.body(0), body);
    assert_eq!(playback.authorization(0), None);
}

#[tokio::test]
async fn a_503_leaves_the_token_alive_and_says_when_to_ask_again() {
    let playback = Playback::default().and_with(503, &[("retry-after", "30")], "");

    let error = builder(&playback).build().unwrap().revoke(&both()).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(30)));
    assert!(error.to_string().contains("it still exists"), "{error}");
    assert_eq!(error.service_name(), Some("svc"));
    assert_eq!(playback.count(), 1);
}

#[tokio::test]
async fn a_refusal_is_an_error_that_repeats_no_token() {
    let body = r#"{"error":"invalid_client","error_description":"planted-at for planted-secret"}"#;
    let playback = Playback::default().and(401, body);

    let error = builder(&playback).build().unwrap().revoke(&access_only()).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::CredentialsRejected);
    assert!(!printed(&error).contains("planted"), "{error:?}");
}

#[tokio::test]
async fn a_service_that_revokes_refresh_tokens_only_is_no_failure_unless_there_is_none() {
    let body = r#"{"error":"unsupported_token_type"}"#;
    let playback = Playback::default().and(200, "").and(400, body).and(400, body);
    let provider = builder(&playback).build().unwrap();

    provider.revoke(&both()).await.unwrap();
    let error = provider.revoke(&access_only()).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn without_a_revocation_url_revoking_is_not_offered() {
    let playback = Playback::default();
    let provider = RefreshTokenProvider::builder("svc", TOKEN_URL)
        .client("id", ClientAuth::none())
        .transport(playback.clone())
        .build()
        .unwrap();

    let error = provider.revoke(&both()).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(playback.count(), 0);
}
