//! Both suites on both layouts, and behind a pointer.

mod directory {
    use crate::scratch::Scratch;

    tokenkeeper_testkit::storage_contract!(Scratch::directory());

    mod shared {
        tokenkeeper_testkit::shared_storage_contract!(super::Scratch::directory());
    }
}

mod single_file {
    use crate::scratch::Scratch;

    tokenkeeper_testkit::storage_contract!(Scratch::single_file());

    mod shared {
        tokenkeeper_testkit::shared_storage_contract!(super::Scratch::single_file());
    }
}

mod behind_a_pointer {
    use std::sync::Arc;

    use tokenkeeper::TokenStorage;

    use crate::scratch::Scratch;

    fn storage() -> Arc<dyn TokenStorage> {
        Arc::new(Scratch::directory())
    }

    tokenkeeper_testkit::storage_contract!(storage());

    mod shared {
        tokenkeeper_testkit::shared_storage_contract!(super::storage());
    }
}

/// Handles and processes that open the same path.
mod handles_on_a_directory {
    use tokenkeeper_storage_file::FileStorage;

    tokenkeeper_testkit::shared_backend_contract!(
        folder => FileStorage::directory(folder.join("tokens")).unwrap()
    );
}

mod handles_on_a_single_file {
    use tokenkeeper_storage_file::FileStorage;

    tokenkeeper_testkit::shared_backend_contract!(
        folder => FileStorage::single_file(folder.join("login")).unwrap()
    );
}
