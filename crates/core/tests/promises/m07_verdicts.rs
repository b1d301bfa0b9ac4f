//! M7: a credential that was refused is sent once, and a person is not replaced by a loop.

use std::time::Duration;

use crate::support::records::tokens_of;
use crate::support::setup::{Setup, manager, seconds};
use tokenkeeper::{
    Clock, Error, ErrorKind, ManualClock, MemoryStorage, Recovery, TokenManager, TokenStorage,
};
use tokenkeeper_testkit::{PlainStorage, ScriptedProvider, Step};

#[tokio::test]
async fn a_refused_credential_is_sent_once_for_a_thousand_calls() {
    let (provider, manager, _clock) = refused_on(MemoryStorage::new()).await;

    for _ in 0..1_000 {
        let error = manager.token().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CredentialsRejected);
        assert!(error.retry_after().is_some());
    }

    assert_eq!(provider.calls(), 1);
}

#[tokio::test]
async fn a_refused_credential_is_tried_again_after_5_s_doubling_to_10_min() {
    let (provider, manager, clock) = refused_on(PlainStorage::new(MemoryStorage::new())).await;

    for (refusals, pause) in (1..).zip([5, 10, 20, 40, 80, 160, 320, 600, 600]) {
        clock.advance(seconds(pause) - Duration::from_millis(1));
        manager.token().await.unwrap_err();
        assert_eq!(provider.calls(), refusals);
        clock.advance(Duration::from_millis(1));
        manager.token().await.unwrap_err();
        assert_eq!(provider.calls(), refusals + 1);
    }
}

#[tokio::test]
async fn on_a_shared_storage_the_delay_is_the_same_and_the_error_tells_it() {
    let (provider, manager, clock) = refused_on(MemoryStorage::new()).await;

    for (refusals, pause) in (1..).zip([5, 10, 20, 40, 80, 160, 320, 600, 600]) {
        let error = manager.token().await.unwrap_err();
        assert_eq!(error.retry_after(), Some(seconds(pause)));
        assert_eq!(provider.calls(), refusals);
        clock.advance(seconds(pause));
        manager.token().await.unwrap_err();
        assert_eq!(provider.calls(), refusals + 1);
    }
}

#[tokio::test]
async fn a_refusal_keeps_the_refresh_token() {
    let provider = ScriptedProvider::new("svc");
    let refused = Error::new(ErrorKind::CredentialsRejected, "invalid_client");
    provider.on_refresh(Step::fail(refused));
    let Setup { manager, clock, .. } = Setup::new(&provider);
    manager.token().await.unwrap();
    clock.advance(seconds(900));

    assert_eq!(manager.token().await.unwrap_err().kind(), ErrorKind::CredentialsRejected);
    manager.credentials_changed();
    manager.token().await.unwrap();

    assert_eq!((provider.fetches(), provider.spent()), (1, vec!["refresh-1".to_owned()]));
}

#[tokio::test]
async fn install_ends_the_pause_of_a_refused_credential() {
    let (provider, manager, clock) = refused_on(MemoryStorage::new()).await;

    manager.install(tokens_of("alice", clock.now().wall())).await.unwrap();

    assert_eq!(manager.token().await.unwrap().authorization(), "Bearer alice-access");
    assert!(manager.status().last_error().is_none());
    assert_eq!(provider.calls(), 1);
}

#[tokio::test]
async fn corrected_credentials_are_tried_at_once() {
    let (provider, manager, _clock) = refused_on(MemoryStorage::new()).await;
    provider.always_on_fetch(Step::issue());

    manager.token().await.unwrap_err();
    manager.credentials_changed();
    manager.token().await.unwrap();

    assert_eq!(provider.calls(), 2);
}

#[tokio::test]
async fn force_refresh_puts_a_refusal_to_the_test_at_most_once_in_5_s() {
    let (provider, manager, clock) = refused_on(MemoryStorage::new()).await;
    for _ in 0..6 {
        clock.advance(seconds(600));
        manager.token().await.unwrap_err();
    }
    let calls = provider.calls();

    clock.advance(seconds(5) - Duration::from_millis(1));
    manager.force_refresh().await.unwrap_err();
    assert_eq!(provider.calls(), calls);
    clock.advance(Duration::from_millis(1));
    for _ in 0..100 {
        manager.force_refresh().await.unwrap_err();
        manager.login().await.unwrap_err();
    }

    assert_eq!(provider.calls(), calls + 1);
}

