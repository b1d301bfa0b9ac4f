//! M2: a panic in a provider or storage gives waiters an error and leaves the manager usable.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::rig::{Rig, finishes, seconds, until};
use tokenkeeper::{
    AccessToken, Error, ErrorKind, EventKind, MemoryStorage, SharedTokenStorage, StorageKey,
    TokenManager, TokenRecord, TokenStorage, async_trait,
};
use tokenkeeper_testkit::{Gate, ScriptedProvider, Step, StorageFault, StorageOperation};
use tokio::runtime::Builder;
use tokio::task::JoinSet;

fn provider() -> ScriptedProvider {
    ScriptedProvider::new("svc")
}

fn panicked(kind: &EventKind) -> bool {
    matches!(kind, EventKind::Panicked { .. })
}

#[tokio::test]
async fn a_panicking_provider_gives_every_waiter_an_error() {
    for rig in Rig::both(provider) {
        let gate = Gate::closed();
        rig.provider.on_fetch(Step::panic().held(&gate));

        let mut callers = JoinSet::new();
        for _ in 0..100 {
            let manager = rig.manager.clone();
            callers.spawn(async move { manager.token().await });
        }
        gate.arrived(1).await;
        gate.release();

        for answer in callers.join_all().await {
            assert_eq!(answer.unwrap_err().kind(), ErrorKind::Internal);
        }
        assert_eq!((rig.provider.calls(), rig.count(panicked)), (1, 1));
        rig.clock.advance(seconds(60));
        assert!(rig.manager.token().await.is_ok());
    }
}

#[tokio::test]
async fn a_panic_in_a_refresh_leaves_the_old_token_in_place() {
    for rig in Rig::both(provider) {
        let old = rig.with_token_aged(seconds(880)).await;
        rig.provider.on_refresh(Step::panic());

        assert!(Arc::ptr_eq(&rig.manager.token().await.unwrap(), &old));

        rig.clock.advance(seconds(60));
        rig.manager.token().await.unwrap();
        rig.assert_lives_on("refresh-2").await;
    }
}

#[tokio::test]
async fn a_panic_in_a_revocation_gives_an_error_and_clears_nothing() {
    for rig in Rig::both(provider) {
        rig.with_token_aged(seconds(10)).await;
        rig.provider.on_revoke(Step::panic());

        assert_eq!(rig.manager.revoke().await.unwrap_err().kind(), ErrorKind::Internal);

        rig.assert_lives_on("refresh-1").await;
    }
}

#[tokio::test]
async fn a_panic_in_any_storage_call_leaves_the_manager_usable() {
    let all = Rig::both(provider).map(|rig| {
        let mut operations = vec![rig.read(), rig.write()];
        if rig.is_shared() {
            operations.extend([StorageOperation::Lease, StorageOperation::Release]);
        }
        (rig.is_shared(), operations)
    });
    for (is_shared, operations) in all {
        for operation in operations {
            println!("{operation:?}");
            let rig = Rig::with(&provider(), is_shared, |builder| builder);
            rig.with_token_aged(seconds(1_000)).await;
            rig.storage.fault_until_healed(operation, StorageFault::Panic);

            let answer = rig.manager.token().await;
            rig.manager.flush().await.err();
            let survives = operation == rig.write() || operation == StorageOperation::Release;
            assert_eq!(answer.is_ok(), survives);
            assert!(rig.count(panicked) > 0);

            rig.storage.heal();
            rig.clock.advance(seconds(60));
            rig.manager.token().await.unwrap();
            rig.manager.flush().await.unwrap();
            rig.assert_lives_on("refresh-2").await;
        }
    }
}

#[tokio::test]
async fn a_panic_in_a_login_or_logout_gives_an_error_or_a_write_to_be_repeated() {
    for rig in Rig::both(provider) {
        rig.with_token_aged(seconds(10)).await;
        rig.storage.fault_next(rig.write(), 1, StorageFault::Panic);
        assert_eq!(rig.manager.clear().await.unwrap_err().kind(), ErrorKind::Internal);
        rig.manager.flush().await.unwrap();
        assert!(rig.stored().unwrap().is_tombstone());

        rig.storage.fault_next(rig.write(), 1, StorageFault::Panic);
        rig.manager.install(crate::support::rig::login_elsewhere()).await.unwrap();
        assert!(rig.manager.status().unpersisted().is_some());
        rig.manager.flush().await.unwrap();

        rig.assert_lives_on("installed").await;
    }
}

