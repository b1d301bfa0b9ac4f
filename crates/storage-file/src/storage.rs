//! The storage: every call is a piece of blocking work, and writes take their turn.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokenkeeper::{
    CasOutcome, Clock, Error, ErrorKind, Lease, LeaseRequest, SharedTokenStorage, StorageKey,
    SystemClock, TokenRecord, TokenStorage, Version, async_trait,
};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::disk::{Disk, Survives};
use crate::lease::FileLease;
use crate::ownership::{Account, refused};
use crate::paths;
use crate::place::{Layout, Place};
use crate::records::{entries, found, write};

/// Keeps records in files, which processes of one host share.
///
/// Clones are the same storage. So are two that were made of the same path, here or in another
/// process.
///
/// # Cancel safety
///
/// A call that is dropped has had no effect, or its whole effect, or will have it before any later
/// write of the same key through this storage or a clone. One that is kept and not polled keeps later
/// writes waiting, as everybody in a queue does.
#[derive(Clone)]
pub struct FileStorage {
    shelf: Arc<Shelf>,
}

struct Shelf {
    layout: Layout,
    disk: Disk,
    /// The system's, whatever the manager's is: whoever holds the lock is as real as the machine.
    clock: Arc<dyn Clock>,
    /// Held by the writer whose turn it is in this process, one for each lock. Without them a write
    /// that was dropped could land after a later one, and threads would race for the lock.
    turns: Vec<Arc<Mutex<()>>>,
}

impl FileStorage {
    /// Keeps each record in a file of its own, in this folder. What is missing of the path is
    /// created, for this user alone (mode 0700).
    ///
    /// It should be a folder for this and nothing else. What writers left behind that were killed
    /// is removed. This blocks for the time of a few file operations.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the path is empty, or begins with what a shell would have replaced
    /// (`~`, `$HOME`). [`ErrorKind::Storage`] if the folder cannot be made, belongs to another user
    /// than this or root, can be written by everybody, or lies in a folder in which another can
    /// replace it.
    pub fn directory(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::new(Layout::Directory(paths::directory(path.as_ref())?))
    }

