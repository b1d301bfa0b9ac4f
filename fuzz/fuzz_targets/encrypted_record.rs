//! Nothing that was not encrypted comes through the wrapper, and nothing makes it panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tokenkeeper::{MemoryStorage, StorageKey, TokenRecord, TokenStorage};
use tokenkeeper_storage_encrypted::{EncryptedStorage, EncryptionKey};

fuzz_target!(|bytes: &[u8]| {
    let Ok(key) = StorageKey::new("alice") else { return };
    let inner = MemoryStorage::new();
    let storage = EncryptedStorage::new(inner.clone(), EncryptionKey::from_bytes([1; 32]));
    let found = pollster::block_on(async {
        inner.set(&key, &TokenRecord::from_bytes(bytes)).await?;
        storage.get(&key).await
    });
    assert!(found.is_err() || found.is_ok_and(|record| record.is_some_and(|r| r.is_newer())));
});
