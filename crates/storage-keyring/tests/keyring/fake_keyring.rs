//! A keyring in memory, with faults to order, and what the tests make of it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests fail by panicking"
)]
use std::any::Any;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use keyring_core::api::{CredentialApi, CredentialStoreApi};
use keyring_core::{Credential, CredentialStore, Entry, Error};
use tokenkeeper::{Order, StorageKey, TokenRecord};
use tokenkeeper_storage_keyring::{KeyringStorage, keyring_core};

/// A keyring. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct FakeKeyring {
    inside: Arc<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    entries: BTreeMap<String, Vec<u8>>,
    /// How many changes may still be made; then everything fails.
    changes_left: Option<usize>,
    errors: VecDeque<Error>,
    /// The change that fails, counted down to zero.
    failing_change: Option<usize>,
    panics: bool,
    longest: Option<usize>,
    held: bool,
    under_way: usize,
    most_under_way: usize,
}

impl FakeKeyring {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A storage in it, with short entries.
    pub(crate) fn storage(&self) -> KeyringStorage {
        let store: Arc<CredentialStore> = Arc::new(self.clone());
        KeyringStorage::with_store("test", store).unwrap().with_longest_entry(512)
    }

    /// The names of all entries.
    pub(crate) fn names(&self) -> Vec<String> {
        self.state().entries.keys().cloned().collect()
    }

    /// What an entry holds.
    pub(crate) fn text(&self, name: &str) -> String {
        String::from_utf8(self.state().entries[name].clone()).unwrap()
    }

    /// Puts an entry in behind the storage's back.
    pub(crate) fn put(&self, name: &str, bytes: &[u8]) {
        self.state().entries.insert(name.to_owned(), bytes.to_vec());
    }

    /// Takes an entry out behind the storage's back.
    pub(crate) fn take(&self, name: &str) {
        self.state().entries.remove(name).unwrap();
    }

    /// Lets so many changes happen, and fails everything after them: as if the program had died.
    pub(crate) fn die_after(&self, changes: usize) {
        self.state().changes_left = Some(changes);
    }

    /// Works again.
    pub(crate) fn revive(&self) {
        self.state().changes_left = None;
    }

    /// Whether the changes of [`die_after`](Self::die_after) were used up.
    pub(crate) fn has_died(&self) -> bool {
        self.state().changes_left == Some(0)
    }

    /// The next call that is not spoken for yet fails with this.
    pub(crate) fn fail_next(&self, error: Error) {
        self.state().errors.push_back(error);
    }

    /// After so many changes one fails.
    pub(crate) fn fail_change_after(&self, changes: usize) {
        self.state().failing_change = Some(changes);
    }

    /// The next call panics.
    pub(crate) fn panic_next(&self) {
        self.state().panics = true;
    }

    /// Refuses entries that are longer.
    pub(crate) fn limit(&self, bytes: usize) {
        self.state().longest = Some(bytes);
    }

    /// Calls hang from here on, as behind a prompt.
    pub(crate) fn hold(&self) {
        self.state().held = true;
    }

    /// Calls go on.
    pub(crate) fn let_go(&self) {
        self.state().held = false;
        self.inside.changed.notify_all();
    }

    /// Waits, blocking, until so many calls hang.
    pub(crate) fn wait_for_calls(&self, calls: usize) {
        let waiting = self.inside.changed.wait_while(self.state(), |s| s.under_way < calls);
        drop(waiting.unwrap());
    }

    /// The most calls that were ever under way at the same time.
    pub(crate) fn most_under_way(&self) -> usize {
        self.state().most_under_way
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inside.state.lock().unwrap()
    }

    /// One call: waits while the keyring is held, fails as ordered.
    fn call<T>(
        &self,
        changes: bool,
        work: impl FnOnce(&mut State) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut state = self.state();
        state.under_way += 1;
        state.most_under_way = state.most_under_way.max(state.under_way);
        self.inside.changed.notify_all();
        let mut state = self.inside.changed.wait_while(state, |state| state.held).unwrap();
        state.under_way -= 1;
        if std::mem::take(&mut state.panics) {
            drop(state); // without poisoning it
            panic!("as ordered");
        }
        if let Some(error) = state.errors.pop_front() {
            return Err(error);
        }
        if changes {
            state.failing_change = match state.failing_change {
                Some(0) => {
                    state.failing_change = None;
                    return Err(failure("the keyring has a bad moment"));
                }
                left => left.map(|left| left - 1),
            };
        }
        match &mut state.changes_left {
            Some(0) => return Err(failure("the program has died")),
            Some(left) if changes => *left -= 1,
            _ => {}
        }
        work(&mut state)
    }
}

/// An error of the platform below the keyring.
pub(crate) fn failure(text: &'static str) -> Error {
    Error::PlatformFailure(text.into())
}

impl CredentialStoreApi for FakeKeyring {
    fn vendor(&self) -> String {
        "test".to_owned()
    }

    fn id(&self) -> String {
        "test".to_owned()
    }

    fn build(
        &self,
        service: &str,
        user: &str,
        modifiers: Option<&HashMap<&str, &str>>,
    ) -> keyring_core::Result<Entry> {
        assert!(modifiers.is_none_or(HashMap::is_empty), "a strange store may refuse modifiers");
        assert_eq!(service, "test");
        assert_eq!(user, user.to_lowercase(), "some keyrings do not tell letter case");
        let credential = FakeEntry { keyring: self.clone(), name: user.to_owned() };
        Ok(Entry::new_with_credential(Arc::new(credential)))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[derive(Debug)]
struct FakeEntry {
    keyring: FakeKeyring,
    name: String,
}

impl CredentialApi for FakeEntry {
    fn set_secret(&self, secret: &[u8]) -> keyring_core::Result<()> {
        assert!(str::from_utf8(secret).is_ok(), "some keyrings keep text alone");
        self.keyring.call(true, |state| {
            if state.longest.is_some_and(|longest| secret.len() > longest) {
                return Err(Error::TooLong("secret".to_owned(), 1));
            }
            state.entries.insert(self.name.clone(), secret.to_vec());
            Ok(())
        })
    }

    fn get_secret(&self) -> keyring_core::Result<Vec<u8>> {
        self.keyring
            .call(false, |state| state.entries.get(&self.name).cloned().ok_or(Error::NoEntry))
    }

    fn delete_credential(&self) -> keyring_core::Result<()> {
        self.keyring
            .call(true, |state| state.entries.remove(&self.name).map(drop).ok_or(Error::NoEntry))
    }

    fn get_credential(&self) -> keyring_core::Result<Option<Arc<Credential>>> {
        Ok(None)
    }

    fn get_specifiers(&self) -> Option<(String, String)> {
        None
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

pub(crate) fn key() -> StorageKey {
    StorageKey::new("key").unwrap()
}

/// A record of so many bytes that all are the same.
pub(crate) fn record(byte: u8, length: usize) -> TokenRecord {
    TokenRecord::from_parts(vec![byte; length], Order::new(1, byte.into()), None, false)
}
