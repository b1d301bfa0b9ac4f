//! M9: an exchange under way loses against `clear` and `install`, in memory and in the storage.

use crate::support::records::{holds, stored, tokens_of};
use crate::support::setup::{Setup, manager, seconds};
use crate::support::waiting::{driver_settled, sleeping, started};
use tokenkeeper::{
    Clock, ErrorKind, ManualClock, MemoryStorage, TokenManager, TokenState, TokenStorage,
};
use tokenkeeper_testkit::{
    FaultyStorage, Gate, PlainStorage, ScriptedProvider, Step, StorageFault, StorageOperation,
};

#[tokio::test]
async fn what_an_exchange_brings_after_clear_is_dropped_and_revoked() {
    let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
    provider.on_fetch(Step::issue().held_before_answering(&gate));
    let Setup { manager, storage, .. } = Setup::new(&provider);
    let caller = started(manager.token()).await;
    gate.arrived(1).await;

    manager.clear().await.unwrap();
    assert!(stored(&storage, manager.key()).await.unwrap().is_tombstone());
    drop(caller);
    gate.release();
    manager.flush().await.unwrap();

    assert!(manager.peek().is_none());
    assert!(stored(&storage, manager.key()).await.unwrap().is_tombstone());
    assert_eq!(provider.revoked(), ["refresh-1"]);
}

#[tokio::test]
async fn who_waited_during_clear_does_not_get_the_old_exchanges_token() {
    let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
    provider.on_fetch(Step::issue().held_before_answering(&gate));
    let Setup { manager, .. } = Setup::new(&provider);
    let caller = started(manager.token()).await;
    gate.arrived(1).await;

    manager.clear().await.unwrap();
    gate.release();

    assert_eq!(caller.end().await.unwrap().authorization(), "Bearer access-2");
}

#[tokio::test]
async fn who_waited_during_clear_for_a_provider_that_needs_a_person_is_asked_to_log_in() {
    let (provider, gate) = (ScriptedProvider::new("svc").attended(), Gate::closed());
    provider.on_refresh(Step::issue().held_before_answering(&gate));
    let Setup { manager, clock, .. } = Setup::new(&provider);
    manager.install(tokens_of("alice", clock.now().wall())).await.unwrap();
    clock.advance(seconds(900));
    let caller = started(manager.token()).await;
    gate.arrived(1).await;

    manager.clear().await.unwrap();
    gate.release();

    assert_eq!(caller.end().await.unwrap_err().kind(), ErrorKind::LoginRequired);
}

#[tokio::test]
async fn clear_during_the_write_of_an_exchange_has_the_last_word() {
    for fault in [StorageFault::Gate, StorageFault::GateAfterwards] {
        let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
        let (storage, clock) = (MemoryStorage::new(), ManualClock::new());
        let faulty = FaultyStorage::new(storage.clone());
        faulty.fault_next(StorageOperation::CompareAndSet, 1, fault(gate.clone()));
        let manager = manager(&provider, faulty, &clock);
        let caller = started(manager.token()).await;
        gate.arrived(1).await;

        let clear = started(manager.clear()).await;
        drop(caller);
        gate.release();
        clear.end().await.unwrap();
        manager.flush().await.unwrap();

        assert!(manager.peek().is_none());
        assert!(stored(&storage, manager.key()).await.unwrap().is_tombstone());
        assert_eq!(provider.revoked(), ["refresh-1"]);
    }
}

#[tokio::test]
async fn where_the_provider_cannot_revoke_an_overtaken_exchange_is_dropped_all_the_same() {
    let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
    provider.on_fetch(Step::issue().held_before_answering(&gate));
    provider.on_revoke(Step::fail(tokenkeeper::Error::new(ErrorKind::Unsupported, "x")));
    let Setup { manager, storage, .. } = Setup::new(&provider);
    drop(started(manager.token()).await);
    gate.arrived(1).await;

    manager.clear().await.unwrap();
    gate.release();
    manager.flush().await.unwrap();

    assert!(manager.peek().is_none() && manager.status().last_error().is_none());
    assert!(stored(&storage, manager.key()).await.unwrap().is_tombstone());
    assert_eq!(provider.revocations(), 1);
}

