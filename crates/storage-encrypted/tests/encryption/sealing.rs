//! What the tests of this crate share: keys, a record, and a storage whose inside can be looked at.

use std::time::{Duration, SystemTime};

use tokenkeeper::{Error, MemoryStorage, Order, StorageKey, TokenRecord, TokenStorage};
use tokenkeeper_storage_encrypted::{EncryptedStorage, EncryptionKey, EncryptionKeys};

/// A storage, and what is inside of it.
pub(crate) struct Sealing {
    pub(crate) storage: EncryptedStorage,
    pub(crate) inner: MemoryStorage,
}

impl Sealing {
    pub(crate) fn new() -> Self {
        Self::over(MemoryStorage::new(), key(1))
    }

    pub(crate) fn over(inner: MemoryStorage, key: EncryptionKey) -> Self {
        Self { storage: EncryptedStorage::new(inner.clone(), key), inner }
    }

    pub(crate) fn put(&self, name: &str, record: &TokenRecord) {
        pollster::block_on(self.storage.set(&named(name), record)).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Result<TokenRecord, Error> {
        pollster::block_on(self.storage.get(&named(name))).map(Option::unwrap)
    }

    /// The record as the inner storage has it.
    pub(crate) fn at_rest(&self, name: &str) -> TokenRecord {
        pollster::block_on(self.inner.get(&named(name))).unwrap().unwrap()
    }

    /// Puts something into the inner storage, as somebody who has no key.
    pub(crate) fn plant(&self, name: &str, record: &TokenRecord) {
        pollster::block_on(self.inner.set(&named(name), record)).unwrap();
    }
}

pub(crate) fn key(byte: u8) -> EncryptionKey {
    EncryptionKey::from_bytes([byte; 32])
}

pub(crate) fn keys(bytes: &[u8]) -> EncryptionKeys {
    EncryptionKeys::new(bytes.iter().map(|byte| key(*byte))).unwrap()
}

pub(crate) fn named(name: &str) -> StorageKey {
    StorageKey::new(name).unwrap()
}

pub(crate) fn at(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

pub(crate) fn record(payload: &[u8]) -> TokenRecord {
    TokenRecord::from_parts(payload.to_vec(), Order::new(7, 3), Some(at(1_900_000_000_123)), false)
}

pub(crate) fn tombstone() -> TokenRecord {
    TokenRecord::from_parts(Vec::new(), Order::new(8, 0), Some(at(1_900_000_000_123)), true)
}

pub(crate) const PAYLOAD: &[u8] = br#"{"v":1,"tokens":{"refresh_token":"planted-refresh"}}"#;
