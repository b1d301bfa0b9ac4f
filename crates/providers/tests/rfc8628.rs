//! Logins that are approved on another device (RFC 8628).

#![cfg(feature = "device")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod support;

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;

use support::{Counting, OK_WITH_REFRESH, Playback, TOKEN_URL, printed, refresh};
use tokenkeeper::{
    Clock, Error, ErrorKind, ManualClock, Now, TokenProvider, TokenSet, async_trait,
};
use tokenkeeper_providers::{
    ClientAuth, DeviceLogin, DeviceLoginBuilder, PendingDeviceLogin, RefreshTokenProvider,
};

const DEVICE_URL: &str = "https://auth.example.org/device";
const CODES: &str = r#"{"device_code":"dc-1","user_code":"WDJB-MJHT",
    "verification_uri":"https://auth.example.org/go",
    "verification_uri_complete":"https://auth.example.org/go?user_code=WDJB-MJHT",
    "expires_in":600,"interval":7}"#;
const PENDING: &str = r#"{"error":"authorization_pending"}"#;
const SLOW_DOWN: &str = r#"{"error":"slow_down"}"#;

/// A clock on which every sleep is over at once, and remembered.
#[derive(Clone, Debug, Default)]
struct Hurried {
    clock: ManualClock,
    pauses: Arc<Mutex<Vec<u64>>>,
}

impl Hurried {
    /// In seconds.
    fn pauses(&self) -> Vec<u64> {
        self.pauses.lock().unwrap().clone()
    }
}

#[async_trait]
impl Clock for Hurried {
    fn now(&self) -> Now {
        self.clock.now()
    }

    async fn sleep(&self, duration: Duration) {
        self.pauses.lock().unwrap().push(duration.as_secs());
        self.clock.advance(duration);
    }
}

fn builder(playback: &Playback) -> DeviceLoginBuilder {
    DeviceLogin::builder("svc", DEVICE_URL, TOKEN_URL)
        .client("tv", ClientAuth::none())
        .transport(playback.clone())
}

fn login(playback: &Playback, clock: &Hurried) -> DeviceLogin {
    builder(playback).clock(clock.clone()).build().unwrap()
}

/// Begins with codes that last ten minutes and an interval of 7 s, and waits for these answers.
async fn finish(
    answers: impl FnOnce(Playback) -> Playback,
) -> (Result<TokenSet, Error>, Vec<u64>, Playback) {
    let clock = Hurried::default();
    let playback = answers(Playback::of(&[CODES]));
    let login = login(&playback, &clock);
    let pending = login.begin().await.unwrap();
    let outcome = login.finish(pending).await;
    (outcome, clock.pauses(), playback)
}

async fn begin(body: &str) -> Result<PendingDeviceLogin, Error> {
    builder(&Playback::of(&[body])).build().unwrap().begin().await
}

fn unreachable() -> Error {
    Error::new(ErrorKind::Transport, "could not connect to auth.example.org")
}

#[tokio::test]
async fn codes_are_asked_for_with_the_client_the_scopes_and_everything_configured() {
    let playback = Playback::of(&[CODES]);
    let login = builder(&playback)
        .scopes(["b", "a"])
        .audience("https://api")
        .resource("urn:r1")
        .extra_parameter("organization", "o 1")
        .build()
        .unwrap();

    let pending = login.begin().await.unwrap();

    assert_eq!(playback.request(0).method(), "POST");
    assert_eq!(playback.request(0).uri(), DEVICE_URL);
    assert_eq!(playback.request(0).headers()["accept"], "application/json");
    assert_eq!(
        playback.body(0),
        "scope=a+b&audience=https%3A%2F%2Fapi&resource=urn%3Ar1&organization=o+1&client_id=tv"
    );
    assert_eq!(pending.user_code(), "WDJB-MJHT");
    assert_eq!(pending.verification_url(), "https://auth.example.org/go");
    let complete = "https://auth.example.org/go?user_code=WDJB-MJHT";
    assert_eq!(pending.verification_url_complete(), Some(complete));
}

