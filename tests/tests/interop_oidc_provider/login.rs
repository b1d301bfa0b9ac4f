//! Against npm's `oidc-provider`, which does what the standards say: getting in, and being refused.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "these are tests")]

use serde_json::json;
use tokenkeeper::{ErrorKind, Recovery, Secret};
use tokenkeeper_providers::{ClientAuth, ClientCredentialsProvider, PasswordProvider};
use tokenkeeper_tests::{
    Managed, OidcProvider, SPACING, at_once, errors_of_a_hundred_callers, fetch,
};

fn machine(
    server: &OidcProvider,
    id: &str,
    auth: ClientAuth,
    scopes: &[&str],
) -> ClientCredentialsProvider {
    ClientCredentialsProvider::builder("machine", &server.token_url())
        .client(id, auth)
        .scopes(scopes.iter().copied())
        .build()
        .unwrap()
}

fn user(server: &OidcProvider, name: &str, password: &str, scopes: &[&str]) -> PasswordProvider {
    PasswordProvider::builder("library", &server.token_url())
        .client("basic", ClientAuth::basic("basic-secret"))
        .user(name, password)
        .scopes(scopes.iter().copied())
        .build()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_callers_cause_one_request_with_a_secret_in_the_header() {
    let server = OidcProvider::alone().await;
    let provider = machine(&server, "basic", ClientAuth::basic("basic-secret"), &[]);
    let manager = Managed::new(provider).manager;

    let tokens = at_once(1_000, || {
        let manager = manager.clone();
        async move { manager.token().await.unwrap() }
    })
    .await;

    assert!(tokens.iter().all(|token| token.authorization() == tokens[0].authorization()));
    assert_eq!(server.stats().await, json!({ "basic": { "client_credentials 200": 1 } }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_callers_cause_one_request_with_a_secret_in_the_body() {
    let server = OidcProvider::alone().await;
    let provider = machine(&server, "post", ClientAuth::post("post-secret"), &[]);
    let manager = Managed::new(provider).manager;

    let tokens = at_once(1_000, || {
        let manager = manager.clone();
        async move { manager.token().await.unwrap() }
    })
    .await;

    assert!(tokens.iter().all(|token| token.authorization() == tokens[0].authorization()));
    assert_eq!(server.stats().await, json!({ "post": { "client_credentials 200": 1 } }));
}

#[tokio::test]
async fn a_client_gets_a_token_that_the_service_knows_with_the_scopes_that_it_asked_for() {
    let server = OidcProvider::alone().await;
    let scopes = ["api:read", "api:write"];
    let provider = machine(&server, "basic", ClientAuth::basic("basic-secret"), &scopes);

    let token = Managed::new(provider).manager.token().await.unwrap();

    assert_eq!(token.scopes().to_string(), "api:read api:write");
    let said = server.introspect(token.secret()).await;
    assert_eq!((&said["active"], &said["client_id"]), (&json!(true), &json!("basic")));
    assert_eq!(said["scope"], "api:read api:write");
}

#[tokio::test]
async fn an_id_and_a_secret_of_reserved_characters_arrive_form_encoded() {
    let server = OidcProvider::alone().await;
    let auth = ClientAuth::basic("p%40ss w+rd:&=/?");

    let token = Managed::new(machine(&server, "we:ird client", auth, &[])).manager.token().await;

    let said = server.introspect(token.unwrap().secret()).await;
    assert_eq!(said["client_id"], "we:ird client");
}

#[tokio::test]
async fn a_password_logs_its_user_in() {
    let server = OidcProvider::alone().await;
    let managed = Managed::new(user(&server, "alice", "wonderland", &[]));

    let token = managed.manager.token().await.unwrap();

    assert_eq!(server.introspect(token.secret()).await["sub"], "alice");
    assert!(managed.manager.status().has_refresh_token());
}

#[tokio::test]
async fn a_password_of_reserved_characters_and_beyond_ascii_arrives_as_it_is() {
    let server = OidcProvider::alone().await;
    let provider = user(&server, "bob", "pässwörd+&=% ✓", &[]);

    let token = Managed::new(provider).manager.token().await.unwrap();

    assert_eq!(server.introspect(token.secret()).await["sub"], "bob");
}

#[tokio::test]
async fn a_login_without_a_refresh_token_is_renewed_by_another_login() {
    let server = OidcProvider::alone().await;
    let managed = Managed::new(user(&server, "alice", "wonderland", &["openid"]));

    let first = managed.manager.token().await.unwrap();
    assert!(!managed.manager.status().has_refresh_token());
    managed.clock.advance(SPACING);
    let second = managed.manager.force_refresh().await.unwrap();

    assert_ne!(first.authorization(), second.authorization());
    assert_eq!(server.stats().await, json!({ "basic": { "password 200": 2 } }));
}

#[tokio::test]
async fn a_public_client_logs_in_refreshes_and_logs_out_by_its_id_alone() {
    let server = OidcProvider::alone().await;
    let provider = PasswordProvider::builder("library", &server.token_url())
        .client("public", ClientAuth::none())
        .user("alice", "wonderland")
        .revocation_url(server.revocation_url())
        .build()
        .unwrap();
    let managed = Managed::new(provider);

    managed.manager.token().await.unwrap();
    managed.clock.advance(SPACING);
    let token = managed.manager.force_refresh().await.unwrap();
    assert_eq!(server.introspect(token.secret()).await["client_id"], "public");
    managed.manager.revoke().await.unwrap();

    assert!(!server.knows(token.secret()).await);
    let stats = server.stats().await;
    assert_eq!(stats, json!({ "public": { "password 200": 1, "refresh_token 200": 1 } }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_client_secret_is_sent_once_for_a_hundred_calls() {
    let server = OidcProvider::alone().await;
    let provider = machine(&server, "basic", ClientAuth::basic("planted-secret"), &[]);
    let manager = Managed::new(provider).manager;

    let errors = errors_of_a_hundred_callers(&manager).await;

    for error in &errors {
        assert_eq!(error.kind(), ErrorKind::CredentialsRejected, "{error}");
        assert_eq!(error.recovery(), Recovery::Reauthenticate);
        assert_eq!(error.oauth().unwrap().code(), "invalid_client");
        assert!(!format!("{error} {error:?}").contains("planted"));
    }
    assert_eq!(server.stats().await, json!({ "basic": { "client_credentials 401": 1 } }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_sent_once_for_a_hundred_calls() {
    let server = OidcProvider::alone().await;
    let manager = Managed::new(user(&server, "alice", "planted-password", &[])).manager;

    let errors = errors_of_a_hundred_callers(&manager).await;

    for error in &errors {
        assert_eq!(error.kind(), ErrorKind::CredentialsRejected, "{error}");
        assert_eq!(error.oauth().unwrap().code(), "invalid_grant");
        assert!(!format!("{error} {error:?}").contains("planted"));
    }
    assert_eq!(server.stats().await, json!({ "basic": { "password 400": 1 } }));
}

#[tokio::test]
async fn a_scope_that_does_not_exist_is_a_mistake_in_the_request() {
    let server = OidcProvider::alone().await;

    let error = fetch(&user(&server, "alice", "wonderland", &["api:fly"])).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::RequestRejected, "{error}");
    assert_eq!(error.recovery(), Recovery::FixRequest);
    assert_eq!(error.oauth().unwrap().code(), "invalid_scope");
}

#[tokio::test]
async fn a_scope_that_the_service_left_out_is_not_claimed() {
    let server = OidcProvider::alone().await;
    let scopes = ["api:read", "api:fly"]; // for a client it drops what it does not know
    let provider = machine(&server, "basic", ClientAuth::basic("basic-secret"), &scopes);

    let token = Managed::new(provider).manager.token().await.unwrap();

    assert_eq!(token.scopes().to_string(), "api:read");
    assert_eq!(server.introspect(token.secret()).await["scope"], "api:read");
}

#[tokio::test]
async fn a_url_beside_the_token_endpoint_is_a_mistake_in_the_request() {
    let server = OidcProvider::alone().await;
    let url = server.token_url().replace("/token", "/tokens");
    let provider = ClientCredentialsProvider::builder("machine", &url)
        .client("basic", ClientAuth::basic("basic-secret"))
        .build()
        .unwrap();

    let error = Managed::new(provider).manager.token().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::RequestRejected, "{error}");
    assert!(error.to_string().contains("token URL"), "{error}");
}

#[tokio::test]
async fn a_token_that_never_was_is_not_active() {
    let server = OidcProvider::alone().await;

    assert!(!server.knows(&Secret::from("no-such-token")).await);
}
