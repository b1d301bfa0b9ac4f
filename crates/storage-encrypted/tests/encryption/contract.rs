//! The contract of storages, through the wrapper.

mod shared {
    use tokenkeeper::MemoryStorage;
    use tokenkeeper_storage_encrypted::{EncryptedStorage, EncryptionKey};

    fn storage() -> EncryptedStorage {
        EncryptedStorage::new(MemoryStorage::new(), EncryptionKey::from_bytes([7; 32]))
    }

    tokenkeeper_testkit::storage_contract!(storage());

    mod by_processes {
        tokenkeeper_testkit::shared_storage_contract!(super::storage());
    }
}

mod plain {
    use tokenkeeper::{MemoryStorage, TokenStorage};
    use tokenkeeper_storage_encrypted::{EncryptedStorage, EncryptionKey};
    use tokenkeeper_testkit::PlainStorage;

    fn storage() -> EncryptedStorage {
        let inner = PlainStorage::new(MemoryStorage::new());
        EncryptedStorage::new(inner, EncryptionKey::from_bytes([7; 32]))
    }

    tokenkeeper_testkit::storage_contract!(storage());

    #[test]
    fn it_does_not_offer_to_be_shared() {
        assert!(storage().shared().is_none());
    }
}

/// Wrapped in pointers, around pointers, twice, and while plaintext is accepted.
mod nested {
    use std::sync::Arc;

    use tokenkeeper::{MemoryStorage, TokenStorage};
    use tokenkeeper_storage_encrypted::{EncryptedStorage, EncryptionKey, KeyProvider};

    fn storage() -> Box<dyn TokenStorage> {
        let keys = |byte| -> Arc<dyn KeyProvider> {
            Arc::new(Box::new(EncryptionKey::from_bytes([byte; 32])))
        };
        let innermost: Arc<dyn TokenStorage> = Arc::new(MemoryStorage::new());
        let inner = EncryptedStorage::new(innermost, keys(1)).danger_accept_plaintext();
        Box::new(Arc::new(EncryptedStorage::new(inner, keys(2))))
    }

    tokenkeeper_testkit::storage_contract!(storage());

    mod by_processes {
        tokenkeeper_testkit::shared_storage_contract!(super::storage());
    }
}
