//! The storage of this process: the default, and the reference for the others.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::clock::{Clock, Now};
use crate::error::{Error, ErrorKind};
use crate::identity::StorageKey;
use crate::list_keys::{KeyCursor, KeyPage, ListKeys};
use crate::record::{Order, TokenRecord};
use crate::shared_storage::{
    CasOutcome, ChangeNotices, Lease, LeaseHandle, LeaseRequest, SharedTokenStorage, Version,
};
use crate::storage::TokenStorage;

/// Keeps records in memory. Clones share them, so several managers on clones of one storage
/// behave like several processes on one Redis.
///
/// Records are never removed on their own; they are overwritten when they are dropped. A lease ends by
/// the clock of whoever asks, by either reading of it, as its holder counts: so a test with a
/// [`ManualClock`](crate::ManualClock) can let the time of a server pass. In one process nothing else is
/// at stake; a storage that processes share has to count by one clock for all.
#[derive(Clone, Default)]
pub struct MemoryStorage {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    freed: Notify,
    /// Who wants to be told of writes, by key.
    listeners: Mutex<HashMap<StorageKey, watch::Sender<()>>>,
}

#[derive(Default)]
struct State {
    records: HashMap<StorageKey, (u64, TokenRecord)>,
    leases: HashMap<StorageKey, (u64, Now)>,
    /// The last number given to a write or a lease: never reused, so neither are they.
    last: u64,
}

impl MemoryStorage {
    /// An empty storage.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl fmt::Debug for MemoryStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let records = self.inner.state.lock().records.len();
        f.debug_struct("MemoryStorage").field("records", &records).finish()
    }
}

#[async_trait]
impl TokenStorage for MemoryStorage {
    async fn get(&self, key: &StorageKey) -> Result<Option<TokenRecord>, Error> {
        Ok(self.inner.state.lock().records.get(key).map(|(_, record)| record.clone()))
    }

    async fn set(&self, key: &StorageKey, record: &TokenRecord) -> Result<(), Error> {
        self.inner.state.lock().write(key, record);
        self.inner.tell(key);
        Ok(())
    }

    async fn delete(&self, key: &StorageKey) -> Result<(), Error> {
        self.inner.state.lock().records.remove(key);
        self.inner.tell(key);
        Ok(())
    }

    async fn exists(&self, key: &StorageKey) -> Result<bool, Error> {
        Ok(self.inner.state.lock().records.contains_key(key))
    }

    fn shared(&self) -> Option<&dyn SharedTokenStorage> {
        Some(self)
    }
}

#[async_trait]
impl SharedTokenStorage for MemoryStorage {
    async fn load(&self, key: &StorageKey) -> Result<Option<(Version, TokenRecord)>, Error> {
        Ok(self.inner.state.lock().read(key))
    }

    async fn compare_and_set(
        &self,
        key: &StorageKey,
        expected: Option<&Version>,
        record: &TokenRecord,
    ) -> Result<CasOutcome, Error> {
        let mut state = self.inner.state.lock();
        let there = state.read(key);
        if there.as_ref().map(|(version, _)| version) != expected {
            return Ok(CasOutcome::Conflict(there));
        }
        let version = state.write(key, record);
        drop(state);
        self.inner.tell(key);
        Ok(CasOutcome::Stored(version))
    }

    async fn lease(&self, key: &StorageKey, want: &LeaseRequest) -> Result<Lease, Error> {
        let clock = want.clock();
        let started = clock.now();
        loop {
            let freed = self.inner.freed.notified();
            let now = clock.now();
            let taken = self.inner.state.lock().take_lease(key, now, want.ttl());
            let ends = match taken {
                Ok(id) => {
                    let inner = Arc::clone(&self.inner);
                    let handle = MemoryLease { inner, key: key.clone(), id, clock: clock.clone() };
                    return Ok(want.granted(now, Box::new(handle)));
                }
                Err(ends) => ends,
            };
            let patience = want.longest_wait().saturating_sub(now.since(&started));
            if patience.is_zero() {
                let what = "the lease of this key is held by another manager";
                return Err(Error::new(ErrorKind::Storage, what));
            }
            tokio::select! {
                () = freed => {}
                () = clock.sleep(now.until(&ends).min(patience)) => {}
            }
        }
    }

    fn notices(&self, key: &StorageKey) -> Option<Box<dyn ChangeNotices>> {
        let written = self.inner.listen(key);
        Some(Box::new(MemoryNotices { inner: Arc::clone(&self.inner), key: key.clone(), written }))
    }
}

