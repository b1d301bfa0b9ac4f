//! The storage: one call of the keyring at a time, and none on the caller's thread.
//!
//! The keyring blocks, now and then for as long as somebody takes to answer a prompt. So a call
//! runs on a thread for blocking work, and takes the storage's turn with it: the calls behind it
//! wait as futures, which cost nothing and can be dropped. A keyring that hangs holds one thread,
//! however many callers come and give up, and a write whose caller is gone lands before the next
//! call begins, or never.

use std::fmt;
use std::sync::Arc;

use keyring_core::CredentialStore;
use parking_lot::Mutex;
use tokenkeeper::{Error, ErrorKind, Secret, StorageKey, TokenRecord, TokenStorage, async_trait};
use tokio::sync::Mutex as Turn;
use tokio::task::spawn_blocking;

use crate::entries::{Entries, Name};
use crate::failure::Failure;
use crate::platform;
use crate::records::Shelf;

/// Keeps records in the keyring of the operating system. Clones take turns with each other.
///
/// # Contract
///
/// One process is assumed, and the last write wins: a keyring has no compare-and-set, so
/// [`shared`](TokenStorage::shared) is `None`. Two processes that write at once never mix their
/// records, but both may spend the same refresh token. For several processes of one host take
/// `tokenkeeper-storage-file`, encrypted with a key that is kept in the keyring.
///
/// # Locked keyrings
///
/// A keyring that is locked may ask its user for a password, and a call waits for the answer. The
/// manager gives up after 5 s and tries again later; meanwhile the prompt stays, and once it is
/// answered the next attempt succeeds. Where nobody can be asked, the call fails at once.
///
/// # Cancel safety
///
/// A call that is dropped while it waits for its turn does nothing. One whose turn has come goes on
/// to its end, before any later call of the same storage. A runtime that is shut down waits for it,
/// which matters only to those who use a storage on a runtime of their own: the manager's driver is
/// never shut down.
///
/// # Examples
///
/// ```no_run
/// use tokenkeeper::TokenManager;
/// use tokenkeeper_storage_keyring::KeyringStorage;
/// # use tokenkeeper::{Error, TokenProvider};
/// # fn run(provider: impl TokenProvider) -> Result<(), Error> {
///
/// let storage = KeyringStorage::new("example-cli")?;
/// let tokens = TokenManager::builder(provider).storage(storage).build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct KeyringStorage {
    keyring: Arc<Keyring>,
    longest_entry: usize,
    turn: Arc<Turn<()>>,
}

/// One service in one keyring, with a connection that may be replaced.
#[derive(Debug)]
struct Keyring {
    service: Arc<str>,
    native: bool,
    store: Mutex<Option<Arc<CredentialStore>>>,
}

impl KeyringStorage {
    /// The keyring of the operating system. It is not touched before the first call.
    ///
    /// `service` separates the records of one program from those of others, and is what people see
    /// in the keyring: the name of the program, say. It has 1 to 100 characters without control
    /// characters. Names that differ in letter case alone are the same on Windows.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the name is none.
    pub fn new(service: &str) -> Result<Self, Error> {
        Self::build(service, None)
    }

    /// A keyring of another kind, for which there is a credential store for
    /// [`keyring_core`](crate::keyring_core): the kernel's keys, a password manager, a mock.
    ///
    /// Entries are asked for without modifiers, by `service` and a name that has no upper case
    /// letters, and hold text. A store whose entries are short needs
    /// [`with_longest_entry`](Self::with_longest_entry).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the name of the service is none, as for [`new`](Self::new).
    pub fn with_store(service: &str, store: Arc<CredentialStore>) -> Result<Self, Error> {
        Self::build(service, Some(store))
    }

    fn build(service: &str, store: Option<Arc<CredentialStore>>) -> Result<Self, Error> {
        let is_name = !service.trim().is_empty()
            && service.chars().count() <= LONGEST_SERVICE
            && !service.contains(char::is_control);
        if !is_name {
            let what = "keyring service: must be 1 to 100 characters without control characters";
            return Err(Error::new(ErrorKind::Config, what));
        }
        let native = store.is_none();
        let keyring = Keyring { service: service.into(), native, store: Mutex::new(store) };
        Ok(Self {
            keyring: Arc::new(keyring),
            longest_entry: platform::LONGEST_ENTRY,
            turn: Arc::default(),
        })
    }

    /// The most that one entry of the keyring may hold, in bytes; at least 512. A record that is
    /// longer, in base64, is kept in several entries.
    ///
    /// # Default
    ///
    /// 2560 on Windows, which takes no more; elsewhere 32 KiB, so that a record is one entry as a
    /// rule.
    #[must_use]
    pub fn with_longest_entry(mut self, bytes: usize) -> Self {
        self.longest_entry = bytes.max(SHORTEST_LIMIT);
        self
    }

    /// Whether there is a keyring to talk to: connects, and looks for an entry that is never there.
    ///
    /// For programs that choose their storage when they start. It asks nobody for a password, so a
    /// keyring that is locked passes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Storage`] if there is none, or it does not answer as it should.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::sync::Arc;
    /// use tokenkeeper::{Error, MemoryStorage, TokenStorage};
    /// use tokenkeeper_storage_keyring::KeyringStorage;
    ///
    /// # async fn run() -> Result<(), Error> {
    /// let keyring = KeyringStorage::new("example-cli")?;
    /// let storage: Arc<dyn TokenStorage> = match keyring.check().await {
    ///     Ok(()) => Arc::new(keyring),
    ///     Err(_) => Arc::new(MemoryStorage::new()), // the user logs in again next time
    /// };
    /// # Ok(())
    /// # }
    /// ```
    pub async fn check(&self) -> Result<(), Error> {
        self.call(|entries, _| entries.get(&Name::of_nothing()).map(|_| ())).await
    }

