//! What an answer to a refresh means, in every spelling that servers have for a dead refresh token.

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use http::StatusCode;
use tokenkeeper::{Error, ErrorKind, Recovery, TokenSet};
use tokenkeeper_providers::{
    ClientAuth, ClientCredentialsProvider, PasswordBuilder, PasswordProvider,
};

use crate::support::{Playback, TOKEN_URL, fetch, refresh};

use ErrorKind::{
    CredentialsRejected, LoginRequired, ProxyRejected, RefreshDoubtful, RefreshRejected,
    RequestRejected, Unavailable,
};

type Headers<'a> = &'a [(&'static str, &'a str)];

fn builder(playback: &Playback) -> PasswordBuilder {
    PasswordProvider::builder("svc", TOKEN_URL)
        .client("id", ClientAuth::basic("secret"))
        .user("alice", "hunter2")
        .transport(playback.clone())
}

/// The errors of a fetch and of a refresh that got the same answer.
async fn errors(status: u16, headers: Headers<'_>, body: &str) -> [Error; 2] {
    let playback = Playback::default();
    let playback = playback.and_with(status, headers, body).and_with(status, headers, body);
    let provider = builder(&playback).build().unwrap();
    let fetched = fetch(&provider).await.unwrap_err();
    let refreshed = refresh(&provider, &TokenSet::from_refresh_token("rt-1")).await.unwrap_err();
    [fetched, refreshed]
}

async fn kinds(status: u16, headers: Headers<'_>, body: &str) -> [ErrorKind; 2] {
    errors(status, headers, body).await.map(|error| error.kind())
}

