//! Keeps the tokens of tokenkeeper in files, for the processes of one host.
//!
//! [`FileStorage`] is private (mode 0600 on Unix), atomic (a crash leaves the old record or the new one) and
//! shared: processes that use the same path make one exchange between them for each rotation of a
//! refresh token.
//!
//! # Examples
//!
//! ```
//! use tokenkeeper::{Error, TokenManager};
//! use tokenkeeper_storage_file::FileStorage;
//!
//! # let scratch = tempfile::tempdir().unwrap();
//! # let home = scratch.path();
//! # let provider = tokenkeeper_testkit::ScriptedProvider::new("invoices");
//! # let counted = provider.clone();
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
//! # runtime.block_on(async {
//! let storage = FileStorage::directory(home.join("tokens"))?;
//! let manager = TokenManager::builder(provider.clone()).storage(storage).build()?;
//! let token = manager.token().await?;
//!
//! // After a restart, or in another process:
//! let storage = FileStorage::directory(home.join("tokens"))?;
//! let manager = TokenManager::builder(provider).storage(storage).build()?;
//! assert_eq!(manager.token().await?.authorization(), token.authorization());
//! # assert_eq!(counted.calls(), 1);
//! # Ok::<(), Error>(())
//! # }).unwrap();
//! ```
//!
//! # What is on the disk
//!
//! | [`directory`](FileStorage::directory) | [`single_file`](FileStorage::single_file) | |
//! |---|---|---|
//! | `<key>-<hash>.token` | the file itself | records |
//! | `<key>-<hash>.lease` | `<file>.tokenkeeper-lease` | who may spend a refresh token, while somebody may |
//! | `….tmp` | `<file>.tokenkeeper-tmp`, `….tokenkeeper-lease-tmp` | a write under way, or what is left of one that was killed |
//! | `.lock-00` to `.lock-3f` | `<file>.tokenkeeper-lock` | empty; locked by the operating system for the time of a write |
//!
//! Lock files stay. Removing one while a process runs lets two of them write at the same time.
//!
//! # Damaged and unsafe files
//!
//! A file that is truncated, altered, somebody else's, a symbolic link, or open to others is an
//! error that names it and says what to do, for reads and writes alike: nothing is written over,
//! because it may be mended, and because a path may be mistyped. Its kind is
//! [`RecordUnreadable`](tokenkeeper::ErrorKind::RecordUnreadable): somebody has to act, and a manager
//! that has nothing else to serve looks again after 5 s, then ever later, up to 10 min, and at once
//! after [`credentials_changed`](tokenkeeper::TokenManager::credentials_changed). A file of a newer
//! version of tokenkeeper is never written over either. `delete` in a directory removes the file whatever is in
//! it, if it is ours; a single file that cannot be read it leaves alone, because that may hold other
//! logins.
//!
//! A file that is whole and holds something else than a record of a manager is the manager's to
//! judge, as in every storage.
//!
//! So is a folder that is not safe: one that every user can write to, or that lies in one where
//! another than root and this user can replace it. A sticky folder above, such as `/tmp`, is fine.
//!
//! # Leases
//!
//! Before the first lease of a key in a process, the record is replaced by itself, in the way that the
//! next write replaces it. A record that is a mount of its own, immutable, or in a folder without
//! permission is an error then, and no refresh token is spent whose successor could not be stored.
//!
//! A lease stands in a file with its owner and its end, not in a lock that the operating system
//! frees when its holder dies: the request of a holder that was killed may still be on its way, and
//! a sibling that spends the same refresh token at that moment looks like a thief. So a process that
//! is killed costs the others at most one lease time. On Linux the end is counted by the boot clock,
//! which nobody steps and which goes on while the machine sleeps; elsewhere, after a reboot, and
//! between containers whose boot clocks are shifted, by the wall clock.
//!
//! # Limits
//!
//! - Not for network file systems, nor for a folder that two machines share: their locks and renames
//!   do not promise enough.
//! - For processes of one user: what another owns is refused. A folder that its group can write to
//!   is not, so name one whose group you trust; a member can delete files in it or put old ones back.
//! - What widens the mode of files, such as a volume whose files are handed to a group when it is
//!   mounted, makes them refused.
//! - Records, those of a logout too, stay until they are deleted, also when their
//!   [`keep_until`](tokenkeeper::TokenRecord::keep_until) has passed: a wall clock that was stepped
//!   must not end a login.
//! - Files are as safe as the account that owns them. `tokenkeeper-storage-encrypted` encrypts them.
//! - Where there is no Unix, owners and modes are neither set nor checked and a folder is not synced: a
//!   file is then as private as its folder, and a power failure may bring back the record of before.
//! - On Windows a file that another program has open cannot be replaced. That is tried again for a
//!   second and a half.
//! - Calls want a tokio runtime, as the contract of storages says.

mod disk;
mod entries;
#[cfg(test)]
#[cfg(unix)]
mod faults;
#[doc(hidden)]
pub mod fuzzing;
mod host_time;
mod identifier;
mod lease;
mod lease_book;
mod listing;
mod lock;
mod ownership;
mod paths;
mod place;
mod records;
mod storage;
mod windows_names;

pub use storage::FileStorage;
