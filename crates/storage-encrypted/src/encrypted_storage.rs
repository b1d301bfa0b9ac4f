//! The wrapper: encrypts on the way in, decrypts on the way out, forwards the rest.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokenkeeper::{
    CasOutcome, ChangeNotices, Error, ErrorKind, Lease, LeaseRequest, SharedTokenStorage,
    StorageKey, TokenRecord, TokenStorage, Version,
};

use crate::encryption_key::EncryptionKey;
use crate::key_provider::KeyProvider;
use crate::patience::within;
use crate::refusal::Refusal;
use crate::sealed::{Sealed, fresh_nonce, seal};

/// Wraps a storage, and encrypts the payload of every record with XChaCha20-Poly1305.
///
/// It can be shared exactly if what it wraps can; versions, leases and notices are those of the
/// inner storage. A record is bound to its storage key, its order, its end and its mark as a
/// tombstone. It grows by 63 bytes and the length of the key id, 79 for ids that nobody chose.
///
/// What is under a storage key is deleted, leased and asked for by `exists` without a key to decrypt
/// it. The [crate documentation](crate) says what encryption protects, how to rotate keys, and what
/// becomes of a record that is refused.
///
/// # Examples
///
/// ```
/// use tokenkeeper::{MemoryStorage, TokenStorage};
/// use tokenkeeper_storage_encrypted::{EncryptedStorage, EncryptionKey};
///
/// let key = EncryptionKey::from_text("g/nHdjRvnX5JBZWCHbH1BYgVzYOgwwFNuDFhLUPjXgM=")?;
/// let storage = EncryptedStorage::new(MemoryStorage::new(), key);
/// assert!(storage.shared().is_some());
/// # Ok::<(), tokenkeeper::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct EncryptedStorage {
    inner: Arc<dyn TokenStorage>,
    keys: Arc<dyn KeyProvider>,
    accepts_plaintext: bool,
    key_timeout: Duration,
}

impl EncryptedStorage {
    /// Encrypts what `inner` keeps with the current key of `keys`: one
    /// [`EncryptionKey`](crate::EncryptionKey), several [`EncryptionKeys`](crate::EncryptionKeys), or
    /// a [`KeyProvider`] of your own.
    #[must_use]
    pub fn new(inner: impl TokenStorage, keys: impl KeyProvider) -> Self {
        Self {
            inner: Arc::new(inner),
            keys: Arc::new(keys),
            accepts_plaintext: false,
            key_timeout: USUAL_KEY_TIMEOUT,
        }
    }

    /// Hands on records that are not encrypted, instead of refusing them. They are encrypted at their
    /// next write.
    ///
    /// For the time that an existing storage is moved to encryption. As long as this is on, whoever
    /// can write to the storage can put in records of their own making, and a record whose first
    /// bytes were damaged is taken for one of before, which a non-interactive provider writes over.
    #[must_use]
    pub fn danger_accept_plaintext(mut self) -> Self {
        self.accepts_plaintext = true;
        self
    }

    /// How long the key provider may take. Keep it below the `storage_timeout` of the manager's policy:
    /// whichever ends first names the reason, and only this one knows that it was the key provider.
    ///
    /// # Default
    ///
    /// 3 s, because the manager gives a call 5 s, and the inner storage takes some of them.
    #[must_use]
    pub fn key_timeout(mut self, timeout: Duration) -> Self {
        self.key_timeout = timeout;
        self
    }

    /// The answer of the key provider, if it comes in time.
    async fn answer_of_provider<T>(
        &self,
        to_do: &str,
        key: &StorageKey,
        asked: impl Future<Output = Result<T, Error>> + Send,
    ) -> Result<T, Error> {
        let limit = self.key_timeout;
        match within(limit, asked).await {
            Some(answer) => answer.map_err(|error| no_key(to_do, key, error)),
            None => Err(Error::new(
                ErrorKind::Storage,
                format!(
                    "the key provider gave no key to {to_do} the record {key} within {limit:?}, and \
                     the storage was not at fault"
                ),
            )
            .with_advice("see what the key provider waits for: a key service, a prompt, a lock")),
        }
    }

    async fn encrypted(&self, key: &StorageKey, plain: &TokenRecord) -> Result<TokenRecord, Error> {
        if plain.is_newer() {
            let what = format!(
                "the record {key} was written by a newer version, so it cannot be encrypted"
            );
            let error = Error::new(ErrorKind::RecordUnreadable, what);
            return Err(error.with_advice("update tokenkeeper"));
        }
        let with = self.answer_of_provider("write", key, self.keys.current_key()).await?;
        Ok(plain.with_payload(seal(plain, key, &with, fresh_nonce()?)?))
    }