#[tokio::test]
async fn install_during_an_exchange_wins_in_memory_in_the_storage_and_for_who_waits() {
    let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
    provider.on_fetch(Step::issue().held_before_answering(&gate));
    let Setup { manager, clock, storage } = Setup::new(&provider);
    let caller = started(manager.token()).await;
    gate.arrived(1).await;

    manager.install(tokens_of("alice", clock.now().wall())).await.unwrap();
    gate.release();

    assert_eq!(caller.end().await.unwrap().authorization(), "Bearer alice-access");
    manager.flush().await.unwrap();
    assert_eq!(manager.token().await.unwrap().authorization(), "Bearer alice-access");
    assert!(holds(&storage, manager.key(), "alice-refresh").await);
    assert_eq!(provider.revoked(), ["refresh-1"]);
}

#[tokio::test]
async fn a_failing_exchange_that_install_overtook_changes_nothing() {
    let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
    provider.on_fetch(Step::refuse_credentials().held(&gate));
    let Setup { manager, clock, storage } = Setup::new(&provider);
    let caller = started(manager.token()).await;
    gate.arrived(1).await;

    manager.install(tokens_of("alice", clock.now().wall())).await.unwrap();
    gate.release();

    assert_eq!(caller.end().await.unwrap().authorization(), "Bearer alice-access");
    manager.flush().await.unwrap();
    assert!(manager.status().last_error().is_none());
    assert!(!holds(&storage, manager.key(), "rejected").await);
}

#[tokio::test]
async fn a_storage_call_that_fails_after_install_overtook_it_changes_nothing() {
    let (provider, clock) = (ScriptedProvider::new("svc"), ManualClock::new());
    let faulty = FaultyStorage::new(MemoryStorage::new());
    faulty.fault_next(StorageOperation::Load, 1, StorageFault::Hang);
    let manager = manager(&provider, faulty, &clock);
    let caller = started(manager.token()).await;
    sleeping(&clock, 2).await; // the limit of the call, and the five seconds

    manager.install(tokens_of("alice", clock.now().wall())).await.unwrap();
    clock.advance(seconds(5));

    assert_eq!(caller.end().await.unwrap().authorization(), "Bearer alice-access");
    manager.flush().await.unwrap();
    assert!(manager.status().last_error().is_none());
}

#[tokio::test]
async fn clear_empties_memory_before_its_first_wait() {
    let (provider, clock) = (ScriptedProvider::new("svc"), ManualClock::new());
    let faulty = FaultyStorage::new(MemoryStorage::new());
    let manager = manager(&provider, faulty.clone(), &clock);
    manager.token().await.unwrap();
    manager.flush().await.unwrap();
    let gate = faulty.hold(StorageOperation::Load);

    let clear = started(manager.clear()).await;

    assert!(clear.is_waiting());
    assert!(manager.peek().is_none());
    assert_eq!(manager.status().token_state(), TokenState::Absent);
    gate.release();
    clear.end().await.unwrap();
}

#[tokio::test]
async fn clear_that_is_dropped_at_its_first_wait_clears_all_the_same() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager, storage, .. } = Setup::new(&provider);
    manager.token().await.unwrap();

    drop(started(manager.clear()).await);
    manager.flush().await.unwrap();

    assert!(stored(&storage, manager.key()).await.unwrap().is_tombstone());
}