#[tokio::test]
async fn a_client_with_a_secret_proves_it_at_both_endpoints() {
    let playback = Playback::of(&[CODES, OK_WITH_REFRESH]);
    let login = DeviceLogin::builder("svc", DEVICE_URL, TOKEN_URL)
        .client("id", ClientAuth::basic("secret"))
        .transport(playback.clone())
        .clock(Hurried::default())
        .build()
        .unwrap();

    login.finish(login.begin().await.unwrap()).await.unwrap();

    for at in 0..2 {
        assert_eq!(playback.authorization(at).unwrap(), "Basic aWQ6c2VjcmV0");
        assert!(!playback.body(at).contains("client_id"));
    }
}

#[tokio::test]
async fn the_token_request_has_the_device_code_and_no_scope() {
    let clock = Hurried::default();
    let playback = Playback::of(&[CODES, OK_WITH_REFRESH]);
    let login = builder(&playback).scopes(["a"]).clock(clock).build().unwrap();

    let tokens = login.finish(login.begin().await.unwrap()).await.unwrap();

    assert_eq!(
        playback.body(1),
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&client_id=tv&\
         device_code=dc-1"
    );
    assert_eq!(playback.request(1).headers()["accept"], "application/json");
    assert_eq!(tokens.refresh_token().unwrap().expose_secret(), "rt-1");
    assert_eq!(tokens.scopes().unwrap().to_string(), "a"); // what was asked for, if nothing is said
}

#[tokio::test]
async fn codes_are_read_however_they_are_spelled() {
    let of_google = r#"{"device_code":"d","user_code":"u","verification_url":"https://g/device",
        "expires_in":"1800","interval":"5.5"}"#;
    let of_github = "device_code=d&expires_in=899.9&interval=6&user_code=u&\
                     verification_uri=https%3A%2F%2Fg%2Fdevice";
    let bare = r#"{"device_code":"d","user_code":"u","verification_uri":"https://g/device",
        "interval":null}"#;
    let odd = r#"{"device_code":"d","user_code":"u","verification_uri":"https://g/device",
        "verification_uri_complete":"javascript:alert(1)","interval":0,"expires_in":60}"#;
    let hurried = r#"{"device_code":"d","user_code":"u","verification_uri":"https://g/device",
        "interval":1e-9}"#;
    for (body, first, lifetime) in [
        (of_google, 5_500, 1_800),
        (of_github, 6_000, 899),
        (bare, 5_000, 900),
        (odd, 5_000, 60),
        (hurried, 1_000, 900),
    ] {
        let clock = ManualClock::new();
        let playback = Playback::of(&[body]);
        let login = builder(&playback).clock(clock.clone()).build().unwrap();

        let pending = login.begin().await.unwrap();

        assert_eq!((pending.user_code(), pending.verification_url()), ("u", "https://g/device"));
        assert_eq!(pending.verification_url_complete(), None, "{body}");
        assert_eq!(pending.expires_at(), clock.now().wall() + Duration::from_secs(lifetime));
        let mut waiting = pin!(login.finish(pending));
        assert!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(clock.next_wake(), Some(Duration::from_millis(first)), "{body}");
    }
}

