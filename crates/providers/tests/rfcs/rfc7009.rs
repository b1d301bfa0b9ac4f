//! Revoking tokens (RFC 7009).

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::time::{Duration, UNIX_EPOCH};

use tokenkeeper::{AccessToken, ErrorKind, TokenProvider, TokenSet};
use tokenkeeper_providers::{ClientAuth, RefreshTokenBuilder, RefreshTokenProvider};

use crate::support::{OK, OK_WITH_REFRESH, Playback, TOKEN_URL, printed, refresh};

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
async fn two_methods_of_authentication_are_never_taken_for_each_other() {
    let playback = Playback::of(&[OK_WITH_REFRESH, OK, "", ""]);
    let provider = builder(&playback)
        .client("id", ClientAuth::post("planted-one"))
        .revocation_auth(ClientAuth::basic("planted-two"))
        .build()
        .unwrap();

    let tokens = refresh(&provider, &both()).await.unwrap();
    refresh(&provider, &tokens).await.unwrap();
    provider.revoke(&tokens).await.unwrap();

    for exchange in [0, 1] {
        assert!(playback.body(exchange).ends_with("client_id=id&client_secret=planted-one"));
        assert_eq!(playback.authorization(exchange), None);
    }
    for revocation in [2, 3] {
        assert_eq!(playback.authorization(revocation).unwrap(), "Basic aWQ6cGxhbnRlZC10d28=");
        assert!(!playback.body(revocation).contains("client"));
    }
}

#[tokio::test]
async fn a_token_that_the_service_does_not_know_is_revoked() {
    let playback = Playback::of(&["", "{}"]);

    builder(&playback).build().unwrap().revoke(&both()).await.unwrap();

    assert_eq!(playback.count(), 2);
}

#[tokio::test]
async fn a_redirect_takes_no_token_anywhere() {
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = [("location", "https://evil.example.net/revoke")];
        let playback = Playback::default().and_with(status, &elsewhere, "");

        let error = builder(&playback).build().unwrap().revoke(&access_only()).await.unwrap_err();

        assert!(error.to_string().contains("it still exists"), "{error}");
        assert_eq!(playback.count(), 1);
    }
}

#[cfg(feature = "reqwest")]
#[tokio::test]
async fn a_revocation_is_a_post_over_the_wire() {
    let mock = httpmock::MockServer::start_async().await;
    let endpoint = mock
        .mock_async(|when, then| {
            when.method(httpmock::Method::POST)
                .path("/revoke")
                .header("content-type", "application/x-www-form-urlencoded")
                .header("authorization", "Basic aWQ6cGxhbnRlZC1zZWNyZXQ=")
                .body("token=planted-at&token_type_hint=access_token");
            then.status(200);
        })
        .await;
    let provider = RefreshTokenProvider::builder("svc", TOKEN_URL)
        .client("id", ClientAuth::basic("planted-secret"))
        .revocation_url(mock.url("/revoke"));

    provider.build().unwrap().revoke(&access_only()).await.unwrap();

    endpoint.assert_async().await;
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