#[tokio::test]
async fn clear_reports_that_the_storage_failed_and_its_mark_is_written_later() {
    let (provider, clock) = (ScriptedProvider::new("svc"), ManualClock::new());
    let storage = MemoryStorage::new();
    let faulty = FaultyStorage::new(storage.clone());
    let manager = manager(&provider, faulty.clone(), &clock);
    manager.token().await.unwrap();
    faulty.fault_everything(StorageFault::Fail);

    assert_eq!(manager.clear().await.unwrap_err().kind(), ErrorKind::Storage);
    assert!(manager.peek().is_none());
    assert!(holds(&storage, manager.key(), "refresh-1").await, "the storage is down");
    assert!(manager.status().unpersisted().is_some());
    faulty.heal();
    advance_to_the_retry(&manager, &clock).await;

    assert!(stored(&storage, manager.key()).await.unwrap().is_tombstone());
}

#[tokio::test]
async fn tokens_that_a_failed_clear_left_in_the_storage_are_not_adopted() {
    let (provider, clock) = (ScriptedProvider::new("svc").attended(), ManualClock::new());
    let faulty = FaultyStorage::new(MemoryStorage::new());
    let manager = manager(&provider, faulty.clone(), &clock);
    manager.install(tokens_of("alice", clock.now().wall())).await.unwrap();
    faulty.fault_everything(StorageFault::Fail);
    manager.clear().await.unwrap_err();
    faulty.heal();

    let error = manager.token().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::LoginRequired);
    assert_eq!(provider.calls(), 0);
}

#[tokio::test]
async fn a_retried_write_of_old_tokens_does_not_come_after_clear() {
    let storage = MemoryStorage::new();
    clear_during_a_retried_write(&FaultyStorage::new(storage.clone()), &storage).await;
    let (storage, plain) = (MemoryStorage::new(), PlainStorage::new);
    clear_during_a_retried_write(&FaultyStorage::new(plain(storage.clone())), &storage).await;
}

async fn clear_during_a_retried_write<S>(faulty: &FaultyStorage<S>, storage: &MemoryStorage)
where
    S: TokenStorage + Clone,
{
    let (provider, clock) = (ScriptedProvider::new("svc"), ManualClock::new());
    let gate = Gate::closed();
    for operation in [StorageOperation::CompareAndSet, StorageOperation::Set] {
        faulty.fault_next(operation, 1, StorageFault::Fail);
        faulty.fault_next(operation, 1, StorageFault::Gate(gate.clone()));
    }
    let manager = manager(&provider, faulty.clone(), &clock);
    manager.token().await.unwrap();
    assert!(manager.status().unpersisted().is_some());

    sleeping(&clock, 1).await;
    clock.advance(seconds(1));
    gate.arrived(1).await; // the retried write is under way
    let clear = started(manager.clear()).await;
    driver_settled().await;
    gate.release();
    clear.end().await.unwrap();
    driver_settled().await;

    assert!(stored(storage, manager.key()).await.unwrap().is_tombstone());
    assert!(manager.peek().is_none());
}

#[tokio::test]
async fn a_write_that_waits_to_be_retried_is_forgotten_by_clear() {
    let (provider, clock) = (ScriptedProvider::new("svc"), ManualClock::new());
    let storage = MemoryStorage::new();
    let faulty = FaultyStorage::new(storage.clone());
    faulty.fault_next(StorageOperation::CompareAndSet, 1, StorageFault::Fail);
    let manager = manager(&provider, faulty, &clock);
    manager.token().await.unwrap();

    manager.clear().await.unwrap();
    for _ in 0..10 {
        clock.advance(seconds(60));
        manager.flush().await.unwrap();
    }

    assert!(stored(&storage, manager.key()).await.unwrap().is_tombstone());
    assert!(manager.status().unpersisted().is_none());
}

async fn advance_to_the_retry(manager: &TokenManager, clock: &ManualClock) {
    let mut changes = manager.subscribe();
    sleeping(clock, 1).await;
    clock.advance(seconds(1));
    while changes.current().unpersisted().is_some() {
        assert!(changes.changed().await);
    }
}