#[tokio::test]
async fn an_answer_without_codes_or_with_a_url_for_nobody_is_refused() {
    let with_url = |url: &str| {
        format!(r#"{{"device_code":"planted","user_code":"u","verification_uri":"{url}"}}"#)
    };
    let bodies = [
        String::new(),
        "<html>planted</html>".to_owned(),
        r#"{"user_code":"u","verification_uri":"https://g"}"#.to_owned(),
        r#"{"device_code":"planted","verification_uri":"https://g"}"#.to_owned(),
        r#"{"device_code":"planted","user_code":"u\n\u001b[31m","verification_uri":"https://g"}"#
            .to_owned(),
        r#"{"device_code":"planted","user_code":"u"}"#.to_owned(),
        with_url("http://g/device"),
        with_url("javascript:alert(1)"),
        with_url("file:///etc/passwd"),
        with_url("https://g/\\u001b[31m"),
        with_url("not a url"),
        with_url("https://bank.example.org@evil.example.net/device"),
        with_url("https://g/\u{202e}evitar"),
    ];
    for body in bodies {
        let error = begin(&body).await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::InvalidResponse, "{body}");
        assert!(!printed(&error).contains("planted"), "{error:?}");
    }
    assert!(begin(&with_url("http://127.0.0.1:1/device")).await.is_ok());
}

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
async fn whoever_cannot_begin_is_told_where_to_look() {
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
async fn polls_are_an_interval_apart_and_so_is_the_first() {
    let (tokens, pauses, playback) = finish(|answers| {
        answers.and(400, PENDING).and(428, PENDING).and(200, PENDING).and(200, OK_WITH_REFRESH)
    })
    .await;

    assert!(tokens.is_ok());
    assert_eq!(pauses, [7, 7, 7, 7]);
    assert_eq!(playback.count(), 5);
}

#[tokio::test]
async fn slow_down_makes_the_interval_five_seconds_longer_for_good() {
    let (tokens, pauses, _) = finish(|answers| {
        answers
            .and(400, PENDING)
            .and(400, SLOW_DOWN)
            .and(400, PENDING)
            .and(429, SLOW_DOWN)
            .and(400, PENDING)
            .and(200, OK_WITH_REFRESH)
    })
    .await;

    assert!(tokens.is_ok());
    assert_eq!(pauses, [7, 7, 12, 12, 17, 17]);
}

#[tokio::test]
async fn slow_down_holds_for_whoever_waits_on_with_a_clone() {
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
async fn whoever_says_slow_down_may_ask_for_more_patience_still() {
    let patience = [("retry-after", "30")];
    let (tokens, pauses, _) = finish(|answers| {
        answers
            .and_with(429, &patience, SLOW_DOWN)
            .and_with(400, &patience, PENDING)
            .and(400, PENDING)
            .and(200, OK_WITH_REFRESH)
    })
    .await;

    assert!(tokens.is_ok());
    assert_eq!(pauses, [7, 30, 30, 12]);
}

#[tokio::test]
async fn each_connection_that_fails_doubles_the_pause_and_an_answer_ends_that() {
    let (tokens, pauses, _) = finish(|answers| {
        let lost = unreachable().with_answer_lost();
        answers
            .and_error(unreachable())
            .and_error(lost)
            .and_error(unreachable())
            .and_error(unreachable())
            .and(400, PENDING)
            .and(200, OK_WITH_REFRESH)
    })
    .await;

    assert!(tokens.is_ok());
    assert_eq!(pauses, [7, 14, 28, 56, 60, 7]);
}

#[tokio::test]
async fn a_service_that_is_busy_is_waited_for_no_shorter_than_it_asks() {
    let (tokens, pauses, _) = finish(|answers| {
        answers
            .and_with(503, &[("retry-after", "100")], "")
            .and_with(429, &[("retry-after", "3")], "")
            .and(502, "<html>")
            .and(400, PENDING)
            .and(200, OK_WITH_REFRESH)
    })
    .await;

    assert!(tokens.is_ok());
    assert_eq!(pauses, [7, 100, 28, 56, 7]);
}

#[tokio::test]
async fn every_other_answer_ends_the_polling_with_what_it_means() {
    let table = [
        (401, r#"{"error":"invalid_client"}"#, ErrorKind::CredentialsRejected),
        (400, r#"{"error":"unsupported_grant_type"}"#, ErrorKind::RequestRejected),
        (200, r#"{"error":"device_flow_disabled"}"#, ErrorKind::RequestRejected),
        (400, r#"{"error":"temporarily_unavailable"}"#, ErrorKind::Unavailable),
        (302, "", ErrorKind::RequestRejected),
        (200, "<html>Welcome to the hotel</html>", ErrorKind::InvalidResponse),
        (200, r#"{"access_token":"a","token_type":"mac"}"#, ErrorKind::InvalidResponse),
    ];
    for (status, body, kind) in table {
        let (outcome, pauses, _) = finish(|answers| answers.and(status, body)).await;

        assert_eq!(outcome.unwrap_err().kind(), kind, "{status} {body}");
        assert_eq!(pauses, [7], "{body}");
    }
}

#[tokio::test]
async fn each_end_of_a_login_says_which_it_is() {
    let table = [
        (400, "access_denied", "says that the device login was declined"),
        (200, "authorization_declined", "says that the device login was declined"),
        (400, "expired_token", "says that the code of the device login has expired"),
        (400, "invalid_grant", "does not take the code of the device login"),
        (200, "incorrect_device_code", "does not take the code of the device login"),
    ];
    for (status, code, sentence) in table {
        let body = format!(r#"{{"error":"{code}"}}"#);

        let (outcome, _, playback) = finish(|answers| answers.and(status, &body)).await;

        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LoginRequired, "{code}");
        assert_eq!(error.oauth().unwrap().code(), code);
        assert_eq!(error.status().unwrap(), status);
        let line = format!("svc: auth.example.org {sentence}");
        assert!(error.to_string().starts_with(&line), "{error}");
        assert!(error.to_string().ends_with("; begin a new login"), "{error}");
        assert_eq!(playback.count(), 2);
    }
}

#[tokio::test]
async fn nobody_is_asked_once_the_codes_have_ended() {
    let codes = r#"{"device_code":"d","user_code":"u","verification_uri":"https://g",
        "expires_in":60,"interval":25}"#;
    let clock = Hurried::default();
    let playback = Playback::of(&[codes]).and(400, PENDING).and(400, PENDING);
    let login = login(&playback, &clock);

    let error = login.finish(login.begin().await.unwrap()).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::LoginRequired);
    assert_eq!(
        error.to_string(),
        "svc: nobody approved the device login before its code expired; begin a new login"
    );
    assert_eq!(clock.pauses(), [25, 25, 10]);
    assert_eq!(playback.count(), 3);
}

#[tokio::test]
async fn a_login_that_ends_in_an_outage_does_not_blame_the_person() {
    let codes = CODES.replace("600", "10");
    let playback = Playback::of(&[&codes]).and_error(unreachable());
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
    let error = second.finish(pending).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::LoginRequired);
    assert_eq!(clock.pauses(), [7, 3]);
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
async fn every_poll_of_a_client_that_signs_has_an_assertion_of_its_own() {
    let playback = Playback::of(&[CODES]).and(400, PENDING).and(200, OK_WITH_REFRESH);
    let login = DeviceLogin::builder("svc", DEVICE_URL, TOKEN_URL)
        .client("tv", ClientAuth::assertion(Counting::default()))
        .issuer("https://auth.example.org")
        .transport(playback.clone())
        .clock(Hurried::default())
        .build()
        .unwrap();

    login.finish(login.begin().await.unwrap()).await.unwrap();

    for at in 0..3 {
        let assertion = format!("client_assertion=jwt-{at}-for-https%3A%2F%2Fauth.example.org");
        assert!(playback.body(at).contains(&assertion), "{}", playback.body(at));
    }
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

#[cfg(feature = "reqwest")]
#[tokio::test]
async fn a_whole_login_over_http() {
    use httpmock::Method::POST;
    use httpmock::MockServer;

    let server = MockServer::start_async().await;
    let codes = server.mock_async(|when, then| {
        when.method(POST)
            .path("/device")
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json")
            .body("scope=a&client_id=tv");
        then.status(200).header("content-type", "application/json").body(CODES);
    });
    let codes = codes.await;
    let poll = |status: u16, body: &'static str| {
        let server = &server;
        async move {
            server
                .mock_async(|when, then| {
                    when.method(POST).path("/token").body(
                        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&\
                         client_id=tv&device_code=dc-1",
                    );
                    then.status(status).header("content-type", "application/json").body(body);
                })
                .await
        }
    };
    let clock = ManualClock::new();
    let login = DeviceLogin::builder("svc", &server.url("/device"), &server.url("/token"))
        .client("tv", ClientAuth::none())
        .scopes(["a"])
        .clock(clock.clone())
        .build()
        .unwrap();

    let pending = login.begin().await.unwrap();
    let waiting = poll(400, PENDING).await;
    let person = async {
        while clock.sleepers() == 0 {
            tokio::task::yield_now().await;
        }
        clock.advance(Duration::from_secs(7));
        while waiting.calls_async().await == 0 || clock.sleepers() == 0 {
            tokio::task::yield_now().await;
        }
        waiting.delete_async().await;
        let granted = poll(200, OK_WITH_REFRESH).await;
        clock.advance(Duration::from_secs(7));
        granted
    };
    let (tokens, granted) = tokio::join!(login.finish(pending), person);

    assert_eq!(tokens.unwrap().refresh_token().unwrap().expose_secret(), "rt-1");
    assert_eq!((codes.calls_async().await, granted.calls_async().await), (1, 1));
}
