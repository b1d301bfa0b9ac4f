//! Two processes on one storage that tells of writes, all on the runtime of the test.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokenkeeper::{
    CasOutcome, ChangeNotices, Error, ErrorKind, Lease, LeaseRequest, ManualClock, MemoryStorage,
    Order, RefreshPolicy, SharedTokenStorage, StorageKey, TokenManager, TokenRecord, TokenStorage,
    Version, async_trait,
};
use tokenkeeper_testkit::{FaultyStorage, RecordingObserver, ScriptedProvider};
use tokio::runtime::Handle;

/// One process that is watched, and a sibling that writes.
pub struct Pair {
    pub listener: TokenManager,
    pub sibling: TokenManager,
    pub provider: ScriptedProvider,
    pub clock: ManualClock,
    pub shelf: MemoryStorage,
    /// What the listener was given.
    pub storage: TellingStorage,
    /// What the sibling was given.
    pub siblings_storage: FaultyStorage<MemoryStorage>,
    pub events: RecordingObserver,
}

impl Pair {
    /// Neither has any tokens.
    pub fn cold(provider: &ScriptedProvider) -> Self {
        let (clock, shelf) = (ManualClock::new(), MemoryStorage::new());
        let events = RecordingObserver::new();
        let storage = TellingStorage::new(&shelf);
        let siblings_storage = FaultyStorage::new(shelf.clone());
        let builder = || {
            TokenManager::builder(provider.clone())
                .clock(clock.clone())
                .policy(RefreshPolicy::new().without_jitter())
                .driver(Handle::current())
        };
        let listener = builder().storage(storage.clone()).observer(events.clone());
        Self {
            listener: listener.build().unwrap(),
            sibling: builder().storage(siblings_storage.clone()).build().unwrap(),
            provider: provider.clone(),
            clock,
            shelf,
            storage,
            siblings_storage,
            events,
        }
    }

    /// Both hold the first token for 6 s, so that another exchange is not too early.
    pub async fn warm() -> Self {
        let pair = Self::cold(&ScriptedProvider::new("svc"));
        pair.listener.token().await.unwrap();
        pair.sibling.token().await.unwrap();
        pair.clock.advance(Duration::from_secs(6));
        settle().await;
        assert_eq!(pair.provider.calls(), 1);
        pair.storage.calls.reset_calls();
        pair
    }

    /// The token that the listener would serve at once.
    pub fn served(&self) -> Option<String> {
        Some(self.listener.peek()?.secret().expose_secret().to_owned())
    }

    /// Puts what is stored there again, under an order that is higher by `generations`.
    pub async fn raise(&self, generations: u64) -> Order {
        let key = self.listener.key();
        let there = self.shelf.get(key).await.unwrap().unwrap();
        let order = Order::new(there.order().epoch(), there.order().generation() + generations);
        let payload = there.payload().to_vec();
        let record = TokenRecord::from_parts(payload, order, there.keep_until(), false);
        self.shelf.set(key, &record).await.unwrap();
        order
    }
}

/// Lets everything run that can run without the clock being moved.
pub async fn settle() {
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
}

/// A storage that counts its calls, and whose notices a test can spoil.
#[derive(Clone, Debug)]
pub struct TellingStorage {
    pub calls: FaultyStorage<MemoryStorage>,
    desk: Arc<Mutex<Desk>>,
}

/// What becomes of a call for a notice.
#[derive(Clone, Copy, Debug)]
pub enum Spoilt {
    Fails,
    Panics,
    /// It completes at once, for nothing.
    ForNothing,
    /// The call that subscribes panics.
    CannotSubscribe,
}

#[derive(Debug, Default)]
struct Desk {
    next: VecDeque<Spoilt>,
    always: Option<Spoilt>,
    subscribed: usize,
    unsubscribed: usize,
    asked: usize,
}

impl TellingStorage {
    fn new(shelf: &MemoryStorage) -> Self {
        Self { calls: FaultyStorage::new(shelf.clone()), desk: Arc::default() }
    }

    pub fn spoil_next(&self, count: usize, spoilt: Spoilt) {
        self.desk.lock().next.extend(std::iter::repeat_n(spoilt, count));
    }

    pub fn spoil_all(&self, spoilt: Spoilt) {
        self.desk.lock().always = Some(spoilt);
    }

    /// How often somebody subscribed, and how often it was given up.
    pub fn subscriptions(&self) -> (usize, usize) {
        let desk = self.desk.lock();
        (desk.subscribed, desk.unsubscribed)
    }

    /// How often somebody asked for a notice.
    pub fn asked(&self) -> usize {
        self.desk.lock().asked
    }
}

impl Desk {
    fn due(&mut self, subscribes: bool) -> Option<Spoilt> {
        let due = self.next.front().copied().or(self.always)?;
        if matches!(due, Spoilt::CannotSubscribe) != subscribes {
            return None;
        }
        self.next.pop_front();
        Some(due)
    }
}

#[async_trait]
impl TokenStorage for TellingStorage {
    async fn get(&self, key: &StorageKey) -> Result<Option<TokenRecord>, Error> {
        self.calls.get(key).await
    }

    async fn set(&self, key: &StorageKey, record: &TokenRecord) -> Result<(), Error> {
        self.calls.set(key, record).await
    }

    async fn delete(&self, key: &StorageKey) -> Result<(), Error> {
        self.calls.delete(key).await
    }

    fn shared(&self) -> Option<&dyn SharedTokenStorage> {
        Some(self)
    }
}

#[async_trait]
impl SharedTokenStorage for TellingStorage {
    async fn load(&self, key: &StorageKey) -> Result<Option<(Version, TokenRecord)>, Error> {
        self.calls.load(key).await
    }

    async fn compare_and_set(
        &self,
        key: &StorageKey,
        expected: Option<&Version>,
        record: &TokenRecord,
    ) -> Result<CasOutcome, Error> {
        self.calls.compare_and_set(key, expected, record).await
    }

    async fn lease(&self, key: &StorageKey, want: &LeaseRequest) -> Result<Lease, Error> {
        self.calls.lease(key, want).await
    }

    fn notices(&self, key: &StorageKey) -> Option<Box<dyn ChangeNotices>> {
        let due = {
            let mut desk = self.desk.lock();
            desk.subscribed += 1;
            desk.due(true)
        };
        assert!(due.is_none(), "a test asked for it");
        let inner = self.calls.notices(key)?;
        Some(Box::new(SpoiltNotices { inner, desk: Arc::clone(&self.desk) }))
    }
}

#[derive(Debug)]
struct SpoiltNotices {
    inner: Box<dyn ChangeNotices>,
    desk: Arc<Mutex<Desk>>,
}

#[async_trait]
impl ChangeNotices for SpoiltNotices {
    async fn next(&mut self) -> Result<Option<Order>, Error> {
        let due = {
            let mut desk = self.desk.lock();
            desk.asked += 1;
            desk.due(false)
        };
        match due {
            Some(Spoilt::Fails) => Err(Error::new(ErrorKind::Storage, "no more notices")),
            Some(Spoilt::Panics) => panic!("a test asked for it"),
            Some(Spoilt::ForNothing) => Ok(None),
            Some(Spoilt::CannotSubscribe) | None => self.inner.next().await,
        }
    }
}

impl Drop for SpoiltNotices {
    fn drop(&mut self) {
        self.desk.lock().unsubscribed += 1;
    }
}

pub fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}
