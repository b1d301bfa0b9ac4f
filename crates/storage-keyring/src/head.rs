//! What the head entry of a record says: the record, or of which parts it is made.
//!
//! Everything in the keyring is text, because KWallet keeps nothing else: the bytes of a record are
//! in base64.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// What was found in a head entry.
#[derive(Debug)]
pub(crate) enum Head {
    /// The bytes of the record.
    Whole(Zeroizing<Vec<u8>>),
    /// The record is in other entries.
    Split(Split),
    /// Something that a newer version of this crate wrote.
    Newer,
    /// Nothing that this crate ever wrote.
    Foreign,
}

/// A record that is kept in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Split {
    pub(crate) parts: Parts,
    digest: String,
}

/// The entries that one write made beside the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    pub(crate) write: WriteId,
    pub(crate) count: u16,
}

/// Names one write. Never used twice, so that the parts of two writes never mix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WriteId(u64);

impl Head {
    pub(crate) fn parse(text: &[u8]) -> Self {
        Self::parsed(text).unwrap_or(Self::Foreign)
    }

    fn parsed(text: &[u8]) -> Option<Self> {
        let text = str::from_utf8(text).ok()?;
        let mut words = text.split(' ');
        if words.next() != Some(MAGIC) {
            return None;
        }
        let version: u32 = words.next()?.parse().ok()?;
        if version > VERSION {
            return Some(Self::Newer);
        }
        let head = match words.next()? {
            WHOLE => Self::Whole(decode(words.next()?)?),
            SPLIT => {
                let write = words.next()?.parse().ok()?;
                let count = words.next()?.parse().ok()?;
                let digest = words.next()?.to_owned();
                Self::Split(Split { parts: Parts { write, count }, digest })
            }
            _ => return None,
        };
        words.next().is_none().then_some(head)
    }

    /// The parts that it names.
    pub(crate) fn parts(&self) -> Option<Parts> {
        match self {
            Self::Split(split) => Some(split.parts),
            _ => None,
        }
    }
}

impl Split {
    /// Whether these are the bytes that were split.
    pub(crate) fn is_of(&self, bytes: &[u8]) -> bool {
        self.digest == digest(bytes)
    }
}

/// A record in the form that the keyring keeps: the text of the head, and of each part.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) head: Zeroizing<String>,
    pub(crate) split: Option<(Parts, Vec<Zeroizing<String>>)>,
}

impl Written {
    /// Puts the record into one entry if it fits, else into parts of at most `limit` bytes. `None`
    /// if these would be too many.
    pub(crate) fn new(bytes: &[u8], limit: usize) -> Option<Self> {
        let text = Zeroizing::new(BASE64.encode(bytes));
        let head = Zeroizing::new(format!("{MAGIC} {VERSION} {WHOLE} {}", *text));
        if head.len() <= limit {
            return Some(Self { head, split: None });
        }
        let texts: Vec<_> = text
            .as_bytes()
            .chunks(limit.max(1))
            .map(|part| Zeroizing::new(String::from_utf8_lossy(part).into_owned()))
            .collect();
        let parts =
            Parts { write: WriteId(fastrand::u64(..)), count: u16::try_from(texts.len()).ok()? };
        let Parts { write, count } = parts;
        let digest = digest(bytes);
        let head = Zeroizing::new(format!("{MAGIC} {VERSION} {SPLIT} {write} {count} {digest}"));
        Some(Self { head, split: Some((parts, texts)) })
    }

    pub(crate) fn parts(&self) -> Option<Parts> {
        self.split.as_ref().map(|(parts, _)| *parts)
    }
}

pub(crate) fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    BASE64.decode(text).ok().map(Zeroizing::new)
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl WriteId {
    #[cfg(test)]
    pub(crate) const fn from_number(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Display for WriteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl std::str::FromStr for WriteId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

const MAGIC: &str = "tokenkeeper";
const VERSION: u32 = 1;
const WHOLE: &str = "whole";
const SPLIT: &str = "split";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_fits_is_in_the_head_and_a_longer_one_in_parts_that_fit() {
        let short = Written::new(b"record", 512).unwrap();
        let long = Written::new(&[7; 1_000], 512).unwrap();

        assert_eq!(*short.head, "tokenkeeper 1 whole cmVjb3Jk");
        assert!(short.split.is_none());
        let (parts, texts) = long.split.as_ref().unwrap();
        assert_eq!((usize::from(parts.count), texts.len()), (3, 3));
        assert!(texts.iter().all(|text| text.len() <= 512) && long.head.len() <= 512);
    }

    #[test]
    fn a_head_is_read_as_it_was_written() {
        let long = Written::new(&[7; 1_000], 512).unwrap();

        let Head::Whole(bytes) = Head::parse(b"tokenkeeper 1 whole cmVjb3Jk") else { panic!() };
        let Head::Split(split) = Head::parse(long.head.as_bytes()) else { panic!() };

        assert_eq!(*bytes, b"record");
        assert_eq!(Some(split.parts), long.parts());
        assert!(split.is_of(&[7; 1_000]) && !split.is_of(&[7; 999]));
    }

    #[test]
    fn what_is_no_head_is_told_from_a_newer_one() {
        for foreign in [
            &b""[..],
            b"password",
            b"tokenkeeper",
            b"tokenkeeper 1",
            b"tokenkeeper 1 whole",
            b"tokenkeeper 1 whole !",
            b"tokenkeeper 1 whole cmVjb3Jk more",
            b"tokenkeeper 1 split 0000000000000abc 70000 d",
            b"tokenkeeper x whole cmVjb3Jk",
            b"\xff\xfe",
        ] {
            assert!(matches!(Head::parse(foreign), Head::Foreign), "{foreign:?}");
        }
        assert!(matches!(Head::parse(b"tokenkeeper 2 anything"), Head::Newer));
    }
}
