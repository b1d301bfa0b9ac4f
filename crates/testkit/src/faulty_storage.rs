//! A storage that fails, hangs or panics when a test tells it to.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokenkeeper::{
    CasOutcome, ChangeNotices, Error, ErrorKind, Lease, LeaseHandle, LeaseRequest, Now,
    SharedTokenStorage, StorageKey, TokenRecord, TokenStorage, Version, async_trait,
};

use crate::gate::Gate;

/// Wraps a storage, forwards everything to it, counts the calls, and injects faults.
///
/// It can be shared exactly if what it wraps can, and then the leases go through it too. Clones
/// share the faults and the counts, so a test keeps one and gives the other away.
///
/// # Examples
///
/// ```
/// use tokenkeeper::{MemoryStorage, StorageKey, TokenStorage};
/// use tokenkeeper_testkit::{FaultyStorage, StorageFault, StorageOperation};
///
/// # pollster::block_on(async {
/// let storage = FaultyStorage::new(MemoryStorage::new());
/// storage.fault_next(StorageOperation::Get, 1, StorageFault::Fail);
/// let key = StorageKey::new("alice")?;
/// assert!(storage.get(&key).await.is_err());
/// assert!(storage.get(&key).await.is_ok());
/// assert_eq!(storage.calls(StorageOperation::Get), 2);
/// # Ok::<(), tokenkeeper::Error>(()) })?;
/// # Ok::<(), tokenkeeper::Error>(())
/// ```
#[derive(Clone)]
pub struct FaultyStorage<S> {
    inner: S,
    faults: Arc<Mutex<Faults>>,
}

/// What is asked of a storage; faults and counts are kept for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StorageOperation {
    /// [`TokenStorage::get`].
    Get,
    /// [`TokenStorage::set`].
    Set,
    /// [`TokenStorage::delete`].
    Delete,
    /// [`TokenStorage::exists`].
    Exists,
    /// [`SharedTokenStorage::load`].
    Load,
    /// [`SharedTokenStorage::compare_and_set`].
    CompareAndSet,
    /// [`SharedTokenStorage::lease`].
    Lease,
    /// [`Lease::renew`].
    Renew,
    /// [`Lease::release`].
    Release,
}

impl StorageOperation {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Get,
        Self::Set,
        Self::Delete,
        Self::Exists,
        Self::Load,
        Self::CompareAndSet,
        Self::Lease,
        Self::Renew,
        Self::Release,
    ];

    /// Those that read a record.
    pub const READS: [Self; 3] = [Self::Get, Self::Exists, Self::Load];

    /// Those that write a record.
    pub const WRITES: [Self; 3] = [Self::Set, Self::Delete, Self::CompareAndSet];
}

/// What goes wrong with one call.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum StorageFault {
    /// It fails, and nothing was done.
    Fail,
    /// It is done and fails nevertheless: the answer of the backend was lost.
    FailAfterwards,
    /// It never completes, and nothing was done.
    Hang,
    /// It panics, and nothing was done.
    Panic,
    /// It is held at the gate, and then done.
    Gate(Gate),
    /// It is done, and then held at the gate.
    GateAfterwards(Gate),
}

#[derive(Default)]
struct Faults {
    next: HashMap<StorageOperation, VecDeque<StorageFault>>,
    standing: HashMap<StorageOperation, StorageFault>,
    calls: HashMap<StorageOperation, usize>,
}

impl<S> FaultyStorage<S> {
    /// A wrapper that injects no fault yet.
    #[must_use]
    pub fn new(inner: S) -> Self {
        Self { inner, faults: Arc::default() }
    }

    /// What is wrapped; calls on it are neither counted nor disturbed.
    #[must_use]
    pub const fn inner(&self) -> &S {
        &self.inner
    }

    /// The next `count` calls of the operation meet the fault, after those that were said before.
    pub fn fault_next(&self, operation: StorageOperation, count: usize, fault: StorageFault) {
        let mut faults = self.faults.lock();
        let queue = faults.next.entry(operation).or_default();
        queue.extend(std::iter::repeat_n(fault, count));
    }

    /// Every call of the operation meets the fault until [`heal`](Self::heal).
    pub fn fault_until_healed(&self, operation: StorageOperation, fault: StorageFault) {
        self.faults.lock().standing.insert(operation, fault);
    }

    /// Every call of every operation meets the fault until [`heal`](Self::heal).
    pub fn fault_everything(&self, fault: StorageFault) {
        for operation in StorageOperation::ALL {
            self.fault_until_healed(operation, fault.clone());
        }
    }

    /// Holds every call of the operation at the gate that it returns, before anything is done,
    /// until the gate is released or [`heal`](Self::heal) is called.
    #[must_use = "the calls are held until the gate is released"]
    pub fn hold(&self, operation: StorageOperation) -> Gate {
        let gate = Gate::closed();
        self.fault_until_healed(operation, StorageFault::Gate(gate.clone()));
        gate
    }

    /// Ends all faults that no call has met yet, and opens the gates of standing ones. Calls that
    /// hang keep hanging.
    pub fn heal(&self) {
        let mut faults = self.faults.lock();
        faults.next.clear();
        let standing = std::mem::take(&mut faults.standing);
        drop(faults);
        for fault in standing.into_values() {
            if let StorageFault::Gate(gate) | StorageFault::GateAfterwards(gate) = fault {
                gate.release();
            }
        }
    }

    /// How often the operation was called, faults included.
    #[must_use]
    pub fn calls(&self, operation: StorageOperation) -> usize {
        self.faults.lock().calls.get(&operation).copied().unwrap_or(0)
    }