#[tokio::test]
async fn a_refused_refresh_in_any_words_makes_the_refresh_token_doubtful() {
    for (status, body) in [
        (400, r#"{"error":"invalid_request"}"#),
        (400, r#"{"error":"invalid_request","error_description":"Refresh token inactive"}"#),
        (400, r#"{"status":400,"message":"Invalid refresh token","error":"invalid_request"}"#),
        (400, r#"{"error":"refresh_token_reused"}"#),
        (400, r#"{"code":"refresh_token_reused","message":"Already used"}"#),
        (401, r#"{"error":"invalid_token"}"#),
        (400, r#"{"message":"The refresh token is invalid."}"#),
        (401, r#"{"message":"Unauthorized"}"#),
        (400, ""),
        (401, ""),
        (400, " \r\n"),
        (400, r#"{"error":"unauthorized_client","error_description":"refresh_token is invalid"}"#),
        (400, r#"{"error":"unsupported_grant_type"}"#),
        (400, r#"{"error":{"type":"invalid_request_error","message":"no such token"}}"#),
        (400, r#"{"errors":[{"message":"Token revoked","code":"TOKEN_REVOKED"}]}"#),
        (400, r#"[{"code":"TOKEN_REVOKED"}]"#),
        (400, r#"{"error":"Bad Request","status":400,"path":"/token"}"#),
        (401, r#"{"error":"Unauthorized","status":401,"path":"/token"}"#),
        (400, "invalid_request"),
        (400, "[]"),
        (403, r#"{"error":"access_denied"}"#),
        (404, r#"{"error":"token_not_found"}"#),
        (422, r#"{"error":"expired_token"}"#),
        (200, r#"{"error":"token_not_found"}"#),
    ] {
        let [_, refreshed] = errors(status, &[], body).await;

        assert_eq!(refreshed.kind(), RefreshDoubtful, "{status} {body}");
        assert_eq!(refreshed.recovery(), Recovery::Reauthenticate);
        assert!(refreshed.needs_login(), "{status} {body}");
        assert!(!refreshed.answer_lost());
        assert!(refreshed.to_string().contains("perhaps the refresh token"), "{refreshed}");
        assert!(refreshed.to_string().contains("log in again"), "{refreshed}");
    }
}

#[tokio::test]
async fn invalid_grant_ends_the_refresh_token_wherever_it_stands() {
    for body in [
        r#"{"error":"invalid_grant"}"#,
        r#"{"error":"INVALID_GRANT"}"#,
        r#"{"error":"invalidGrant"}"#,
        r#"{"error":"Invalid grant"}"#,
        r#"{"error":"invalid_grant: the token has expired"}"#,
        r#"{"error":{"type":"invalid_request_error","code":"invalid_grant"}}"#,
        r#"{"error":{"code":"invalid_grant","type":"invalid_request"}}"#,
        r#"{"error":{"code":400,"errors":[{"reason":"invalid_grant"}]}}"#,
        r#"{"error":"invalid_request","error_code":"invalid_grant"}"#,
        r#"{"errors":["invalid_grant"]}"#,
        r#"{"errors":[{"errorType":"oops"},{"errorType":"invalid_grant"}]}"#,
        r#"[{"error":"invalid_grant"}]"#,
        r#"{"detail":{"error":"invalid_grant"}}"#,
        r#"{"message":"invalid_grant"}"#,
        r#"{"__type":"InvalidGrantException","message":"Refresh token expired"}"#,
        r#"{"type":"https://auth.example.org/errors/invalid_grant","title":"Bad Request"}"#,
        r#""invalid_grant""#,
        "invalid_grant",
        "error=invalid_grant&error_description=expired",
    ] {
        assert_eq!(kinds(400, &[], body).await, [CredentialsRejected, RefreshRejected], "{body}");
    }
}

#[tokio::test]
async fn an_answer_without_a_code_is_a_gateways_until_proven_otherwise() {
    for (status, body) in [
        (403, ""),
        (403, "<html><h1>403 Forbidden</h1></html>"),
        (403, r#"{"message":"Forbidden"}"#),
        (404, ""),
        (404, r#"{"error":"Not Found","status":404,"path":"/token"}"#),
        (404, r#"{"error":404}"#),
        (405, "Method Not Allowed"),
        (400, "<html><h1>400 Bad Request</h1></html>"),
        (401, "Refresh token expired"),
    ] {
        for error in errors(status, &[], body).await {
            assert_eq!(error.kind(), RequestRejected, "{status} {body}");
            assert!(error.oauth().is_none(), "{status} {body}");
        }
    }
}

#[tokio::test]
async fn a_challenge_for_the_client_is_a_verdict_on_the_client() {
    let basic: Headers<'_> = &[("www-authenticate", "Basic realm=\"clients\"")];
    let both: Headers<'_> = &[("www-authenticate", "Bearer realm=\"x\", basic realm=\"y\"")];
    let bearer: Headers<'_> = &[("www-authenticate", "Bearer error=\"invalid_token\"")];
    for (headers, body, on_fetch, on_refresh) in [
        (basic, "", CredentialsRejected, CredentialsRejected),
        (basic, "<html>", CredentialsRejected, CredentialsRejected),
        (both, r#"{"error":"Unauthorized"}"#, CredentialsRejected, CredentialsRejected),
        (basic, r#"{"error":"invalid_client"}"#, CredentialsRejected, CredentialsRejected),
        (basic, r#"{"error":"invalid_request"}"#, CredentialsRejected, RefreshDoubtful),
        (basic, r#"{"error":"invalid_grant"}"#, CredentialsRejected, RefreshRejected),
        (basic, r#"{"error":"login_required"}"#, LoginRequired, LoginRequired),
        (bearer, "", RequestRejected, RefreshDoubtful),
    ] {
        assert_eq!(kinds(401, headers, body).await, [on_fetch, on_refresh], "{body}");
    }
}

#[tokio::test]
async fn what_names_the_client_keeps_the_refresh_token() {
    for body in [
        r#"{"error":"invalid_client"}"#,
        r#"{"error":"Invalid_Client"}"#,
        r#"{"error":"incorrect_client_credentials"}"#,
        r#"{"error":{"type":"request_error","code":"invalid_client"}}"#,
    ] {
        assert_eq!(kinds(400, &[], body).await, [CredentialsRejected; 2], "{body}");
    }
    for body in [r#"{"error":"unauthorized_client"}"#, r#"{"error":"access_denied"}"#] {
        assert_eq!(kinds(400, &[], body).await, [CredentialsRejected, RefreshDoubtful], "{body}");
    }
}

#[tokio::test]
async fn codes_that_were_named_for_a_service_end_the_refresh_token() {
    let playback = Playback::default()
        .and(400, r#"{"error":"refresh_token_reused"}"#)
        .and(400, r#"{"error":"other","error_code":"TOKEN_REVOKED"}"#)
        .and(400, "token revoked")
        .and(400, r#"{"error":"invalid_request"}"#);
    let codes = [String::from("refresh_token_reused"), String::from("token_revoked")];
    let provider = builder(&playback).refresh_rejected_by(codes).build().unwrap();

    for expected in [RefreshRejected, RefreshRejected, RefreshRejected, RefreshDoubtful] {
        let error = refresh(&provider, &TokenSet::from_refresh_token("rt")).await.unwrap_err();
        assert_eq!(error.kind(), expected, "{error}");
    }
}

#[tokio::test]
async fn what_a_server_does_not_offer_is_a_verdict() {
    for body in ["", "<html>", r#"{"error":"not_implemented"}"#] {
        assert_eq!(kinds(501, &[], body).await, [RequestRejected; 2], "{body}");
    }
    let [fetched, _] = errors(501, &[], "").await;
    assert!(fetched.to_string().contains("does not offer"), "{fetched}");
}

#[tokio::test]
async fn a_407_is_a_verdict_on_the_credentials_of_a_proxy() {
    for body in ["", "<html>planted", r#"{"error":"invalid_client"}"#] {
        for error in errors(407, &[("proxy-authenticate", "Basic")], body).await {
            assert_eq!(error.kind(), ProxyRejected, "{body}");
            assert_eq!(error.status(), Some(StatusCode::PROXY_AUTHENTICATION_REQUIRED));
            assert!(
                error.to_string().contains("a proxy on the way to auth.example.org"),
                "{error}"
            );
            assert!(error.oauth().is_none() && !error.to_string().contains("planted"));
        }
    }
}

#[tokio::test]
async fn a_nonce_that_is_wanted_again_is_no_verdict() {
    let body = r#"{"error":"use_dpop_nonce"}"#;

    assert_eq!(kinds(400, &[("dpop-nonce", "n")], body).await, [Unavailable; 2]);
}

#[tokio::test]
async fn an_unknown_type_of_token_leads_to_the_setting_that_names_it() {
    let body = r#"{"access_token":"a","token_type":"Bot"}"#;
    let provider = |playback: &Playback| {
        ClientCredentialsProvider::builder("svc", TOKEN_URL)
            .client("id", ClientAuth::none())
            .transport(playback.clone())
    };

    let error = fetch(&provider(&Playback::of(&[body])).build().unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("bearer_tokens_named([\"bot\"])"), "{error}");

    let names = vec![String::from("bot")]; // as if read from a file
    let named = provider(&Playback::of(&[body])).bearer_tokens_named(names);
    fetch(&named.build().unwrap()).await.unwrap();
}

#[tokio::test]
async fn an_empty_scope_grants_nothing_where_something_was_asked_for() {
    let body = r#"{"access_token":"a","scope":""}"#;
    let provider = |scopes: &[&str]| {
        ClientCredentialsProvider::builder("svc", TOKEN_URL)
            .client("id", ClientAuth::none())
            .scopes(scopes.iter().copied())
            .transport(Playback::of(&[body]))
            .build()
            .unwrap()
    };

    let asked = fetch(&provider(&["read", "write"])).await.unwrap();
    let not_asked = fetch(&provider(&[])).await.unwrap();

    assert!(asked.scopes().unwrap().is_empty());
    assert!(not_asked.scopes().is_none());
}

#[tokio::test]
async fn a_point_in_time_is_read_on_the_clock_of_the_server() {
    // The manual clock stands at 2030-01-01; this server is an hour behind.
    let headers: Headers<'_> = &[("date", "Mon, 31 Dec 2029 23:00:00 GMT")];
    for member in [
        r#""expires_in":1893454200"#,
        r#""expires_at":"2029-12-31T23:30:00Z""#,
        r#""expires_on":"1893454200""#,
    ] {
        let body = format!(r#"{{"access_token":"a",{member}}}"#);
        let playback = Playback::default().and_with(200, headers, body);

        let tokens = fetch(&builder(&playback).build().unwrap()).await.unwrap();

        assert_eq!(tokens.lifetime().map(|life| life.as_secs()), Some(1_800), "{member}");
    }
}
