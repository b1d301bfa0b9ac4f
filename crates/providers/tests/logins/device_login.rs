//! What a device login keeps, shows and says.

#![cfg(feature = "device")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use tokenkeeper::{ErrorKind, ManualClock, TokenProvider, TokenSet};
use tokenkeeper_providers::{ClientAuth, DeviceLogin, PendingDeviceLogin, RefreshTokenProvider};

use crate::device::{
    CODES, DEVICE_URL, Hurried, PENDING, SLOW_DOWN, begin, builder, login, unreachable,
};
use crate::support::{OK_WITH_REFRESH, Playback, TOKEN_URL, printed, refresh};

#[tokio::test]
async fn what_is_shown_is_what_it_looks_like() {
    let codes = |user_code: &str, url: &str| {
        format!(r#"{{"device_code":"d","user_code":"{user_code}","verification_uri":"{url}"}}"#)
    };
    for invisible in ['\u{ad}', '\u{200b}', '\u{202e}', '\u{2066}', '\u{feff}', '\u{9b}'] {
        let error = begin(&codes(&format!("AB{invisible}CD"), "https://g")).await.unwrap_err();
        assert!(error.to_string().contains("has a user code that cannot be shown"), "{error}");
    }
    let pending = begin(&codes("ЖД-7", "https://g\u{456}thub.com/ä")).await.unwrap();

    assert_eq!(pending.user_code(), "ЖД-7");
    assert_eq!(pending.verification_url(), "https://xn--gthub-n2e.com/%C3%A4");
}

#[tokio::test]
async fn a_login_that_cannot_begin_says_where_to_look() {
    let lost = Playback::default().and_error(unreachable());
    let missing = Playback::default().and(404, "");

    let lost = builder(&lost).build().unwrap().begin().await.unwrap_err().to_string();
    let missing = builder(&missing).build().unwrap().begin().await.unwrap_err().to_string();

    assert!(
        lost.ends_with("; check that auth.example.org can be reached, then ask again"),
        "{lost}"
    );
    assert!(!missing.contains("token URL"), "{missing}");
}

#[tokio::test]
async fn a_refusal_to_begin_says_why() {
    let playback = Playback::default().and(400, r#"{"error":"unauthorized_client"}"#);

    let error = builder(&playback).build().unwrap().begin().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::CredentialsRejected);
    assert!(error.to_string().contains("when asked to begin a device login"), "{error}");
}

#[tokio::test]
async fn slow_down_holds_for_a_wait_that_goes_on_with_a_clone() {
    let clock = ManualClock::new();
    let playback = Playback::of(&[CODES]).and(400, SLOW_DOWN);
    let login = builder(&playback).clock(clock.clone()).build().unwrap();
    let pending = login.begin().await.unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    let mut given_up = Box::pin(login.finish(pending.clone()));
    assert!(given_up.as_mut().poll(&mut cx).is_pending());
    clock.advance(Duration::from_secs(7));
    assert!(given_up.as_mut().poll(&mut cx).is_pending());
    drop(given_up);

    let kept = serde_json::to_string(&pending).unwrap();
    for pending in [pending, serde_json::from_str(&kept).unwrap()] {
        let mut waiting = pin!(login.finish(pending));
        assert!(waiting.as_mut().poll(&mut cx).is_pending());
        assert_eq!(clock.next_wake(), Some(Duration::from_secs(12)));
    }
}

#[tokio::test]
async fn a_login_that_ends_in_an_outage_does_not_blame_the_person() {
    let codes = CODES.replace("600", "10");
    let playback = Playback::of(&[&codes]).and_error(unreachable()).and_error(unreachable());
    let login = login(&playback, &Hurried::default());

    let error = login.finish(login.begin().await.unwrap()).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::LoginRequired);
    assert_eq!(
        error.to_string(),
        "svc: the code of the device login expired while the service did not answer; begin a new \
         login"
    );
    assert!(printed(&error).contains("could not connect"), "{error:?}");
}

#[tokio::test]
async fn a_wall_clock_that_is_set_right_meanwhile_does_not_end_a_login() {
    let clock = Hurried::default();
    let playback = Playback::of(&[CODES]).and(200, OK_WITH_REFRESH);
    let login = login(&playback, &clock);
    let pending = login.begin().await.unwrap();

    clock.clock.suspend(Duration::from_secs(86_400));

    assert!(login.finish(pending).await.is_ok());
}

#[tokio::test]
async fn a_login_that_has_begun_survives_a_restart() {
    let clock = Hurried::default();
    let first = login(&Playback::of(&[CODES]), &clock);
    let kept = serde_json::to_string(&first.begin().await.unwrap()).unwrap();
    drop(first);
    clock.clock.advance(Duration::from_secs(590));

    let playback = Playback::default().and(400, PENDING).and(200, OK_WITH_REFRESH);
    let second = login(&playback, &clock);
    let pending: PendingDeviceLogin = serde_json::from_str(&kept).unwrap();
    assert_eq!(pending.user_code(), "WDJB-MJHT");
    second.finish(pending).await.unwrap();

    assert_eq!(clock.pauses(), [7, 2]);
    assert!(playback.body(0).contains("device_code=dc-1"));
}