    async fn decrypted(&self, key: &StorageKey, found: TokenRecord) -> Result<TokenRecord, Error> {
        if found.is_newer() {
            return Ok(found); // the manager knows what that means
        }
        let sealed = match Sealed::parse(&found, key) {
            Ok(sealed) => sealed,
            Err(Refusal::NotEncrypted) if self.accepts_plaintext => return Ok(found),
            Err(refusal) => return Err(refusal.of(key)),
        };
        let id = sealed.key_id();
        let with = self.answer_of_provider("read", key, self.keys.key(id)).await?;
        let with = with.ok_or_else(|| Refusal::UnknownKey { id: id.into() }.of(key))?;
        check_id(id, &with)?;
        let plaintext = sealed.open(&found, key, &with).map_err(|refusal| refusal.of(key))?;
        Ok(found.with_payload(plaintext))
    }

    async fn decrypted_version(
        &self,
        key: &StorageKey,
        found: Option<(Version, TokenRecord)>,
    ) -> Result<Option<(Version, TokenRecord)>, Error> {
        match found {
            Some((version, record)) => Ok(Some((version, self.decrypted(key, record).await?))),
            None => Ok(None),
        }
    }

    fn inner_shared(&self) -> Result<&dyn SharedTokenStorage, Error> {
        let what = "the storage inside EncryptedStorage cannot be shared";
        self.inner.shared().ok_or_else(|| Error::new(ErrorKind::Unsupported, what))
    }
}

// A wrapper forwards every method: a forgotten default would answer for the inner storage.
#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl TokenStorage for EncryptedStorage {
    async fn get(&self, key: &StorageKey) -> Result<Option<TokenRecord>, Error> {
        match self.inner.get(key).await? {
            Some(record) => self.decrypted(key, record).await.map(Some),
            None => Ok(None),
        }
    }

    async fn set(&self, key: &StorageKey, record: &TokenRecord) -> Result<(), Error> {
        let record = self.encrypted(key, record).await?;
        self.inner.set(key, &record).await
    }

    async fn delete(&self, key: &StorageKey) -> Result<(), Error> {
        self.inner.delete(key).await
    }

    async fn exists(&self, key: &StorageKey) -> Result<bool, Error> {
        self.inner.exists(key).await
    }

    fn shared(&self) -> Option<&dyn SharedTokenStorage> {
        self.inner.shared().is_some().then_some(self)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl SharedTokenStorage for EncryptedStorage {
    async fn load(&self, key: &StorageKey) -> Result<Option<(Version, TokenRecord)>, Error> {
        let found = self.inner_shared()?.load(key).await?;
        self.decrypted_version(key, found).await
    }

    async fn compare_and_set(
        &self,
        key: &StorageKey,
        expected: Option<&Version>,
        record: &TokenRecord,
    ) -> Result<CasOutcome, Error> {
        let record = self.encrypted(key, record).await?;
        match self.inner_shared()?.compare_and_set(key, expected, &record).await? {
            CasOutcome::Stored(version) => Ok(CasOutcome::Stored(version)),
            CasOutcome::Conflict(there) => {
                Ok(CasOutcome::Conflict(self.decrypted_version(key, there).await?))
            }
        }
    }

    async fn lease(&self, key: &StorageKey, want: &LeaseRequest) -> Result<Lease, Error> {
        self.inner_shared()?.lease(key, want).await
    }

    /// What a notice tells, the order, stands outside of what is encrypted.
    fn notices(&self, key: &StorageKey) -> Option<Box<dyn ChangeNotices>> {
        self.inner.shared()?.notices(key)
    }
}

/// What a key provider fails with, in words of the storage. Only what cannot go away by itself keeps
/// its kind: a manager must not take it for a verdict on somebody's credentials.
fn no_key(to_do: &str, key: &StorageKey, error: Error) -> Error {
    let kind = match error.kind() {
        kind @ (ErrorKind::Config | ErrorKind::Unsupported | ErrorKind::Internal) => kind,
        _ => ErrorKind::Storage,
    };
    let what = format!("the key provider gave no key to {to_do} the record {key}");
    let told = Error::new(kind, what).with_advice("see the cause and check the key provider");
    let told = match error.retry_after() {
        Some(after) => told.with_retry_after(after),
        None => told,
    };
    told.with_source(error)
}

fn check_id(wanted: &str, given: &EncryptionKey) -> Result<(), Error> {
    if given.id() == wanted {
        return Ok(());
    }
    let given = given.id();
    let what = format!("the key provider gave the key `{given}` when it was asked for `{wanted}`");
    Err(Error::new(ErrorKind::Config, what).with_advice("give each key its id by with_id()"))
}

const USUAL_KEY_TIMEOUT: Duration = Duration::from_secs(3);
