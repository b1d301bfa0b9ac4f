//! What a storage adds when several processes share it: compare-and-set, leases, and notices of
//! what the others write.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::{Clock, Now};
use crate::error::Error;
use crate::identity::StorageKey;
use crate::panics::caught;
use crate::record::{Order, TokenRecord};
use crate::storage::TokenStorage;

/// A storage that several processes share, linearizable per key. `docs/writing-a-storage.md` in the
/// repository shows how one is written.
///
/// # Contract
///
/// - Every write makes a new [`Version`], also `set` and `delete`; none is ever used twice for a
///   key, not even after a delete.
/// - `compare_and_set` is atomic against every other write.
/// - At any time at most one [`Lease`] of a key is alive. It ends when it is released or its time
///   is up, and only its holder can release or renew it. Its time is counted by one clock for all
///   who ask, which nobody steps: that of the backend. The wall clock of an asker is neither.
/// - A lease is granted only where the record under the key can be replaced: whoever has it spends the
///   refresh token that is stored there, and has to store the next one. It is shown before the first
///   lease of a process, at the record itself and by the command of a write.
/// - A storage that may forget a lease or a write (a failover) says so in its documentation.
/// - A wrapper forwards [`notices`](Self::notices) too: with the default nobody hears anything.
#[async_trait]
pub trait SharedTokenStorage: TokenStorage {
    /// The record under the key, with the version that `compare_and_set` wants.
    ///
    /// # Errors
    ///
    /// As [`TokenStorage::get`].
    async fn load(&self, key: &StorageKey) -> Result<Option<(Version, TokenRecord)>, Error>;

    /// Writes the record if what is there has the `expected` version; `None` expects nothing to be
    /// there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Storage`](crate::ErrorKind::Storage) if it is not known whether it was written.
    /// That another version was there is not an error, but [`CasOutcome::Conflict`].
    async fn compare_and_set(
        &self,
        key: &StorageKey,
        expected: Option<&Version>,
        record: &TokenRecord,
    ) -> Result<CasOutcome, Error>;

    /// Waits for the lease of the key, at most [`LeaseRequest::longest_wait`].
    ///
    /// It may be dropped at any await point, and often is: who waits looks into the storage too, and
    /// stops waiting once it finds what it needs. A lease that is granted to nobody then has to be
    /// let go of, or it stands in everybody's way until its time is up. Other calls of the same
    /// caller come while this one waits.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Storage`](crate::ErrorKind::Storage) if it was not to be had in that time, the
    /// record cannot be replaced, or the storage failed.
    async fn lease(&self, key: &StorageKey, want: &LeaseRequest) -> Result<Lease, Error>;

    /// Tells from now on when the record under the key may have been written, if the storage can
    /// tell. Called on the manager's driver, once for each refresher, and again after a notice
    /// failed.
    ///
    /// It may not block: whoever has to connect does so in the first [`ChangeNotices::next`].
    /// Dropping what it returns ends the subscription.
    ///
    /// # Default
    ///
    /// `None`: what others write is found at the next look into the storage.
    fn notices(&self, key: &StorageKey) -> Option<Box<dyn ChangeNotices>> {
        let _ = key;
        None
    }
}

/// Tells when one record may have been written, by this process or another.
///
/// Notices are hints. They let a [refresher](crate::TokenManager::spawn_refresher) adopt what
/// another process stored, a token, a login or a logout, before anybody asks for a token. No
/// promise rests on them.
///
/// # Contract
///
/// - What is written between two calls of `next` is not missed: the second one completes at once.
///   Any number of writes may become one notice.
/// - Notices may come for nothing. They may be lost, which costs the time until the next one.
/// - A connection that breaks is mended here. Once it stands again, and when it stands for the
///   first time, there is a notice of an unknown order, because a write may have been missed.
/// - A notice comes after the write: who reads then finds what it is about, or something later.
/// - One call of `next` is under way at a time. It may be dropped at any await point, and is then
///   the last one.
#[async_trait]
pub trait ChangeNotices: fmt::Debug + Send {
    /// Waits until the record may have been written since the last call, or since
    /// [`SharedTokenStorage::notices`], and gives the order that it has now.
    ///
    /// With the order a manager knows its own writes, and leaves the storage alone. `None`, for an
    /// order that is not known, costs it a look.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Storage`](crate::ErrorKind::Storage) if there will be no more notices. The
    /// manager drops this, and asks for a new one after a pause that grows from 1 s to 60 s.
    async fn next(&mut self) -> Result<Option<Order>, Error>;
}

