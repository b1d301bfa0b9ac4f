//! Whose token it is: the identity of a provider, and the storage key made of it.
//!
//! A key that leaves out the user hands one user's token to another, so everything that changes
//! what the service would issue goes in, each field with its length in front, and no secret does:
//! keys show up in listings and logs.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind};

/// What makes the tokens of one provider different from those of another.
///
/// # Examples
///
/// ```
/// use tokenkeeper::ProviderIdentity;
///
/// let alice = ProviderIdentity::new("billing").with("subject", "alice");
/// let bob = ProviderIdentity::new("billing").with("subject", "bob");
/// assert_ne!(alice.fingerprint(), bob.fingerprint());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ProviderIdentity {
    service_name: Box<str>,
    fields: Vec<(Box<str>, Box<str>)>,
}

impl ProviderIdentity {
    /// An identity that knows the service by this name, in errors and logs too. The name is part
    /// of the fingerprint.
    #[must_use]
    pub fn new(service_name: &str) -> Self {
        Self { service_name: service_name.into(), fields: Vec::new() }
    }

    /// Adds one field: token URL (normalised), client id, grant, subject, scopes (sorted),
    /// audience, resource, tenant, or what else tells two tokens apart. Never a secret.
    ///
    /// The order of calls does not matter. An empty value is the same as no field.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        if !value.is_empty() {
            self.fields.push((name.into(), value.into()));
            self.fields.sort_unstable();
            self.fields.dedup();
        }
        self
    }

    /// The name of the service, for people, logs and errors.
    #[must_use]
    pub fn service_name(&self) -> &str {
        &self.service_name
    }

    /// The value of a field.
    #[cfg(feature = "tracing")]
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let field = self.fields.iter().find(|(known, _)| **known == *name);
        field.map(|(_, value)| &**value)
    }

    /// 64 hexadecimal digits: SHA-256 over the version `v1`, the service name and the fields, each
    /// with its length in front.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"v1");
        let mut add = |text: &str| {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text.as_bytes());
        };
        add(&self.service_name);
        for (name, value) in &self.fields {
            add(name);
            add(value);
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The key under which a manager stores this provider's tokens unless it is given another:
    /// `v1-` and the fingerprint.
    #[must_use]
    pub fn storage_key(&self) -> StorageKey {
        StorageKey(format!("v1-{}", self.fingerprint()).into())
    }
}

/// Without the queries of URLs and the values of extra parameters, which may hold anything.
impl fmt::Debug for ProviderIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = self.fields.iter().map(|(name, value)| {
            let before_query = value.split_once('?').map_or(&**value, |(before, _)| before);
            (name, if name.starts_with("extra.") { "[hidden]" } else { before_query })
        });
        let fields: Vec<_> = fields.collect();
        f.debug_struct("ProviderIdentity")
            .field("service_name", &self.service_name)
            .field("fields", &fields)
            .finish()
    }
}

/// The name of a record in a storage: 1 to 200 characters out of `A-Z a-z 0-9 . _ : @ -`.
///
/// Letter case counts. The first character is a letter or a digit, so that no key is `..` or looks
/// like an option. A backend for a file system that folds case must encode it, and hash the longest
/// ones: 200 characters in hexadecimal do not fit into a file name. Default keys have 67.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorageKey(Box<str>);

impl StorageKey {
    /// Checks the characters and the length.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the key is empty, too long, or has another character.
    pub fn new(key: &str) -> Result<Self, Error> {
        let starts_well = key.starts_with(|c: char| c.is_ascii_alphanumeric());
        let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b"._:@-".contains(&b);
        if starts_well && key.len() <= LONGEST_KEY && key.bytes().all(is_allowed) {
            return Ok(Self(key.into()));
        }
        Err(Error::new(
            ErrorKind::Config,
            "storage key: must be 1 to 200 characters out of A-Z a-z 0-9 . _ : @ -, the first of \
             them a letter or digit",
        ))
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StorageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const LONGEST_KEY: usize = 200; // leaves room for a prefix and a suffix in a 255-byte file name

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_fingerprints_do_not_change_between_releases() {
        let bare = ProviderIdentity::new("svc");
        let full = ProviderIdentity::new("svc").with("client_id", "id").with("subject", "alice");

        assert_eq!(
            bare.fingerprint(),
            "1f5bcb892d36ec974cbeb1011a6c60da1727c745eee4e2aa6751c82eeb10290e"
        );
        assert_eq!(
            full.fingerprint(),
            "8cd5150e3664ebdb377eb3c12a2139ea8f3f9990bc46d044a44e36ef0a9c389a"
        );
        assert_eq!(full.storage_key().as_str(), format!("v1-{}", full.fingerprint()));
    }

    #[test]
    fn the_order_of_fields_does_not_matter_but_their_borders_do() {
        let base = || ProviderIdentity::new("svc");

        assert_eq!(
            base().with("a", "1").with("b", "2").fingerprint(),
            base().with("b", "2").with("a", "1").fingerprint()
        );
        assert_ne!(
            base().with("a", "1b").fingerprint(),
            base().with("a", "1").with("b", "").fingerprint()
        );
        assert_ne!(base().with("ab", "c").fingerprint(), base().with("a", "bc").fingerprint());
        assert_ne!(
            ProviderIdentity::new("svca").fingerprint(),
            ProviderIdentity::new("svc").with("a", "1").fingerprint()
        );
    }

    #[test]
    fn debug_leaves_out_the_query_of_a_url() {
        let identity =
            ProviderIdentity::new("svc").with("token_url", "https://a.org/t?key=planted");

        let shown = format!("{identity:?}");

        assert!(shown.contains("https://a.org/t") && !shown.contains("planted"), "{shown}");
    }

    #[test]
    fn keys_with_other_characters_are_refused() {
        let long = "k".repeat(201);
        for bad in
            ["", "..", ".hidden", "-x", "a/b", "a\\b", "a b", "a\n", "ä", "a*", long.as_str()]
        {
            assert_eq!(StorageKey::new(bad).unwrap_err().kind(), ErrorKind::Config, "{bad:?}");
        }
        assert!(StorageKey::new("mangadex:Alice@example.org_1-2").is_ok());
    }
}
