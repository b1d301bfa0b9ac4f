//! RFC 9126: pushed authorization requests.

#![cfg(feature = "authorization-code")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::time::Duration;

use tokenkeeper::{Clock, ErrorKind, ManualClock};
use tokenkeeper_providers::{AuthorizationCodeLoginBuilder, AuthorizationRequest, ClientAuth};

use crate::login::{ISSUER, REDIRECT_URI, asked, builder, called_back, parameters};
use crate::support::{Counting, OK, Playback, printed};

const PUSHED_URL: &str = "https://auth.example.org/par";
const PUSHED: &str = r#"{"request_uri":"urn:ietf:params:oauth:request_uri:r+1","expires_in":60}"#;
const REQUEST_URI: &str = "urn:ietf:params:oauth:request_uri:r+1";

fn pushing(playback: &Playback) -> AuthorizationCodeLoginBuilder {
    builder(playback).pushed_authorization_request_url(PUSHED_URL)
}

#[tokio::test]
async fn everything_is_pushed_with_authentication_and_the_browser_gets_a_reference() {
    let playback = Playback::default().and(201, PUSHED);
    let login = pushing(&playback).scopes(["read"]).resource("urn:a").build().unwrap();
    let request = AuthorizationRequest::new().extra_parameter("prompt", "consent");

    let pending = login.begin_with(&request).await.unwrap();

    let posted = playback.request(0);
    assert_eq!((posted.method().as_str(), posted.uri().to_string().as_str()), ("POST", PUSHED_URL));
    assert_eq!(playback.authorization(0).unwrap(), "Basic d2ViOmh1bnRlcjI=");
    let form = parameters(&format!("https://x/?{}", playback.body(0)));
    assert_eq!(form["response_type"], "code");
    assert_eq!(form["client_id"], "web");
    assert_eq!(form["redirect_uri"], REDIRECT_URI);
    assert_eq!(form["state"], pending.state());
    assert_eq!(form["code_challenge_method"], "S256");
    assert_eq!((form["scope"].as_str(), form["resource"].as_str()), ("read", "urn:a"));
    assert_eq!(form["prompt"], "consent");
    let sent = asked(&pending);
    assert_eq!((sent["client_id"].as_str(), sent["request_uri"].as_str()), ("web", REQUEST_URI));
    assert_eq!(sent.len(), 2, "nothing of the request is left to the browser");
}

#[tokio::test]
async fn a_client_that_proves_itself_in_the_body_gives_its_id_once() {
    let playback = Playback::default().and(201, PUSHED);
    let login = pushing(&playback)
        .client("web", ClientAuth::assertion(Counting::default()))
        .issuer(ISSUER)
        .build()
        .unwrap();

    login.begin().await.unwrap();

    let form = parameters(&format!("https://x/?{}", playback.body(0)));
    assert_eq!(form["client_id"], "web");
    assert_eq!(form["client_assertion"], format!("jwt-0-for-{ISSUER}"));
    assert_eq!(playback.authorization(0), None);
}

#[tokio::test]
async fn a_reference_is_for_one_login() {
    let other = r#"{"request_uri":"urn:other","expires_in":60}"#;
    let playback = Playback::default().and(201, PUSHED).and(201, other);
    let login = pushing(&playback).build().unwrap();

    let [one, two] = [login.begin().await.unwrap(), login.begin().await.unwrap()];

    assert_eq!(playback.count(), 2);
    assert_eq!(asked(&one)["request_uri"], REQUEST_URI);
    assert_eq!(asked(&two)["request_uri"], "urn:other");
}

#[tokio::test]
async fn a_pushed_login_is_finished_like_any_other() {
    let playback = Playback::default().and(201, PUSHED).and(200, OK);
    let login = pushing(&playback).build().unwrap();
    let pending = login.begin().await.unwrap();
    let callback = called_back(&pending);

    login.finish(pending, &callback).await.unwrap();

    assert!(playback.body(1).starts_with("grant_type=authorization_code&code=c0de&"));
}

