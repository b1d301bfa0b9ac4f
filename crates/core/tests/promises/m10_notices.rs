//! M10: who keeps a refresher hears from the storage what the others write, and takes it over
//! before anybody asks.

use crate::support::telling::{Pair, seconds, settle};
use tokenkeeper::{
    AccessToken, Clock, EventKind, ManualClock, MemoryStorage, Order, TokenManager, TokenRecord,
    TokenSet, TokenState, TokenStorage,
};
use tokenkeeper_testkit::{
    FaultyStorage, Gate, PlainStorage, ScriptedProvider, Step, StorageFault, StorageOperation,
};

fn login(secret: &str) -> TokenSet {
    let issued_at = ManualClock::new().now().wall();
    TokenSet::new(AccessToken::new(secret, "Bearer").unwrap(), issued_at)
        .with_lifetime(seconds(900))
        .with_refresh_token("refresh-of-login")
}

#[tokio::test]
async fn what_a_sibling_exchanged_is_adopted_by_one_look_and_no_exchange() {
    let pair = Pair::warm().await;
    let _refresher = pair.listener.spawn_refresher();
    settle().await;

    pair.sibling.force_refresh().await.unwrap();
    settle().await;

    assert_eq!(pair.served().as_deref(), Some("access-2"));
    assert_eq!(pair.events.count(|event| matches!(event, EventKind::Adopted)), 1);
    assert_eq!(pair.storage.calls.calls(StorageOperation::Load), 1);
    assert_eq!(pair.storage.calls.total_calls(), 1);
    assert_eq!(pair.provider.calls(), 2);
}

#[tokio::test]
async fn what_this_process_wrote_itself_costs_no_look() {
    let pair = Pair::warm().await;
    let _refresher = pair.listener.spawn_refresher();
    settle().await;

    pair.listener.force_refresh().await.unwrap();
    settle().await;
    assert_eq!(pair.storage.asked(), 2, "the notice has come");
    assert_eq!(pair.storage.calls.total_calls(), 4, "lease, load, compare_and_set, release");
    pair.clock.advance(seconds(1));
    pair.listener.clear().await.unwrap();
    settle().await;
    assert_eq!(pair.storage.calls.total_calls(), 6, "load, compare_and_set");
    pair.clock.advance(seconds(1));
    pair.listener.install(login("installed")).await.unwrap();
    settle().await;

    assert_eq!((pair.storage.asked(), pair.storage.calls.total_calls()), (4, 8));
    assert_eq!(pair.events.count(|event| matches!(event, EventKind::Adopted)), 0);
}

#[tokio::test]
async fn any_number_of_writes_at_once_cost_two_looks_a_second_apart() {
    let (pair, gate) = (Pair::warm().await, Gate::closed());
    let _refresher = pair.listener.spawn_refresher();
    settle().await;
    let fault = StorageFault::GateAfterwards(gate.clone());
    pair.storage.calls.fault_next(StorageOperation::Load, 1, fault);

    pair.raise(1).await;
    gate.arrived(1).await;
    for _ in 0..49 {
        pair.raise(1).await;
    }
    gate.release();
    settle().await;
    let at_once = pair.storage.calls.total_calls();
    pair.clock.advance(seconds(1));
    settle().await;
    pair.clock.advance(seconds(1));
    settle().await;

    assert_eq!((at_once, pair.storage.calls.total_calls()), (1, 2));
    assert_eq!(pair.storage.asked(), 3);
}

#[tokio::test]
async fn a_logout_elsewhere_empties_this_process_too_and_nobody_logs_in_again() {
    let pair = Pair::warm().await;
    let _refresher = pair.listener.spawn_refresher();
    settle().await;

    pair.sibling.clear().await.unwrap();
    settle().await;

    assert!(pair.listener.peek().is_none());
    assert_eq!(pair.listener.status().token_state(), TokenState::Absent);
    assert_eq!(pair.events.count(|event| matches!(event, EventKind::Cleared)), 1);
    for _ in 0..60 {
        pair.clock.advance(seconds(60));
        settle().await;
    }
    assert_eq!((pair.provider.calls(), pair.storage.calls.total_calls()), (1, 1));
}

