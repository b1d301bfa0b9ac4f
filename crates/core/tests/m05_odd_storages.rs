//! M5: storages that return garbage, hang or panic.

#![allow(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    clippy::restriction,
    clippy::nursery,
    reason = "review"
)]

mod setup;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use setup::{Setup, manager, seconds};
use tokenkeeper::{
    AccessToken, CasOutcome, Clock, Error, Lease, LeaseRequest, ManualClock, MemoryStorage, Order,
    SharedTokenStorage, StorageKey, TokenRecord, TokenSet, TokenStorage, Version, async_trait,
};
use tokenkeeper_testkit::{
    FaultyStorage, Gate, PlainStorage, ScriptedProvider, Step, StorageFault, StorageOperation as Op,
};

fn garbage(order: Order) -> TokenRecord {
    TokenRecord::from_parts(b"garbage".to_vec(), order, None, false)
}

/// `flush` says so if something could not be written, and the retries back off.
#[tokio::test]
async fn a_write_that_meets_garbage_is_not_retried_for_ever_and_flush_tells_the_truth() {
    let (clock, inner) = (ManualClock::new(), MemoryStorage::new());
    let storage = FaultyStorage::new(inner.clone());
    let m = manager(&ScriptedProvider::new("svc"), storage.clone(), &clock);
    storage.fault_next(Op::CompareAndSet, 1, StorageFault::Fail);
    m.token().await.unwrap();
    inner.set(m.key(), &garbage(Order::new(0, 9))).await.unwrap();
    storage.reset_calls();
    for _ in 0..600 {
        clock.advance(Duration::from_millis(200));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let flushed = m.flush().await;
    println!("loads in 2 min: {}, flush {flushed:?}, {}", storage.calls(Op::Load), m.status());
    assert!(flushed.is_err() || m.status().unpersisted().is_none());
    assert!(storage.calls(Op::Load) < 15, "{} loads", storage.calls(Op::Load));
}

/// M4/M5: garbage that appears between look and write does not discard a successful exchange.
#[tokio::test]
async fn garbage_does_not_discard_a_successful_exchange() {
    let (clock, inner) = (ManualClock::new(), MemoryStorage::new());
    let storage = FaultyStorage::new(inner.clone());
    let provider = ScriptedProvider::new("svc");
    let m = manager(&provider, storage.clone(), &clock);
    let gate = storage.hold(Op::CompareAndSet);
    let call = tokio::spawn({
        let m = m.clone();
        async move { m.token().await }
    });
    gate.arrived(1).await;
    inner.set(m.key(), &garbage(Order::new(7, 9))).await.unwrap();
    gate.release();
    storage.heal();
    call.await.unwrap().unwrap();
    assert_eq!((provider.calls(), provider.revoked()), (1, vec![]));
}

/// One flight, a bounded number of requests.
#[tokio::test]
async fn a_refused_refresh_token_is_not_sent_again_and_again() {
    let (clock, inner) = (ManualClock::new(), MemoryStorage::new());
    let storage = FaultyStorage::new(inner.clone());
    let provider = ScriptedProvider::new("svc");
    let m = manager(&provider, storage.clone(), &clock);
    m.token().await.unwrap();
    clock.advance(seconds(6));
    provider.always_on_refresh(Step::refuse_refresh());
    let gate = storage.hold(Op::CompareAndSet);
    let call = tokio::spawn({
        let m = m.clone();
        async move { m.force_refresh().await }
    });
    gate.arrived(1).await;
    inner.set(m.key(), &garbage(Order::new(7, 9))).await.unwrap();
    storage.heal();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let refreshes = provider.refreshes();
    drop(m.clear().await); // ends the loop
    let _ = call.await;
    assert!(refreshes <= 3, "{refreshes} refreshes in 100 ms, while the clock stood still");
}

/// M5: every storage call has a deadline of 5 s.
#[tokio::test]
async fn a_storage_that_hangs_does_not_cost_a_minute() {
    let clock = ManualClock::new();
    let storage = FaultyStorage::new(MemoryStorage::new());
    storage.fault_everything(StorageFault::Hang);
    let m =
        manager(&ScriptedProvider::new("svc").without_refresh_tokens(), storage.clone(), &clock);
    let start = clock.now();
    let call = tokio::spawn(async move { m.token().await });
    while !call.is_finished() {
        clock.advance(Duration::from_millis(500));
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    call.await.unwrap().unwrap();
    let took = clock.now().since(&start);
    assert!(took <= seconds(22), "{took:?}");
}

/// The advice of the error is "remove it or log in".
#[tokio::test]
async fn login_helps_against_a_record_that_cannot_be_read() {
    let (clock, inner) = (ManualClock::new(), MemoryStorage::new());
    let m = manager(&ScriptedProvider::new("svc").attended(), inner.clone(), &clock);
    inner.set(m.key(), &garbage(Order::default())).await.unwrap();
    println!("{}", m.token().await.unwrap_err());
    clock.advance(seconds(6));
    m.login().await.unwrap();
}

/// The provider contract: never two calls at once.
/// `is_exchanging` is part of the status.
#[tokio::test]
async fn a_status_stream_tells_that_an_exchange_began() {
    let provider = ScriptedProvider::new("svc");
    let gate = Gate::closed();
    provider.on_fetch(Step::issue().held(&gate));
    let Setup { manager, .. } = Setup::new(&provider);
    let mut stream = manager.subscribe();
    let _call = tokio::spawn({
        let m = manager.clone();
        async move { m.token().await }
    });
    gate.arrived(1).await;
    assert!(stream.current().is_exchanging());
    let told = tokio::time::timeout(Duration::from_millis(200), stream.changed()).await;
    gate.release();
    told.expect("a change was announced");
}

/// A storage whose `compare_and_set` panics before there is a future: legal without the macro.
#[derive(Clone, Debug)]
struct Abrupt {
    inner: MemoryStorage,
    panics: Arc<AtomicUsize>,
}

#[async_trait]
impl TokenStorage for Abrupt {
    async fn get(&self, key: &StorageKey) -> Result<Option<TokenRecord>, Error> {
        self.inner.get(key).await
    }
    async fn set(&self, key: &StorageKey, record: &TokenRecord) -> Result<(), Error> {
        self.inner.set(key, record).await
    }
    async fn delete(&self, key: &StorageKey) -> Result<(), Error> {
        self.inner.delete(key).await
    }
    fn shared(&self) -> Option<&dyn SharedTokenStorage> {
        Some(self)
    }
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

impl SharedTokenStorage for Abrupt {
    fn load<'a, 'b, 't>(&'a self, key: &'b StorageKey) -> Boxed<'t, Option<(Version, TokenRecord)>>
    where
        'a: 't,
        'b: 't,
        Self: 't,
    {
        self.inner.load(key)
    }
    fn compare_and_set<'a, 'b, 'c, 'd, 't>(
        &'a self,
        key: &'b StorageKey,
        expected: Option<&'c Version>,
        record: &'d TokenRecord,
    ) -> Boxed<'t, CasOutcome>
    where
        'a: 't,
        'b: 't,
        'c: 't,
        'd: 't,
        Self: 't,
    {
        match self.panics.load(Ordering::SeqCst) {
            0 => {}
            FAIL_THEN_PANIC => {
                self.panics.store(1, Ordering::SeqCst);
                let error = Error::new(tokenkeeper::ErrorKind::Storage, "down");
                return Box::pin(async move { Err(error) });
            }
            _ => {
                self.panics.store(0, Ordering::SeqCst);
                panic!("before the future");
            }
        }
        self.inner.compare_and_set(key, expected, record)
    }
    fn lease<'a, 'b, 'c, 't>(
        &'a self,
        key: &'b StorageKey,
        want: &'c LeaseRequest,
    ) -> Boxed<'t, Lease>
    where
        'a: 't,
        'b: 't,
        'c: 't,
        Self: 't,
    {
        self.inner.lease(key, want)
    }
}

/// M2/M5: a panic of a storage is a failed write.
#[tokio::test]
async fn a_panic_before_the_first_await_of_a_write_loses_nothing() {
    let clock = ManualClock::new();
    let storage = Abrupt { inner: MemoryStorage::new(), panics: Arc::new(AtomicUsize::new(1)) };
    let provider = ScriptedProvider::new("svc");
    let m = manager(&provider, storage, &clock);
    m.token().await.unwrap();
    assert_eq!(provider.calls(), 1);
}

/// M5: "the write is retried", also after a panic in a retry.
#[tokio::test]
async fn a_panic_in_a_retried_write_does_not_end_the_retries() {
    let clock = ManualClock::new();
    let abrupt =
        Abrupt { inner: MemoryStorage::new(), panics: Arc::new(AtomicUsize::new(FAIL_THEN_PANIC)) };
    let m = manager(&ScriptedProvider::new("svc"), abrupt, &clock);
    m.token().await.unwrap();
    assert!(m.status().unpersisted().is_some());
    for _ in 0..500 {
        clock.advance(Duration::from_millis(200));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(m.status().unpersisted().is_none(), "100 s later: {}", m.status());
}

const FAIL_THEN_PANIC: usize = 9;

/// M5: a record of a newer format is never overwritten, whichever of the two versions was raised.
#[tokio::test]
async fn a_record_with_a_newer_envelope_is_never_overwritten() {
    let (clock, inner) = (ManualClock::new(), MemoryStorage::new());
    let m = manager(&ScriptedProvider::new("svc"), inner.clone(), &clock);
    let bytes = br#"{"tokenkeeper":2,"order":{"epoch":1,"generation":1},"keep_until":null,"tombstone":false}
{"v":2}"#;
    inner.set(m.key(), &TokenRecord::from_bytes(bytes)).await.unwrap();
    let _ = m.token().await;
    assert_eq!(inner.get(m.key()).await.unwrap().unwrap().payload(), bytes);
}

#[test]
fn unused() {
    let _ = (AccessToken::new("x", "Bearer"), TokenSet::from_refresh_token("x"));
}