#[tokio::test]
async fn what_is_stored_in_the_wrong_form_is_not_repeated_in_the_error() {
    let codes = CODES.replace("dc-1", "planted-device-code");
    let stored = serde_json::to_value(begin(&codes).await.unwrap()).unwrap();
    let with = |name: &str, value: serde_json::Value| {
        let mut changed = stored.clone();
        *changed.get_mut(name).unwrap() = value;
        changed.to_string()
    };

    for broken in [
        serde_json::to_string(&stored.to_string()).unwrap(),
        with("expires_at", "planted-device-code".into()),
        with("device_code", "".into()),
        with("version", 2.into()),
    ] {
        let error = serde_json::from_str::<PendingDeviceLogin>(&broken).unwrap_err().to_string();

        assert!(!error.contains("planted"), "{error}");
        assert!(error.contains("begin a new login"), "{error}");
    }
}

#[tokio::test]
async fn a_login_with_other_settings_sends_nobody_the_code() {
    let playback = Playback::of(&[CODES]);
    let begun = builder(&playback).build().unwrap().begin().await.unwrap();
    let other = DeviceLogin::builder("svc", DEVICE_URL, "https://other.example.org/token")
        .client("tv", ClientAuth::none())
        .transport(playback.clone())
        .clock(Hurried::default())
        .build()
        .unwrap();

    let error = other.finish(begun).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::LoginRequired);
    assert!(error.to_string().contains("begun with other settings"), "{error}");
    assert_eq!(playback.count(), 1);
}

#[tokio::test]
async fn nothing_goes_on_once_the_wait_is_dropped() {
    let clock = ManualClock::new();
    let playback = Playback::of(&[CODES]).and(400, PENDING);
    let login = builder(&playback).clock(clock.clone()).build().unwrap();
    let pending = login.begin().await.unwrap();
    let mut waiting = Box::pin(login.finish(pending));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(waiting.as_mut().poll(&mut cx).is_pending());
    clock.advance(Duration::from_secs(7));
    assert!(waiting.as_mut().poll(&mut cx).is_pending());
    assert_eq!((playback.count(), clock.sleepers()), (2, 1));

    drop(waiting);
    clock.advance(Duration::from_secs(600));

    assert_eq!((playback.count(), clock.sleepers()), (2, 0));
}

#[tokio::test]
async fn the_provider_of_a_login_is_one_with_the_same_settings() {
    let playback = Playback::of(&[OK_WITH_REFRESH]);
    let login = builder(&playback).scopes(["a"]).audience("https://api").build().unwrap();

    let provider = login.provider("alice").unwrap();
    refresh(&provider, &TokenSet::from_refresh_token("rt-0")).await.unwrap();

    let same = RefreshTokenProvider::builder("svc", TOKEN_URL)
        .client("tv", ClientAuth::none())
        .scopes(["a"])
        .audience("https://api")
        .subject("alice")
        .transport(Playback::default())
        .build()
        .unwrap();
    assert_eq!(provider.identity(), same.identity());
    assert!(playback.body(0).starts_with("grant_type=refresh_token&refresh_token=rt-0"));
    assert_eq!(login.provider("").unwrap_err().kind(), ErrorKind::Config);
}

#[test]
fn what_is_missing_or_wrong_is_named_when_the_login_is_built() {
    let url_of_a_file = DeviceLogin::builder("svc", "file:///planted", TOKEN_URL);
    let no_client = DeviceLogin::builder("svc", DEVICE_URL, TOKEN_URL);
    for (builder, field) in [
        (url_of_a_file.client("tv", ClientAuth::none()), "device authorization URL"),
        (no_client, "client"),
    ] {
        let error = builder.transport(Playback::default()).build().unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().starts_with(&format!("svc: {field}: ")), "{error}");
        assert!(!printed(&error).contains("planted"), "{error:?}");
    }
}

#[test]
fn a_builder_shows_no_more_than_the_name_of_the_service() {
    let url = "https://planted:planted@auth.example.org/device?key=planted";

    let shown = format!("{:?}", DeviceLogin::builder("svc", url, url));

    assert!(shown.contains("svc") && !shown.contains("planted"), "{shown}");
}

#[tokio::test]
async fn the_device_code_is_in_no_error_and_no_debug() {
    let codes = CODES.replace("dc-1", "planted-device-code");
    let repeated = r#"{"error":"made up: planted-device-code",
        "error_description":"no such code: planted-device-code"}"#;
    let playback = Playback::of(&[&codes]).and(400, repeated);
    let login = login(&playback, &Hurried::default());

    let pending = login.begin().await.unwrap();
    let shown = format!("{pending:?} {pending:#?} {login:?} {login:#?}");
    let error = login.finish(pending).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::RequestRejected);
    for text in [shown, printed(&error)] {
        assert!(!text.contains("planted") && !text.contains("WDJB"), "{text}");
    }
}

#[tokio::test]
async fn the_codes_that_go_on_are_known_whatever_the_device_code_is() {
    let codes = CODES.replace("dc-1", "slow_down authorization_pending expired_token");
    let playback = Playback::of(&[&codes])
        .and(400, SLOW_DOWN)
        .and(400, PENDING)
        .and(400, r#"{"error":"expired_token"}"#);
    let login = login(&playback, &Hurried::default());

    let error = login.finish(login.begin().await.unwrap()).await.unwrap_err();

    assert_eq!(error.oauth().unwrap().code(), "expired_token");
    assert_eq!(playback.count(), 4);
}
