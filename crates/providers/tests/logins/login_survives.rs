//! A login that is begun by one process and finished by another.

#![cfg(feature = "authorization-code")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::time::Duration;

use proptest::prelude::*;
use tokenkeeper::{Clock, ManualClock};
use tokenkeeper_providers::{AuthorizationRequest, PendingLogin};

use crate::login::{
    ISSUER, asked, assert_new_login_needed, builder, called_back, login, parameters,
};
use crate::support::{OK, Playback};

/// What another process makes of a pending login.
fn carried_over(pending: PendingLogin) -> PendingLogin {
    let stored = serde_json::to_string(&pending).unwrap();
    drop(pending);
    serde_json::from_str(&stored).unwrap()
}

#[tokio::test]
async fn a_login_survives_a_restart() {
    let pending = login(&Playback::default()).begin().await.unwrap();
    let (url, state) = (pending.authorization_url().to_owned(), pending.state().to_owned());
    let expires_at = pending.expires_at();
    let callback = called_back(&pending);

    let pending = carried_over(pending);

    assert_eq!((pending.authorization_url(), pending.state()), (url.as_str(), state.as_str()));
    assert_eq!(pending.expires_at(), expires_at);
    let playback = Playback::of(&[OK]);
    login(&playback).finish(pending, &callback).await.unwrap();
    let form = parameters(&format!("https://x/?{}", playback.body(0)));
    assert_eq!((form["code"].as_str(), form["code_verifier"].len()), ("c0de", 43));
}

#[tokio::test]
async fn a_restart_does_not_make_a_login_last_longer() {
    let clock = ManualClock::new();
    let login = || builder(&Playback::default()).clock(clock.clone()).build().unwrap();
    let pending = login().begin().await.unwrap();
    let callback = called_back(&pending);

    let pending = carried_over(pending);
    clock.advance(Duration::from_secs(600));

    assert_new_login_needed(login().finish(pending, &callback).await, "took longer than its 600 s");
}

#[tokio::test]
async fn a_wall_clock_that_is_set_back_does_not_make_a_login_last_longer() {
    let clock = ManualClock::new();
    let login = builder(&Playback::default()).clock(clock.clone()).build().unwrap();
    let pending = login.begin().await.unwrap();
    let callback = called_back(&pending);

    clock.advance(Duration::from_secs(600));
    clock.set_wall(clock.now().wall() - Duration::from_secs(3_600));

    assert_new_login_needed(login.finish(pending, &callback).await, "took longer than its 600 s");
}

#[tokio::test]
async fn scopes_nonce_and_redirect_uri_of_one_login_are_carried_over() {
    let login = builder(&Playback::default()).scopes(["openid"]).issuer(ISSUER).build().unwrap();
    let request = AuthorizationRequest::new()
        .scopes(["mail", "calendar"])
        .redirect_uri("http://127.0.0.1:49152/cb");
    let pending = login.begin_with(&request).await.unwrap();
    let before = serde_json::to_value(&pending).unwrap();

    let after = serde_json::to_value(carried_over(pending)).unwrap();

    assert_eq!(before, after);
    assert_eq!(after["scopes"], "calendar mail openid");
    assert_eq!(after["redirect_uri"], "http://127.0.0.1:49152/cb");
    assert_eq!(after["nonce"].as_str().unwrap().len(), 43);
}

#[tokio::test]
async fn what_another_version_stored_is_refused_with_a_sentence_about_it() {
    let pending = login(&Playback::default()).begin().await.unwrap();
    let stored = serde_json::to_string(&pending).unwrap();
    assert!(stored.starts_with(r#"{"version":1,"#), "the version is read first: {stored}");

    for other in ["2", "0"] {
        let stored = format!(r#"{{"version":{other},"made_up":"planted"}}"#);
        let error = serde_json::from_str::<PendingLogin>(&stored).unwrap_err().to_string();
        assert!(error.contains("only 1 is known; begin a new login"), "{error}");
        assert!(!error.contains("planted"), "{error}");
    }
    for broken in [
        stored.replace(pending.state(), ""),
        stored.replace(r#""version":1,"#, ""),
        stored.replace(r#""scopes":"""#, r#""scopes":"planted\"""#),
    ] {
        assert_ne!(broken, stored);
        let error = serde_json::from_str::<PendingLogin>(&broken).unwrap_err();
        assert!(!error.to_string().contains("planted"), "{error}");
    }
}

#[tokio::test]
async fn what_is_stored_in_the_wrong_form_is_not_repeated_in_the_error() {
    let login = builder(&Playback::default()).scopes(["openid"]).issuer(ISSUER).build().unwrap();
    let pending = login.begin().await.unwrap();
    let stored = serde_json::to_value(&pending).unwrap();
    let secrets = ["state", "verifier", "nonce"].map(|name| stored[name].as_str().unwrap());
    let mut swapped = stored.clone();
    swapped["expires_at"] = stored["verifier"].clone();
    let within_text = serde_json::to_string(&stored.to_string()).unwrap();

    for broken in [within_text, swapped.to_string()] {
        let error = serde_json::from_str::<PendingLogin>(&broken).unwrap_err().to_string();

        assert!(!secrets.iter().any(|secret| error.contains(secret)), "{error}");
        assert!(error.contains("begin a new login"), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_login_comes_back_as_it_was_stored(
        path in "[a-zA-Z0-9/._~-]{0,40}",
        scopes in proptest::collection::vec("[!#-\\[\\]-~]{1,20}", 0..5),
        hint in "[^\\p{Cc}]{0,40}",
        seconds in 1..86_400_u64,
    ) {
        let login = builder(&Playback::default())
            .login_lifetime(Duration::from_secs(seconds))
            .build()
            .unwrap();
        let request = AuthorizationRequest::new()
            .redirect_uri(format!("https://app.example.org/{path}"))
            .scopes(scopes)
            .login_hint(&hint);
        let pending = pollster::block_on(login.begin_with(&request)).unwrap();
        prop_assert_eq!(&asked(&pending)["login_hint"], &hint);
        let before = serde_json::to_value(&pending).unwrap();

        let after = serde_json::to_value(carried_over(pending)).unwrap();

        prop_assert_eq!(before, after);
    }
}
