//! M7: fifty restarting pods try a wrong password once a minute, not fifty times.

use std::time::SystemTime;

use crate::support::records::{holds, key_of, record_of, stored, tokens_of};
use crate::support::setup::{Setup, manager, seconds};
use tokenkeeper::{
    Clock, Error, ErrorKind, ManualClock, MemoryStorage, OAuthError, Order, ProviderIdentity,
    TokenManager, TokenRecord, TokenStorage,
};
use tokenkeeper_testkit::{ScriptedProvider, Step};

#[tokio::test]
async fn fifty_fresh_managers_try_a_wrong_password_once_a_minute() {
    let (provider, clock, storage) = wrong_password();

    for _ in 0..50 {
        refused(&manager(&provider, storage.clone(), &clock)).await;
        clock.advance(seconds(1));
    }
    assert_eq!(provider.calls(), 1);
    clock.advance(seconds(10));
    for _ in 0..50 {
        refused(&manager(&provider, storage.clone(), &clock)).await;
    }

    assert_eq!(provider.calls(), 2);
}

#[tokio::test]
async fn fifty_managers_that_stay_ask_hardly_more_often_than_one() {
    let (provider, clock, storage) = wrong_password();
    let pods: Vec<_> = (0..50).map(|_| manager(&provider, storage.clone(), &clock)).collect();

    for _ in 0..300 {
        for pod in &pods {
            refused(pod).await;
        }
        clock.advance(seconds(1));
    }

    // One of them alone asks 6 times: at once, and after 5, 15, 35, 75 and 155 s.
    assert_eq!(provider.calls(), 11);
}

#[tokio::test]
async fn a_process_that_was_told_of_corrected_credentials_asks_at_once() {
    let (provider, clock, storage) = wrong_password();
    let one = manager(&provider, storage.clone(), &clock);
    let two = manager(&provider, storage, &clock);
    refused(&one).await;
    refused(&two).await;
    provider.always_on_fetch(Step::issue());

    refused(&two).await;
    two.credentials_changed();
    two.token().await.unwrap();

    assert_eq!(provider.calls(), 2);
}

#[tokio::test]
async fn what_another_process_was_told_is_reported_with_its_status_and_code() {
    let (provider, clock, storage) = wrong_password();
    refused(&manager(&provider, storage.clone(), &clock)).await;
    clock.advance(seconds(20));

    let error = manager(&provider, storage, &clock).token().await.unwrap_err();

    assert_eq!(error.status(), Some(http::StatusCode::BAD_REQUEST));
    assert_eq!(error.oauth().map(OAuthError::code), Some("invalid_grant"));
    assert_eq!(error.retry_after(), Some(seconds(40)));
}

#[tokio::test]
async fn the_stored_verdict_says_when_and_what_the_service_said_and_nothing_of_the_credential() {
    let (provider, clock, storage) = wrong_password();
    let identity = ProviderIdentity::new("svc").with("client_id", "cid").with("subject", "alice");
    let provider = provider.with_identity(identity);
    let said = Error::new(ErrorKind::CredentialsRejected, "hunter2 is wrong")
        .with_status(http::StatusCode::UNAUTHORIZED)
        .with_oauth(OAuthError::new("invalid_client", Some("hunter2 is wrong")));
    provider.always_on_fetch(Step::fail(said));
    let manager = manager(&provider, storage.clone(), &clock);
    refused(&manager).await;

    let record = stored(&storage, manager.key()).await.unwrap();

    let at = clock.now().wall().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
    let expected =
        format!(r#"{{"v":1,"rejected":{{"at":{at},"status":401,"code":"invalid_client"}}}}"#);
    assert_eq!(std::str::from_utf8(record.payload()).unwrap(), expected);
}

#[tokio::test]
async fn a_success_takes_the_verdict_out_of_the_storage() {
    let (provider, clock, storage) = wrong_password();
    let manager = manager(&provider, storage.clone(), &clock);
    refused(&manager).await;
    provider.always_on_fetch(Step::issue());

    manager.credentials_changed();
    manager.token().await.unwrap();

    assert!(!holds(&storage, manager.key(), "rejected").await);
}

#[tokio::test]
async fn a_verdict_leaves_the_stored_tokens_in_the_storage() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager, clock, storage } = Setup::new(&provider);
    manager.token().await.unwrap();
    provider.on_refresh(Step::fail(Error::new(ErrorKind::CredentialsRejected, "x")));
    clock.advance(seconds(675));

    manager.token().await.unwrap();
    manager.flush().await.unwrap();

    assert!(holds(&storage, manager.key(), "rejected").await);
    assert!(holds(&storage, manager.key(), "refresh-1").await);
    assert_eq!(manager.token().await.unwrap().authorization(), "Bearer access-1");
}

#[tokio::test]
async fn a_verdict_without_tokens_takes_none_from_a_process_that_has_some() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager, clock, storage } = Setup::new(&provider);
    manager.token().await.unwrap();
    // The storage lost the record, and a pod with a wrong password left its verdict.
    let verdict = br#"{"v":1,"rejected":{"at":0}}"#.to_vec();
    let verdict = TokenRecord::from_parts(verdict, Order::default(), None, false);
    storage.set(manager.key(), &verdict).await.unwrap();

    clock.advance(seconds(675));
    manager.token().await.unwrap();
    manager.flush().await.unwrap();

    assert_eq!((provider.fetches(), provider.spent()), (1, vec!["refresh-1".to_owned()]));
    assert!(holds(&storage, manager.key(), "refresh-2").await);
}

#[tokio::test]
async fn a_verdict_dated_in_the_future_is_not_believed() {
    let (provider, clock, storage) = wrong_password();
    let manager = manager(&provider, storage, &clock);
    refused(&manager).await;
    provider.always_on_fetch(Step::issue());

    clock.set_wall(clock.now().wall() - seconds(24 * 3_600));
    clock.advance(seconds(60));

    manager.token().await.unwrap();
}

#[tokio::test]
async fn a_valid_token_of_a_sibling_is_adopted_whatever_verdict_is_stored_with_it() {
    let (provider, clock, storage) = wrong_password();
    let good = record_of(tokens_of("sibling", clock.now().wall()), Order::new(0, 7)).await;
    let tokens = String::from_utf8(good.payload().to_vec()).unwrap();
    let at = clock.now().wall().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
    let both = tokens.replacen("{", &format!(r#"{{"rejected":{{"at":{at}}},"#), 1);
    storage.set(&key_of("svc"), &good.with_payload(both.into_bytes())).await.unwrap();

    let token = manager(&provider, storage, &clock).token().await.unwrap();

    assert_eq!(token.authorization(), "Bearer sibling-access");
    assert_eq!(provider.calls(), 0);
}

async fn refused(manager: &TokenManager) {
    let error = manager.token().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CredentialsRejected);
}

fn wrong_password() -> (ScriptedProvider, ManualClock, MemoryStorage) {
    let provider = ScriptedProvider::new("svc");
    provider.always_on_fetch(Step::refuse_credentials());
    (provider, ManualClock::new(), MemoryStorage::new())
}
