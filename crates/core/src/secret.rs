//! The one newtype for everything that must not be seen.
//!
//! Redaction is in the type and not in the places that print, because the place that forgets is
//! the one that leaks.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// A password, client secret, token or key: redacted in `Debug`, overwritten when dropped.
///
/// It has no `Display`, no `PartialEq` and no `Serialize`. Reading it is one greppable call,
/// [`expose_secret`](Self::expose_secret); comparing it is [`ct_eq`](Self::ct_eq).
///
/// Only the copy that this value owns is overwritten. A `String` that had to grow before it came
/// here left older copies in freed memory.
///
/// # Examples
///
/// ```
/// let secret = tokenkeeper::Secret::from("hunter2");
/// assert_eq!(format!("{secret:?}"), "Secret(…)");
/// assert_eq!(secret.expose_secret(), "hunter2");
/// ```
#[derive(Clone)]
pub struct Secret(Zeroizing<Box<str>>);

impl Secret {
    /// Takes ownership of the text.
    #[must_use]
    pub fn new(secret: impl Into<Secret>) -> Self {
        secret.into()
    }

    /// The secret itself. Whoever calls this answers for where it goes.
    #[must_use]
    pub fn expose_secret(&self) -> &str {
        &self.0
    }

    /// Compares without telling by its duration where the two differ. The length is not hidden.
    #[must_use]
    pub fn ct_eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl ZeroizeOnDrop for Secret {}

impl Zeroize for Secret {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

impl From<String> for Secret {
    fn from(mut secret: String) -> Self {
        // `into_boxed_str` would move the text when there is spare room and leave the old copy.
        let copy = Self::from(secret.as_str());
        secret.zeroize();
        copy
    }
}

impl From<&str> for Secret {
    fn from(secret: &str) -> Self {
        Self(Zeroizing::new(secret.into()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_of_the_secret() {
        let secret = Secret::from("hunter2");

        assert_eq!(format!("{secret:?} {secret:#?}"), "Secret(…) Secret(…)");
    }

    #[test]
    fn a_secret_is_overwritten_when_zeroized() {
        let mut secret = Secret::from("hunter2".to_owned());

        secret.zeroize();

        assert!(!secret.expose_secret().contains("hunter2"));
    }

    #[test]
    fn comparison_is_by_content() {
        assert!(Secret::from("a").ct_eq(&Secret::from("a")));
        assert!(!Secret::from("a").ct_eq(&Secret::from("b")));
        assert!(!Secret::from("a").ct_eq(&Secret::from("aa")));
    }
}
