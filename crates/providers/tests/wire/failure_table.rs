//! What becomes of each answer, over real HTTP: one test per row of the table.

#![cfg(feature = "reqwest")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::time::Duration;

use httpmock::Method::POST;
use httpmock::MockServer;
use tokenkeeper::{Error, ErrorKind, Recovery, TokenSet};
use tokenkeeper_providers::{ClientAuth, ClientCredentialsProvider, PasswordProvider};

use crate::support::{fetch, refresh};

/// The errors of a fetch and of a refresh that got the same answer, each from one request.
async fn errors(status: u16, headers: &[(&str, &str)], body: &str) -> [Error; 2] {
    let server = MockServer::start_async().await;
    let token = server
        .mock_async(|when, then| {
            when.method(POST).path("/token");
            let mut then = then.status(status).body(body);
            for (name, value) in headers {
                then = then.header(*name, *value);
            }
        })
        .await;
    let provider = PasswordProvider::builder("svc", &server.url("/token"))
        .client("id", ClientAuth::basic("secret"))
        .user("alice", "hunter2")
        .build()
        .unwrap();

    let fetched = fetch(&provider).await.unwrap_err();
    let refreshed = refresh(&provider, &TokenSet::from_refresh_token("rt-1")).await.unwrap_err();

    assert_eq!(token.calls_async().await, 2);
    for error in [&fetched, &refreshed] {
        assert_eq!(error.service_name(), Some("svc"));
        assert_eq!(error.status().unwrap(), status);
    }
    [fetched, refreshed]
}

async fn kinds(status: u16, body: &str) -> [ErrorKind; 2] {
    errors(status, &[], body).await.map(|error| error.kind())
}

