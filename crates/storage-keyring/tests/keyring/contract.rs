//! The rules of every storage, in a keyring in memory. The real ones are in the package
//! `tokenkeeper-tests`.

mod entries_as_long_as_the_platform_has_them {
    use std::sync::Arc;

    use tokenkeeper_storage_keyring::KeyringStorage;

    use crate::fake_keyring::FakeKeyring;

    tokenkeeper_testkit::storage_contract!(
        KeyringStorage::with_store("test", Arc::new(FakeKeyring::new())).unwrap()
    );
}

mod short_entries {
    use crate::fake_keyring::FakeKeyring;

    tokenkeeper_testkit::storage_contract!({
        let keyring = FakeKeyring::new();
        keyring.limit(512);
        keyring.storage()
    });
}

mod the_mock_of_keyring_core {
    use tokenkeeper_storage_keyring::{KeyringStorage, keyring_core};

    tokenkeeper_testkit::storage_contract!({
        let store = keyring_core::mock::Store::new().unwrap();
        KeyringStorage::with_store("test", store).unwrap()
    });
}
