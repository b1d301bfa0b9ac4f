//! Encrypts what [`tokenkeeper`] stores: [`EncryptedStorage`] wraps any
//! [`TokenStorage`](tokenkeeper::TokenStorage), and whoever reads the file, the database or its
//! backup finds nothing but ciphertext.
//!
//! # Examples
//!
//! ```
//! use tokenkeeper::MemoryStorage as AnyStorage;
//! use tokenkeeper::{Order, StorageKey, TokenRecord, TokenStorage};
//! use tokenkeeper_storage_encrypted::{EncryptedStorage, EncryptionKeys};
//!
//! # pollster::block_on(async {
//! # let text = "g/nHdjRvnX5JBZWCHbH1BYgVzYOgwwFNuDFhLUPjXgM=".to_owned();
//! // let text = std::env::var("TOKEN_KEYS")?; // made by `openssl rand -base64 32`
//! let keys = EncryptionKeys::from_text(text)?;
//! let inner = AnyStorage::new();
//! let storage = EncryptedStorage::new(inner.clone(), keys);
//! // TokenManager::builder(provider).storage(storage) …
//!
//! let key = StorageKey::new("alice")?;
//! let record = TokenRecord::from_parts(b"tokens".to_vec(), Order::new(1, 0), None, false);
//! storage.set(&key, &record).await?;
//! assert_eq!(storage.get(&key).await?.unwrap().payload(), b"tokens");
//! assert_ne!(inner.get(&key).await?.unwrap().payload(), b"tokens");
//! # Ok::<(), Box<dyn std::error::Error>>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it protects, and what it does not
//!
//! | somebody who can | finds | and can |
//! |---|---|---|
//! | read the storage | which storage keys there are, how long their records are, when they end, how often they were renewed, the id of the encryption key | read no token |
//! | write to the storage | the same | delete records, and put back an older record of the same storage key, which is *not* noticed. A record that was altered, or moved to another storage key, is refused |
//! | read the memory of the process | the key and the tokens | everything |
//!
//! # Keys
//!
//! Keys have 32 bytes and come out of a random number generator (`openssl rand -base64 32`), never
//! out of a password. [`EncryptionKeys`] holds them where a program is given them as text,
//! [`KeyProvider`] asks a key service for them. Give each storage keys of its own: a record works in
//! every storage that has its key, under the same storage key.
//!
//! # Rotation
//!
//! Records are encrypted with the first key and decrypted with the one that they name. So:
//!
//! 1. Give all processes the new key as the second one.
//! 2. When all have it, make it the first. From now on each record gets it at its next write, which
//!    for tokens in use is their next renewal.
//! 3. Write the records of those who were away once more, then take the old key out. Reading a
//!    record and writing it back encrypts it anew; with a shared storage that is safe while
//!    managers are at work, because compare-and-set writes only over what was read. The inner storage
//!    names its keys, if it implements [`ListKeys`](tokenkeeper::ListKeys):
//!
//! ```
//! use tokenkeeper::{CasOutcome, Error, ListKeys, SharedTokenStorage, StorageKey};
//!
//! async fn encrypt_all_anew(
//!     storage: &dyn SharedTokenStorage,
//!     inner: &dyn ListKeys,
//! ) -> Result<(), Error> {
//!     let mut page = inner.list_keys(None).await?;
//!     loop {
//!         for key in page.keys() {
//!             encrypt_anew(storage, key).await?;
//!         }
//!         let Some(next) = page.next() else { return Ok(()) };
//!         page = inner.list_keys(Some(next)).await?;
//!     }
//! }
//!
//! async fn encrypt_anew(storage: &dyn SharedTokenStorage, key: &StorageKey) -> Result<(), Error> {
//!     let Some((version, record)) = storage.load(key).await? else { return Ok(()) };
//!     match storage.compare_and_set(key, Some(&version), &record).await? {
//!         CasOutcome::Stored(_) => Ok(()),
//!         CasOutcome::Conflict(_) => Ok(()), // another process wrote it, and encrypted it by that
//!     }
//! }
//! # use tokenkeeper::{MemoryStorage, Order, TokenRecord, TokenStorage};
//! # use tokenkeeper_storage_encrypted::{EncryptedStorage, EncryptionKey, EncryptionKeys};
//! # pollster::block_on(async {
//! # let inner = MemoryStorage::new();
//! # let [old, new] = [1, 2].map(|byte| EncryptionKey::from_bytes([byte; 32]));
//! # let key = StorageKey::new("alice")?;
//! # let record = TokenRecord::from_parts(b"tokens".to_vec(), Order::new(1, 0), None, false);
//! # EncryptedStorage::new(inner.clone(), old.clone()).set(&key, &record).await?;
//! # let both = EncryptionKeys::new([new.clone(), old])?;
//! # let both = EncryptedStorage::new(inner.clone(), both);
//! # encrypt_all_anew(both.shared().unwrap(), &inner).await?;
//! # assert_eq!(EncryptedStorage::new(inner, new).get(&key).await?.unwrap().payload(), b"tokens");
//! # Ok::<(), Error>(()) }).unwrap();
//! ```
//!
//! With any other storage, do it by `get` and `set` while no manager is at work.
//!
//! A key that somebody else may know is another matter. Until it is taken out they can make records
//! that are read, so take it out, delete the records under it, and have the refresh tokens that were
//! in them revoked.
//!
//! # When a record is refused
//!
//! What cannot be decrypted is an error of
//! [`ErrorKind::RecordUnreadable`](tokenkeeper::ErrorKind::RecordUnreadable) that names the storage
//! key, the reason and the way out, and the record stays as it is: most often it is the process
//! that lacks a key, and others can read the record. A manager goes on with the token in its
//! memory. It writes nothing over the record, not at a login either, until somebody mends the
//! configuration or deletes the record by
//! [`TokenStorage::delete`](tokenkeeper::TokenStorage::delete); what it could not write meanwhile it
//! writes then. A manager that has nothing else to serve looks again after 5 s, then ever later, up
//! to 10 min, and at once after
//! [`credentials_changed`](tokenkeeper::TokenManager::credentials_changed).
//!
//! A record whose envelope a newer release of tokenkeeper wrote is handed on as it is
//! ([`TokenRecord::is_newer`](tokenkeeper::TokenRecord::is_newer)): the manager reads nothing out of
//! it and never writes over it. Whoever can write to the storage can make a record look like that.
//! They gain no more than by damaging it, but a provider that needs nobody fetches anew each time
//! instead of stopping with an error, and what it fetches is stored only once the record is gone.
//!
//! # Moving an existing storage to encryption
//!
//! [`EncryptedStorage::danger_accept_plaintext`] reads records of before, and encrypts each at its
//! next write. Use it for the time of the move only: whoever can write to the storage can then put
//! in records of their own making.
//!
//! Move all processes that share a storage at once. One without `EncryptedStorage`, before the move
//! or by mistake after it, cannot read an encrypted record and never writes over it: a provider that
//! needs nobody goes on with tokens of its own, which it cannot store, and others report the record
//! until they are restarted with a key.

mod encrypted_storage;
mod encryption_key;
mod encryption_keys;
mod key_provider;
mod patience;
mod refusal;
mod sealed;

pub use encrypted_storage::EncryptedStorage;
pub use encryption_key::EncryptionKey;
pub use encryption_keys::EncryptionKeys;
pub use key_provider::KeyProvider;
