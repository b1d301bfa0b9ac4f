//! Logins that are approved on another device (RFC 8628).

#![cfg(feature = "device")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use tokenkeeper::{Clock, ErrorKind, ManualClock};
use tokenkeeper_providers::{ClientAuth, DeviceLogin};

use crate::device::{
    CODES, DEVICE_URL, Hurried, PENDING, SLOW_DOWN, begin, builder, finish, login, unreachable,
};
use crate::support::{Counting, OK_WITH_REFRESH, Playback, TOKEN_URL, printed};

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
        (401, "", ErrorKind::RequestRejected),
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
async fn the_last_poll_is_just_before_the_codes_end() {
    let codes = r#"{"device_code":"d","user_code":"u","verification_uri":"https://g",
        "expires_in":60,"interval":25}"#;
    let clock = Hurried::default();
    let playback = Playback::of(&[codes]).and(400, PENDING).and(400, PENDING).and(400, PENDING);
    let login = login(&playback, &clock);

    let error = login.finish(login.begin().await.unwrap()).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::LoginRequired);
    assert_eq!(
        error.to_string(),
        "svc: the device login was not approved before its code expired; begin a new login"
    );
    assert_eq!(clock.pauses(), [25, 25, 9]);
    assert_eq!(playback.count(), 4);
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

#[tokio::test]
async fn an_approval_in_the_last_interval_is_not_lost_however_long_the_pause() {
    let codes = |lifetime: u32, interval: u32| {
        format!(
            r#"{{"device_code":"d","user_code":"u","verification_uri":"https://g",
                "expires_in":{lifetime},"interval":{interval}}}"#
        )
    };
    type Outage = fn(Playback) -> Playback;
    let table: [(String, Outage, u64); 3] = [
        (codes(30, 60), |answers| answers, 29),
        (codes(60, 25), |answers| answers.and(400, PENDING).and(400, PENDING), 59),
        (codes(60, 5), |answers| answers.and_with(503, &[("retry-after", "600")], ""), 59),
    ];
    for (codes, before, at) in table {
        let clock = Hurried::default();
        let playback = before(Playback::of(&[&codes])).and(200, OK_WITH_REFRESH);
        let login = login(&playback, &clock);

        login.finish(login.begin().await.unwrap()).await.unwrap();

        assert_eq!(clock.pauses().iter().sum::<u64>(), at, "{codes}");
    }
}

#[tokio::test]
async fn a_page_of_a_proxy_is_waited_out() {
    let page = "<html>Welcome to the hotel</html>";
    for (status, body) in [(200, page), (403, page), (404, page), (405, "")] {
        let (tokens, pauses, _) =
            finish(|answers| answers.and(status, body).and(400, PENDING).and(200, OK_WITH_REFRESH))
                .await;

        assert!(tokens.is_ok(), "{status}");
        assert_eq!(pauses, [7, 14, 7], "{status}");
    }
}

#[tokio::test]
async fn pages_that_go_on_for_a_minute_end_it_unless_the_service_itself_has_answered() {
    let page = |answers: Playback| (0..4).fold(answers, |answers, _| answers.and(404, "<html>"));
    let (outcome, pauses, _) = finish(page).await;
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::RequestRejected);
    assert_eq!(pauses, [7, 14, 28, 56]);

    let (outcome, ..) = finish(|answers| {
        page(answers.and(400, PENDING)).and(404, "<html>").and(200, OK_WITH_REFRESH)
    })
    .await;
    assert!(outcome.is_ok());
}

#[tokio::test]
async fn tokens_in_an_answer_that_was_not_understood_are_named_when_the_code_is_spent() {
    let odd = r#"{"access_token":"a","token_type":"mac"}"#;

    let (outcome, _, playback) =
        finish(|answers| answers.and(200, odd).and(400, r#"{"error":"invalid_grant"}"#)).await;

    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidResponse, "{error}");
    assert!(error.to_string().contains("only bearer tokens can be used"), "{error}");
    assert_eq!(playback.count(), 3);
}

#[tokio::test]
async fn codes_of_digits_may_be_numbers() {
    let body = r#"{"device_code":4711,"user_code":123456,"verification_uri":"https://g"}"#;

    let pending = begin(body).await.unwrap();

    assert_eq!(pending.user_code(), "123456");
    assert!(serde_json::to_string(&pending).unwrap().contains(r#""device_code":"4711""#));
}

#[tokio::test]
async fn two_waits_for_one_code_ask_no_more_often_than_one() {
    let clock = ManualClock::new();
    let mut playback = Playback::of(&[CODES]);
    for _ in 0..3 {
        playback = playback.and(400, PENDING);
    }
    let login = builder(&playback).clock(clock.clone()).build().unwrap();
    let pending = login.begin().await.unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    let mut one = pin!(login.finish(pending.clone()));
    assert!(one.as_mut().poll(&mut cx).is_pending());
    clock.advance(Duration::from_secs(3));
    let mut two = pin!(login.finish(pending));
    assert!(two.as_mut().poll(&mut cx).is_pending());

    for second in 4..=21 {
        clock.advance(Duration::from_secs(1));
        assert!(one.as_mut().poll(&mut cx).is_pending());
        assert!(two.as_mut().poll(&mut cx).is_pending());
        assert_eq!(playback.count(), 1 + second / 7, "after {second} s");
    }
}
