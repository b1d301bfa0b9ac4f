//! Entries of the keyring by name: the only place that calls it.

use std::collections::HashMap;
use std::sync::Arc;

use keyring_core::{CredentialStore, Entry, Error as KeyringError};
use tokenkeeper::StorageKey;
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::head::WriteId;
use crate::platform;

/// The entries of one service in one keyring.
#[derive(Clone, Debug)]
pub(crate) struct Entries {
    pub(crate) service: Arc<str>,
    pub(crate) store: Arc<CredentialStore>,
    /// It is the keyring of the platform, which knows what a label is; a stranger's may refuse.
    pub(crate) native: bool,
}

impl Entries {
    /// What the entry holds, if it is there.
    pub(crate) fn get(&self, name: &Name) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
        match self.entry(name).and_then(|entry| entry.get_secret()) {
            Ok(bytes) => Ok(Some(Zeroizing::new(bytes))),
            Err(KeyringError::NoEntry) => Ok(None),
            Err(cause) => Err(self.failure("read", name, cause)),
        }
    }

    /// Makes the entry, or replaces what it holds.
    pub(crate) fn put(&self, name: &Name, text: &str) -> Result<(), Failure> {
        self.entry(name)
            .and_then(|entry| entry.set_secret(text.as_bytes()))
            .map_err(|cause| self.failure("write", name, cause))
    }

    /// Removes the entry, if it is there.
    pub(crate) fn remove(&self, name: &Name) -> Result<(), Failure> {
        match self.entry(name).and_then(|entry| entry.delete_credential()) {
            Ok(()) | Err(KeyringError::NoEntry) => Ok(()),
            Err(cause) => Err(self.failure("remove", name, cause)),
        }
    }

    fn entry(&self, name: &Name) -> keyring_core::Result<Entry> {
        let label = format!("{}: {}", self.service, name.label);
        let modifiers: HashMap<&str, &str> =
            if self.native { platform::modifiers(&label) } else { HashMap::new() };
        self.store.build(&self.service, &name.user, Some(&modifiers))
    }

    fn failure(&self, doing: &str, name: &Name, cause: KeyringError) -> Failure {
        Failure::of_entry(doing, &name.user, &self.service, cause)
    }
}

/// How an entry is found, and what people are shown.
#[derive(Debug)]
pub(crate) struct Name {
    user: String,
    label: String,
}

impl Name {
    /// The entry that says what the record is. The others of the key are named after it, with `#`,
    /// which no key has.
    pub(crate) fn of_head(key: &StorageKey) -> Self {
        Self { user: user(key), label: format!("OAuth2 tokens ({key})") }
    }

    /// One part of a record that is too long for one entry.
    pub(crate) fn of_part(key: &StorageKey, write: WriteId, part: u16) -> Self {
        let number = u32::from(part) + 1;
        Self {
            user: format!("{}#{write}.{part}", user(key)),
            label: format!("OAuth2 tokens, part {number} ({key})"),
        }
    }

    /// The list of the parts that there may be.
    pub(crate) fn of_inventory(key: &StorageKey) -> Self {
        Self {
            user: format!("{}#parts", user(key)),
            label: format!("OAuth2 tokens, list of parts ({key})"),
        }
    }

    /// Something that the program keeps beside its records.
    pub(crate) fn of_secret(name: &StorageKey) -> Self {
        Self { user: format!("{}#secret", user(name)), label: format!("secret ({name})") }
    }

    /// An entry that is never made.
    pub(crate) fn of_nothing() -> Self {
        Self { user: "#".to_owned(), label: "nothing".to_owned() }
    }
}

/// The key for a keyring that takes `a` and `A` for the same, as Windows does: upper case letters
/// become `!` and the lower case one.
fn user(key: &StorageKey) -> String {
    let mut user = String::new();
    for letter in key.as_str().chars() {
        if letter.is_ascii_uppercase() {
            user.push('!');
        }
        user.push(letter.to_ascii_lowercase());
    }
    user
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_names_do_not_change_between_releases() {
        let key = StorageKey::new("v1-Alice@example.org").unwrap();

        assert_eq!(Name::of_head(&key).user, "v1-!alice@example.org");
        assert_eq!(
            Name::of_part(&key, WriteId::from_number(0xabc), 7).user,
            "v1-!alice@example.org#0000000000000abc.7"
        );
        assert_eq!(Name::of_inventory(&key).user, "v1-!alice@example.org#parts");
        assert_eq!(Name::of_secret(&key).user, "v1-!alice@example.org#secret");
    }

    #[test]
    fn the_longest_name_fits_into_the_513_characters_of_windows() {
        let key = StorageKey::new(&"A".repeat(200)).unwrap();

        let longest = Name::of_part(&key, WriteId::from_number(u64::MAX), u16::MAX);

        assert!(longest.user.len() <= 513, "{}", longest.user.len());
    }
}
