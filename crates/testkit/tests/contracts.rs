//! The suites on the storages that are here: each keeps the contract, whatever it is wrapped in.

mod memory {
    tokenkeeper_testkit::storage_contract!(tokenkeeper::MemoryStorage::new());
}

mod shared_memory {
    tokenkeeper_testkit::shared_storage_contract!(tokenkeeper::MemoryStorage::new());
}

mod behind_pointers {
    use std::sync::Arc;

    use tokenkeeper::{MemoryStorage, TokenStorage};

    fn storage() -> Box<dyn TokenStorage> {
        let inner: Arc<dyn TokenStorage> = Arc::new(MemoryStorage::new());
        Box::new(inner)
    }

    tokenkeeper_testkit::storage_contract!(storage());

    mod shared {
        tokenkeeper_testkit::shared_storage_contract!(super::storage());
    }
}

mod plain {
    use tokenkeeper_testkit::PlainStorage;

    tokenkeeper_testkit::storage_contract!(PlainStorage::new(tokenkeeper::MemoryStorage::new()));
}

mod faulty {
    use tokenkeeper_testkit::FaultyStorage;

    tokenkeeper_testkit::storage_contract!(FaultyStorage::new(tokenkeeper::MemoryStorage::new()));
}

mod shared_faulty {
    use tokenkeeper_testkit::FaultyStorage;

    tokenkeeper_testkit::shared_storage_contract!(FaultyStorage::new(
        tokenkeeper::MemoryStorage::new()
    ));
}
