//! What a faulty storage does to calls, and that it changes nothing else.

#![allow(clippy::unwrap_used, reason = "clippy takes only functions marked as tests for tests")]

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use tokenkeeper::{
    Clock, LeaseRequest, ManualClock, MemoryStorage, Order, StorageKey, TokenRecord, TokenStorage,
};
use tokenkeeper_testkit::{FaultyStorage, Gate, PlainStorage, StorageFault, StorageOperation};

fn key() -> StorageKey {
    StorageKey::new("key").unwrap()
}

fn record() -> TokenRecord {
    TokenRecord::from_parts(b"payload".to_vec(), Order::new(1, 1), None, false)
}

fn storage() -> FaultyStorage<MemoryStorage> {
    FaultyStorage::new(MemoryStorage::new())
}

#[tokio::test]
async fn a_fault_that_comes_first_leaves_the_storage_untouched() {
    let storage = storage();
    storage.fault_next(StorageOperation::Set, 1, StorageFault::Fail);

    assert!(storage.set(&key(), &record()).await.is_err());

    assert!(!storage.inner().exists(&key()).await.unwrap());
    assert!(storage.set(&key(), &record()).await.is_ok());
}

#[tokio::test]
async fn a_fault_that_comes_afterwards_finds_the_work_done() {
    let storage = storage();
    storage.fault_next(StorageOperation::Set, 1, StorageFault::FailAfterwards);

    assert!(storage.set(&key(), &record()).await.is_err());

    assert!(storage.inner().exists(&key()).await.unwrap());
}

#[tokio::test]
async fn a_standing_fault_lasts_until_it_is_healed() {
    let storage = storage();
    storage.fault_everything(StorageFault::Fail);
    let shared = storage.shared().unwrap();

    for _ in 0..3 {
        assert!(storage.get(&key()).await.is_err());
        assert!(shared.load(&key()).await.is_err());
        assert!(shared.compare_and_set(&key(), None, &record()).await.is_err());
    }
    storage.heal();

    assert!(storage.get(&key()).await.is_ok());
    assert_eq!(storage.calls(StorageOperation::Get), 4);
    assert_eq!(storage.total_calls(), 10);
}

#[tokio::test]
async fn held_calls_go_on_when_the_gate_is_released_or_the_storage_healed() {
    let storage = storage();
    let gate = storage.hold(StorageOperation::Set);
    let clone = storage.clone();
    let write = tokio::spawn(async move { clone.set(&key(), &record()).await });
    gate.arrived(1).await;
    assert!(!storage.inner().exists(&key()).await.unwrap());

    storage.heal();

    assert!(write.await.unwrap().is_ok());
    assert!(storage.inner().exists(&key()).await.unwrap());
}

#[tokio::test]
async fn a_hanging_call_does_nothing_and_a_panic_is_one() {
    let storage = storage();
    storage.fault_next(StorageOperation::Set, 1, StorageFault::Hang);
    storage.fault_next(StorageOperation::Set, 1, StorageFault::Panic);

    {
        let (key, record) = (key(), record());
        let mut hanging = pin!(storage.set(&key, &record));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(hanging.as_mut().poll(&mut cx).is_pending());
    }
    let clone = storage.clone();
    let panicked = tokio::spawn(async move { clone.set(&key(), &record()).await }).await;

    assert!(panicked.unwrap_err().is_panic());
    assert!(!storage.exists(&key()).await.unwrap());
}

#[tokio::test]
async fn leases_go_through_it_and_end_when_the_wrapped_ones_do() {
    let storage = storage();
    let clock = ManualClock::new();
    let asker: Arc<dyn Clock> = Arc::new(clock.clone());
    let want = LeaseRequest::new(Duration::from_secs(30), Duration::ZERO, asker);
    let shared = storage.shared().unwrap();
    storage.fault_next(StorageOperation::Renew, 1, StorageFault::Fail);

    let mut lease = shared.lease(&key(), &want).await.unwrap();
    clock.advance(Duration::from_secs(10));
    assert_eq!(lease.remaining(), Duration::from_secs(20));
    assert!(lease.renew().await.is_err());
    assert!(lease.renew().await.is_ok());
    assert_eq!(lease.remaining(), Duration::from_secs(30));
    assert!(shared.lease(&key(), &want).await.is_err());
    lease.release().await.unwrap();

    assert!(shared.lease(&key(), &want).await.is_ok());
    assert_eq!(storage.calls(StorageOperation::Lease), 3);
    assert_eq!(storage.calls(StorageOperation::Release), 1);
}

#[test]
fn it_can_be_shared_exactly_if_what_it_wraps_can() {
    assert!(storage().shared().is_some());
    assert!(FaultyStorage::new(PlainStorage::new(MemoryStorage::new())).shared().is_none());
}

#[tokio::test]
async fn the_time_that_an_answer_takes_is_not_the_holders() {
    let storage = storage();
    let clock = ManualClock::new();
    let asker: Arc<dyn Clock> = Arc::new(clock.clone());
    let want = LeaseRequest::new(Duration::from_secs(30), Duration::ZERO, asker);
    let gate = Gate::closed();
    let late = StorageFault::GateAfterwards(gate.clone());
    storage.fault_next(StorageOperation::Lease, 1, late);
    let slow = async {
        gate.arrived(1).await;
        clock.advance(Duration::from_secs(10));
        gate.release();
    };

    let (key, shared) = (key(), storage.shared().unwrap());
    let (lease, ()) = tokio::join!(shared.lease(&key, &want), slow);

    assert_eq!(lease.unwrap().remaining(), Duration::from_secs(20));
}