    /// Keeps all records in this file: for a program that keeps one login, or a few.
    ///
    /// Its folder is created where it is missing, for this user alone (mode 0700); the file with the
    /// first record (mode 0600). This blocks for the time of a few file operations.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the path is empty, ends in no name or in one that Windows has for
    /// devices, or begins with what a shell would have replaced. [`ErrorKind::Storage`] if its folder
    /// is refused, as by [`directory`](Self::directory). [`ErrorKind::RecordUnreadable`] if there is a file that is somebody else's, open to
    /// others, or a link.
    pub fn single_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        let (folder, file) = paths::file(path.as_ref())?;
        Self::new(Layout::SingleFile { folder, file })
    }

    fn new(layout: Layout) -> Result<Self, Error> {
        Self::on_disk(layout, Disk::new(Account::current()), Arc::new(SystemClock))
    }

    pub(crate) fn on_disk(
        layout: Layout,
        disk: Disk,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        disk.create_folder(layout.folder())?;
        disk.check_folder(layout.folder())?;
        if let Layout::SingleFile { file, .. } = &layout {
            disk.check_file(file)?;
        }
        let turns = (0..layout.stripes()).map(|_| Arc::default()).collect();
        let shelf = Shelf { layout, disk, clock, turns };
        shelf.remove_leftovers();
        Ok(Self { shelf: Arc::new(shelf) })
    }

    /// Runs the work once it is the turn of this call and nobody else has the lock.
    pub(crate) async fn locked<T, W>(&self, key: &StorageKey, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        W: FnOnce(&Disk, &Place) -> Result<T, Error> + Send + 'static,
    {
        let shelf = Arc::clone(&self.shelf);
        let clock = Arc::clone(&shelf.clock);
        let started = clock.now(); // before the turn: whoever has that may wait for the lock too
        let (place, turn) = (shelf.layout.place(key), shelf.turn(key).await);
        let mut attempt = Attempt { shelf, place, turn, work };
        loop {
            attempt = match blocking(move || attempt.make()).await? {
                Made::Done(value) => return Ok(value),
                Made::Busy(again) => again,
            };
            if clock.now().since(&started) >= LOCK_PATIENCE {
                let (path, seconds) = (attempt.place.lock.display(), LOCK_PATIENCE.as_secs());
                let what = format!("the lock {path} was not to be had for {seconds} s");
                return Err(refused(what, "see which process holds it, and what that hangs in"));
            }
            clock.sleep(Duration::from_millis(fastrand::u64(LOCK_PAUSE_MILLIS))).await;
        }
    }

    /// Runs work on all there is, without a lock, as [`unlocked`](Self::unlocked).
    pub(crate) async fn with_all<T, W>(&self, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        W: FnOnce(&Disk, &Layout) -> Result<T, Error> + Send + 'static,
    {
        let shelf = Arc::clone(&self.shelf);
        blocking(move || {
            shelf.disk.check_folder(shelf.layout.folder())?;
            work(&shelf.disk, &shelf.layout)
        })
        .await
    }

    /// Runs work that needs no lock, because files are replaced as a whole.
    pub(crate) async fn unlocked<T, W>(&self, key: &StorageKey, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        W: FnOnce(&Disk, &Place) -> Result<T, Error> + Send + 'static,
    {
        let shelf = Arc::clone(&self.shelf);
        let place = shelf.layout.place(key);
        blocking(move || {
            shelf.disk.check_folder(&place.folder)?;
            work(&shelf.disk, &place)
        })
        .await
    }
}

impl Shelf {
    async fn turn(&self, key: &StorageKey) -> Option<OwnedMutexGuard<()>> {
        let turn = self.turns.get(self.layout.stripe(key))?;
        Some(Arc::clone(turn).lock_owned().await)
    }

    /// Removes what writers left behind that were killed. Those that live hold their locks.
    fn remove_leftovers(&self) {
        for (leftover, lock) in self.layout.leftovers() {
            // A folder that cannot be written has nothing that we could clean.
            if let Ok(Some(_lock)) = self.disk.try_lock_quietly(&lock) {
                let _ = std::fs::remove_file(leftover);
            }
        }
    }
}

/// A piece of work on its way to the lock. Its turn goes with it, onto the thread that does the
/// work, so that it ends with the work and not with whoever waits for it.
struct Attempt<W> {
    shelf: Arc<Shelf>,
    place: Place,
    turn: Option<OwnedMutexGuard<()>>,
    work: W,
}

enum Made<T, W> {
    Done(T),
    Busy(Attempt<W>),
}

impl<W> Attempt<W> {
    fn make<T>(self) -> Result<Made<T, W>, Error>
    where
        W: FnOnce(&Disk, &Place) -> Result<T, Error>,
    {
        self.shelf.disk.check_folder(&self.place.folder)?;
        let Some(lock) = self.shelf.disk.try_lock(&self.place.lock)? else {
            return Ok(Made::Busy(self));
        };
        let Self { shelf, place, turn, work } = self;
        let done = work(&shelf.disk, &place);
        drop(lock);
        drop(turn);
        done.map(Made::Done)
    }
}

#[async_trait]
impl TokenStorage for FileStorage {
    async fn get(&self, key: &StorageKey) -> Result<Option<TokenRecord>, Error> {
        Ok(self.load(key).await?.map(|(_, record)| record))
    }

    async fn set(&self, key: &StorageKey, record: &TokenRecord) -> Result<(), Error> {
        let (name, record) = (key.clone(), record.clone());
        self.locked(key, move |disk, place| {
            let bytes = disk.read(&place.records.path)?;
            let entries = entries(place, bytes.as_deref().map(Vec::as_slice), &name)?;
            write(disk, place, entries, &name, &record).map(drop)
        })
        .await
    }

    async fn delete(&self, key: &StorageKey) -> Result<(), Error> {
        let name = key.clone();
        self.locked(key, move |disk, place| {
            if place.is_own {
                disk.check_file(&place.records.path)?;
                return disk.remove(&place.records, &place.folder, Survives::Machine);
            }
            let bytes = disk.read(&place.records.path)?;
            let mut entries = entries(place, bytes.as_deref().map(Vec::as_slice), &name)?;
            if entries.get(&name).is_none() {
                return disk.sync_folder(&place.folder); // whoever removed it may not have
            }
            entries.remove(&name);
            if entries.is_empty() {
                return disk.remove(&place.records, &place.folder, Survives::Machine);
            }
            let bytes = entries.to_bytes();
            disk.replace(&place.records, &place.folder, &bytes, Survives::Machine)
        })
        .await
    }

    fn shared(&self) -> Option<&dyn SharedTokenStorage> {
        Some(self)
    }
}

#[async_trait]
impl SharedTokenStorage for FileStorage {
    async fn load(&self, key: &StorageKey) -> Result<Option<(Version, TokenRecord)>, Error> {
        let name = key.clone();
        let there = self.unlocked(key, move |disk, place| found(disk, place, &name)).await?;
        if there.is_some() || !self.shelf.disk.replaces_with_gaps() {
            return Ok(there);
        }
        // It may be missing for the moment in which it is replaced, and nobody replaces it now.
        let name = key.clone();
        self.locked(key, move |disk, place| found(disk, place, &name)).await
    }

    async fn compare_and_set(
        &self,
        key: &StorageKey,
        expected: Option<&Version>,
        record: &TokenRecord,
    ) -> Result<CasOutcome, Error> {
        let (name, expected, record) = (key.clone(), expected.cloned(), record.clone());
        self.locked(key, move |disk, place| {
            let bytes = disk.read(&place.records.path)?;
            let entries = entries(place, bytes.as_deref().map(Vec::as_slice), &name)?;
            let there = entries.get(&name);
            if there.as_ref().map(|(version, _)| version) != expected.as_ref() {
                return Ok(CasOutcome::Conflict(there));
            }
            write(disk, place, entries, &name, &record).map(CasOutcome::Stored)
        })
        .await
    }

    async fn lease(&self, key: &StorageKey, want: &LeaseRequest) -> Result<Lease, Error> {
        FileLease::wait(self, key, want).await
    }
}

impl fmt::Debug for FileStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("FileStorage");
        match &self.shelf.layout {
            Layout::Directory(folder) => debug.field("directory", folder),
            Layout::SingleFile { file, .. } => debug.field("single_file", file),
        };
        debug.finish()
    }
}

/// Runs work that may wait for a disk on a thread that may.
async fn blocking<T, W>(work: W) -> Result<T, Error>
where
    T: Send + 'static,
    W: FnOnce() -> Result<T, Error> + Send + 'static,
{
    match runtime()?.spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) if error.is_panic() => {
            Err(Error::new(ErrorKind::Internal, "a file operation panicked"))
        }
        Err(_) => {
            let what = "the runtime was shut down before a file operation";
            Err(Error::new(ErrorKind::Storage, what).with_advice("keep it running for that long"))
        }
    }
}

/// The runtime of the caller: a storage is called on one, says its contract.
pub(crate) fn runtime() -> Result<Handle, Error> {
    Handle::try_current().map_err(|error| {
        let what = "files are read and written within a tokio runtime only";
        Error::new(ErrorKind::Internal, what)
            .with_advice("call the storage in one")
            .with_source(error)
    })
}

// A write takes milliseconds. Less than the 5 s after which a manager gives up, so that its error is
// the one that says why.
const LOCK_PATIENCE: Duration = Duration::from_secs(4);
const LOCK_PAUSE_MILLIS: std::ops::RangeInclusive<u64> = 2..=12; // uneven, so that waiters do not meet
