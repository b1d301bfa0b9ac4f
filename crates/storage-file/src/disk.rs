//! The few file operations that there are: reading a file, replacing one, removing one.
//!
//! A file is replaced in five steps: make another one beside it, write it, sync it, give it the name,
//! sync the folder. A reader sees the old file or the new one, whole, and needs no lock; a crash at
//! any point leaves either. What it leaves beside them is removed by the next who has the lock.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokenkeeper::Error;
use zeroize::Zeroizing;

use crate::lock::Lock;
use crate::ownership::{ANOTHER_PATH, Account, cannot, create_folder, private, refused};
use crate::place::Target;
use crate::windows_names::{is_in_use, while_in_use};

/// The file operations, for one account.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    account: Account,
    /// The files whose last replacement through this succeeded, each as a hash: a map of many users
    /// has many.
    replaced: Arc<Mutex<HashSet<u64>>>,
    replaces_with_gaps: bool,
    #[cfg(all(test, unix))]
    faults: Option<Arc<crate::faults::Faults>>,
}

/// What a file has to survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Survives {
    /// The end of the process.
    Process,
    /// The end of the machine's power.
    Machine,
}

/// The steps of a write, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Lock,
    Create,
    Write,
    Sync,
    Rename,
    Remove,
    SyncFolder,
}

impl Disk {
    pub(crate) fn new(account: Account) -> Self {
        Self {
            account,
            replaced: Arc::default(),
            replaces_with_gaps: cfg!(windows),
            #[cfg(all(test, unix))]
            faults: None,
        }
    }

    #[cfg(all(test, unix))]
    pub(crate) fn with_faults(self, faults: Arc<crate::faults::Faults>) -> Self {
        Self { faults: Some(faults), ..self }
    }

    /// As on a system where a file is missing for a moment while another takes its name.
    #[cfg(all(test, unix))]
    pub(crate) fn with_gaps(self) -> Self {
        Self { replaces_with_gaps: true, ..self }
    }

    /// Whether a file that is not found may be one that is just being replaced.
    pub(crate) fn replaces_with_gaps(&self) -> bool {
        self.replaces_with_gaps
    }

