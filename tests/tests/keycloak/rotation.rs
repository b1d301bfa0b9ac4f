//! Realms that give another refresh token for every one that is used.

use tokenkeeper::ErrorKind;

use crate::setup::{Account, token};

#[tokio::test]
async fn every_refresh_brings_the_token_of_the_next_one() {
    let account = Account::in_realm("mangadex-rotating", "rotated").await;
    let session = account.session();

    for _ in 0..4 {
        let token = token(&session).await;
        assert!(account.stands_by(&token).await);
        account.pass_fifteen_minutes();
    }

    let refreshes = ["refresh_token 200"; 3];
    assert_eq!(account.wire.exchanges(), [&["password 200"][..], &refreshes].concat());
}

#[tokio::test]
async fn a_copy_of_a_refresh_token_that_was_used_is_refused_and_said_to_need_a_login() {
    let account = Account::in_realm("mangadex-rotating", "copied").await;
    let session = account.session();
    token(&session).await;
    let copy = account.without_password();
    copy.install_refresh_token(session.refresh_token().await.unwrap().unwrap()).await.unwrap();
    account.pass_fifteen_minutes();
    token(&session).await;

    let error = copy.token().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::RefreshRejected);
    assert!(error.needs_login());
    assert!(error.to_string().contains("Maximum allowed refresh token reuse exceeded"), "{error}");
    assert!(copy.refresh_token().await.unwrap().is_none());
}

/// Keycloak ends the whole session then, as RFC 9700 §4.14.2 has it.
#[tokio::test]
async fn a_session_that_ended_because_a_copy_was_used_is_healed_by_the_password() {
    let account = Account::in_realm("mangadex-rotating", "thief").await;
    let session = account.session();
    token(&session).await;
    let thief = account.without_password();
    thief.install_refresh_token(session.refresh_token().await.unwrap().unwrap()).await.unwrap();
    token(&thief).await;
    account.pass_fifteen_minutes();

    let fresh = token(&session).await;

    assert!(account.stands_by(&fresh).await);
    let exchanges = ["password 200", "refresh_token 200", "refresh_token 400", "password 200"];
    assert_eq!(account.wire.exchanges(), exchanges);
}

#[tokio::test]
async fn where_one_reuse_is_forgiven_a_copy_works_once() {
    let account = Account::in_realm("mangadex-forgiving", "forgiven").await;
    let session = account.session();
    token(&session).await;
    let spent = session.refresh_token().await.unwrap().unwrap();
    account.pass_fifteen_minutes();
    token(&session).await;
    let [second, third] = [account.without_password(), account.without_password()];
    second.install_refresh_token(spent.clone()).await.unwrap();
    third.install_refresh_token(spent).await.unwrap();

    let forgiven = token(&second).await;
    let is_good = account.stands_by(&forgiven).await;
    let error = third.token().await.unwrap_err(); // and the session has ended

    assert!(is_good);
    assert_eq!(error.kind(), ErrorKind::RefreshRejected);
    assert!(error.needs_login());
    assert!(error.to_string().contains("Maximum allowed refresh token reuse exceeded"), "{error}");
}
