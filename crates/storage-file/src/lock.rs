//! The lock that orders the writers of a file, in all processes.
//!
//! The operating system keeps it, so that it ends with its holder, however that ends. It is held
//! for the time of one write. A lease, which must outlive its holder, is something else.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use tokenkeeper::Error;

use crate::ownership::{Account, cannot, private};
use crate::windows_names::is_in_use;

/// A lock that is held until this is dropped.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    /// The lock, or nothing if somebody has it. It belongs to the open file, not to the process, so
    /// threads exclude each other too.
    pub(crate) fn try_take(path: &Path, account: Account) -> Result<Option<Self>, Error> {
        let failed = |error| cannot("lock", path, &error);
        if let Ok(metadata) = std::fs::symlink_metadata(path) {
            account.check_lock(path, &metadata)?;
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = match private(&mut options).open(path) {
            Err(error) if is_in_use(&error) => return Ok(None), // who has it shares it with nobody
            opened => opened.map_err(failed)?,
        };
        // Once more, because the name may belong to another file by now.
        account.check_lock(path, &file.metadata().map_err(failed)?)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

impl Drop for Lock {
    /// Closing the file would do, were it not for a child that is just being forked: it has a copy
    /// until it executes its program.
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}
