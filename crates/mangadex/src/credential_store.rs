//! Where credentials may be kept: the seam to a keyring.
//!
//! There is no store on disk here, so that nothing falls back to a password in a plain file.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::sync::Arc;

use parking_lot::Mutex;
use tokenkeeper::{Error, Secret};

/// Gives out credentials by a key, as the keyring of an operating system does.
///
/// # Contract
///
/// - A key that is not there is `Ok(None)`; an error means that nobody can tell.
/// - Errors name the store and never a value.
/// - It may block: it is asked once, before any token is.
///
/// # Examples
///
/// ```
/// use tokenkeeper::{Error, Secret};
/// use tokenkeeper_mangadex::CredentialStore;
///
/// /// Secrets that an orchestrator mounts as files.
/// #[derive(Debug)]
/// struct MountedSecrets;
///
/// impl CredentialStore for MountedSecrets {
///     fn get(&self, key: &str) -> Result<Option<Secret>, Error> {
///         Ok(std::fs::read_to_string(format!("/run/secrets/{key}")).ok().map(Secret::from))
///     }
/// }
/// assert!(MountedSecrets.get("mangadex")?.is_none());
/// # Ok::<(), Error>(())
/// ```
pub trait CredentialStore: Debug + Send + Sync + 'static {
    /// What is kept under the key, if anything is.
    ///
    /// # Errors
    ///
    /// If the store cannot be asked.
    fn get(&self, key: &str) -> Result<Option<Secret>, Error>;
}

macro_rules! forward_store {
    ($($pointer:ident),*) => {$(
        impl<T: CredentialStore + ?Sized> CredentialStore for $pointer<T> {
            fn get(&self, key: &str) -> Result<Option<Secret>, Error> {
                (**self).get(key)
            }
        }
    )*};
}

forward_store!(Arc, Box);

/// A credential store in memory, for tests and for programs that ask their user. Clones share
/// what is in it.
#[derive(Clone, Default)]
pub struct MemoryCredentialStore {
    kept: Arc<Mutex<BTreeMap<String, Secret>>>,
}

impl MemoryCredentialStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps the value under the key, in the place of what was there.
    pub fn set(&self, key: impl Into<String>, value: impl Into<Secret>) {
        self.kept.lock().insert(key.into(), value.into());
    }

    /// Removes the key. One that is not there is fine.
    pub fn delete(&self, key: &str) {
        self.kept.lock().remove(key);
    }

    /// The keys, sorted.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.kept.lock().keys().cloned().collect()
    }
}

impl CredentialStore for MemoryCredentialStore {
    fn get(&self, key: &str) -> Result<Option<Secret>, Error> {
        Ok(self.kept.lock().get(key).cloned())
    }
}

impl<K: Into<String>, V: Into<Secret>> FromIterator<(K, V)> for MemoryCredentialStore {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let kept = pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        Self { kept: Arc::new(Mutex::new(kept)) }
    }
}

impl Debug for MemoryCredentialStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryCredentialStore").field("keys", &self.keys()).finish()
    }
}