#[tokio::test]
async fn a_login_elsewhere_ends_the_wait_for_a_person() {
    let pair = Pair::cold(&ScriptedProvider::new("svc").attended());
    assert!(pair.listener.token().await.is_err());
    let _refresher = pair.listener.spawn_refresher();
    settle().await;
    assert!(pair.listener.status().needs_login());

    pair.sibling.install(login("installed")).await.unwrap();
    settle().await;

    assert_eq!(pair.served().as_deref(), Some("installed"));
    assert!(!pair.listener.status().needs_login());
    assert_eq!(pair.listener.status().paused_for(), None);
    assert_eq!(pair.provider.calls(), 0);
}

#[tokio::test]
async fn a_rejected_token_is_not_adopted_under_a_higher_order() {
    let pair = Pair::warm().await;
    let _refresher = pair.listener.spawn_refresher();
    settle().await;
    let rejected = pair.listener.peek().unwrap();
    let hold = Gate::closed();
    pair.provider.on_refresh(Step::issue().held(&hold));

    pair.raise(1).await;
    settle().await;
    assert_eq!(pair.storage.calls.total_calls(), 1);
    pair.listener.invalidate(&rejected);
    pair.clock.advance(seconds(1));
    pair.raise(1).await;
    settle().await;

    assert_eq!(pair.listener.peek().as_deref().map(|token| token.secret().expose_secret()), None);
    assert_eq!(pair.events.count(|event| matches!(event, EventKind::Adopted)), 1);
    hold.release();
    settle().await;
}

#[tokio::test]
async fn a_flight_that_waits_for_the_siblings_lease_finds_its_token_and_makes_no_exchange() {
    let pair = Pair::warm().await;
    let _refresher = pair.listener.spawn_refresher();
    settle().await;
    let release = pair.siblings_storage.hold(StorageOperation::Release);
    let write = pair.siblings_storage.hold(StorageOperation::CompareAndSet);

    let sibling = tokio::spawn({
        let sibling = pair.sibling.clone();
        async move { sibling.force_refresh().await }
    });
    write.arrived(1).await;
    pair.listener.invalidate(&pair.listener.peek().unwrap());
    let caller = tokio::spawn({
        let listener = pair.listener.clone();
        async move { listener.token().await.unwrap() }
    });
    settle().await;
    assert_eq!(pair.storage.calls.calls(StorageOperation::Lease), 1);
    write.release();
    release.arrived(1).await;
    settle().await;
    release.release();
    sibling.await.unwrap().unwrap();

    assert_eq!(caller.await.unwrap().secret().expose_secret(), "access-2");
    assert_eq!(pair.provider.calls(), 2);
    settle().await;
    assert_eq!(pair.storage.calls.calls(StorageOperation::Load), 1, "the flight's, and no other");
}

#[tokio::test]
async fn a_flight_that_sets_out_during_the_look_comes_first() {
    let pair = Pair::warm().await;
    let _refresher = pair.listener.spawn_refresher();
    settle().await;
    let gate = Gate::closed();
    let fault = StorageFault::GateAfterwards(gate.clone());
    pair.storage.calls.fault_next(StorageOperation::Load, 1, fault);
    let lease = pair.storage.calls.hold(StorageOperation::Lease);

    pair.sibling.force_refresh().await.unwrap();
    gate.arrived(1).await;
    pair.listener.invalidate(&pair.listener.peek().unwrap());
    lease.arrived(1).await;
    gate.release();
    settle().await;
    lease.release();
    pair.listener.flush().await.unwrap();

    assert_eq!(pair.served().as_deref(), Some("access-2"));
    assert_eq!(pair.provider.calls(), 2);
}

