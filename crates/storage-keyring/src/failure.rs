//! What the keyring did not do, and what its owner can do about it.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use keyring_core::Error as KeyringError;
use tokenkeeper::{Error, ErrorKind};

use crate::platform;

/// A call that the keyring failed.
#[derive(Debug)]
pub(crate) struct Failure {
    error: Error,
    /// A new connection may help.
    connection: bool,
}

impl Failure {
    /// What became of a call for an entry. `doing` says what was to be done with it.
    ///
    /// Of what the keyring says only its own words are kept, never the bytes of an entry, which some
    /// of its errors hold.
    pub(crate) fn of_entry(doing: &str, name: &str, service: &str, cause: KeyringError) -> Self {
        let what = format!("the keyring could not {doing} the entry {name} of {service}");
        let (why, advice, cause, connection): (_, Cow<'static, str>, _, _) = match cause {
            KeyringError::NoStorageAccess(cause) => {
                let why = "it is locked, has no default keyring, or access was denied";
                (why.to_owned(), "unlock it, then ask again".into(), Some(cause), false)
            }
            KeyringError::PlatformFailure(cause) => {
                let why = format!("it answered: {cause}");
                (why, "check that the keyring works, then ask again".into(), Some(cause), true)
            }
            KeyringError::Ambiguous(_) => {
                let advice = "remove all but one in the keyring's own program";
                ("it has several of that name".to_owned(), advice.into(), None, false)
            }
            KeyringError::BadEncoding(_)
            | KeyringError::BadDataFormat(..)
            | KeyringError::BadStoreFormat(_) => {
                let advice = "remove the entry, and log in anew";
                ("what it holds is damaged".to_owned(), advice.into(), None, false)
            }
            KeyringError::TooLong(field, limit) => {
                let why = format!("its {field} may have {limit} bytes at most");
                let advice =
                    format!("build it with KeyringStorage::with_longest_entry({limit}) or less");
                (why, advice.into(), None, false)
            }
            other => (other.to_string(), "use another storage".into(), None, false),
        };
        let error = Error::new(ErrorKind::Storage, format!("{what}: {why}")).with_advice(advice);
        Self { error: with_cause(error, cause), connection }
    }

    /// There is no keyring to talk to.
    pub(crate) fn of_connecting(cause: KeyringError) -> Self {
        let (what, advice) = platform::CANNOT_BE_REACHED;
        let error = Error::new(ErrorKind::Storage, what).with_advice(advice);
        let cause = match cause {
            KeyringError::PlatformFailure(cause) | KeyringError::NoStorageAccess(cause) => {
                Some(cause)
            }
            _ => None,
        };
        Self { error: with_cause(error, cause), connection: false }
    }

    /// What the keyring does not know of.
    pub(crate) fn new(message: String) -> Self {
        Self { error: Error::new(ErrorKind::Storage, message), connection: false }
    }

    /// Whether it may be the connection that is gone, and not the keyring.
    pub(crate) fn is_of_connection(&self) -> bool {
        self.connection
    }

    pub(crate) fn into_error(self) -> Error {
        self.error
    }
}

fn with_cause(error: Error, cause: Option<Box<dyn StdError + Send + Sync>>) -> Error {
    match cause {
        Some(cause) => error.with_source(Cause(cause)),
        None => error,
    }
}

/// What the platform said, as an error of its own: a box is none.
#[derive(Debug)]
struct Cause(Box<dyn StdError + Send + Sync>);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl StdError for Cause {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}