#[tokio::test]
async fn the_time_of_a_reference_is_known_and_is_not_that_of_the_login() {
    let clock = ManualClock::new();
    let playback = Playback::default().and(201, PUSHED).slowly(&clock);
    let login = pushing(&playback).clock(clock.clone()).build().unwrap();
    let begun = clock.now().wall();

    let pending = login.begin().await.unwrap();

    let ends_at = pending.authorization_url_expires_at().unwrap();
    assert_eq!(ends_at.duration_since(begun).unwrap(), Duration::from_secs(60));
    assert_eq!(pending.expires_at().duration_since(begun).unwrap(), Duration::from_secs(600));
}

#[tokio::test]
async fn an_answer_without_a_usable_reference_is_refused() {
    for body in [
        "",
        "<html>",
        "[]",
        "{}",
        r#"{"request_uri":""}"#,
        r#"{"request_uri":7,"expires_in":60}"#,
        r#"{"request_uri":"planted","expires_in":60}"#,
        r#"{"request_uri":"urn:planted planted","expires_in":60}"#,
        r#"{"request_uri":"urn:planted\n","expires_in":60}"#,
    ] {
        let playback = Playback::default().and(201, body);

        let error = pushing(&playback).build().unwrap().begin().await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::InvalidResponse, "{body}: {error}");
        assert!(error.to_string().contains("RFC 9126"), "{error}");
        assert!(!printed(&error).contains("planted"), "{error:?}");
    }
}

#[tokio::test]
async fn a_reference_without_a_time_is_as_good() {
    for rest in [
        "",
        r#","expires_in":-1"#,
        r#","expires_in":1e300"#,
        r#","expires_in":"soon""#,
        r#","expires_in":[]"#,
    ] {
        let body = format!(r#"{{"request_uri":"urn:a"{rest}}}"#);
        let playback = Playback::default().and(201, &body);

        let pending = pushing(&playback).build().unwrap().begin().await.unwrap();

        assert_eq!(pending.authorization_url_expires_at(), None);
    }
}

#[tokio::test]
async fn the_time_of_a_reference_may_be_written_like_any_other_lifetime() {
    for time in ["60", "\"60\"", "60.5", "\" 60 \""] {
        let clock = ManualClock::new();
        let body = format!(r#"{{"request_uri":"urn:a","expires_in":{time}}}"#);
        let playback = Playback::default().and(201, &body);
        let login = pushing(&playback).clock(clock.clone()).build().unwrap();

        let ends_at = login.begin().await.unwrap().authorization_url_expires_at().unwrap();

        let lifetime = ends_at.duration_since(clock.now().wall()).unwrap();
        assert_eq!(lifetime.as_secs(), 60, "{time}");
    }
}

#[tokio::test]
async fn a_refused_request_says_what_was_asked_for_and_shows_nothing_of_it() {
    for (status, code, kind) in [
        (400, "invalid_request", ErrorKind::RequestRejected),
        (401, "invalid_client", ErrorKind::CredentialsRejected),
        (503, "", ErrorKind::Unavailable),
    ] {
        let body = format!(r#"{{"error":"{code}","error_description":"not with hunter2"}}"#);
        let playback = Playback::default().and(status, &body);

        let error = pushing(&playback).build().unwrap().begin().await.unwrap_err();

        assert_eq!(error.kind(), kind);
        assert_eq!(error.service_name(), Some("calendar"));
        assert!(error.to_string().contains("pushed authorization request"), "{error}");
        assert!(!printed(&error).contains("hunter2"), "{error:?}");
    }
}

#[tokio::test]
async fn a_server_that_refuses_a_pushed_request_is_told_apart_and_can_be_asked_without() {
    let refusals = [
        (401, r#"{"error":"invalid_client"}"#),
        (400, r#"{"error":"unauthorized_client"}"#),
        (403, ""),
    ];
    for (status, body) in refusals {
        let playback = Playback::default().and(status, body);
        let login = pushing(&playback).build().unwrap();

        let error = login.begin().await.unwrap_err().to_string();

        assert!(error.contains("pushed authorization request (PAR, RFC 9126)"), "{error}");
        assert!(error.contains("without_pushed_requests()"), "{error}");
    }
    let playback = Playback::default();
    let login = pushing(&playback).without_pushed_requests().build().unwrap();
    assert_eq!(asked(&login.begin().await.unwrap())["response_type"], "code");
    assert_eq!(playback.count(), 0);
}