/// Names one write of one record: opaque, unique, never reused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Version(Box<[u8]>);

impl Version {
    /// From whatever the backend tells its writes apart by.
    #[must_use]
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes that it was made from.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What became of a compare-and-set.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "there is no third outcome")]
pub enum CasOutcome {
    /// The record was written, as this version.
    Stored(Version),
    /// Something else was there, and still is: this, or nothing.
    Conflict(Option<(Version, TokenRecord)>),
}

/// How long a lease shall last, and how long its asker is willing to wait for it.
#[derive(Clone)]
pub struct LeaseRequest {
    ttl: Duration,
    longest_wait: Duration,
    clock: Arc<dyn Clock>,
}

impl LeaseRequest {
    /// A lease of `ttl`, to be waited for at most `longest_wait` by `clock`.
    #[must_use]
    pub fn new(ttl: Duration, longest_wait: Duration, clock: Arc<dyn Clock>) -> Self {
        Self { ttl, longest_wait, clock }
    }

    /// After this time the lease ends by itself.
    #[must_use]
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// After this time the asker gives up.
    #[must_use]
    pub fn longest_wait(&self) -> Duration {
        self.longest_wait
    }

    /// The clock of the asker: for waiting, and to be read directly before each attempt.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The lease that an attempt obtained. `asked_at` is what [`clock`](Self::clock) said before
    /// the attempt: the time that the answer took is not the holder's.
    #[must_use]
    pub fn granted(&self, asked_at: Now, handle: Box<dyn LeaseHandle>) -> Lease {
        let ends = asked_at.after(self.ttl);
        Lease { ends, ttl: self.ttl, clock: Arc::clone(&self.clock), handle: Some(handle) }
    }
}

impl fmt::Debug for LeaseRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeaseRequest")
            .field("ttl", &self.ttl)
            .field("longest_wait", &self.longest_wait)
            .finish_non_exhaustive()
    }
}

/// The right to spend a refresh token, for a time.
///
/// Dropping it lets go of it where that can be done without waiting; otherwise it ends by itself.
/// [`release`](Self::release) is the sure way.
#[derive(Debug)]
pub struct Lease {
    ends: Now,
    ttl: Duration,
    clock: Arc<dyn Clock>,
    handle: Option<Box<dyn LeaseHandle>>,
}

impl Lease {
    /// How much time is left, by the clock that says the less.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.clock.now().until(&self.ends)
    }

    pub(crate) fn ends(&self) -> Now {
        self.ends
    }

    /// Starts its time anew.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Storage`](crate::ErrorKind::Storage) if it is no longer ours, or the storage
    /// failed. It must then be taken for lost.
    pub async fn renew(&mut self) -> Result<(), Error> {
        let asked_at = self.clock.now();
        if let Some(handle) = &mut self.handle {
            handle.renew(self.ttl).await?;
        }
        self.ends = asked_at.after(self.ttl);
        Ok(())
    }

    /// Lets go of it. If it is no longer ours, nothing happens: a stranger's lease stays.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Storage`](crate::ErrorKind::Storage) if the storage failed; it then ends by
    /// itself.
    pub async fn release(mut self) -> Result<(), Error> {
        match self.handle.take() {
            Some(handle) => handle.release().await,
            None => Ok(()),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(handle) = self.handle.take() {
            let _ = caught(|| handle.abandon());
        }
    }
}

/// The backend's side of a lease.
#[async_trait]
pub trait LeaseHandle: fmt::Debug + Send + Sync {
    /// Makes the lease last for `ttl` from now, if it is still the holder's.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Storage`](crate::ErrorKind::Storage) if it is not, or the storage failed.
    async fn renew(&mut self, ttl: Duration) -> Result<(), Error>;

    /// Ends the lease, if it is still the holder's.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Storage`](crate::ErrorKind::Storage) if the storage failed.
    async fn release(self: Box<Self>) -> Result<(), Error>;

    /// Called instead of `release` when the lease is dropped: ends it where that takes no waiting.
    ///
    /// # Default
    ///
    /// Does nothing; the lease ends by itself.
    fn abandon(self: Box<Self>) {}
}
