//! M7: what comes after a transient failure, and after a verdict on the refresh token.

use std::time::Duration;

use crate::support::records::{holds, record_of, tokens_of};
use crate::support::setup::{Setup, manager, seconds};
use crate::support::waiting::{sleeping, started};
use tokenkeeper::{
    Clock, Error, ErrorKind, MemoryStorage, Order, Recovery, TokenManager, TokenStorage,
};
use tokenkeeper_testkit::{Gate, PlainStorage, ScriptedProvider, Step};

#[tokio::test]
async fn a_transient_failure_keeps_the_refresh_token_and_never_sends_the_password() {
    for kind in [ErrorKind::Transport, ErrorKind::Unavailable, ErrorKind::InvalidResponse] {
        let provider = ScriptedProvider::new("svc");
        provider.on_refresh(Step::fail(Error::new(kind, "x")));
        let Setup { manager, clock, .. } = Setup::new(&provider);
        manager.token().await.unwrap();
        clock.advance(seconds(900));

        let error = manager.token().await.unwrap_err();
        assert_eq!(error.recovery(), Recovery::Retry { after: Some(seconds(1)) });
        assert!(manager.status().has_refresh_token());
        clock.advance(seconds(1));
        manager.token().await.unwrap();

        assert_eq!((provider.fetches(), provider.refreshes()), (1, 2), "{kind:?}");
        assert_eq!(provider.spent(), ["refresh-1"]);
    }
}

#[tokio::test]
async fn transient_failures_are_1_s_to_60_s_apart_and_doubling() {
    let provider = ScriptedProvider::new("svc");
    provider.always_on_fetch(Step::unavailable());
    let Setup { manager, clock, .. } = Setup::new(&provider);
    manager.token().await.unwrap_err();

    for (failures, pause) in (1..).zip([1, 2, 4, 8, 16, 32, 60, 60]) {
        clock.advance(seconds(pause) - Duration::from_millis(1));
        let error = manager.token().await.unwrap_err();
        assert_eq!(error.retry_after(), Some(Duration::from_millis(1)));
        assert_eq!(manager.force_refresh().await.unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(provider.calls(), failures);
        clock.advance(Duration::from_millis(1));
        manager.token().await.unwrap_err();
        assert_eq!(provider.calls(), failures + 1);
    }
}

#[tokio::test]
async fn a_success_ends_the_row_of_failures() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager, clock, .. } = Setup::new(&provider);
    for pause in [1, 2, 4] {
        provider.on_fetch(Step::unavailable());
        manager.token().await.unwrap_err();
        clock.advance(seconds(pause));
    }
    manager.token().await.unwrap();
    provider.on_refresh(Step::unavailable());

    clock.advance(seconds(900));
    let error = manager.token().await.unwrap_err();

    assert_eq!(error.retry_after(), Some(seconds(1)));
}

#[tokio::test]
async fn retry_after_is_honoured_also_by_advisory_refreshes() {
    let provider = ScriptedProvider::new("svc");
    let busy = Error::new(ErrorKind::Unavailable, "busy").with_retry_after(seconds(100));
    provider.on_refresh(Step::fail(busy));
    let Setup { manager, clock, .. } = Setup::new(&provider);
    manager.token().await.unwrap();
    clock.advance(seconds(675));
    manager.token().await.unwrap();
    manager.flush().await.unwrap();
    assert_eq!(manager.status().paused_for(), Some(seconds(100)));

    clock.advance(seconds(100) - Duration::from_millis(1));
    manager.token().await.unwrap();
    manager.flush().await.unwrap();
    assert_eq!(provider.calls(), 2);
    clock.advance(Duration::from_millis(1));
    manager.token().await.unwrap();
    manager.flush().await.unwrap();

    assert_eq!(provider.calls(), 3);
    assert_eq!(provider.spent(), ["refresh-1"]);
}

#[tokio::test]
async fn a_panic_is_a_transient_failure() {
    let provider = ScriptedProvider::new("svc");
    provider.on_refresh(Step::panic());
    let Setup { manager, clock, .. } = Setup::new(&provider);
    manager.token().await.unwrap();
    clock.advance(seconds(900));

    let error = manager.token().await.unwrap_err();
    assert_eq!((error.kind(), error.retry_after()), (ErrorKind::Internal, Some(seconds(1))));
    clock.advance(seconds(1));
    manager.token().await.unwrap();

    assert_eq!((provider.fetches(), provider.spent()), (1, vec!["refresh-1".to_owned()]));
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_a_transient_failure_after_15_s() {
    let provider = ScriptedProvider::new("svc");
    provider.on_refresh(Step::hang());
    let Setup { manager, clock, .. } = Setup::new(&provider);
    manager.token().await.unwrap();
    clock.advance(seconds(900));

    let caller = started(manager.token()).await;
    sleeping(&clock, 2).await;
    clock.advance(seconds(5));
    clock.advance(seconds(10));
    let error = caller.end().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Transport);
    assert!(error.answer_lost());
    assert_eq!(provider.fetches(), 1);
}

