//! What becomes of a session when something becomes of the user.

use serde_json::json;
use tokenkeeper::{ErrorKind, Recovery};
use tokenkeeper_tests::errors_of_a_hundred_callers;

use crate::setup::{Account, PASSWORD, SECRET, token};

#[tokio::test]
async fn a_wrong_password_is_sent_once_for_a_hundred_callers() {
    let account = Account::new("wrong-password").await;
    let session = account.session_with(SECRET, "another");

    let errors = errors_of_a_hundred_callers(&session.manager().unwrap()).await;

    for error in errors {
        assert_eq!(error.kind(), ErrorKind::CredentialsRejected, "{error}");
        assert!(error.to_string().contains("Invalid user credentials"), "{error}");
    }
    assert_eq!(account.wire.exchanges(), ["password 400"]);
}

#[tokio::test]
async fn a_disabled_user_gets_no_token_and_one_who_is_enabled_again_logs_in() {
    let account = Account::new("disabled-user").await;
    let session = account.session();
    token(&session).await;
    account.change_user(json!({ "enabled": false })).await;
    account.pass_fifteen_minutes();

    let errors = errors_of_a_hundred_callers(&session.manager().unwrap()).await;
    account.change_user(json!({ "enabled": true })).await;
    account.pass_the_spacing();
    let fresh = session.login().await.unwrap();

    for error in errors {
        assert_eq!(error.kind(), ErrorKind::CredentialsRejected, "{error}");
        assert!(error.to_string().contains("Account disabled"), "{error}");
    }
    assert!(account.stands_by(&fresh).await);
    let exchanges = ["password 200", "refresh_token 400", "password 400", "password 200"];
    assert_eq!(account.wire.exchanges(), exchanges);
}

#[tokio::test]
async fn a_session_goes_on_after_the_password_was_changed_until_it_has_to_log_in() {
    let account = Account::new("changed-password").await;
    let session = account.session();
    token(&session).await;
    account.change_password("another").await;
    account.pass_fifteen_minutes();

    let fresh = token(&session).await;
    let error = session.login().await.unwrap_err();

    assert!(account.stands_by(&fresh).await);
    assert_eq!(error.kind(), ErrorKind::CredentialsRejected);
    assert_eq!(error.recovery(), Recovery::Reauthenticate);
    let exchanges = ["password 200", "refresh_token 200", "password 400"];
    assert_eq!(account.wire.exchanges(), exchanges);
}

#[tokio::test]
async fn a_password_with_colons_and_signs_of_forms_arrives_as_it_is() {
    let account = Account::new("odd-password").await;
    for odd in ["a:b:c", "a+b&c=d%20", "pässwörd €", PASSWORD] {
        account.change_password(odd).await;

        let token = token(&account.session_with(SECRET, odd)).await;

        assert!(account.stands_by(&token).await, "{odd}");
    }
}
