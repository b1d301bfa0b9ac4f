//! Sessions at the realm: how long they last, and what ends them.

use std::time::Duration;

use serde_json::json;
use tokenkeeper::{Clock, ErrorKind, SystemClock};
use tokenkeeper_mangadex::Session;

use crate::setup::{Account, minutes_later, token};

/// Whose refresh token the realm does not take any more, so that the password has to.
async fn heals(account: &Account, session: &Session) {
    account.pass_fifteen_minutes();

    let fresh = token(session).await;

    assert!(account.stands_by(&fresh).await);
    let exchanges = ["password 200", "refresh_token 400", "password 200"];
    assert_eq!(account.wire.exchanges(), exchanges);
}

#[tokio::test]
async fn the_password_is_sent_once_and_the_refresh_token_serves_from_then_on() {
    let account = Account::new("usual").await;
    let session = account.session();

    for _ in 0..3 {
        let token = token(&session).await;
        assert!(account.stands_by(&token).await);
        account.pass_fifteen_minutes();
    }

    let exchanges = ["password 200", "refresh_token 200", "refresh_token 200"];
    assert_eq!(account.wire.exchanges(), exchanges);
}

#[tokio::test]
async fn a_token_serves_until_thirty_seconds_before_its_fifteen_minutes_are_over() {
    let account = Account::new("fifteen-minutes").await;
    let session = account.session();
    let first = token(&session).await;

    account.clock.advance(Duration::from_secs(11 * 60));
    let same = token(&session).await;
    account.clock.advance(Duration::from_secs(3 * 60 + 30));
    let next = token(&session).await;

    assert!(first.secret().ct_eq(same.secret()));
    assert!(!first.secret().ct_eq(next.secret()));
    assert_eq!(account.wire.exchanges(), ["password 200", "refresh_token 200"]);
}

#[tokio::test]
async fn a_clock_that_is_a_minute_off_costs_no_request() {
    let account = Account::new("skewed").await;
    for minutes in [-1, 1] {
        account.clock.set_wall(minutes_later(minutes));
        let session = account.session();
        let first = token(&session).await;

        account.clock.advance(Duration::from_secs(11 * 60));
        let same = token(&session).await;

        assert!(first.secret().ct_eq(same.secret()));
        assert!(account.stands_by(&same).await);
    }
    assert_eq!(account.wire.exchanges(), ["password 200", "password 200"]);
}

#[tokio::test]
async fn a_session_that_the_administrator_ended_is_healed_by_the_password() {
    let account = Account::new("ended").await;
    let session = account.session();
    token(&session).await;

    account.end_sessions().await;

    heals(&account, &session).await;
}

#[tokio::test]
async fn a_token_of_a_session_that_was_ended_is_replaced_when_the_api_refuses_it() {
    let account = Account::new("ended-early").await;
    let session = account.session();
    let refused = token(&session).await;
    account.end_sessions().await;
    account.clock.advance(Duration::from_secs(60));

    let fresh = session.replace_rejected(&refused).await.unwrap().unwrap();

    assert!(!account.stands_by(&refused).await);
    assert!(account.stands_by(&fresh).await);
    let exchanges = ["password 200", "refresh_token 400", "password 200"];
    assert_eq!(account.wire.exchanges(), exchanges);
}

#[tokio::test]
async fn who_keeps_no_password_is_told_to_log_in_when_the_administrator_ended_the_session() {
    let account = Account::new("ended-without-password").await;
    let first = account.session();
    token(&first).await;
    let session = account.without_password();
    session.install_refresh_token(first.refresh_token().await.unwrap().unwrap()).await.unwrap();
    account.end_sessions().await;

    let error = session.token().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::RefreshRejected);
    assert!(error.needs_login());
    assert!(error.to_string().contains("Session not active"), "{error}");
    assert!(session.refresh_token().await.unwrap().is_none());
}

/// `notBefore` of a client, which the console calls a revocation.
#[tokio::test]
async fn tokens_from_before_the_not_before_of_the_client_are_healed_by_the_password() {
    let account = Account::new("not-before").await;
    let session = account.session();
    token(&session).await;
    let now = SystemClock.now().wall().duration_since(std::time::UNIX_EPOCH).unwrap();

    account.change_client(json!({ "notBefore": now.as_secs() + 1 })).await;
    SystemClock.sleep(Duration::from_secs(2)).await; // the realm has a clock of its own

    heals(&account, &session).await;
}

#[tokio::test]
async fn an_idle_time_that_is_shorter_than_the_refresh_token_says_is_healed_by_the_password() {
    let account = Account::new("idle").await;
    let session = account.session();
    token(&session).await;
    let tokens = session.manager().unwrap().tokens().await.unwrap().unwrap();
    let left = tokens.refresh_expires_at().unwrap();

    account.change_client(json!({ "attributes": { "client.session.idle.timeout": "1" } })).await;
    SystemClock.sleep(Duration::from_secs(2)).await; // the realm has a clock of its own

    account.pass_fifteen_minutes();
    token(&session).await; // which a busy machine may find idle again in a second

    assert!(left > minutes_later(24 * 60));
    let exchanges = ["password 200", "refresh_token 400", "password 200"];
    assert_eq!(account.wire.exchanges(), exchanges);
}

#[tokio::test]
async fn after_a_logout_neither_token_is_good_at_the_realm() {
    let account = Account::new("logout").await;
    let session = account.session();
    let access_token = token(&session).await;
    let refresh_token = session.refresh_token().await.unwrap().unwrap();

    session.logout().await.unwrap();

    assert!(session.is_anonymous());
    assert!(!account.stands_by(&access_token).await);
    let other = account.without_password();
    other.install_refresh_token(refresh_token).await.unwrap();
    let error = other.token().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RefreshRejected, "{error}");
}