    /// How often anything was called, faults included.
    #[must_use]
    pub fn total_calls(&self) -> usize {
        self.faults.lock().calls.values().sum()
    }

    /// Starts counting anew.
    pub fn reset_calls(&self) {
        self.faults.lock().calls.clear();
    }
}

impl<S: fmt::Debug> fmt::Debug for FaultyStorage<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyStorage").field("inner", &self.inner).finish_non_exhaustive()
    }
}

#[async_trait]
impl<S: TokenStorage> TokenStorage for FaultyStorage<S> {
    async fn get(&self, key: &StorageKey) -> Result<Option<TokenRecord>, Error> {
        meet(&self.faults, StorageOperation::Get, self.inner.get(key)).await
    }

    async fn set(&self, key: &StorageKey, record: &TokenRecord) -> Result<(), Error> {
        meet(&self.faults, StorageOperation::Set, self.inner.set(key, record)).await
    }

    async fn delete(&self, key: &StorageKey) -> Result<(), Error> {
        meet(&self.faults, StorageOperation::Delete, self.inner.delete(key)).await
    }

    async fn exists(&self, key: &StorageKey) -> Result<bool, Error> {
        meet(&self.faults, StorageOperation::Exists, self.inner.exists(key)).await
    }

    fn shared(&self) -> Option<&dyn SharedTokenStorage> {
        self.inner.shared().is_some().then_some(self as &dyn SharedTokenStorage)
    }
}

#[async_trait]
impl<S: TokenStorage> SharedTokenStorage for FaultyStorage<S> {
    async fn load(&self, key: &StorageKey) -> Result<Option<(Version, TokenRecord)>, Error> {
        let shared = self.wrapped_shared()?;
        meet(&self.faults, StorageOperation::Load, shared.load(key)).await
    }

    async fn compare_and_set(
        &self,
        key: &StorageKey,
        expected: Option<&Version>,
        record: &TokenRecord,
    ) -> Result<CasOutcome, Error> {
        let call = self.wrapped_shared()?.compare_and_set(key, expected, record);
        meet(&self.faults, StorageOperation::CompareAndSet, call).await
    }

    async fn lease(&self, key: &StorageKey, want: &LeaseRequest) -> Result<Lease, Error> {
        let call = self.wrapped_shared()?.lease(key, want);
        let lease = meet(&self.faults, StorageOperation::Lease, call).await?;
        let asked_at = asked_at(want, &lease);
        let handle = FaultyLease { lease, faults: Arc::clone(&self.faults) };
        Ok(want.granted(asked_at, Box::new(handle)))
    }

    /// Forwarded as they are: no faults, and nothing is counted.
    fn notices(&self, key: &StorageKey) -> Option<Box<dyn ChangeNotices>> {
        self.inner.shared()?.notices(key)
    }
}

impl<S: TokenStorage> FaultyStorage<S> {
    fn wrapped_shared(&self) -> Result<&dyn SharedTokenStorage, Error> {
        let what = "the storage inside FaultyStorage cannot be shared";
        self.inner.shared().ok_or_else(|| Error::new(ErrorKind::Unsupported, what))
    }
}

/// When the wrapped storage was asked, worked out from what is left of its lease, so that the
/// wrapper's lease ends when the wrapped one does.
fn asked_at(want: &LeaseRequest, lease: &Lease) -> Now {
    let now = want.clock().now();
    let used = want.ttl().saturating_sub(lease.remaining());
    let wall = now.wall().checked_sub(used).unwrap_or(now.wall());
    Now::new(wall, now.mono().saturating_sub(used))
}

#[derive(Debug)]
struct FaultyLease {
    lease: Lease,
    faults: Arc<Mutex<Faults>>,
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults").field("calls", &self.calls).finish_non_exhaustive()
    }
}

#[async_trait]
impl LeaseHandle for FaultyLease {
    async fn renew(&mut self, _ttl: Duration) -> Result<(), Error> {
        meet(&self.faults, StorageOperation::Renew, self.lease.renew()).await
    }

    async fn release(self: Box<Self>) -> Result<(), Error> {
        meet(&self.faults, StorageOperation::Release, self.lease.release()).await
    }

    fn abandon(self: Box<Self>) {
        drop(self.lease);
    }
}

/// Counts the call and makes it, with the fault that is due. Nothing of `call` runs before it is
/// polled, so a fault that comes first leaves the storage untouched.
async fn meet<T>(
    faults: &Mutex<Faults>,
    operation: StorageOperation,
    call: impl Future<Output = Result<T, Error>> + Send,
) -> Result<T, Error> {
    match due(faults, operation) {
        None => call.await,
        Some(StorageFault::Fail) => Err(injected()),
        Some(StorageFault::FailAfterwards) => {
            call.await?;
            Err(injected())
        }
        Some(StorageFault::Hang) => std::future::pending().await,
        #[expect(clippy::panic, reason = "the test asked for it")]
        Some(StorageFault::Panic) => panic!("a fault of FaultyStorage: {operation:?} panics"),
        Some(StorageFault::Gate(gate)) => {
            gate.wait().await;
            call.await
        }
        Some(StorageFault::GateAfterwards(gate)) => {
            let answer = call.await;
            gate.wait().await;
            answer
        }
    }
}

fn due(faults: &Mutex<Faults>, operation: StorageOperation) -> Option<StorageFault> {
    let mut faults = faults.lock();
    *faults.calls.entry(operation).or_default() += 1;
    let next = faults.next.get_mut(&operation).and_then(VecDeque::pop_front);
    next.or_else(|| faults.standing.get(&operation).cloned())
}

fn injected() -> Error {
    Error::new(ErrorKind::Storage, "a fault of FaultyStorage")
}
