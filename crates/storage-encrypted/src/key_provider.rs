//! Where keys come from: the seam for key services, keyrings and files that change.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use tokenkeeper::Error;

use crate::encryption_key::EncryptionKey;

/// Gives keys to [`EncryptedStorage`](crate::EncryptedStorage).
///
/// # Contract
///
/// - `current_key` is asked before each write, `key` before each read, on the manager's driver and
///   within [`key_timeout`](crate::EncryptedStorage::key_timeout), 3 s by default, after which the call
///   fails and says that it was the key provider that gave no answer. So keep keys in memory once they are there, and do not block: blocking
///   work goes to `tokio::task::spawn_blocking`.
/// - The id that `key` is asked for stands in the record, and whoever can write to the storage can
///   put in another: 1 to 255 characters of visible ASCII, `/` and `..` too. Look it up among the
///   keys that encrypt tokens and no others, and never make a path or a URL of one that is not there.
/// - `key` gives every key that `current_key` ever gave, under the same id, as long as records may
///   be encrypted with it.
/// - An id means the same bytes for ever.
/// - Errors never hold a key. `Debug` does not either.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use tokenkeeper::{Error, async_trait};
/// use tokenkeeper_storage_encrypted::{EncryptionKey, EncryptionKeys, KeyProvider};
///
/// /// Keys that are read again when a signal says that their file has changed.
/// #[derive(Debug)]
/// struct Reloaded(std::sync::RwLock<Arc<EncryptionKeys>>);
///
/// impl Reloaded {
///     fn now(&self) -> Arc<EncryptionKeys> {
///         self.0.read().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
///     }
/// }
///
/// #[async_trait]
/// impl KeyProvider for Reloaded {
///     async fn current_key(&self) -> Result<EncryptionKey, Error> {
///         self.now().current_key().await
///     }
///
///     async fn key(&self, id: &str) -> Result<Option<EncryptionKey>, Error> {
///         self.now().key(id).await
///     }
/// }
/// ```
#[async_trait]
pub trait KeyProvider: Debug + Send + Sync + 'static {
    /// The key that encrypts.
    ///
    /// # Errors
    ///
    /// If it is not to be had. Nothing is written then, and the manager tries again.
    async fn current_key(&self) -> Result<EncryptionKey, Error>;

    /// The key of that id, to decrypt; `None` if there is none.
    ///
    /// # Errors
    ///
    /// If that cannot be said now. The record stays as it is, and the manager tries again.
    async fn key(&self, id: &str) -> Result<Option<EncryptionKey>, Error>;
}

/// The one key, for those who never rotated.
#[async_trait]
impl KeyProvider for EncryptionKey {
    async fn current_key(&self) -> Result<EncryptionKey, Error> {
        Ok(self.clone())
    }

    async fn key(&self, id: &str) -> Result<Option<EncryptionKey>, Error> {
        Ok((self.id() == id).then(|| self.clone()))
    }
}

macro_rules! forward_keys {
    ($($pointer:ident),*) => {$(
        #[async_trait]
        impl<T: KeyProvider + ?Sized> KeyProvider for $pointer<T> {
            async fn current_key(&self) -> Result<EncryptionKey, Error> {
                (**self).current_key().await
            }

            async fn key(&self, id: &str) -> Result<Option<EncryptionKey>, Error> {
                (**self).key(id).await
            }
        }
    )*};
}

forward_keys!(Arc, Box);
