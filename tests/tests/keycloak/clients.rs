//! What becomes of a session when something becomes of the personal client.

use serde_json::json;
use tokenkeeper::ErrorKind;
use tokenkeeper_tests::errors_of_a_hundred_callers;

use crate::setup::{Account, PASSWORD, token};

#[tokio::test]
async fn a_client_that_is_not_approved_yet_is_refused_once_with_the_hint() {
    let account = Account::new("pending").await;
    account.change_client(json!({ "enabled": false })).await;
    let session = account.session();

    let errors = errors_of_a_hundred_callers(&session.manager().unwrap()).await;
    account.change_client(json!({ "enabled": true })).await;
    account.pass_the_spacing();
    let approved = session.login().await.unwrap();

    for error in errors {
        assert_eq!(error.kind(), ErrorKind::CredentialsRejected, "{error}");
        assert!(error.to_string().contains("may still be pending approval"), "{error}");
    }
    assert!(account.stands_by(&approved).await);
    assert_eq!(account.wire.exchanges(), ["password 401", "password 200"]);
}

#[tokio::test]
async fn a_client_that_is_disabled_for_a_while_costs_no_login() {
    let account = Account::new("disabled-client").await;
    let session = account.session();
    token(&session).await;
    account.change_client(json!({ "enabled": false })).await;
    account.pass_fifteen_minutes();

    let errors = errors_of_a_hundred_callers(&session.manager().unwrap()).await;
    account.change_client(json!({ "enabled": true })).await;
    account.pass_fifteen_minutes();
    let fresh = token(&session).await;

    for error in errors {
        assert_eq!(error.kind(), ErrorKind::CredentialsRejected, "{error}");
        assert_eq!(error.oauth().unwrap().code(), "invalid_client");
    }
    assert!(account.stands_by(&fresh).await);
    let exchanges = ["password 200", "refresh_token 401", "refresh_token 200"];
    assert_eq!(account.wire.exchanges(), exchanges);
}

/// Keycloak calls this `unauthorized_client`, with 401.
#[tokio::test]
async fn a_secret_that_was_made_anew_is_a_matter_of_the_client_and_not_of_the_refresh_token() {
    let account = Account::new("new-secret").await;
    let session = account.session();
    token(&session).await;
    account.change_client(json!({ "secret": "another" })).await;
    account.pass_fifteen_minutes();

    let errors = errors_of_a_hundred_callers(&session.manager().unwrap()).await;
    let kept = session.refresh_token().await.unwrap();

    for error in errors {
        assert_eq!(error.kind(), ErrorKind::CredentialsRejected, "{error}");
        assert_eq!(error.oauth().unwrap().code(), "unauthorized_client");
    }
    assert!(kept.is_some());
    assert_eq!(account.wire.exchanges(), ["password 200", "refresh_token 401"]);
}

#[tokio::test]
async fn a_wrong_secret_is_sent_once_for_a_hundred_callers() {
    let account = Account::new("wrong-secret").await;
    let session = account.session_with("wrong", PASSWORD);

    let errors = errors_of_a_hundred_callers(&session.manager().unwrap()).await;

    for error in errors {
        assert_eq!(error.kind(), ErrorKind::CredentialsRejected, "{error}");
        assert!(error.to_string().contains("the client was refused"), "{error}");
    }
    assert_eq!(account.wire.exchanges(), ["password 401"]);
}
