//! Why a record is refused, and what its reader is told.
//!
//! All of them are [`ErrorKind::RecordUnreadable`], as errors and never as records that do not
//! decode: those a non-interactive provider would write over. A key that one process lacks may be in all
//! the others.

use tokenkeeper::{Error, ErrorKind, StorageKey};

/// Why a record is not handed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is not one of ours.
    NotEncrypted,
    /// A later release wrote it.
    Newer { format: u8 },
    /// Its end is missing.
    CutOff { there: usize, whole: Option<u64> },
    /// It was encrypted under another storage key.
    Moved,
    /// The key is not among those that are given.
    UnknownKey { id: Box<str> },
    /// It is not, with its envelope, what was encrypted.
    Altered { id: Option<Box<str>> },
}

impl Refusal {
    /// One line that names the storage key, the reason and the way out.
    pub(crate) fn of(self, key: &StorageKey) -> Error {
        let (why, advice) = match self {
            Self::NotEncrypted => (
                "is not encrypted".to_owned(),
                "to move an existing storage to encryption call danger_accept_plaintext(), else \
                 find out who wrote the record, delete it and log in",
            ),
            Self::Newer { format } => (
                format!("was encrypted by a newer version (format {format})"),
                "update tokenkeeper-storage-encrypted",
            ),
            Self::CutOff { there, whole } => (
                match whole {
                    Some(whole) => format!("is cut off ({there} of {whole} bytes are there)"),
                    None => format!("is cut off ({there} bytes are there)"),
                },
                "check whether the storage limits the size of records, then delete the record and \
                 log in",
            ),
            Self::Moved => (
                "was encrypted under another storage key".to_owned(),
                "find out who moved it, then delete it and log in",
            ),
            Self::UnknownKey { id } => (
                format!("is encrypted with the key `{id}`, which is not among those given"),
                "give that key too, after the one that encrypts; if it is lost, delete the record \
                 and log in",
            ),
            Self::Altered { id } => (
                match id {
                    Some(id) => format!(
                        "was altered since it was encrypted with the key `{id}`, or there are two \
                         keys of that id"
                    ),
                    None => "was altered since it was encrypted".to_owned(),
                },
                "find out who altered it, then restore it, or delete it and log in",
            ),
        };
        let what = format!("the stored record {key} {why}, so it is left as it is");
        Error::new(ErrorKind::RecordUnreadable, what).with_advice(advice)
    }
}
