//! Services that need more than the standard, each with answers that it really gives.

#![cfg(feature = "discovery")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use serde_json::Value;
use tokenkeeper::{Error, ErrorKind, TokenSet};
use tokenkeeper_providers::{
    AuthorizationServer, ClientAuth, PasswordProvider, RefreshTokenProvider,
};

use crate::support::{Playback, fetch};

/// The answer of a service in one of the fixture files.
fn fixture(provider: &str, case: &str) -> Value {
    let files = [
        include_str!("../fixtures/token-responses.json"),
        include_str!("../fixtures/service-responses.json"),
    ];
    let mut entries =
        files.iter().flat_map(|text| serde_json::from_str::<Vec<Value>>(text).unwrap());
    entries.find(|entry| entry["provider"] == provider && entry["case"] == case).unwrap()
}

/// What a provider for this service makes of the answer.
async fn read(server: &AuthorizationServer, entry: &Value) -> Result<TokenSet, Error> {
    let status = u16::try_from(entry["status"].as_u64().unwrap()).unwrap();
    let playback = Playback::default().and(status, entry["body"].as_str().unwrap());
    let provider = PasswordProvider::of_server("svc", server)
        .unwrap()
        .client("id", ClientAuth::none())
        .user("alice", "hunter2")
        .transport(playback)
        .build()
        .unwrap();
    fetch(&provider).await
}

fn assert_expected(tokens: &TokenSet, entry: &Value) {
    let expect = &entry["expect"];
    let token = tokens.access_token().unwrap();
    assert_eq!(token.secret().expose_secret(), expect["access_token"].as_str().unwrap());
    assert!(token.is_bearer());
    let scopes: Vec<&str> = tokens.scopes().unwrap().iter().collect();
    let mut wanted: Vec<&str> =
        expect["scopes"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    wanted.sort_unstable();
    assert_eq!(scopes, wanted);
    let refresh_token = tokens.refresh_token().map(|token| token.expose_secret());
    assert_eq!(refresh_token, expect["refresh_token"].as_str());
    assert_eq!(tokens.lifetime().map(|life| life.as_secs()), expect["expires_in_seconds"].as_u64());
}

#[tokio::test]
async fn github_answers_in_a_form_or_json_and_separates_scopes_by_commas() {
    for case in [
        "success, default Accept",
        "success, Accept: application/json",
        "form body labelled application/json",
    ] {
        let entry = fixture("github", case);

        let tokens = read(&AuthorizationServer::GITHUB, &entry).await.unwrap();

        assert_expected(&tokens, &entry);
    }
}

#[tokio::test]
async fn github_refuses_under_a_200() {
    for case in ["bad code", "bad client secret"] {
        let error = read(&AuthorizationServer::GITHUB, &fixture("github", case)).await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::CredentialsRejected, "{case}");
    }
}

#[tokio::test]
async fn github_is_asked_for_json_with_the_secret_in_the_body() {
    let playback = Playback::of(&[crate::support::OK]);
    let server = AuthorizationServer::GITHUB;
    let provider = RefreshTokenProvider::of_server("github", &server)
        .unwrap()
        .client("id", server.client_auth("hunter2").unwrap())
        .transport(playback.clone())
        .build()
        .unwrap();

    crate::support::refresh(&provider, &TokenSet::from_refresh_token("ghr_1")).await.unwrap();

    let request = playback.request(0);
    assert_eq!(request.uri(), "https://github.com/login/oauth/access_token");
    assert_eq!(request.headers()["accept"], "application/json");
    assert!(playback.body(0).ends_with("client_id=id&client_secret=hunter2"));
}

#[tokio::test]
async fn slack_nests_the_token_of_a_user_and_that_of_a_bot_comes_first() {
    for case in ["a bot and a user", "a user alone"] {
        let entry = fixture("slack", case);

        let tokens = read(&AuthorizationServer::SLACK, &entry).await.unwrap();

        assert_expected(&tokens, &entry);
        assert_eq!(tokens.extra()["authed_user"]["id"], "U1234");
        let extra = serde_json::to_string(tokens.extra()).unwrap();
        assert!(!extra.contains("xox"), "a token among the other members: {extra}");
    }
}

#[tokio::test]
async fn slack_refuses_under_a_200() {
    let error = read(&AuthorizationServer::SLACK, &fixture("slack", "error")).await.unwrap_err();

    assert_eq!(error.oauth().unwrap().code(), "invalid_code");
    assert_eq!(error.kind(), ErrorKind::CredentialsRejected);
}

#[tokio::test]
async fn nesting_and_other_names_for_bearer_tokens_are_off_by_default() {
    let builder = |playback| {
        PasswordProvider::builder("svc", crate::support::TOKEN_URL)
            .client("id", ClientAuth::none())
            .user("alice", "hunter2")
            .transport(playback)
    };
    let nested =
        || Playback::of(&[r#"{"meta":{"http_code":200},"response":{"access_token":"a"}}"#]);
    let named = || Playback::of(&[r#"{"access_token":"a","token_type":"bot"}"#]);

    let error = fetch(&builder(nested()).build().unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidResponse);
    fetch(&builder(nested()).tokens_nested_in("response").build().unwrap()).await.unwrap();
    let error = fetch(&builder(named()).build().unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidResponse);
    fetch(&builder(named()).bearer_tokens_named(["bot"]).build().unwrap()).await.unwrap();
}

#[tokio::test]
async fn what_belongs_to_a_token_comes_from_where_the_token_is() {
    let body =
        r#"{"scope":"outer","expires_in":1,"in":{"access_token":"a","token_type":"bearer"}}"#;
    let provider = PasswordProvider::builder("svc", crate::support::TOKEN_URL)
        .client("id", ClientAuth::none())
        .user("alice", "hunter2")
        .tokens_nested_in("in")
        .transport(Playback::of(&[body]))
        .build()
        .unwrap();

    let tokens = fetch(&provider).await.unwrap();

    assert_eq!(tokens.scopes(), None);
    assert_eq!(tokens.lifetime(), None);
}