#[tokio::test]
async fn a_panic_in_the_write_after_a_rotation_does_not_lose_the_rotated_token() {
    for rig in Rig::both(provider) {
        rig.with_token_aged(seconds(1_000)).await;
        rig.storage.fault_next(rig.write(), 1, StorageFault::Panic);

        let token = rig.manager.token().await.unwrap();

        assert_eq!(token.authorization(), "Bearer access-2");
        assert_eq!(rig.manager.status().unpersisted().unwrap().kind(), ErrorKind::Internal);
        rig.manager.flush().await.unwrap();
        rig.assert_lives_on("refresh-2").await;
    }
}

/// Panics where a storage is not even called yet.
#[derive(Clone, Debug, Default)]
struct PanicsWhenAskedWhetherShared(MemoryStorage, Arc<AtomicBool>);

#[async_trait]
impl TokenStorage for PanicsWhenAskedWhetherShared {
    async fn get(&self, key: &StorageKey) -> Result<Option<TokenRecord>, Error> {
        self.0.get(key).await
    }

    async fn set(&self, key: &StorageKey, record: &TokenRecord) -> Result<(), Error> {
        self.0.set(key, record).await
    }

    async fn delete(&self, key: &StorageKey) -> Result<(), Error> {
        self.0.delete(key).await
    }

    fn shared(&self) -> Option<&dyn SharedTokenStorage> {
        assert!(!self.1.load(Ordering::SeqCst), "shared() panics");
        self.0.shared()
    }
}

/// A rig whose storage panics like that since the answer to a refresh, and what it answered.
async fn refreshed_into_a_panic() -> (Rig, PanicsWhenAskedWhetherShared, Arc<AccessToken>) {
    let (provider, storage) = (provider(), PanicsWhenAskedWhetherShared::default());
    let rig = Rig::with(&provider, true, |builder| builder.storage(storage.clone()));
    let rig = Rig { shelf: storage.0.clone(), ..rig };
    rig.with_token_aged(seconds(1_000)).await;
    let gate = Gate::closed();
    provider.on_refresh(Step::issue().held_before_answering(&gate));

    let caller = tokio::spawn({
        let manager = rig.manager.clone();
        async move { manager.token().await }
    });
    gate.arrived(1).await;
    storage.1.store(true, Ordering::SeqCst);
    gate.release();
    let token = caller.await.unwrap().unwrap();
    (rig, storage, token)
}

#[tokio::test]
async fn a_panic_outside_of_the_awaited_part_of_a_write_does_not_lose_the_rotated_token() {
    let (rig, storage, token) = refreshed_into_a_panic().await;

    assert_eq!(token.authorization(), "Bearer access-2");
    storage.1.store(false, Ordering::SeqCst);
    rig.manager.flush().await.unwrap();
    rig.assert_lives_on("refresh-2").await;
}

#[tokio::test]
async fn a_panic_outside_of_the_awaited_part_of_a_repeated_write_does_not_end_the_repetitions() {
    let (rig, storage, _) = refreshed_into_a_panic().await;

    for pause in [1, 2, 4] {
        until("it is due", || rig.clock.next_wake() == Some(seconds(pause))).await;
        rig.clock.advance(seconds(pause));
    }
    until("it is due once more", || rig.clock.next_wake() == Some(seconds(8))).await;
    storage.1.store(false, Ordering::SeqCst);
    rig.clock.advance(seconds(8));

    until("it is stored", || rig.manager.status().unpersisted().is_none()).await;
    rig.assert_lives_on("refresh-2").await;
}

/// There every wait panics.
#[test]
fn a_driver_without_timers_gives_an_error_and_no_hang() {
    finishes(|| {
        let driver = Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let provider = provider();
        provider.on_fetch(Step::hang());
        let manager = TokenManager::builder(provider).driver(driver.handle().clone()).build();

        let error = manager.unwrap().blocking().token().unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Internal);
    });
}
