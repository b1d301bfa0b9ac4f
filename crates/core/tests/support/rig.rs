//! One manager whose provider, clock, storage and events are all in a test's hands.

use std::pin::{Pin, pin};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokenkeeper::{
    AccessToken, EventKind, ManualClock, MemoryStorage, Order, RefreshPolicy, TokenManager,
    TokenManagerBuilder, TokenRecord, TokenSet, TokenStorage,
};
use tokenkeeper_testkit::{
    FaultyStorage, Gate, PlainStorage, RecordingObserver, ScriptedProvider, StorageFault,
    StorageOperation,
};

pub type Storage = FaultyStorage<Arc<dyn TokenStorage>>;
pub type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A manager without jitter, and the handles that a test moves it by.
pub struct Rig {
    pub manager: TokenManager,
    pub provider: ScriptedProvider,
    pub clock: ManualClock,
    /// What the manager was given: it can be made to fail.
    pub storage: Storage,
    /// What is behind `storage`: it always works.
    pub shelf: MemoryStorage,
    pub events: RecordingObserver,
}

impl Rig {
    /// On a storage that can be shared.
    pub fn shared(provider: &ScriptedProvider) -> Self {
        Self::with(provider, true, |builder| builder)
    }

    /// On a storage that cannot.
    pub fn plain(provider: &ScriptedProvider) -> Self {
        Self::with(provider, false, |builder| builder)
    }

    /// On both kinds of storage, one after the other.
    pub fn both(provider: impl Fn() -> ScriptedProvider) -> [Self; 2] {
        [Self::shared(&provider()), Self::plain(&provider())]
    }

    pub fn with(
        provider: &ScriptedProvider,
        is_shared: bool,
        more: impl FnOnce(TokenManagerBuilder) -> TokenManagerBuilder,
    ) -> Self {
        let (clock, shelf) = (ManualClock::new(), MemoryStorage::new());
        let events = RecordingObserver::new();
        let inner: Arc<dyn TokenStorage> = if is_shared {
            Arc::new(shelf.clone())
        } else {
            Arc::new(PlainStorage::new(shelf.clone()))
        };
        let storage = FaultyStorage::new(inner);
        let builder = TokenManager::builder(provider.clone())
            .storage(storage.clone())
            .clock(clock.clone())
            .policy(RefreshPolicy::new().without_jitter())
            .observer(events.clone());
        let manager = more(builder).build().unwrap();
        Self { manager, provider: provider.clone(), clock, storage, shelf, events }
    }

    pub fn is_shared(&self) -> bool {
        self.storage.shared().is_some()
    }

    /// The operation that this storage reads a record by.
    pub fn read(&self) -> StorageOperation {
        if self.is_shared() { StorageOperation::Load } else { StorageOperation::Get }
    }

    /// The operation that this storage writes a record by.
    pub fn write(&self) -> StorageOperation {
        if self.is_shared() { StorageOperation::CompareAndSet } else { StorageOperation::Set }
    }

    /// Holds the next call of the operation.
    pub fn hold_next(&self, operation: StorageOperation) -> Gate {
        let gate = Gate::closed();
        self.storage.fault_next(operation, 1, StorageFault::Gate(gate.clone()));
        gate
    }

    pub fn stored(&self) -> Option<TokenRecord> {
        pollster::block_on(self.shelf.get(self.manager.key())).unwrap()
    }

    /// The refresh token in the storage, if there is one.
    pub fn stored_refresh_token(&self) -> Option<String> {
        let payload: serde_json::Value = serde_json::from_slice(self.stored()?.payload()).ok()?;
        Some(payload.pointer("/tokens/refresh_token")?.as_str()?.to_owned())
    }

    pub fn store(&self, payload: &str, order: Order) {
        let record = TokenRecord::from_parts(payload.as_bytes().to_vec(), order, None, false);
        pollster::block_on(self.shelf.set(self.manager.key(), &record)).unwrap();
    }

    /// Gets the first token, `access-1` with `refresh-1`, and lets it grow `age` old.
    pub async fn with_token_aged(&self, age: Duration) -> Arc<AccessToken> {
        let token = self.manager.token().await.unwrap();
        self.manager.flush().await.unwrap();
        self.clock.advance(age);
        token
    }

    /// Shows that memory and storage hold the refresh token `newest`, by spending it.
    pub async fn assert_lives_on(&self, newest: &str) {
        assert_eq!(self.stored_refresh_token().as_deref(), Some(newest));
        self.clock.advance(seconds(6));
        self.manager.force_refresh().await.unwrap();
        assert_eq!(self.provider.spent().last().map(String::as_str), Some(newest));
        assert_eq!(self.provider.reuses(), 0);
    }

    pub fn count(&self, matcher: impl Fn(&EventKind) -> bool) -> usize {
        self.events.count(matcher)
    }
}

/// Waits for what happens on another thread and cannot be waited for otherwise.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            std::thread::yield_now();
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(seconds(60), wait).await.is_ok(), "never: {what}");
}

/// Lets the pause before a write that is repeated pass. The lease is renewed in it every 10 s.
pub async fn pass_with_renewals(rig: &Rig, pause: u64) {
    let mut left = pause;
    while left > 0 {
        let step = left.min(10);
        until("it waits", || rig.clock.next_wake() == Some(seconds(step))).await;
        rig.clock.advance(seconds(step));
        left -= step;
    }
}

/// Does something on another thread, and fails instead of hanging.
pub fn finishes(work: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    let worker = std::thread::spawn(move || {
        work();
        let _ = done.send(());
    });
    match is_done.recv_timeout(seconds(60)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        _ => worker.join().unwrap(),
    }
}

/// What one poll gives.
pub fn poll_once<T>(future: impl Future<Output = T>) -> Poll<T> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

pub fn login_elsewhere() -> TokenSet {
    TokenSet::from_refresh_token("installed")
}

pub fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub const MILLISECOND: Duration = Duration::from_millis(1);
