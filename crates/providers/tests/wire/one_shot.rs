//! Refreshes at an endpoint of their own, and single requests without a manager.

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use tokenkeeper::{ErrorKind, TokenProvider, TokenSet};
use tokenkeeper_providers::{
    ClientAuth, PasswordProvider, RefreshTokenBuilder, RefreshTokenProvider,
};

use crate::support::{OK, OK_WITH_REFRESH, Playback, TOKEN_URL, fetch, printed, refresh};

const REFRESH_URL: &str = "https://login.example.org/refresh";
const REVOCATION_URL: &str = "https://auth.example.org/revoke";

fn builder(playback: &Playback) -> RefreshTokenBuilder {
    RefreshTokenProvider::builder("svc", TOKEN_URL)
        .client("id", ClientAuth::none())
        .transport(playback.clone())
}

#[tokio::test]
async fn refreshes_go_to_the_endpoint_that_a_service_has_for_them() {
    let refused = r#"{"error":"invalid_grant"}"#;
    let playback = Playback::of(&[OK_WITH_REFRESH, OK]).and(400, refused);
    let provider = PasswordProvider::builder("svc", TOKEN_URL)
        .client("id", ClientAuth::none())
        .user("alice", "hunter2")
        .refresh_url(REFRESH_URL)
        .transport(playback.clone())
        .build()
        .unwrap();

    let tokens = fetch(&provider).await.unwrap();
    refresh(&provider, &tokens).await.unwrap();
    let error = refresh(&provider, &tokens).await.unwrap_err();

    let urls: Vec<_> = (0..3).map(|at| playback.request(at).uri().to_string()).collect();
    assert_eq!(urls, [TOKEN_URL, REFRESH_URL, REFRESH_URL]);
    assert!(error.to_string().contains("login.example.org refused the refresh token"), "{error}");
}

#[test]
fn a_refresh_url_that_cannot_be_used_is_refused_by_name() {
    let playback = Playback::default();

    let error = builder(&playback).refresh_url("http://planted.example.org/t").build().unwrap_err();

    assert!(error.to_string().starts_with("svc: refresh URL: "), "{error}");
    assert!(!printed(&error).contains("planted"));
}

#[tokio::test]
async fn one_refresh_needs_no_manager_and_keeps_a_token_that_is_not_rotated() {
    let playback = Playback::of(&[OK_WITH_REFRESH, OK]);
    let provider = builder(&playback).build().unwrap();

    let rotated = provider.refresh("rt-0").await.unwrap();
    let kept = provider.refresh("rt-0").await.unwrap();

    assert_eq!(rotated.refresh_token().unwrap().expose_secret(), "rt-1");
    assert_eq!(kept.refresh_token().unwrap().expose_secret(), "rt-0");
    assert_eq!(playback.body(0), "grant_type=refresh_token&refresh_token=rt-0&client_id=id");
}

#[tokio::test]
async fn one_token_is_revoked_without_a_manager() {
    let playback = Playback::default().and(200, "");
    let provider = builder(&playback).revocation_url(REVOCATION_URL).build().unwrap();

    provider.revoke_token("at-0", "access_token").await.unwrap();

    assert_eq!(playback.request(0).uri(), REVOCATION_URL);
    assert_eq!(playback.body(0), "token=at-0&token_type_hint=access_token&client_id=id");
}

#[tokio::test]
async fn a_revocation_without_an_endpoint_names_what_is_missing() {
    let provider = builder(&Playback::default()).build().unwrap();

    let one = provider.revoke_token("rt", "refresh_token").await.unwrap_err();
    let all = provider.revoke(&TokenSet::from_refresh_token("rt")).await.unwrap_err();

    for error in [one, all] {
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("the revocation endpoint is not known"), "{error}");
        assert!(error.to_string().contains("revocation_url"), "{error}");
    }
}