#[async_trait]
impl ListKeys for MemoryStorage {
    /// All of them, in one page.
    async fn list_keys(&self, _: Option<&KeyCursor>) -> Result<KeyPage, Error> {
        let mut keys: Vec<_> = self.inner.state.lock().records.keys().cloned().collect();
        keys.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
        Ok(KeyPage::new(keys, None))
    }
}

impl Inner {
    fn listen(&self, key: &StorageKey) -> watch::Receiver<()> {
        let mut listeners = self.listeners.lock();
        listeners.entry(key.clone()).or_default().subscribe()
    }

    /// Wakes whoever listens, after the write and outside every lock.
    fn tell(&self, key: &StorageKey) {
        let listener = self.listeners.lock().get(key).cloned();
        if let Some(listener) = listener {
            listener.send_replace(());
        }
    }

    /// To be called by a listener that goes.
    fn forget(&self, key: &StorageKey) {
        let mut listeners = self.listeners.lock();
        if listeners.get(key).is_some_and(|listener| listener.receiver_count() <= 1) {
            listeners.remove(key);
        }
    }
}

impl State {
    fn read(&self, key: &StorageKey) -> Option<(Version, TokenRecord)> {
        self.records.get(key).map(|(version, record)| (version_of(*version), record.clone()))
    }

    fn write(&mut self, key: &StorageKey, record: &TokenRecord) -> Version {
        self.last += 1;
        self.records.insert(key.clone(), (self.last, record.clone()));
        version_of(self.last)
    }

    /// The number of the lease, or when the one that is in the way ends.
    fn take_lease(&mut self, key: &StorageKey, now: Now, ttl: Duration) -> Result<u64, Now> {
        match self.leases.get(key) {
            Some((_, ends)) if !now.has_reached(ends) => Err(*ends),
            _ => {
                self.last += 1;
                self.leases.insert(key.clone(), (self.last, now.after(ttl)));
                Ok(self.last)
            }
        }
    }

    fn holds_lease(&self, key: &StorageKey, id: u64) -> bool {
        self.leases.get(key).is_some_and(|(holder, _)| *holder == id)
    }
}

fn version_of(number: u64) -> Version {
    Version::new(number.to_be_bytes())
}

/// One who listens. It asks for the order when it is woken, so that the last of many writes counts.
struct MemoryNotices {
    inner: Arc<Inner>,
    key: StorageKey,
    written: watch::Receiver<()>,
}

impl fmt::Debug for MemoryNotices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryNotices").field("key", &self.key).finish_non_exhaustive()
    }
}

#[async_trait]
impl ChangeNotices for MemoryNotices {
    async fn next(&mut self) -> Result<Option<Order>, Error> {
        let gone = |_| Error::new(ErrorKind::Storage, "nobody tells of writes any more");
        self.written.changed().await.map_err(gone)?;
        let state = self.inner.state.lock();
        Ok(state.records.get(&self.key).map(|(_, record)| record.order()))
    }
}

impl Drop for MemoryNotices {
    fn drop(&mut self) {
        self.inner.forget(&self.key);
    }
}

struct MemoryLease {
    inner: Arc<Inner>,
    key: StorageKey,
    id: u64,
    clock: Arc<dyn Clock>,
}

impl MemoryLease {
    fn free(&self) {
        let mut state = self.inner.state.lock();
        if state.holds_lease(&self.key, self.id) {
            state.leases.remove(&self.key);
            drop(state);
            self.inner.freed.notify_waiters();
        }
    }
}

impl fmt::Debug for MemoryLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryLease").field("key", &self.key).field("id", &self.id).finish()
    }
}

#[async_trait]
impl LeaseHandle for MemoryLease {
    async fn renew(&mut self, ttl: Duration) -> Result<(), Error> {
        let now = self.clock.now();
        let mut state = self.inner.state.lock();
        match state.leases.get_mut(&self.key) {
            Some((holder, ends)) if *holder == self.id && !now.has_reached(ends) => {
                *ends = now.after(ttl);
                Ok(())
            }
            _ => Err(Error::new(ErrorKind::Storage, "the lease of this key is no longer ours")),
        }
    }

    async fn release(self: Box<Self>) -> Result<(), Error> {
        self.free();
        Ok(())
    }

    fn abandon(self: Box<Self>) {
        self.free();
    }
}
