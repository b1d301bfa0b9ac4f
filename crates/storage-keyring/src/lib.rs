//! Keeps the tokens of [`tokenkeeper`] in the keyring of the operating system.
//!
//! For programs that a person runs on a machine of their own: command-line tools, desktop
//! programs. The tokens are as safe as that person's passwords, and gone from no file that a backup
//! might carry away.
//!
//! | system | keyring | who sees it |
//! |---|---|---|
//! | Linux, BSD | Secret Service on the session bus: GNOME Keyring, KWallet, KeePassXC | Seahorse, KWalletManager, as `<service>: OAuth2 tokens (<key>)` |
//! | macOS | login keychain | Keychain Access, by the service |
//! | Windows | Credential Manager, not roaming | Windows Credentials, as `<key> @ <service>` |
//!
//! [`KeyringStorage`] is all there is. Other keyrings come in by
//! [`with_store`](KeyringStorage::with_store).
//!
//! # What a record becomes
//!
//! An entry under the service and the storage key. A record that is longer than an entry may be is
//! put into several, `<key>#<write>.<part>`, and the entry of the key then says which: that one is
//! written last, so a program that dies in the middle leaves the old record whole. Parts that it left
//! behind are on a list, `<key>#parts`, and a later write removes them.
//!
//! An entry that somebody damaged, or took parts away from, is a record that cannot be read. The
//! manager then does what it does with any such record: a provider that needs no person fetches new
//! tokens and writes over it, for others a login is asked for.
//!
//! # Several processes
//!
//! A keyring has no compare-and-set. Records never mix, but two processes that renew at the same
//! moment may both spend the refresh token, and a service that rotates it takes that for a theft. One
//! program of which a person runs two at once should keep its tokens in `tokenkeeper-storage-file`,
//! wrapped by `tokenkeeper-storage-encrypted`, and only the key of that in the keyring:
//! [`KeyringStorage::secret`] shows how.
//!
//! # Where there is no keyring
//!
//! Servers, containers and `ssh` sessions often have none. Every call then fails with an error that
//! says what to start, [`KeyringStorage::check`] too. Nothing falls back to a file by itself.

mod entries;
mod failure;
mod head;
mod inventory;
mod platform;
mod records;
mod storage;

pub use keyring_core;
pub use storage::KeyringStorage;
