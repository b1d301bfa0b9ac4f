//! Asking what a token is worth (RFC 7662).

#![cfg(feature = "introspection")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokenkeeper::{Error, ErrorKind, Secret};
use tokenkeeper_providers::{ClientAuth, Introspected, Introspection, IntrospectionBuilder};

use crate::support::{Counting, Playback, printed};

const URL: &str = "https://as.example.org/introspect";

fn builder(playback: &Playback) -> IntrospectionBuilder {
    Introspection::builder("svc", URL)
        .client("api", ClientAuth::basic("hunter2"))
        .transport(playback.clone())
}

async fn asked(status: u16, body: &str) -> Result<Introspected, Error> {
    let introspection = builder(&Playback::default().and(status, body)).build().unwrap();
    introspection.introspect(&Secret::from("planted-token")).await
}

async fn answer(members: Value) -> Introspected {
    asked(200, &members.to_string()).await.unwrap()
}

fn at(seconds: u64) -> Option<SystemTime> {
    Some(UNIX_EPOCH + Duration::from_secs(seconds))
}

#[cfg(feature = "reqwest")]
#[tokio::test]
async fn a_question_is_a_post_with_the_token_and_the_proof_of_who_asks() {
    let mock = httpmock::MockServer::start_async().await;
    let endpoint = mock
        .mock_async(|when, then| {
            when.method(httpmock::Method::POST)
                .path("/introspect")
                .header("authorization", "Basic YXBpOmh1bnRlcjI=")
                .header("accept", "application/json")
                .header("content-type", "application/x-www-form-urlencoded")
                .body("token=a%2Bb+c");
            then.status(200).json_body(json!({ "active": true, "sub": "alice" }));
        })
        .await;
    let builder = Introspection::builder("svc", &mock.url("/introspect"))
        .client("api", ClientAuth::basic("hunter2"));

    let token = builder.build().unwrap().introspect(&Secret::from("a+b c")).await.unwrap();

    endpoint.assert_async().await;
    assert!(token.active());
    assert_eq!(token.subject(), Some("alice"));
}

#[tokio::test]
async fn the_type_of_the_token_is_a_hint_that_may_be_left_out() {
    let yes = r#"{"active":true}"#;
    let playback = Playback::of(&[yes, yes]);
    let introspection = builder(&playback).build().unwrap();
    let token = Secret::from("t");

    introspection.introspect(&token).await.unwrap();
    introspection.introspect_with_hint(&token, "refresh_token").await.unwrap();

    assert_eq!(playback.body(0), "token=t");
    assert_eq!(playback.body(1), "token=t&token_type_hint=refresh_token");
}

