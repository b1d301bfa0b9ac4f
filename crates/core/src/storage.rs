//! Where records are kept: the small seam that a backend implements.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use crate::error::Error;
use crate::identity::StorageKey;
use crate::record::TokenRecord;
use crate::shared_storage::SharedTokenStorage;

/// Keeps records by key.
///
/// The repository has a guide for those who write one, `docs/writing-a-storage.md`, and
/// `tokenkeeper-testkit` has the tests.
///
/// # Contract
///
/// - Calls may come at once, for the same key too; each reads or writes whole records.
/// - After `set` returns `Ok`, `get` gives that record, byte for byte, also after a crash if the
///   storage is durable.
/// - A record may disappear once its [`keep_until`](TokenRecord::keep_until) has passed, not
///   before; without `keep_until` it stays.
/// - `delete` is idempotent. Deleting what is not there is a success.
/// - A call may be dropped at any await point; the record is then the old or the new one, whole. A
///   `set` that was dropped may still be written, but not after a later `set` of the same caller.
/// - Calls run on the manager's driver, one thread for all managers: none may block it. Blocking
///   work goes to `tokio::task::spawn_blocking`.
/// - Errors name what failed and never hold the record.
/// - Writes of one manager come one after the other, so a write must not wait for its own manager.
/// - A wrapper forwards every method, and `shared` gives `Some` only if what it wraps does.
#[async_trait]
pub trait TokenStorage: Debug + Send + Sync + 'static {
    /// The record under the key.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Storage`](crate::ErrorKind::Storage) if it could not be read. Bytes that are
    /// no record are not an error here: hand them to [`TokenRecord::from_bytes`], and the manager
    /// decides what becomes of them. [`ErrorKind::RecordUnreadable`](crate::ErrorKind::RecordUnreadable)
    /// if somebody has to mend what is there before it may be read or written over.
    async fn get(&self, key: &StorageKey) -> Result<Option<TokenRecord>, Error>;

    /// Puts the record under the key, in the place of what is there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Storage`](crate::ErrorKind::Storage) if it could not be written.
    async fn set(&self, key: &StorageKey, record: &TokenRecord) -> Result<(), Error>;

    /// Removes the record under the key, if there is one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Storage`](crate::ErrorKind::Storage) if it could not be removed.
    async fn delete(&self, key: &StorageKey) -> Result<(), Error>;

    /// Whether there is a record under the key; tombstones count.
    ///
    /// # Default
    ///
    /// Asks `get`.
    ///
    /// # Errors
    ///
    /// As `get`.
    async fn exists(&self, key: &StorageKey) -> Result<bool, Error> {
        Ok(self.get(key).await?.is_some())
    }

    /// This storage as one that several processes share, if it is one.
    ///
    /// # Default
    ///
    /// `None`: one process is assumed, and the last write wins.
    fn shared(&self) -> Option<&dyn SharedTokenStorage> {
        None
    }
}

macro_rules! forward_storage {
    ($($pointer:ident),*) => {$(
        #[async_trait]
        impl<T: TokenStorage + ?Sized> TokenStorage for $pointer<T> {
            async fn get(&self, key: &StorageKey) -> Result<Option<TokenRecord>, Error> {
                (**self).get(key).await
            }

            async fn set(&self, key: &StorageKey, record: &TokenRecord) -> Result<(), Error> {
                (**self).set(key, record).await
            }

            async fn delete(&self, key: &StorageKey) -> Result<(), Error> {
                (**self).delete(key).await
            }

            async fn exists(&self, key: &StorageKey) -> Result<bool, Error> {
                (**self).exists(key).await
            }

            fn shared(&self) -> Option<&dyn SharedTokenStorage> {
                (**self).shared()
            }
        }
    )*};
}

forward_storage!(Arc, Box);
