//! The few file operations that there are: reading a file, replacing one, removing one.
//!
//! A file is replaced in five steps: make another one beside it, write it, sync it, give it the name,
//! sync the folder. A reader sees the old file or the new one, whole, and needs no lock; a crash at
//! any point leaves either. What it leaves beside them is removed by the next who has the lock.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use tokenkeeper::Error;
use zeroize::Zeroizing;

use crate::lock::Lock;
use crate::ownership::{Account, cannot, private, refused};
use crate::place::Target;

/// The file operations, for one account.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    account: Account,
    #[cfg(all(test, unix))]
    faults: Option<std::sync::Arc<crate::faults::Faults>>,
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
            #[cfg(all(test, unix))]
            faults: None,
        }
    }

    #[cfg(all(test, unix))]
    pub(crate) fn with_faults(self, faults: std::sync::Arc<crate::faults::Faults>) -> Self {
        Self { faults: Some(faults), ..self }
    }

    pub(crate) fn check_folder(&self, folder: &Path) -> Result<(), Error> {
        self.account.check_folder(folder)
    }

    /// The lock, or nothing if somebody has it.
    pub(crate) fn try_lock(&self, path: &Path) -> Result<Option<Lock>, Error> {
        self.step(Step::Lock).map_err(|error| cannot("lock", path, &error))?;
        Lock::try_take(path)
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
        let file = match private(OpenOptions::new().read(true)).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        // Once more, because the name may belong to another file by now.
        let metadata = file.metadata().map_err(failed)?;
        self.account.check_file(path, &metadata)?;
        if metadata.len() > LARGEST {
            let (shown, most) = (path.display(), LARGEST >> 20);
            return Err(refused(format!(
                "{shown} is larger than {most} MiB, so it holds no tokens; name another path"
            )));
        }
        // Large enough from the start: a vector that grows leaves copies of secrets behind.
        let length = usize::try_from(metadata.len()).unwrap_or_default();
        let mut bytes = Zeroizing::new(Vec::with_capacity(length.saturating_add(1)));
        file.take(LARGEST).read_to_end(&mut bytes).map_err(failed)?;
        Ok(Some(bytes))
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
        let Target { path, temporary } = target;
        self.remove_leftover(target)?;
        let renamed = self.write(temporary, bytes, survives).and_then(|()| {
            self.step(Step::Rename)?;
            std::fs::rename(temporary, path)
        });
        if let Err(error) = renamed {
            let _ = std::fs::remove_file(temporary); // the next writer tries again
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
        match self.step(Step::Remove).and_then(|()| std::fs::remove_file(path)) {
            Ok(()) if survives == Survives::Machine => self.sync_folder(folder),
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(cannot("remove", path, &error)),
        }
    }

    /// Removes what a writer left that was killed. Whoever has the lock knows that it is dead.
    pub(crate) fn remove_leftover(&self, target: &Target) -> Result<(), Error> {
        match std::fs::remove_file(&target.temporary) {
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
    fn sync_folder(&self, folder: &Path) -> Result<(), Error> {
        let synced = self
            .step(Step::SyncFolder)
            .and_then(|()| if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) });
        match synced {
            // Some file systems have no such thing; then the name is as durable as they make it.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
                ) =>
            {
                Ok(())
            }
            synced => synced.map_err(|error| cannot("sync the folder", folder, &error)),
        }
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

const LARGEST: u64 = 64 << 20; // bytes; thousands of records, and little enough to read by mistake
