//! Taking, renewing and ending a lease.

use std::fmt;
use std::time::Duration;

use tokenkeeper::{Error, Lease, LeaseHandle, LeaseRequest, StorageKey, async_trait};
use tokio::runtime::Handle;

use crate::disk::{Disk, Survives};
use crate::host_time::HostTime;
use crate::identifier::Identifier;
use crate::lease_book::LeaseBook;
use crate::ownership::{UPDATE, refused};
use crate::place::Place;
use crate::storage::{FileStorage, runtime};

/// The holder's side of a lease.
pub(crate) struct FileLease {
    storage: FileStorage,
    key: StorageKey,
    owner: Identifier,
    runtime: Handle,
    released: bool,
}

impl FileLease {
    /// Asks again and again, for as long as the asker has patience.
    pub(crate) async fn wait(
        storage: &FileStorage,
        key: &StorageKey,
        want: &LeaseRequest,
    ) -> Result<Lease, Error> {
        let clock = want.clock();
        let started = clock.now();
        loop {
            let asked_at = clock.now();
            let left = match Self::look(storage, key).await? {
                Some(left) => left,
                None => match Self::take(storage, key, want.ttl()).await? {
                    Ok(lease) => return Ok(want.granted(asked_at, Box::new(lease))),
                    Err(left) => left,
                },
            };
            let patience = want.longest_wait().saturating_sub(clock.now().since(&started));
            if patience.is_zero() {
                let what = format!("the lease of {key} is held by another process or task");
                return Err(refused(what, "ask again"));
            }
            let pause = Duration::from_millis(fastrand::u64(PAUSE_MILLIS));
            clock.sleep(pause.min(left).min(patience)).await;
        }
    }

    /// How long somebody will hold the lease. Without the lock, so that many who wait are in
    /// nobody's way.
    async fn look(storage: &FileStorage, key: &StorageKey) -> Result<Option<Duration>, Error> {
        let name = key.clone();
        storage
            .unlocked(key, move |disk, place| {
                Ok(read(disk, place)?.held_for(&name, &HostTime::now()))
            })
            .await
    }

    /// The lease, or how long somebody else will hold it.
    ///
    /// The lease is made where the file is written: if nobody waits for it any more, it is dropped
    /// there, and ends.
    async fn take(
        storage: &FileStorage,
        key: &StorageKey,
        ttl: Duration,
    ) -> Result<Result<Self, Duration>, Error> {
        let owner = Identifier::random()?;
        let (handler, name, runtime) = (storage.clone(), key.clone(), runtime()?);
        storage
            .locked(key, move |disk, place| {
                let mut book = read(disk, place)?;
                let now = HostTime::now();
                if let Some(left) = book.held_for(&name, &now) {
                    return Ok(Err(left));
                }
                disk.prove_replaceable(&place.records, &place.folder)?;
                book.grant(&name, owner, ttl, &HostTime::now());
                write(disk, place, &book)?;
                Ok(Ok(Self { storage: handler, key: name, owner, runtime, released: false }))
            })
            .await
    }

    async fn end(storage: FileStorage, key: StorageKey, owner: Identifier) -> Result<(), Error> {
        let name = key.clone();
        storage
            .locked(&key, move |disk, place| {
                let mut book = read(disk, place)?;
                if book.end(&name, owner) { write(disk, place, &book) } else { Ok(()) }
            })
            .await
    }
}

#[async_trait]
impl LeaseHandle for FileLease {
    async fn renew(&mut self, ttl: Duration) -> Result<(), Error> {
        let (name, owner) = (self.key.clone(), self.owner);
        self.storage
            .locked(&self.key, move |disk, place| {
                let mut book = read(disk, place)?;
                let now = HostTime::now();
                if !book.is_held_by(&name, owner, &now) {
                    return Err(refused(
                        format!("the lease of {name} is no longer ours"),
                        "ask for a new one",
                    ));
                }
                book.grant(&name, owner, ttl, &now);
                write(disk, place, &book)
            })
            .await
    }

    async fn release(mut self: Box<Self>) -> Result<(), Error> {
        let ended = Self::end(self.storage.clone(), self.key.clone(), self.owner).await;
        self.released = true; // had this been dropped before, it would go on in the background
        ended
    }
}

/// A lease that is dropped is ended in the background. Where the runtime is gone, it ends by itself.
impl Drop for FileLease {
    fn drop(&mut self) {
        if !self.released {
            let end = Self::end(self.storage.clone(), self.key.clone(), self.owner);
            drop(self.runtime.spawn(end));
        }
    }
}

impl fmt::Debug for FileLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileLease").field("key", &self.key).finish_non_exhaustive()
    }
}

fn read(disk: &Disk, place: &Place) -> Result<LeaseBook, Error> {
    let Some(bytes) = disk.read(&place.leases.path)? else { return Ok(LeaseBook::default()) };
    LeaseBook::parse(&bytes).map_err(|format| {
        let path = place.leases.path.display();
        let what =
            format!("{path} was written by a newer version of tokenkeeper, in format {format}");
        refused(what, UPDATE)
    })
}

fn write(disk: &Disk, place: &Place, book: &LeaseBook) -> Result<(), Error> {
    if book.is_empty() {
        return disk.remove(&place.leases, &place.folder, Survives::Process);
    }
    disk.replace(&place.leases, &place.folder, &book.to_bytes(), Survives::Process)
}

const PAUSE_MILLIS: std::ops::RangeInclusive<u64> = 20..=60; // between two looks at a held lease
