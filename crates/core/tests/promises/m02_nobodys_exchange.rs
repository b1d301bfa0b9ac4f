//! M2: exchanges run on the driver, whatever the callers run on.

use std::collections::HashSet;
use std::sync::Arc;

use crate::support::rig::{Rig, finishes, login_elsewhere, seconds};
use parking_lot::Mutex;
use tokenkeeper::{
    CasOutcome, ChangeNotices, Error, ErrorKind, FetchContext, Lease, LeaseRequest, ManualClock,
    MemoryStorage, ProviderIdentity, RefreshPolicy, SharedTokenStorage, StorageKey, TokenManager,
    TokenProvider, TokenRecord, TokenSet, TokenState, TokenStorage, Version, async_trait,
};
use tokenkeeper_testkit::{FaultyStorage, Gate, ScriptedProvider, Step, StorageFault};
use tokio::runtime::{Builder, Runtime};

fn provider() -> ScriptedProvider {
    ScriptedProvider::new("svc")
}

fn runtime(thread_name: &str, threads: usize) -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(threads).thread_name(thread_name).enable_all().build().unwrap()
}

#[test]
fn token_works_without_any_runtime() {
    finishes(|| {
        let rig = Rig::shared(&provider());

        let token = pollster::block_on(rig.manager.token()).unwrap();

        assert_eq!(token.authorization(), "Bearer access-1");
    });
}

#[test]
fn blocking_callers_wait_on_the_same_flight_as_the_others() {
    finishes(|| {
        let rig = Rig::shared(&provider());
        let gate = Gate::closed();
        rig.provider.on_fetch(Step::issue().held(&gate));

        let threads: Vec<_> = (0..4)
            .map(|_| {
                let tokens = rig.manager.blocking();
                std::thread::spawn(move || tokens.token())
            })
            .collect();
        pollster::block_on(gate.arrived(1));
        let runtime = Runtime::new().unwrap();
        let manager = rig.manager.clone();
        let task = runtime.spawn(async move { manager.token().await });
        gate.release();

        let token = runtime.block_on(task).unwrap().unwrap();
        for thread in threads {
            assert!(Arc::ptr_eq(&thread.join().unwrap().unwrap(), &token));
        }
        assert_eq!(rig.provider.calls(), 1);
    });
}

/// Each of these calls waits on a flight, and a task of tokio may wait for some 128 things before
/// it has to return to its scheduler, which a blocking call never does.
#[test]
fn three_hundred_blocking_calls_inside_one_task_do_not_use_up_its_budget() {
    finishes(|| {
        let rig = Rig::shared(&provider());
        let runtime = Builder::new_current_thread().build().unwrap();

        let (tokens, clock) = (rig.manager.blocking(), rig.clock.clone());
        let task = runtime.spawn(async move {
            for _ in 0..300 {
                tokens.force_refresh().unwrap();
                clock.advance(seconds(6));
            }
        });
        runtime.block_on(task).unwrap();

        assert_eq!(rig.provider.calls(), 300);
    });
}

#[test]
fn every_blocking_method_works_inside_a_runtime() {
    finishes(|| {
        let rig = Rig::shared(&provider());
        let runtime = Builder::new_current_thread().build().unwrap();

        runtime.block_on(async {
            let (tokens, clock) = (rig.manager.blocking(), &rig.clock);
            let first = tokens.token().unwrap();
            tokens.token_valid_for(seconds(60)).unwrap();
            clock.advance(seconds(100));
            assert!(tokens.replace_rejected(&first).unwrap().is_some());
            clock.advance(seconds(6));
            tokens.force_refresh().unwrap();
            tokens.install(login_elsewhere()).unwrap();
            assert!(tokens.tokens().unwrap().is_some());
            assert!(!tokens.install_if_absent(login_elsewhere()).unwrap());
            tokens.login().unwrap();
            tokens.revoke().unwrap();
            tokens.clear().unwrap();
            tokens.flush().unwrap();
        });

        assert_eq!(rig.provider.calls(), 4);
    });
}

#[test]
fn everything_runs_on_the_driver_that_was_given() {
    finishes(|| {
        let driver = runtime("own-driver", 2);
        let (seen, clock) = (Threads::default(), ManualClock::new());
        let faults = FaultyStorage::new(MemoryStorage::new());
        let manager = TokenManager::builder(Probe(provider(), seen.clone()))
            .storage(Probe(faults.clone(), seen.clone()))
            .clock(clock.clone())
            .policy(RefreshPolicy::new().without_jitter())
            .driver(driver.handle().clone())
            .build()
            .unwrap();

        pollster::block_on(async {
            let first = manager.token().await.unwrap();
            clock.advance(seconds(100));
            manager.replace_rejected(&first).await.unwrap();
            clock.advance(seconds(700));
            manager.token().await.unwrap(); // advisory
            manager.flush().await.unwrap();
            clock.advance(seconds(6));
            faults.fault_everything(StorageFault::Fail);
            manager.install(login_elsewhere()).await.unwrap();
            faults.heal();
            manager.flush().await.unwrap();
            manager.login().await.unwrap();
            manager.revoke().await.unwrap();
            manager.clear().await.unwrap();
            manager.token().await.unwrap();
        });
        clock.advance(seconds(700));
        let refresher = manager.spawn_refresher();
        let mut changes = manager.subscribe();
        while changes.current().token_state() != TokenState::Fresh {
            pollster::block_on(changes.changed());
        }
        drop(refresher);
        pollster::block_on(manager.flush()).unwrap();

        assert_eq!(seen.names(), ["own-driver"]);
    });
}