#[tokio::test]
async fn a_refused_refresh_token_is_dropped_and_a_non_interactive_provider_fetches() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager, clock, storage } = Setup::new(&provider);
    manager.token().await.unwrap();
    provider.kill_refresh_tokens();
    clock.advance(seconds(900));

    let token = manager.token().await.unwrap();

    assert_eq!(token.authorization(), "Bearer access-2");
    assert_eq!((provider.fetches(), provider.refreshes()), (2, 1));
    assert!(!holds(&storage, manager.key(), "refresh-1").await);
}

#[tokio::test]
async fn a_refused_refresh_token_is_not_in_the_storage_when_the_fetch_after_it_starts() {
    let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
    let Setup { manager, clock, storage } = Setup::new(&provider);
    manager.token().await.unwrap();
    provider.kill_refresh_tokens();
    provider.on_fetch(Step::unavailable().held(&gate));
    clock.advance(seconds(900));

    let caller = started(manager.token()).await;
    gate.arrived(1).await;
    assert!(!holds(&storage, manager.key(), "refresh-1").await);
    gate.release();

    caller.end().await.unwrap_err();
    clock.advance(seconds(1));
    manager.token().await.unwrap();
    assert_eq!(
        (provider.fetches(), provider.refreshes()),
        (3, 1),
        "the dead one is not sent again"
    );
}

#[tokio::test]
async fn without_anybody_to_fetch_a_refused_refresh_token_means_a_new_login() {
    let provider = ScriptedProvider::new("svc").attended();
    let Setup { manager, clock, storage } = Setup::new(&provider);
    manager.install(tokens_of("alice", clock.now().wall())).await.unwrap();
    provider.always_on_refresh(Step::refuse_refresh());
    clock.advance(seconds(900));

    for _ in 0..100 {
        let error = manager.token().await.unwrap_err();
        assert_eq!(error.recovery(), Recovery::Reauthenticate);
        clock.advance(seconds(60));
    }

    assert_eq!((provider.fetches(), provider.refreshes()), (0, 1));
    assert!(!holds(&storage, manager.key(), "alice-refresh").await);
}

#[tokio::test]
async fn a_refused_refresh_token_takes_nothing_from_an_access_token_that_is_good() {
    let provider = ScriptedProvider::new("svc").attended();
    let Setup { manager, clock, .. } = Setup::new(&provider);
    manager.install(tokens_of("alice", clock.now().wall())).await.unwrap();
    provider.always_on_refresh(Step::refuse_refresh());
    clock.advance(seconds(675));

    manager.token().await.unwrap();
    manager.flush().await.unwrap();
    assert!(!manager.status().has_refresh_token());
    clock.advance(seconds(224));

    assert_eq!(manager.token().await.unwrap().authorization(), "Bearer alice-access");
}

#[tokio::test]
async fn after_a_refusal_a_siblings_newer_token_is_adopted() {
    let storage = MemoryStorage::new();
    a_siblings_newer_token_is_adopted(storage.clone(), &storage).await;
    let storage = MemoryStorage::new();
    a_siblings_newer_token_is_adopted(PlainStorage::new(storage.clone()), &storage).await;
}

async fn a_siblings_newer_token_is_adopted(used: impl TokenStorage, storage: &MemoryStorage) {
    let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
    provider.on_refresh(Step::refuse_refresh().held(&gate));
    let clock = tokenkeeper::ManualClock::new();
    let manager = manager(&provider, used, &clock);
    manager.token().await.unwrap();
    clock.advance(seconds(900));

    let caller = started(manager.token()).await;
    gate.arrived(1).await;
    store_as_sibling(&manager, storage, &clock).await;
    gate.release();

    assert_eq!(caller.end().await.unwrap().authorization(), "Bearer sibling-access");
    assert_eq!((provider.fetches(), provider.refreshes()), (1, 1));
    assert!(holds(storage, manager.key(), "sibling-refresh").await);
}

#[tokio::test]
async fn after_a_refusal_a_siblings_newer_refresh_token_is_spent_if_its_access_token_is_over() {
    let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
    provider.on_refresh(Step::refuse_refresh().held(&gate));
    let Setup { manager, clock, storage } = Setup::new(&provider);
    manager.token().await.unwrap();
    clock.advance(seconds(900));

    let caller = started(manager.token()).await;
    gate.arrived(1).await;
    let expired = tokens_of("sibling", clock.now().wall() - seconds(900));
    let order = storage.get(manager.key()).await.unwrap().unwrap().order();
    let newer = Order::new(order.epoch(), order.generation() + 1);
    storage.set(manager.key(), &record_of(expired, newer).await).await.unwrap();
    gate.release();

    assert_eq!(caller.end().await.unwrap().authorization(), "Bearer access-2");
    assert_eq!((provider.fetches(), provider.refreshes()), (1, 2));
    assert_eq!(provider.spent(), ["sibling-refresh"]);
}

async fn store_as_sibling(manager: &TokenManager, storage: &MemoryStorage, clock: &impl Clock) {
    let order = storage.get(manager.key()).await.unwrap().unwrap().order();
    let newer = Order::new(order.epoch(), order.generation() + 1);
    let record = record_of(tokens_of("sibling", clock.now().wall()), newer).await;
    storage.set(manager.key(), &record).await.unwrap();
}
