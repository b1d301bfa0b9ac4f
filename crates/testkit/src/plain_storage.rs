//! A storage that hides that it can be shared.

use tokenkeeper::{Error, SharedTokenStorage, StorageKey, TokenRecord, TokenStorage, async_trait};

/// Wraps a storage and leaves only the small trait of it: [`shared`](TokenStorage::shared) gives
/// `None`.
///
/// With it a test runs the same backend as a plain storage, where the last write wins, and as a
/// shared one, with leases and compare-and-set.
///
/// # Examples
///
/// ```
/// use tokenkeeper::{MemoryStorage, TokenStorage};
/// use tokenkeeper_testkit::PlainStorage;
///
/// assert!(MemoryStorage::new().shared().is_some());
/// assert!(PlainStorage::new(MemoryStorage::new()).shared().is_none());
/// ```
#[derive(Clone, Debug, Default)]
pub struct PlainStorage<S> {
    inner: S,
}

impl<S> PlainStorage<S> {
    /// Hides that `inner` can be shared.
    #[must_use]
    pub const fn new(inner: S) -> Self {
        Self { inner }
    }

    /// What is wrapped.
    #[must_use]
    pub const fn inner(&self) -> &S {
        &self.inner
    }
}

#[async_trait]
impl<S: TokenStorage> TokenStorage for PlainStorage<S> {
    async fn get(&self, key: &StorageKey) -> Result<Option<TokenRecord>, Error> {
        self.inner.get(key).await
    }

    async fn set(&self, key: &StorageKey, record: &TokenRecord) -> Result<(), Error> {
        self.inner.set(key, record).await
    }

    async fn delete(&self, key: &StorageKey) -> Result<(), Error> {
        self.inner.delete(key).await
    }

    async fn exists(&self, key: &StorageKey) -> Result<bool, Error> {
        self.inner.exists(key).await
    }

    fn shared(&self) -> Option<&dyn SharedTokenStorage> {
        None
    }
}