#[test]
fn a_driver_that_was_shut_down_gives_errors_and_no_hang() {
    finishes(|| {
        let driver = runtime("gone", 1);
        let rig = Rig::with(&provider(), true, |b| b.driver(driver.handle().clone()));
        let old = pollster::block_on(rig.with_token_aged(seconds(1_000)));
        driver.shutdown_background();

        pollster::block_on(async {
            let manager = &rig.manager;
            let internal = |error: Error| assert_eq!(error.kind(), ErrorKind::Internal, "{error}");
            internal(manager.token().await.unwrap_err());
            internal(manager.token_valid_for(seconds(1)).await.unwrap_err());
            internal(manager.replace_rejected(&old).await.unwrap_err());
            internal(manager.force_refresh().await.unwrap_err());
            internal(manager.login().await.unwrap_err());
            internal(manager.install(login_elsewhere()).await.unwrap_err());
            internal(manager.revoke().await.unwrap_err());
            internal(manager.clear().await.unwrap_err());
            drop(manager.spawn_refresher());
            manager.flush().await.unwrap();
        });

        assert_eq!(rig.provider.calls(), 1);
        assert!(!rig.manager.status().is_requesting());
    });
}

#[test]
fn a_driver_shut_down_in_the_middle_of_an_exchange_gives_its_waiters_an_error() {
    finishes(|| {
        let driver = runtime("going", 1);
        let rig = Rig::with(&provider(), true, |b| b.driver(driver.handle().clone()));
        let gate = Gate::closed();
        rig.provider.on_fetch(Step::issue().held(&gate));

        let waiter = std::thread::spawn({
            let tokens = rig.manager.blocking();
            move || tokens.token()
        });
        pollster::block_on(gate.arrived(1));
        driver.shutdown_background();

        assert_eq!(waiter.join().unwrap().unwrap_err().kind(), ErrorKind::Internal);
        assert!(!rig.manager.status().is_requesting());
    });
}

/// The write that the driver was about to repeat is not forgotten: `flush` says that it is missing.
#[test]
fn a_driver_shut_down_before_a_write_is_repeated_does_not_make_flush_hang() {
    finishes(|| {
        let driver = runtime("going", 1);
        let rig = Rig::with(&provider(), true, |b| b.driver(driver.handle().clone()));
        rig.storage.fault_until_healed(rig.write(), StorageFault::Fail);
        rig.manager.blocking().token().unwrap();
        driver.shutdown_background();

        let flushed = rig.manager.blocking().flush();

        assert_eq!(flushed.unwrap_err().kind(), ErrorKind::Internal);
        assert!(rig.manager.status().unpersisted().is_some());
    });
}

/// The names of the threads that a provider and a storage were called on.
#[derive(Clone, Debug, Default)]
struct Threads(Arc<Mutex<HashSet<String>>>);

impl Threads {
    fn note(&self) {
        let name = std::thread::current().name().unwrap_or("?").to_owned();
        self.0.lock().insert(name);
    }

    fn names(&self) -> Vec<String> {
        self.0.lock().iter().cloned().collect()
    }
}

/// Notes the thread of every call, then forwards it.
#[derive(Debug)]
struct Probe<T>(T, Threads);

#[async_trait]
impl TokenProvider for Probe<ScriptedProvider> {
    fn identity(&self) -> &ProviderIdentity {
        self.0.identity()
    }

    async fn fetch_token(&self, cx: &FetchContext<'_>) -> Result<TokenSet, Error> {
        self.1.note();
        self.0.fetch_token(cx).await
    }

    async fn refresh_token(
        &self,
        now: &TokenSet,
        cx: &FetchContext<'_>,
    ) -> Result<TokenSet, Error> {
        self.1.note();
        self.0.refresh_token(now, cx).await
    }

    async fn revoke(&self, tokens: &TokenSet) -> Result<(), Error> {
        self.1.note();
        self.0.revoke(tokens).await
    }
}

#[async_trait]
impl TokenStorage for Probe<FaultyStorage<MemoryStorage>> {
    async fn get(&self, key: &StorageKey) -> Result<Option<TokenRecord>, Error> {
        self.1.note();
        self.0.get(key).await
    }

    async fn set(&self, key: &StorageKey, record: &TokenRecord) -> Result<(), Error> {
        self.1.note();
        self.0.set(key, record).await
    }

    async fn delete(&self, key: &StorageKey) -> Result<(), Error> {
        self.1.note();
        self.0.delete(key).await
    }

    fn shared(&self) -> Option<&dyn SharedTokenStorage> {
        Some(self)
    }
}

#[async_trait]
impl SharedTokenStorage for Probe<FaultyStorage<MemoryStorage>> {
    async fn load(&self, key: &StorageKey) -> Result<Option<(Version, TokenRecord)>, Error> {
        self.1.note();
        self.0.load(key).await
    }

    async fn compare_and_set(
        &self,
        key: &StorageKey,
        expected: Option<&Version>,
        record: &TokenRecord,
    ) -> Result<CasOutcome, Error> {
        self.1.note();
        self.0.compare_and_set(key, expected, record).await
    }

    async fn lease(&self, key: &StorageKey, want: &LeaseRequest) -> Result<Lease, Error> {
        self.1.note();
        self.0.lease(key, want).await
    }

    fn notices(&self, key: &StorageKey) -> Option<Box<dyn ChangeNotices>> {
        self.1.note();
        self.0.notices(key)
    }
}
