//! Best current practice (RFC 9700), as far as it is about the grants of a provider.

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::time::Duration;

use tokenkeeper::{ErrorKind, ManualClock, TokenManager, TokenProvider};
use tokenkeeper_providers::{ClientAuth, ClientCredentialsProvider, PasswordProvider};

use crate::support::{OK, OK_WITH_REFRESH, Playback, TOKEN_URL, fetch};

fn alice(playback: &Playback) -> PasswordProvider {
    PasswordProvider::builder("svc", TOKEN_URL)
        .client("id", ClientAuth::none())
        .user("alice", "hunter2")
        .transport(playback.clone())
        .build()
        .unwrap()
}

// §2.4: the password grant, for services that leave no choice.

#[tokio::test]
async fn a_password_is_sent_once_and_the_refresh_token_from_then_on() {
    let clock = ManualClock::new();
    let playback = Playback::of(&[OK_WITH_REFRESH, OK_WITH_REFRESH, OK_WITH_REFRESH]);
    let manager = TokenManager::builder(alice(&playback)).clock(clock.clone()).build().unwrap();

    for _ in 0..3 {
        manager.token().await.unwrap();
        clock.advance(Duration::from_secs(900));
    }

    assert!(playback.body(0).contains("password=hunter2"));
    for at in [1, 2] {
        assert!(playback.body(at).starts_with("grant_type=refresh_token&"));
        assert!(!playback.body(at).contains("hunter2"));
    }
}

#[tokio::test]
async fn a_password_that_was_refused_is_not_sent_again() {
    let clock = ManualClock::new();
    let playback = Playback::default().and(400, r#"{"error":"invalid_grant"}"#);
    let manager = TokenManager::builder(alice(&playback)).clock(clock.clone()).build().unwrap();

    for _ in 0..10 {
        let error = manager.token().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CredentialsRejected);
    }

    assert_eq!(playback.count(), 1);
}

// §2.3: no more than is needed, for nobody else than is meant.

#[test]
fn tokens_for_one_audience_are_not_those_for_another() {
    let identity = |audience: &str, resource: &str| {
        ClientCredentialsProvider::builder("svc", TOKEN_URL)
            .client("id", ClientAuth::none())
            .audience(audience)
            .resource(resource)
            .transport(Playback::default())
            .build()
            .unwrap()
            .identity()
            .fingerprint()
    };

    let here = identity("api", "https://api.example.org");
    assert_eq!(here, identity("api", "https://api.example.org"));
    assert_ne!(here, identity("other", "https://api.example.org"));
    assert_ne!(here, identity("api", "https://other.example.org"));
}

// §4.3.2: tokens are not in URLs.

#[tokio::test]
async fn a_token_is_in_no_url() {
    let playback = Playback::of(&[OK_WITH_REFRESH, OK, "", ""]);
    let provider = PasswordProvider::builder("svc", TOKEN_URL)
        .client("id", ClientAuth::post("secret"))
        .user("alice", "hunter2")
        .revocation_url("https://auth.example.org/revoke")
        .transport(playback.clone())
        .build()
        .unwrap();

    let tokens = fetch(&provider).await.unwrap();
    crate::support::refresh(&provider, &tokens).await.unwrap();
    provider.revoke(&tokens).await.unwrap();

    let urls: Vec<_> = (0..4).map(|at| playback.request(at).uri().to_string()).collect();
    let revoke = "https://auth.example.org/revoke";
    assert_eq!(urls, [TOKEN_URL, TOKEN_URL, revoke, revoke]);
}
