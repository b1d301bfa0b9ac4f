//! The keys of a program that is given them at its start.

use std::sync::Arc;

use async_trait::async_trait;
use tokenkeeper::{Error, ErrorKind, Secret};

use crate::encryption_key::{EncryptionKey, malformed};
use crate::key_provider::KeyProvider;

/// One key or several: the first encrypts, each decrypts what it encrypted.
///
/// # Examples
///
/// ```
/// use tokenkeeper_storage_encrypted::EncryptionKeys;
///
/// // The newest first; a file with one key a line is read the same way.
/// let text = "g/nHdjRvnX5JBZWCHbH1BYgVzYOgwwFNuDFhLUPjXgM=,\
///             oWu3aB9Q0T2y7y4c0Qp8n3m1Jq0oZ5xw8b6d2f4h6kA=";
/// let keys = EncryptionKeys::from_text(text)?;
/// assert_eq!(keys.ids().count(), 2);
/// # Ok::<(), tokenkeeper::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct EncryptionKeys {
    first: EncryptionKey,
    older: Arc<[EncryptionKey]>,
}

impl EncryptionKeys {
    /// These keys; the first encrypts.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if there is none, or two of them have the same id.
    pub fn new(keys: impl IntoIterator<Item = EncryptionKey>) -> Result<Self, Error> {
        let wrong = |what: String| Err(Error::new(ErrorKind::Config, what));
        let mut keys = keys.into_iter();
        let Some(first) = keys.next() else {
            return wrong("encryption keys: there must be at least one".to_owned());
        };
        let keys = Self { first, older: keys.collect() };
        for (at, id) in keys.ids().enumerate() {
            if keys.ids().take(at).any(|earlier| earlier == id) {
                return wrong(format!("encryption keys: there are two with the id `{id}`"));
            }
        }
        Ok(keys)
    }

    /// Keys from text, as environment variables and files have it: separated by commas or white
    /// space, each as in [`EncryptionKey::from_text`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if one is malformed, is there twice, or there is none. The error says
    /// which one it is and does not show it.
    pub fn from_text(text: impl Into<Secret>) -> Result<Self, Error> {
        let text = text.into();
        let is_border = |c: char| c == ',' || c.is_whitespace();
        let texts = text.expose_secret().split(is_border).filter(|text| !text.is_empty());
        let keys: Result<Vec<_>, Error> = texts
            .enumerate()
            .map(|(at, text)| {
                EncryptionKey::parse(text)
                    .ok_or_else(|| malformed(&format!("encryption key {}", at + 1)))
            })
            .collect();
        Self::new(keys?)
    }

    /// The ids of the keys; the first one encrypts.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.all().map(EncryptionKey::id)
    }

    fn all(&self) -> impl Iterator<Item = &EncryptionKey> {
        std::iter::once(&self.first).chain(self.older.iter())
    }
}

#[async_trait]
impl KeyProvider for EncryptionKeys {
    async fn current_key(&self) -> Result<EncryptionKey, Error> {
        Ok(self.first.clone())
    }

    async fn key(&self, id: &str) -> Result<Option<EncryptionKey>, Error> {
        Ok(self.all().find(|key| key.id() == id).cloned())
    }
}
