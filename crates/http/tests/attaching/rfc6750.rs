//! Bearer tokens (RFC 6750). Which origins get one is in `where_tokens_go.rs`, what a refusal
//! leads to in `after_a_refusal.rs`.

use crate::setup::{API, api, attached, manager, reaction, sent_to};
use http::HeaderMap;
use http::header::{AUTHORIZATION, COOKIE};
use tokenkeeper::ManualClock;
use tokenkeeper_http::Reaction;
use tokenkeeper_testkit::ScriptedProvider;

#[tokio::test]
async fn a_token_is_sent_in_the_authorization_header_and_in_no_other_way() {
    let routes = api(manager(&ScriptedProvider::new("svc"), &ManualClock::new()));

    let headers: HeaderMap = sent_to(&routes, &format!("{API}/a?b=c")).await.unwrap();

    assert_eq!(headers.len(), 1, "§2.3 and §5.3: no query, no cookie");
    assert_eq!(headers.get_all(AUTHORIZATION).iter().count(), 1, "§2: one method");
    assert_eq!(headers.get(AUTHORIZATION).unwrap(), "Bearer access-1");
    assert!(headers.get(AUTHORIZATION).unwrap().is_sensitive());
    assert!(!headers.contains_key(COOKIE));
}

#[tokio::test]
async fn each_error_code_leads_to_what_can_help_against_it() {
    let routes = api(manager(&ScriptedProvider::new("svc"), &ManualClock::new()));
    let attached = attached(&routes).await;

    for (status, code, expected) in [
        (401, "invalid_token", Reaction::ReplaceToken),
        (403, "insufficient_scope", Reaction::GiveUp), // another token would have the same scopes
        (400, "invalid_request", Reaction::GiveUp),    // it would be as wrong as before
    ] {
        let challenge = format!(r#"Bearer realm="api", error="{code}""#);
        assert_eq!(reaction(&attached, status, Some(&challenge)), expected, "§3.1: {code}");
    }
}