    /// A secret of the program itself, kept beside its records: the key of an encrypted storage, say.
    /// Where there is none yet, `make` makes it. It never changes then, and is shown to people as
    /// `<service>: secret (<name>)`.
    ///
    /// Two processes that both find none may each make one, and the later one stays: have one
    /// process make it, at the first login, say.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Storage`] if it could not be read or written, or is no text.
    ///
    /// # Examples
    ///
    /// Several processes of one host share a file that is encrypted with a key out of the keyring:
    ///
    /// ```no_run
    /// use tokenkeeper::{Error, Secret, StorageKey};
    /// use tokenkeeper_storage_keyring::KeyringStorage;
    ///
    /// # async fn run(random_key: fn() -> Secret) -> Result<(), Error> {
    /// let keyring = KeyringStorage::new("example-cli")?;
    /// let key = keyring.secret(&StorageKey::new("file")?, random_key).await?;
    /// // EncryptedStorage::new(file_storage, EncryptionKey::from_text(key)?)
    /// # Ok(())
    /// # }
    /// ```
    pub async fn secret(
        &self,
        name: &StorageKey,
        make: impl FnOnce() -> Secret + Send,
    ) -> Result<Secret, Error> {
        let key = name.clone();
        let there = self.call(move |entries, _| entries.get(&Name::of_secret(&key))).await?;
        let there = match there {
            Some(there) => Some(there),
            None => {
                let (key, new) = (name.clone(), make());
                self.call(move |entries, _| {
                    let name = Name::of_secret(&key);
                    if entries.get(&name)?.is_none() {
                        entries.put(&name, new.expose_secret())?;
                    }
                    entries.get(&name) // another process may have been later
                })
                .await?
            }
        };
        let text = there.as_deref().and_then(|bytes| str::from_utf8(bytes).ok());
        text.map(Secret::from).ok_or_else(|| {
            let what = format!("the secret {name} in the keyring is damaged");
            Error::new(ErrorKind::Storage, what).with_advice("remove the entry")
        })
    }

    /// Makes a call when its turn has come, on a thread where it may block.
    async fn call<T: Send + 'static>(
        &self,
        call: impl Fn(&Entries, usize) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Error> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let (keyring, longest_entry) = (Arc::clone(&self.keyring), self.longest_entry);
        let task = spawn_blocking(move || {
            let answer = keyring.call(|entries| call(entries, longest_entry));
            drop(turn);
            answer
        });
        match task.await {
            Ok(answer) => answer.map_err(Failure::into_error),
            Err(gone) => {
                self.keyring.disconnect(); // a panic may have left a lock of the store behind
                let what = "the call to the keyring ended without an answer";
                Err(Error::new(ErrorKind::Storage, what).with_source(gone))
            }
        }
    }

    async fn on_shelf<T: Send + 'static>(
        &self,
        key: &StorageKey,
        call: impl Fn(&Shelf<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Error> {
        let key = key.clone();
        self.call(move |entries, longest_entry| call(&Shelf { entries, key: &key, longest_entry }))
            .await
    }
}

impl Keyring {
    /// Calls on the connection that there is, and on a new one if that may be what is wrong: every
    /// call can be made twice.
    fn call<T>(&self, call: impl Fn(&Entries) -> Result<T, Failure>) -> Result<T, Failure> {
        match call(&self.connected()?) {
            Err(failure)
                if failure.is_of_connection() && self.native && platform::MAY_RECONNECT =>
            {
                self.disconnect();
                call(&self.connected()?)
            }
            answer => answer,
        }
    }

    fn connected(&self) -> Result<Entries, Failure> {
        let mut store = self.store.lock();
        let store = match &mut *store {
            Some(store) => Arc::clone(store),
            none => {
                let opened = platform::open().map_err(Failure::of_connecting)?;
                Arc::clone(none.insert(opened))
            }
        };
        Ok(Entries { service: Arc::clone(&self.service), store, native: self.native })
    }

    fn disconnect(&self) {
        if self.native {
            *self.store.lock() = None;
        }
    }
}

impl fmt::Debug for KeyringStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyringStorage")
            .field("service", &self.keyring.service)
            .field("longest_entry", &self.longest_entry)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl TokenStorage for KeyringStorage {
    async fn get(&self, key: &StorageKey) -> Result<Option<TokenRecord>, Error> {
        self.on_shelf(key, |shelf| shelf.read()).await
    }

    async fn set(&self, key: &StorageKey, record: &TokenRecord) -> Result<(), Error> {
        let record = record.clone();
        self.on_shelf(key, move |shelf| shelf.write(&record)).await
    }

    async fn delete(&self, key: &StorageKey) -> Result<(), Error> {
        self.on_shelf(key, |shelf| shelf.remove()).await
    }

    async fn exists(&self, key: &StorageKey) -> Result<bool, Error> {
        self.on_shelf(key, |shelf| shelf.exists()).await
    }
}

const LONGEST_SERVICE: usize = 100;
const SHORTEST_LIMIT: usize = 512; // the head of a record in parts has about 110
