//! Against Debian's `glewlwyd`, which is right in its own way: it refuses with 403 and nothing to
//! read, and takes Basic credentials only as they are.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "these are tests")]

use serde_json::Value;
use tokenkeeper::{ErrorKind, Secret, TokenSet};
use tokenkeeper_providers::{ClientAuth, ClientCredentialsProvider, PasswordProvider};
use tokenkeeper_tests::{
    Glewlwyd, Managed, SPACING, Wire, at_once, errors_of_a_hundred_callers, fetch, post_form,
    refresh, server_url,
};

fn machine(wire: &Wire, id: &str, auth: ClientAuth) -> ClientCredentialsProvider {
    ClientCredentialsProvider::builder("machine", &url("token"))
        .client(id, auth)
        .scopes(["read"])
        .transport(wire.clone())
        .build()
        .unwrap()
}

fn alice(wire: &Wire, password: &str) -> PasswordProvider {
    PasswordProvider::builder("library", &url("token"))
        .client("basic", ClientAuth::basic("basic-secret"))
        .user("alice", password)
        .scopes(["read"])
        .revocation_url(url("revoke"))
        .transport(wire.clone())
        .build()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_callers_cause_one_request() {
    let _glewlwyd = Glewlwyd::alone().await;
    let wire = Wire::new();
    let provider = machine(&wire, "basic", ClientAuth::basic("basic-secret"));
    let manager = Managed::new(provider).manager;

    let tokens = at_once(1_000, || {
        let manager = manager.clone();
        async move { manager.token().await.unwrap() }
    })
    .await;

    assert!(tokens.iter().all(|token| token.authorization() == tokens[0].authorization()));
    assert_eq!(wire.exchanges(), ["client_credentials 200"]);
}

#[tokio::test]
async fn a_token_type_in_lower_case_makes_a_header_as_the_standard_has_it() {
    let _glewlwyd = Glewlwyd::alone().await;
    let form = [("grant_type", "client_credentials"), ("scope", "read")];
    let answer = post_form(&url("token"), BASIC, &form).await;
    let answer: Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(answer["token_type"], "bearer");

    let provider = machine(&Wire::new(), "basic", ClientAuth::basic("basic-secret"));
    let token = Managed::new(provider).manager.token().await.unwrap();

    let header = token.authorization();
    assert!(header.to_str().unwrap().starts_with("Bearer "));
}

#[tokio::test]
async fn an_id_and_a_secret_of_reserved_characters_get_in_as_they_are() {
    let _glewlwyd = Glewlwyd::alone().await;
    let wire = Wire::new();
    let auth = ClientAuth::basic_raw("p%40ss w+rd:&=/?");

    Managed::new(machine(&wire, "weird client", auth)).manager.token().await.unwrap();

    assert_eq!(wire.exchanges(), ["client_credentials 200"]);
}

#[tokio::test]
async fn an_encoded_id_and_secret_are_refused_without_a_word() {
    let _glewlwyd = Glewlwyd::alone().await;
    let wire = Wire::new();
    let auth = ClientAuth::basic("p%40ss w+rd:&=/?");

    let result = Managed::new(machine(&wire, "weird client", auth)).manager.token().await;

    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RequestRejected, "{error}");
    assert!(error.to_string().contains("ClientAuth::basic_raw"), "{error}");
    assert_eq!(wire.exchanges(), ["client_credentials 403 empty"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_client_secret_is_sent_once_for_a_hundred_calls() {
    let _glewlwyd = Glewlwyd::alone().await;
    let wire = Wire::new();
    let manager =
        Managed::new(machine(&wire, "basic", ClientAuth::basic("planted-secret"))).manager;

    let errors = errors_of_a_hundred_callers(&manager).await;

    for error in &errors {
        assert_eq!(error.kind(), ErrorKind::RequestRejected, "{error}");
        assert!(error.to_string().contains("credentials"), "{error}");
        assert!(!format!("{error} {error:?}").contains("planted"));
    }
    assert_eq!(wire.exchanges(), ["client_credentials 403 empty"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_sent_once_for_a_hundred_calls() {
    let _glewlwyd = Glewlwyd::alone().await;
    let wire = Wire::new();
    let manager = Managed::new(alice(&wire, "planted-password")).manager;

    let errors = errors_of_a_hundred_callers(&manager).await;

    for error in &errors {
        assert_eq!(error.kind(), ErrorKind::RequestRejected, "{error}");
        assert!(error.to_string().contains("credentials"), "{error}");
        assert!(!format!("{error} {error:?}").contains("planted"));
    }
    assert_eq!(wire.exchanges(), ["password 403 empty"]);
}

#[tokio::test]
async fn a_manager_lives_on_refresh_tokens_of_one_use_and_sends_the_password_once() {
    let _glewlwyd = Glewlwyd::alone().await;
    let wire = Wire::new();
    let managed = Managed::new(alice(&wire, "wonderland"));

    managed.manager.token().await.unwrap();
    for _ in 0..4 {
        managed.clock.advance(SPACING);
        managed.manager.force_refresh().await.unwrap();
    }

    let mut expected = vec!["password 200"];
    expected.extend(["refresh_token 200"; 4]);
    assert_eq!(wire.exchanges(), expected);
}

#[tokio::test]
async fn a_spent_refresh_token_that_is_refused_without_a_word_leads_to_a_login() {
    let _glewlwyd = Glewlwyd::alone().await;
    let wire = Wire::new();
    let provider = alice(&wire, "wonderland");
    let login = fetch(&provider).await.unwrap();
    refresh(&provider, &login).await.unwrap(); // another process was first
    let managed = Managed::new(provider);
    managed.manager.install(login).await.unwrap();

    managed.manager.force_refresh().await.unwrap();

    let expected = ["password 200", "refresh_token 200", "refresh_token 400 empty", "password 200"];
    assert_eq!(wire.exchanges(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_refresh_token_costs_one_login_for_all_callers() {
    let _glewlwyd = Glewlwyd::alone().await;
    let wire = Wire::new();
    let managed = Managed::new(alice(&wire, "wonderland"));
    managed.manager.install(TokenSet::from_refresh_token("no-such-token")).await.unwrap();

    let tokens = at_once(10, || {
        let manager = managed.manager.clone();
        async move { manager.token().await.unwrap() }
    })
    .await;

    assert_eq!(tokens.len(), 10);
    assert_eq!(wire.exchanges(), ["refresh_token 400 empty", "password 200"]);
}

#[tokio::test]
async fn tokens_are_good_until_they_are_revoked() {
    let _glewlwyd = Glewlwyd::alone().await;
    let provider = alice(&Wire::new(), "wonderland");
    let login = fetch(&provider).await.unwrap();
    let both = [login.refresh_token().unwrap(), login.access_token().unwrap().secret()];
    let managed = Managed::new(provider);
    managed.manager.install(login.clone()).await.unwrap();
    assert!(is_active(both[0]).await && is_active(both[1]).await);

    managed.manager.revoke().await.unwrap();

    assert!(!is_active(both[0]).await && !is_active(both[1]).await);
}

/// RFC 7662.
async fn is_active(token: &Secret) -> bool {
    let form = [("token", token.expose_secret())];
    let answer = post_form(&url("introspect"), BASIC, &form).await;
    let answer: Value = serde_json::from_slice(answer.body()).unwrap();
    answer["active"] == true
}

fn url(endpoint: &str) -> String {
    format!("{}/api/oidc/{endpoint}", server_url("TOKENKEEPER_GLEWLWYD_URL"))
}

const BASIC: &str = "Basic YmFzaWM6YmFzaWMtc2VjcmV0"; // basic:basic-secret