#[tokio::test]
async fn whoever_asks_authenticates_in_a_way_of_its_own() {
    let playback = Playback::of(&[r#"{"active":true}"#, r#"{"active":true}"#]);
    let auth = ClientAuth::assertion(Counting::default());
    let introspection =
        builder(&playback).client("api", auth).issuer("https://as").build().unwrap();

    introspection.introspect(&Secret::from("t")).await.unwrap();
    introspection.introspect(&Secret::from("t")).await.unwrap();

    assert!(playback.body(0).contains("client_assertion=jwt-0-for-https%3A%2F%2Fas"));
    assert!(playback.body(1).contains("client_assertion=jwt-1-for-https%3A%2F%2Fas"));
    assert_eq!(playback.authorization(0), None);
}

#[tokio::test]
async fn every_member_of_the_standard_is_read_and_the_others_are_kept() {
    let token = answer(json!({
        "active": true, "scope": "read write", "client_id": "app", "username": "Alice",
        "token_type": "Bearer", "exp": 1_600_000_300, "iat": 1_600_000_000, "nbf": 1_600_000_001,
        "sub": "u-1", "aud": ["api", "other"], "iss": "https://as", "jti": "t-1",
        "cnf": { "jkt": "thumbprint" },
    }))
    .await;

    assert!(token.active());
    assert!(token.scopes().contains("read") && token.scopes().contains("write"));
    assert_eq!(token.client_id(), Some("app"));
    assert_eq!(token.username(), Some("Alice"));
    assert_eq!(token.token_type(), Some("Bearer"));
    assert_eq!(token.expires_at(), at(1_600_000_300));
    assert_eq!(token.issued_at(), at(1_600_000_000));
    assert_eq!(token.not_before(), at(1_600_000_001));
    assert_eq!(token.subject(), Some("u-1"));
    assert_eq!(token.audience().collect::<Vec<_>>(), ["api", "other"]);
    assert_eq!(token.issuer(), Some("https://as"));
    assert_eq!(token.id(), Some("t-1"));
    assert_eq!(token.extra()["cnf"]["jkt"], "thumbprint");
    assert_eq!(token.extra().len(), 1);
}

#[tokio::test]
async fn times_may_have_fractions_or_be_text_and_what_is_before_1970_is_past() {
    let table = [
        (json!(1_600_000_000.9), at(1_600_000_000)),
        (json!(1.6e9), at(1_600_000_000)),
        (json!("1600000000"), at(1_600_000_000)),
        (json!(" 1600000000.5 "), at(1_600_000_000)),
        (json!(0), at(0)),
        (json!(-1), at(0)),
        (json!("-1"), at(0)),
        (json!(null), None),
    ];
    for (exp, expected) in table {
        let token = answer(json!({ "active": true, "exp": exp })).await;
        assert_eq!(token.expires_at(), expected, "{exp}");
    }
}

/// Without an end, an answer would be kept for ever.
#[tokio::test]
async fn an_end_or_a_beginning_that_cannot_be_read_is_refused() {
    for name in ["exp", "nbf"] {
        for value in [json!("soon"), json!(1e300), json!(true), json!([1]), json!("")] {
            let body = json!({ "active": true, name: value }).to_string();

            let error = asked(200, &body).await.unwrap_err();

            assert_eq!(error.kind(), ErrorKind::InvalidResponse, "{value}");
            assert!(
                error.to_string().contains(&format!("`{name}` that is not a number")),
                "{error}"
            );
        }
    }
    assert_eq!(answer(json!({ "active": true, "iat": "soon" })).await.issued_at(), None);
}

#[tokio::test]
async fn a_token_that_is_not_active_has_nothing_else_to_say() {
    let token = answer(json!({
        "active": false, "scope": "read", "client_id": "app", "sub": "u-1", "exp": 1, "aud": "api",
        "cnf": {},
    }))
    .await;

    assert!(!token.active());
    assert!(token.scopes().is_empty());
    assert_eq!((token.client_id(), token.subject(), token.expires_at()), (None, None, None));
    assert_eq!(token.audience().len(), 0);
    assert!(token.extra().is_empty());
}

#[tokio::test]
async fn an_audience_may_be_one_text() {
    let token = answer(json!({ "active": true, "aud": "api" })).await;

    assert_eq!(token.audience().collect::<Vec<_>>(), ["api"]);
}

#[tokio::test]
async fn only_a_json_object_that_says_active_is_an_answer() {
    for body in ["", "null", "[]", "{}", "active=true", r#"{"active":"true"}"#, r#"{"active":1}"#] {
        let error = asked(200, body).await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::InvalidResponse, "{body}");
        assert_eq!(error.service_name(), Some("svc"));
    }
}

#[tokio::test]
async fn a_refusal_is_an_error_and_never_an_inactive_token() {
    let table = [
        (401, r#"{"error":"invalid_client"}"#, ErrorKind::CredentialsRejected),
        (403, "", ErrorKind::RequestRejected),
        (404, "", ErrorKind::RequestRejected),
        (503, "", ErrorKind::Unavailable),
        (200, r#"{"error":"invalid_client"}"#, ErrorKind::CredentialsRejected),
    ];
    for (status, body, kind) in table {
        let error = asked(status, body).await.unwrap_err();

        assert_eq!(error.kind(), kind, "{status}");
        assert!(error.to_string().contains("when asked to introspect a token"), "{error}");
        assert!(!error.to_string().contains("token URL"), "{error}");
    }
}

#[tokio::test]
async fn the_token_is_in_no_error() {
    let body = r#"{"error":"nope","error_description":"planted-token is unknown, hunter2"}"#;

    let error = asked(400, body).await.unwrap_err();

    assert!(!printed(&error).contains("planted"), "{error:?}");
    assert!(!printed(&error).contains("hunter2"), "{error:?}");
}

#[test]
fn nobody_asks_without_saying_who_it_is_or_in_clear_text() {
    let playback = Playback::default();
    let nobody = Introspection::builder("svc", URL).transport(playback.clone()).build();
    let clear = Introspection::builder("svc", "http://as.example.org/introspect")
        .client("api", ClientAuth::none())
        .transport(playback);

    assert!(nobody.unwrap_err().to_string().starts_with("svc: client: must be given"));
    assert!(clear.clone().build().unwrap_err().to_string().starts_with("svc: introspection URL"));
    clear.danger_allow_http().build().unwrap();
}

#[cfg(feature = "discovery")]
#[test]
fn it_starts_from_what_the_server_says_of_itself() {
    use tokenkeeper_providers::AuthorizationServer;

    let document = json!({ "issuer": "https://as", "introspection_endpoint": "https://as/i" });
    let server = AuthorizationServer::from_json("https://as", document.to_string().as_bytes());
    let builder = Introspection::of_server("svc", &server.unwrap()).unwrap();
    builder.client("api", ClientAuth::none()).transport(Playback::default()).build().unwrap();

    let document = json!({ "issuer": "https://as" });
    let server = AuthorizationServer::from_json("https://as", document.to_string().as_bytes());
    let error = Introspection::of_server("svc", &server.unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}