#[tokio::test]
async fn a_siblings_success_ends_the_pause_after_a_failure() {
    let pair = Pair::warm().await;
    let _refresher = pair.listener.spawn_refresher();
    settle().await;
    pair.provider.on_refresh(Step::unavailable());
    pair.listener.force_refresh().await.unwrap_err();
    assert!(pair.listener.status().paused_for().is_some());

    pair.sibling.force_refresh().await.unwrap();
    settle().await;

    assert_eq!(pair.served().as_deref(), Some("access-2"));
    assert_eq!(pair.listener.status().paused_for(), None);
    assert!(pair.listener.status().last_error().is_none());
}

#[tokio::test]
async fn a_refresher_renews_by_the_clock_alone_where_the_storage_tells_nothing() {
    let (provider, clock) = (ScriptedProvider::new("svc"), ManualClock::new());
    let storage = FaultyStorage::new(PlainStorage::new(MemoryStorage::new()));
    let manager = TokenManager::builder(provider.clone())
        .storage(storage.clone())
        .clock(clock.clone())
        .driver(tokio::runtime::Handle::current())
        .build()
        .unwrap();
    let _refresher = manager.spawn_refresher();
    settle().await;
    let calls = storage.total_calls();

    clock.advance(seconds(60));
    settle().await;
    assert_eq!((provider.calls(), storage.total_calls()), (1, calls));
    clock.advance(seconds(640));
    settle().await;

    assert_eq!(provider.calls(), 2);
}

#[tokio::test]
async fn without_a_refresher_nobody_listens() {
    let pair = Pair::warm().await;

    pair.sibling.force_refresh().await.unwrap();
    settle().await;

    assert_eq!(pair.served().as_deref(), Some("access-1"));
    assert_eq!(pair.storage.subscriptions(), (0, 0));
    assert_eq!(pair.storage.calls.total_calls(), 0);
}

#[tokio::test]
async fn a_refresher_that_hears_nothing_does_nothing() {
    let pair = Pair::warm().await;
    let _refresher = pair.listener.spawn_refresher();

    for _ in 0..10 {
        pair.clock.advance(seconds(60));
        settle().await;
    }

    assert_eq!((pair.storage.asked(), pair.storage.calls.total_calls()), (1, 0));
}

#[tokio::test]
async fn dropping_the_refresher_ends_the_subscription() {
    let pair = Pair::warm().await;
    let refresher = pair.listener.spawn_refresher();
    settle().await;
    assert_eq!(pair.storage.subscriptions(), (1, 0));

    drop(refresher);
    settle().await;
    pair.sibling.force_refresh().await.unwrap();
    settle().await;

    assert_eq!(pair.storage.subscriptions(), (1, 1));
    assert_eq!(pair.storage.calls.total_calls(), 0);
}

#[tokio::test]
async fn a_listener_does_not_keep_its_manager_alive() {
    let pair = Pair::warm().await;
    let _refresher = pair.listener.spawn_refresher();
    settle().await;
    let mut changes = pair.listener.subscribe();

    drop(pair.listener);
    while changes.changed().await {}
    settle().await;

    assert_eq!(pair.storage.subscriptions(), (1, 1));
}

#[tokio::test]
async fn a_record_that_is_gone_or_cannot_be_read_changes_nothing() {
    let pair = Pair::warm().await;
    let _refresher = pair.listener.spawn_refresher();
    settle().await;
    let key = pair.listener.key();
    let order = pair.raise(1).await;
    settle().await;

    let order = Order::new(order.epoch(), order.generation() + 9);
    let nonsense = TokenRecord::from_parts(b"nonsense".to_vec(), order, None, false);
    pair.shelf.set(key, &nonsense).await.unwrap();
    pair.clock.advance(seconds(1));
    settle().await;
    pair.shelf.delete(key).await.unwrap();
    pair.clock.advance(seconds(1));
    settle().await;

    assert_eq!(pair.storage.calls.calls(StorageOperation::Load), 3);
    assert_eq!(pair.served().as_deref(), Some("access-1"));
    assert_eq!(pair.provider.calls(), 1);
}