fn oauth(code: &str) -> String {
    format!(r#"{{"error":"{code}","error_description":"as it is"}}"#)
}

#[tokio::test]
async fn busy_statuses_are_transient_whatever_the_body_says() {
    for status in [408, 425, 429, 500, 502, 503, 504, 599] {
        for body in [String::new(), "<html>".to_owned(), oauth("invalid_grant")] {
            assert_eq!(kinds(status, &body).await, [ErrorKind::Unavailable; 2], "{status} {body}");
        }
    }
}

#[tokio::test]
async fn server_error_and_temporarily_unavailable_are_transient_under_a_400_too() {
    for code in ["server_error", "temporarily_unavailable"] {
        assert_eq!(kinds(400, &oauth(code)).await, [ErrorKind::Unavailable; 2]);
    }
}

#[tokio::test]
async fn a_success_that_cannot_be_read_is_transient() {
    for body in ["", "<html><body>Welcome to the hotel</body></html>", "{\"access_token\":"] {
        assert_eq!(kinds(200, body).await, [ErrorKind::InvalidResponse; 2], "{body}");
    }
}

#[tokio::test]
async fn invalid_grant_is_a_verdict_on_the_refresh_token_or_on_the_credentials() {
    for status in [200, 400, 401, 403] {
        for code in ["invalid_grant", "invalid_code", "bad_refresh_token"] {
            let [fetched, refreshed] = errors(status, &[], &oauth(code)).await;

            assert_eq!(fetched.kind(), ErrorKind::CredentialsRejected, "{status} {code}");
            assert_eq!(refreshed.kind(), ErrorKind::RefreshRejected, "{status} {code}");
            assert_eq!(refreshed.oauth().unwrap().code(), code);
            assert_eq!(refreshed.oauth().unwrap().description(), Some("as it is"));
        }
    }
}

#[tokio::test]
async fn invalid_client_is_a_verdict_on_the_client() {
    for code in ["invalid_client", "incorrect_client_credentials"] {
        assert_eq!(kinds(401, &oauth(code)).await, [ErrorKind::CredentialsRejected; 2], "{code}");
    }
}

#[tokio::test]
async fn codes_that_want_a_person_ask_for_a_login() {
    for code in ["login_required", "interaction_required", "consent_required"] {
        assert_eq!(kinds(400, &oauth(code)).await, [ErrorKind::LoginRequired; 2], "{code}");
    }
}

#[tokio::test]
async fn every_other_refusal_wants_another_request_or_doubts_the_refresh_token() {
    let doubtful = ErrorKind::RefreshDoubtful;
    let rejected = ErrorKind::RequestRejected;
    for (status, body, on_refresh) in [
        (400, oauth("invalid_scope"), doubtful),
        (400, oauth("scope_invalid"), doubtful),
        (400, oauth("unsupported_grant_type"), doubtful),
        (400, oauth("made_up"), doubtful),
        (400, String::new(), doubtful),
        (401, String::new(), doubtful),
        (403, "<html>".to_owned(), rejected),
        (404, String::new(), rejected),
        (404, oauth("device_not_found"), doubtful),
        (405, "Method Not Allowed".to_owned(), rejected),
        (418, "teapot".to_owned(), rejected),
        (501, oauth("made_up"), rejected),
    ] {
        let [fetched, refreshed] = errors(status, &[], &body).await;

        assert_eq!(fetched.kind(), rejected, "{status} {body}");
        assert_eq!(fetched.recovery(), Recovery::FixRequest);
        assert_eq!(refreshed.kind(), on_refresh, "{status} {body}");
        assert!(!fetched.answer_lost() && !refreshed.answer_lost());
    }
}

#[tokio::test]
async fn redirects_are_answers_and_their_bodies_are_not_read() {
    for status in [301, 302, 303, 307, 308] {
        let location = [("location", "https://elsewhere.example.org/token")];

        let both = errors(status, &location, &oauth("invalid_grant")).await;

        for error in both {
            assert_eq!(error.kind(), ErrorKind::RequestRejected, "{status}");
            assert!(error.to_string().contains("redirect"), "{error}");
            assert!(error.oauth().is_none());
        }
    }
}

#[tokio::test]
async fn retry_after_is_kept_in_seconds_and_as_a_date() {
    let date = [
        ("retry-after", "Fri, 01 Jan 2100 00:02:00 GMT"),
        ("date", "Fri, 01 Jan 2100 00:00:00 GMT"),
    ];
    for (status, headers) in [(429, [("retry-after", "120"), ("x", "y")]), (503, date)] {
        let both = errors(status, &headers, "").await;

        for error in both {
            assert_eq!(error.retry_after(), Some(Duration::from_secs(120)), "{status}");
            let after = Some(Duration::from_secs(120));
            assert_eq!(error.recovery(), Recovery::Retry { after });
        }
    }
}

#[tokio::test]
async fn an_error_names_the_host_and_nothing_of_the_body() {
    let body = r#"{"error":"invalid_client","note":"planted"}"#;

    let [error, _] = errors(401, &[], body).await;

    assert!(error.to_string().contains("127.0.0.1:"), "{error}");
    assert!(!crate::support::printed(&error).contains("planted"), "{error:?}");
}

#[tokio::test]
async fn a_refusal_without_a_word_says_what_may_be_wrong() {
    for status in [400, 401, 403] {
        let [_, refreshed] = errors(status, &[], "").await;
        assert!(refreshed.to_string().contains("perhaps the"), "{refreshed}");
        assert!(refreshed.to_string().contains("refresh token"), "{refreshed}");
    }
    for status in [401, 403] {
        let [fetched, _] = errors(status, &[], "").await;
        assert!(fetched.to_string().contains("perhaps the credentials"), "{fetched}");
    }
    let [_, not_found] = errors(404, &[], "").await;
    assert!(!not_found.to_string().contains("perhaps"), "{not_found}");
}

#[tokio::test]
async fn a_refused_client_is_told_of_the_other_spelling_of_basic_where_there_is_one() {
    let refusals = [(403, String::new()), (401, oauth("invalid_client"))];
    for (status, body) in refusals {
        for (secret, is_told) in [("p%ss", true), ("pass", false)] {
            let server = MockServer::start_async().await;
            server
                .mock_async(|when, then| {
                    when.method(POST).path("/token");
                    then.status(status).body(&body);
                })
                .await;
            let provider = ClientCredentialsProvider::builder("svc", &server.url("/token"))
                .client("id", ClientAuth::basic(secret))
                .build()
                .unwrap();

            let error = fetch(&provider).await.unwrap_err();

            assert_eq!(error.to_string().contains("ClientAuth::basic_raw"), is_told, "{error}");
        }
    }
}
