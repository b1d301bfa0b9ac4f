//! Which keys a storage has records under: for those who look after a storage, not for managers.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::error::Error;
use crate::identity::StorageKey;

/// A storage that can name its keys, so that an operator reaches the records of those who are away:
/// to encrypt them with a new key, to count them, to delete what has ended.
///
/// Managers do not need it, and a storage need not implement it.
///
/// # Contract
///
/// - A key under which there was a record from the first page to the last is on at least one page,
///   tombstones included. It may be on several.
/// - What is written or deleted meanwhile may be there or not.
/// - A record that cannot be read does not hide the others: it is among
///   [`KeyPage::unreadable`], or its key is named all the same.
///
/// # Examples
///
/// ```
/// use tokenkeeper::{Error, ListKeys, MemoryStorage, TokenStorage};
///
/// /// Deletes records that ended long ago.
/// async fn prune<S: TokenStorage + ListKeys>(
///     storage: &S,
///     ended_before: std::time::SystemTime,
/// ) -> Result<usize, Error> {
///     let (mut page, mut pruned) = (storage.list_keys(None).await?, 0);
///     loop {
///         for key in page.keys() {
///             let found = storage.get(key).await?;
///             let end = found.and_then(|record| record.keep_until());
///             if end.is_some_and(|end| end < ended_before) {
///                 storage.delete(key).await?;
///                 pruned += 1;
///             }
///         }
///         let Some(next) = page.next() else { return Ok(pruned) };
///         page = storage.list_keys(Some(next)).await?;
///     }
/// }
///
/// # pollster::block_on(async {
/// let storage = MemoryStorage::new();
/// assert_eq!(prune(&storage, std::time::SystemTime::UNIX_EPOCH).await?, 0);
/// # Ok::<(), Error>(()) })?;
/// # Ok::<(), Error>(())
/// ```
#[async_trait]
pub trait ListKeys: Debug + Send + Sync {
    /// One page of keys: the first, or the one after a page that had a
    /// [`next`](KeyPage::next).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Storage`](crate::ErrorKind::Storage) if the storage failed.
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) if it cannot list what it has, as it
    /// is set up.
    async fn list_keys(&self, after: Option<&KeyCursor>) -> Result<KeyPage, Error>;
}

/// Some of the keys of a storage.
#[derive(Debug, Default)]
pub struct KeyPage {
    keys: Vec<StorageKey>,
    unreadable: Vec<Error>,
    next: Option<KeyCursor>,
}

impl KeyPage {
    /// A page; without `next` it is the last one.
    #[must_use]
    pub fn new(keys: Vec<StorageKey>, next: Option<KeyCursor>) -> Self {
        Self { keys, unreadable: Vec::new(), next }
    }

    /// With what should have had a key on this page, and cannot be read.
    #[must_use]
    pub fn with_unreadable(self, unreadable: Vec<Error>) -> Self {
        Self { unreadable, ..self }
    }

    /// The keys. A page may have none and not be the last.
    #[must_use]
    pub fn keys(&self) -> &[StorageKey] {
        &self.keys
    }

    /// What is there and cannot be read: an error for each, which names it.
    #[must_use]
    pub fn unreadable(&self) -> &[Error] {
        &self.unreadable
    }

    /// Where the next page begins, if there is one.
    #[must_use]
    pub fn next(&self) -> Option<&KeyCursor> {
        self.next.as_ref()
    }
}

/// Where a page ended. What it holds is the storage's own affair, and means nothing to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyCursor(Box<str>);

impl KeyCursor {
    /// From what the storage goes on by.
    #[must_use]
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// What it was made from.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