#[tokio::test]
async fn a_refused_request_is_paced_like_a_refused_credential() {
    let provider = ScriptedProvider::new("svc");
    provider.always_on_fetch(Step::fail(Error::new(ErrorKind::RequestRejected, "404")));
    let Setup { manager, clock, .. } = Setup::new(&provider);
    assert_eq!(manager.token().await.unwrap_err().recovery(), Recovery::FixRequest);

    for (refusals, pause) in (1..).zip([5, 10, 20, 40, 80, 160, 320, 600, 600]) {
        clock.advance(seconds(pause) - Duration::from_millis(1));
        manager.token().await.unwrap_err();
        assert_eq!(provider.calls(), refusals);
        clock.advance(Duration::from_millis(1));
        manager.token().await.unwrap_err();
        assert_eq!(provider.calls(), refusals + 1);
    }
}

#[tokio::test]
async fn a_refused_request_keeps_the_refresh_token() {
    let provider = ScriptedProvider::new("svc");
    provider.on_refresh(Step::fail(Error::new(ErrorKind::RequestRejected, "invalid_scope")));
    let Setup { manager, clock, .. } = Setup::new(&provider);
    manager.token().await.unwrap();
    clock.advance(seconds(900));

    manager.token().await.unwrap_err();
    clock.advance(seconds(5));
    manager.token().await.unwrap();

    assert_eq!((provider.fetches(), provider.spent()), (1, vec!["refresh-1".to_owned()]));
}

#[tokio::test]
async fn when_the_service_wants_a_person_nobody_asks_again_for_a_day() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager, clock, .. } = Setup::new(&provider);
    manager.token().await.unwrap();
    provider.always_on_refresh(wants_person());
    provider.always_on_fetch(wants_person());
    clock.advance(seconds(900));

    for _ in 0..24 {
        assert_eq!(manager.token().await.unwrap_err().recovery(), Recovery::Reauthenticate);
        clock.advance(seconds(3_600));
    }

    assert_eq!((provider.fetches(), provider.refreshes()), (1, 1));
    assert!(manager.status().has_refresh_token());
}

#[tokio::test]
async fn when_the_service_wants_a_person_the_token_that_is_good_is_still_served() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager, clock, .. } = Setup::new(&provider);
    manager.token().await.unwrap();
    provider.always_on_refresh(wants_person());

    clock.advance(seconds(675));
    for _ in 0..224 {
        assert_eq!(manager.token().await.unwrap().authorization(), "Bearer access-1");
        manager.flush().await.unwrap();
        clock.advance(seconds(1));
    }

    assert_eq!(provider.calls(), 2);
}

#[tokio::test]
async fn when_the_service_wants_a_person_a_login_in_another_process_is_noticed() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager: one, clock, storage } = Setup::new(&provider);
    one.token().await.unwrap();
    provider.always_on_refresh(wants_person());
    clock.advance(seconds(900));
    one.token().await.unwrap_err();

    let two = manager(&provider, storage, &clock);
    two.install(tokens_of("person", clock.now().wall())).await.unwrap();

    assert_eq!(one.token().await.unwrap().authorization(), "Bearer person-access");
    assert!(one.status().last_error().is_none());
}

#[tokio::test]
async fn when_the_service_wants_a_person_force_refresh_asks_again() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager, clock, .. } = Setup::new(&provider);
    manager.token().await.unwrap();
    provider.on_refresh(wants_person());
    clock.advance(seconds(900));
    manager.token().await.unwrap_err();
    clock.advance(seconds(5));

    let token = manager.force_refresh().await.unwrap();

    assert_eq!(token.authorization(), "Bearer access-2");
}

/// A manager whose credentials were refused once, and will be.
async fn refused_on(storage: impl TokenStorage) -> (ScriptedProvider, TokenManager, ManualClock) {
    let (provider, clock) = (ScriptedProvider::new("svc"), ManualClock::new());
    provider.always_on_fetch(Step::refuse_credentials());
    let manager = manager(&provider, storage, &clock);
    manager.token().await.unwrap_err();
    (provider, manager, clock)
}

fn wants_person() -> Step {
    Step::fail(Error::new(ErrorKind::LoginRequired, "interaction_required"))
}
