//! The keyring of this operating system, and what is particular about it.

pub(crate) use native::{CANNOT_BE_REACHED, LONGEST_ENTRY, MAY_RECONNECT, modifiers, open};

#[cfg(all(unix, not(any(target_os = "macos", target_os = "ios", target_os = "android"))))]
mod native {
    use std::collections::HashMap;
    use std::sync::Arc;

    use keyring_core::{CredentialStore, Result};
    use zbus_secret_service_keyring_store::Store;

    /// Connects to the session bus and agrees on a key with the Secret Service, so that no secret
    /// crosses the bus in the clear.
    pub(crate) fn open() -> Result<Arc<CredentialStore>> {
        let store: Arc<CredentialStore> = Store::new()?;
        Ok(store)
    }

    /// What Seahorse and its like show.
    pub(crate) fn modifiers(label: &str) -> HashMap<&'static str, &str> {
        HashMap::from([("label", label)])
    }

    /// A restarted daemon does not know the session of the one before it.
    pub(crate) const MAY_RECONNECT: bool = true;

    pub(crate) const LONGEST_ENTRY: usize = 32 * 1024; // none is specified; records rarely reach it

    pub(crate) const CANNOT_BE_REACHED: (&str, &str) = (
        "no Secret Service answers on the session bus",
        "start gnome-keyring or KWallet, or use the file storage",
    );
}

#[cfg(target_os = "macos")]
mod native {
    use std::collections::HashMap;
    use std::sync::Arc;

    use apple_native_keyring_store::keychain::Store;
    use keyring_core::{CredentialStore, Result};

    /// Takes the login keychain. Nothing is opened before an entry is asked for.
    pub(crate) fn open() -> Result<Arc<CredentialStore>> {
        let store: Arc<CredentialStore> = Store::new()?;
        Ok(store)
    }

    /// Nothing: Keychain Access shows the service.
    pub(crate) fn modifiers(_label: &str) -> HashMap<&'static str, &str> {
        HashMap::new()
    }

    /// There is no connection, and a second attempt would show a second prompt.
    pub(crate) const MAY_RECONNECT: bool = false;

    pub(crate) const LONGEST_ENTRY: usize = 32 * 1024; // none is documented; every entry may prompt

    pub(crate) const CANNOT_BE_REACHED: (&str, &str) = (
        "the login keychain cannot be opened",
        "run this in a login session, or use the file storage",
    );
}

#[cfg(windows)]
mod native {
    use std::collections::HashMap;
    use std::sync::Arc;

    use keyring_core::{CredentialStore, Result};
    use windows_native_keyring_store::Store;

    /// Takes the Credential Manager. It knows an entry by one name, which is made of the entry's
    /// name and the service; the divider has spaces, which no name of an entry has, so that no two
    /// entries share theirs.
    pub(crate) fn open() -> Result<Arc<CredentialStore>> {
        let configuration = HashMap::from([("divider", " @ ")]);
        let store: Arc<CredentialStore> = Store::new_with_configuration(&configuration)?;
        Ok(store)
    }

    /// This machine alone: records that roam would be those of several machines.
    pub(crate) fn modifiers(_label: &str) -> HashMap<&'static str, &str> {
        HashMap::from([("persistence", "Local")])
    }

    /// There is no connection.
    pub(crate) const MAY_RECONNECT: bool = false;

    pub(crate) const LONGEST_ENTRY: usize = 2_560; // CRED_MAX_CREDENTIAL_BLOB_SIZE

    pub(crate) const CANNOT_BE_REACHED: (&str, &str) = (
        "the Credential Manager cannot be opened",
        "run this in a login session, or use the file storage",
    );
}

#[cfg(not(any(windows, all(unix, not(any(target_os = "ios", target_os = "android"))))))]
mod native {
    use std::collections::HashMap;
    use std::sync::Arc;

    use keyring_core::{CredentialStore, Error, Result};

    pub(crate) fn open() -> Result<Arc<CredentialStore>> {
        Err(Error::NoDefaultStore)
    }

    pub(crate) fn modifiers(_label: &str) -> HashMap<&'static str, &str> {
        HashMap::new()
    }

    pub(crate) const MAY_RECONNECT: bool = false;

    pub(crate) const LONGEST_ENTRY: usize = 2_560; // the least of all known

    pub(crate) const CANNOT_BE_REACHED: (&str, &str) = (
        "this platform has no keyring that is known here",
        "give a store to KeyringStorage::with_store",
    );
}
