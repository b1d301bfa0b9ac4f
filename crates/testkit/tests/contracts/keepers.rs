//! The suites on the storages that are here: each keeps the contract, whatever it is wrapped in.

mod memory {
    tokenkeeper_testkit::storage_contract!(tokenkeeper::MemoryStorage::new());
}

mod shared_memory {
    tokenkeeper_testkit::shared_storage_contract!(tokenkeeper::MemoryStorage::new());
}

/// As users hold it: the manager takes an `Arc<dyn TokenStorage>`.
mod behind_an_arc {
    use std::sync::Arc;

    use tokenkeeper::{MemoryStorage, TokenStorage};

    fn storage() -> Arc<dyn TokenStorage> {
        Arc::new(MemoryStorage::new())
    }

    tokenkeeper_testkit::storage_contract!(storage());

    mod shared {
        tokenkeeper_testkit::shared_storage_contract!(super::storage());
    }
}

mod behind_a_box {
    use tokenkeeper::{MemoryStorage, TokenStorage};

    fn storage() -> Box<dyn TokenStorage> {
        Box::new(MemoryStorage::new())
    }

    tokenkeeper_testkit::storage_contract!(storage());

    mod shared {
        tokenkeeper_testkit::shared_storage_contract!(super::storage());
    }
}

mod plain {
    use tokenkeeper::{MemoryStorage, TokenStorage};
    use tokenkeeper_testkit::{FaultyStorage, PlainStorage};

    tokenkeeper_testkit::storage_contract!(PlainStorage::new(MemoryStorage::new()));

    #[test]
    fn no_wrapper_makes_a_plain_storage_a_shared_one() {
        let plain = PlainStorage::new(MemoryStorage::new());
        let faulty = FaultyStorage::new(plain.clone());
        let boxed: Box<dyn TokenStorage> = Box::new(faulty.clone());

        assert!(plain.shared().is_none());
        assert!(faulty.shared().is_none());
        assert!(boxed.shared().is_none());
    }
}

/// A wrapper in a pointer in a wrapper: each forwards every method.
mod nested {
    use std::sync::Arc;

    use tokenkeeper::{MemoryStorage, TokenStorage};
    use tokenkeeper_testkit::FaultyStorage;

    fn storage() -> FaultyStorage<Arc<dyn TokenStorage>> {
        FaultyStorage::new(Arc::new(FaultyStorage::new(MemoryStorage::new())))
    }

    tokenkeeper_testkit::storage_contract!(storage());

    mod shared {
        tokenkeeper_testkit::shared_storage_contract!(super::storage());
    }
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

/// Handles on one memory. Other processes have theirs, and leases end by the clock of the asker, so
/// only the other rules of handles hold.
mod handles_on_one_memory {
    use std::path::PathBuf;
    use std::sync::{Arc, LazyLock};

    use tokenkeeper::MemoryStorage;
    use tokenkeeper_testkit::contract::{self, OpenedStorage, Opening, SharedBackend};

    static MEMORY: LazyLock<MemoryStorage> = LazyLock::new(MemoryStorage::new);

    fn open(_: PathBuf) -> Opening {
        Box::pin(async {
            let storage: OpenedStorage = Arc::new(MEMORY.clone());
            storage
        })
    }

    macro_rules! keeps {
        ($($rule:ident)*) => {$(
            #[test]
            fn $rule() {
                contract::run(contract::$rule(SharedBackend::new(open, module_path!())));
            }
        )*};
    }

    keeps! {
        handles_see_the_same_records
        a_version_counts_for_every_handle
        no_two_handles_give_the_same_version
        a_lease_excludes_other_handles
        a_lease_that_was_lost_is_another_handles
    }
}