    /// Makes the folder and what is missing above it, as durable as what will be in it.
    pub(crate) fn create_folder(&self, folder: &Path) -> Result<(), Error> {
        for changed in create_folder(folder)? {
            match self.try_sync_folder(changed) {
                // One may put something into a folder that one may not open.
                Err(error) if error.kind() != io::ErrorKind::PermissionDenied => {
                    return Err(cannot("sync the folder", changed, &error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(crate) fn check_folder(&self, folder: &Path) -> Result<(), Error> {
        self.account.check_folder(folder)
    }

    /// The lock, or nothing if somebody has it.
    pub(crate) fn try_lock(&self, path: &Path) -> Result<Option<Lock>, Error> {
        self.step(Step::Lock).map_err(|error| cannot("lock", path, &error))?;
        self.try_lock_quietly(path)
    }

    /// The same, where no fault is meant.
    pub(crate) fn try_lock_quietly(&self, path: &Path) -> Result<Option<Lock>, Error> {
        Lock::try_take(path, self.account)
    }

    /// Refuses what is under the path, if something is and it is not ours alone.
    pub(crate) fn check_file(&self, path: &Path) -> Result<bool, Error> {
        match std::fs::symlink_metadata(path) {
            Ok(metadata) => self.account.check_file(path, &metadata).map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(cannot("look at", path, &error)),
        }
    }

    /// All bytes of a file, if there is one.
    pub(crate) fn read(&self, path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        let failed = |error| cannot("read", path, &error);
        if !self.check_file(path)? {
            return Ok(None);
        }
        let open = || private(OpenOptions::new().read(true)).open(path);
        let file = match patiently(open) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        // Once more, because the name may belong to another file by now.
        let metadata = file.metadata().map_err(failed)?;
        self.account.check_file(path, &metadata)?;
        if metadata.len() > LARGEST {
            let (shown, most) = (path.display(), LARGEST >> 20);
            let what = format!("{shown} is larger than {most} MiB, so it holds no tokens");
            return Err(refused(what, ANOTHER_PATH));
        }
        // Large enough from the start: a vector that grows leaves copies of secrets behind.
        let length = usize::try_from(metadata.len()).unwrap_or_default();
        let mut bytes = Zeroizing::new(Vec::with_capacity(length.saturating_add(1)));
        file.take(LARGEST).read_to_end(&mut bytes).map_err(failed)?;
        Ok(Some(bytes))
    }

    /// Shows that the file can be replaced, before something depends on it: by the file itself, in the
    /// way of every other replacement. To be called with the lock held.
    ///
    /// Nothing is done if the last one through this succeeded. Where nothing is, or nothing that may
    /// be read, there is nothing to show: who reads it is told what is wrong.
    pub(crate) fn prove_replaceable(&self, target: &Target, folder: &Path) -> Result<(), Error> {
        if self.replaced().contains(&hash_of(&target.path)) {
            return Ok(());
        }
        let Ok(Some(bytes)) = self.read(&target.path) else { return Ok(()) };
        self.replace(target, folder, &bytes, Survives::Machine)
    }

    fn replaced(&self) -> std::sync::MutexGuard<'_, HashSet<u64>> {
        self.replaced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts the bytes in the place of the file. To be called with the lock held.
    ///
    /// On an error the old file is there, or the new one if only its name could not be synced.
    pub(crate) fn replace(
        &self,
        target: &Target,
        folder: &Path,
        bytes: &[u8],
        survives: Survives,
    ) -> Result<(), Error> {
        let done = self.try_replace(target, folder, bytes, survives);
        if survives == Survives::Machine {
            let mut replaced = self.replaced();
            match &done {
                Ok(()) => drop(replaced.insert(hash_of(&target.path))),
                Err(_) => drop(replaced.remove(&hash_of(&target.path))),
            }
        }
        done
    }

    fn try_replace(
        &self,
        target: &Target,
        folder: &Path,
        bytes: &[u8],
        survives: Survives,
    ) -> Result<(), Error> {
        let Target { path, temporary } = target;
        if u64::try_from(bytes.len()).is_ok_and(|length| length > LARGEST) {
            let (shown, most) = (path.display(), LARGEST >> 20);
            let what =
                format!("{shown} would be larger than {most} MiB and could not be read again");
            return Err(refused(what, "keep the records in a directory, or make them smaller"));
        }
        self.remove_leftover(target)?;
        let renamed = self.write(temporary, bytes, survives).and_then(|()| {
            self.step(Step::Rename)?;
            patiently(|| std::fs::rename(temporary, path))
        });
        if let Err(error) = renamed {
            let _ = patiently(|| std::fs::remove_file(temporary)); // the next writer tries again
            return Err(cannot("write", path, &error));
        }
        match survives {
            Survives::Process => Ok(()),
            Survives::Machine => self.sync_folder(folder),
        }
    }

    /// Removes the file, if there is one. To be called with the lock held.
    pub(crate) fn remove(
        &self,
        target: &Target,
        folder: &Path,
        survives: Survives,
    ) -> Result<(), Error> {
        self.remove_leftover(target)?;
        let path = &target.path;
        let removed =
            self.step(Step::Remove).and_then(|()| patiently(|| std::fs::remove_file(path)));
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(cannot("remove", path, &error))
            }
            // Also when it is gone already: whoever removed it may have failed or died here.
            _ if survives == Survives::Machine => self.sync_folder(folder),
            _ => Ok(()),
        }
    }

    /// Removes what a writer left that was killed. Whoever has the lock knows that it is dead.
    pub(crate) fn remove_leftover(&self, target: &Target) -> Result<(), Error> {
        match patiently(|| std::fs::remove_file(&target.temporary)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(cannot("remove", &target.temporary, &error))
            }
            _ => Ok(()),
        }
    }

    fn write(&self, path: &Path, bytes: &[u8], survives: Survives) -> io::Result<()> {
        self.step(Step::Create)?;
        let mut file = private(OpenOptions::new().write(true).create_new(true)).open(path)?;
        #[cfg(all(test, unix))]
        self.tear(&mut file, bytes)?;
        self.step(Step::Write)?;
        file.write_all(bytes)?;
        if survives == Survives::Machine {
            self.step(Step::Sync)?;
            file.sync_all()?;
        }
        Ok(())
    }

    /// Makes a name as durable as what it names.
    pub(crate) fn sync_folder(&self, folder: &Path) -> Result<(), Error> {
        self.try_sync_folder(folder).map_err(|error| cannot("sync the folder", folder, &error))
    }

    fn try_sync_folder(&self, folder: &Path) -> io::Result<()> {
        let synced = self
            .step(Step::SyncFolder)
            .and_then(|()| if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) });
        synced.or_else(|error| match error.kind() {
            // Some file systems have no such thing; then the name is as durable as they make it.
            io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported => Ok(()),
            _ => Err(error),
        })
    }

    #[cfg(not(all(test, unix)))]
    fn step(&self, _: Step) -> io::Result<()> {
        Ok(())
    }

    #[cfg(all(test, unix))]
    fn step(&self, step: Step) -> io::Result<()> {
        self.faults.as_ref().map_or(Ok(()), |faults| faults.reach(step))
    }

    #[cfg(all(test, unix))]
    fn tear(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        self.faults.as_ref().map_or(Ok(()), |faults| faults.tear(file, bytes))
    }
}

fn hash_of(path: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    hasher.finish()
}

/// Does what fails while another program has the file open, on the thread of a file operation.
fn patiently<T>(attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    while_in_use(attempt, is_in_use, std::thread::sleep)
}

const LARGEST: u64 = 64 << 20; // bytes; thousands of records, and little enough to read by mistake
