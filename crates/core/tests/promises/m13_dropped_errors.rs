//! M13: what an error was made of is dropped outside every lock, so it may call back.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use crate::support::rig::{finishes, login_elsewhere, seconds};
use parking_lot::Mutex;
use tokenkeeper::{
    Error, ErrorKind, ManualClock, MemoryStorage, StatusStream, StorageKey, TokenManager,
    TokenRecord, TokenStorage, async_trait,
};
use tokenkeeper_testkit::{ScriptedProvider, Step};

/// What makes a manager forget the last failure.
const WAYS_TO_FORGET: [&str; 5] =
    ["another failure", "a success", "a correction", "a logout", "a login"];

#[test]
fn the_cause_of_a_failure_may_call_back_when_it_is_forgotten() {
    for way in WAYS_TO_FORGET {
        finishes(move || {
            let (manager, provider, clock, cause) = managed(MemoryStorage::new());
            let Managed { runtime, manager } = manager;
            runtime.block_on(async {
                manager.token().await.unwrap();
                clock.advance(seconds(6));
                let refusal = Error::new(ErrorKind::CredentialsRejected, "refused");
                provider.on_refresh(Step::fail(refusal.with_source(cause.watched(&manager))));
                manager.force_refresh().await.unwrap_err();
                settle().await;
                clock.advance(seconds(6));
                assert_eq!(cause.calls(), 0, "{way}: the manager remembers it");

                match way {
                    "another failure" => {
                        provider.on_refresh(Step::unavailable());
                        drop(manager.force_refresh().await.unwrap_err());
                    }
                    "a success" => drop(manager.force_refresh().await.unwrap()),
                    "a correction" => manager.credentials_changed(),
                    "a logout" => manager.clear().await.unwrap(),
                    _ => manager.install(login_elsewhere()).await.unwrap(),
                }
                settle().await;
                assert_eq!(cause.calls(), 1, "{way}");
            });
        });
    }
}

#[test]
fn the_cause_of_a_failed_write_may_call_back_when_the_write_succeeds() {
    finishes(|| {
        let refusal = Arc::default();
        let storage = RefusesOnce(MemoryStorage::new(), Arc::clone(&refusal));
        let (manager, _, clock, cause) = managed(storage);
        let Managed { runtime, manager } = manager;
        runtime.block_on(async {
            manager.token().await.unwrap();
            let error = Error::new(ErrorKind::Storage, "full");
            *refusal.lock() = Some(error.with_source(cause.watched(&manager)));
            manager.install(login_elsewhere()).await.unwrap();
            settle().await;
            assert_eq!(cause.calls(), 0, "the manager remembers it");

            clock.advance(seconds(1));
            settle().await;

            assert!(manager.status().unpersisted().is_none());
            assert_eq!(cause.calls(), 1);
        });
    });
}

#[test]
fn the_cause_of_a_failure_may_call_back_when_a_status_stream_forgets_it() {
    finishes(|| {
        let (manager, provider, clock, cause) = managed(MemoryStorage::new());
        let Managed { runtime, manager } = manager;
        let stream = Arc::new(manager.subscribe());
        *cause.stream.lock() = Some(Arc::downgrade(&stream));
        runtime.block_on(async {
            manager.token().await.unwrap();
            clock.advance(seconds(6));
            let refusal = Error::new(ErrorKind::CredentialsRejected, "refused");
            provider.on_refresh(Step::fail(refusal.with_source(cause.watched(&manager))));
            manager.force_refresh().await.unwrap_err();
            drop(stream.current());
            manager.credentials_changed();
            settle().await;
            assert_eq!(cause.calls(), 0, "the stream remembers it");

            drop(stream.current());

            assert_eq!(cause.calls(), 1);
        });
    });
}

/// A manager of which everything runs on one runtime, and the runtime.
struct Managed {
    runtime: tokio::runtime::Runtime,
    manager: TokenManager,
}

fn managed(storage: impl TokenStorage) -> (Managed, ScriptedProvider, ManualClock, Watched) {
    let (provider, clock) = (ScriptedProvider::new("svc"), ManualClock::new());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let manager = TokenManager::builder(provider.clone())
        .storage(storage)
        .clock(clock.clone())
        .driver(runtime.handle().clone())
        .build()
        .unwrap();
    (Managed { runtime, manager }, provider, clock, Watched::default())
}

/// Lets everything run that can run without the clock being moved.
async fn settle() {
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
}

/// Counts how often a cause was dropped and had called back.
#[derive(Clone, Default)]
struct Watched {
    calls: Arc<AtomicUsize>,
    stream: Arc<Mutex<Option<Weak<StatusStream>>>>,
}

impl Watched {
    fn watched(&self, manager: &TokenManager) -> CallsBackWhenDropped {
        CallsBackWhenDropped { manager: manager.clone(), watched: self.clone() }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

struct CallsBackWhenDropped {
    manager: TokenManager,
    watched: Watched,
}

impl fmt::Debug for CallsBackWhenDropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallsBackWhenDropped")
    }
}

impl fmt::Display for CallsBackWhenDropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a cause")
    }
}

impl std::error::Error for CallsBackWhenDropped {}

impl Drop for CallsBackWhenDropped {
    fn drop(&mut self) {
        let _ = (self.manager.peek(), self.manager.status().to_string());
        self.manager.credentials_changed();
        let stream = self.watched.stream.lock().as_ref().and_then(Weak::upgrade);
        drop(stream.map(|stream| stream.current()));
        self.watched.calls.fetch_add(1, Ordering::SeqCst);
    }
}

/// Refuses one write with the error that it is given.
#[derive(Debug)]
struct RefusesOnce(MemoryStorage, Arc<Mutex<Option<Error>>>);

#[async_trait]
impl TokenStorage for RefusesOnce {
    async fn get(&self, key: &StorageKey) -> Result<Option<TokenRecord>, Error> {
        self.0.get(key).await
    }

    async fn set(&self, key: &StorageKey, record: &TokenRecord) -> Result<(), Error> {
        let refusal = self.1.lock().take();
        match refusal {
            Some(error) => Err(error),
            None => self.0.set(key, record).await,
        }
    }

    async fn delete(&self, key: &StorageKey) -> Result<(), Error> {
        self.0.delete(key).await
    }
}
