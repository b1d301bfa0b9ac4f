//! The format of a file of records: one line that proves the rest, then the records.
//!
//! ```text
//! tokenkeeper-records 1 <SHA-256 of all that follows, in hexadecimal>
//! <key> <version of the write> <length>
//! <so many bytes, as TokenRecord::to_bytes made them>
//! …
//! ```
//!
//! A file in a directory holds one record, a single file any number. The key stands inside, so that
//! a file that was renamed or copied does not hand one user's tokens to another.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};
use tokenkeeper::{StorageKey, TokenRecord, Version};
use zeroize::Zeroizing;

use crate::identifier::Identifier;

/// The records of one file, borrowed from its bytes: secrets are not copied about.
#[derive(Debug, Default)]
pub(crate) struct Entries<'a> {
    entries: Vec<Entry<'a>>,
}

struct Entry<'a> {
    key: &'a str,
    version: Identifier,
    bytes: &'a [u8],
}

/// Why bytes are no file of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// It does not even begin like one.
    Foreign,
    /// A newer version of tokenkeeper wrote it, in this format.
    Newer(u64),
    /// It was cut off or altered.
    Damaged,
}

impl<'a> Entries<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(Unreadable::Foreign)?;
        let (head, body) = split_line(rest).ok_or(Unreadable::Damaged)?;
        let head = std::str::from_utf8(head).map_err(|_| Unreadable::Damaged)?;
        let (format, checksum) = head.split_once(' ').unwrap_or((head, ""));
        match format.parse() {
            Ok(FORMAT) if format == "1" => {}
            Ok(newer) if newer > FORMAT => return Err(Unreadable::Newer(newer)),
            _ => return Err(Unreadable::Damaged),
        }
        if checksum != sha256(body) {
            return Err(Unreadable::Damaged);
        }
        Self::parse_body(body).ok_or(Unreadable::Damaged)
    }

    fn parse_body(mut body: &'a [u8]) -> Option<Self> {
        let mut entries = Vec::new();
        while !body.is_empty() {
            let (line, rest) = split_line(body)?;
            let mut words = std::str::from_utf8(line).ok()?.split(' ');
            let (key, version, length) = (words.next()?, words.next()?, words.next()?);
            if words.next().is_some() {
                return None;
            }
            let (bytes, rest) = rest.split_at_checked(length.parse().ok()?)?;
            entries.push(Entry { key, version: Identifier::parse(version)?, bytes });
            body = rest.strip_prefix(b"\n")?;
        }
        Some(Self { entries })
    }

    pub(crate) fn get(&self, key: &StorageKey) -> Option<(Version, TokenRecord)> {
        let entry = self.entries.iter().find(|entry| entry.key == key.as_str())?;
        Some((entry.version.to_version(), TokenRecord::from_bytes(entry.bytes)))
    }

    /// Whether there are records of other keys.
    pub(crate) fn has_others(&self, key: &StorageKey) -> bool {
        self.entries.iter().any(|entry| entry.key != key.as_str())
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = StorageKey> {
        self.entries.iter().filter_map(|entry| StorageKey::new(entry.key).ok())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn remove(&mut self, key: &StorageKey) {
        self.entries.retain(|entry| entry.key != key.as_str());
    }

    /// With a record, as its `to_bytes` made it, in the place of what is under the key.
    pub(crate) fn with<'b>(
        mut self,
        key: &'b StorageKey,
        version: Identifier,
        bytes: &'b [u8],
    ) -> Entries<'b>
    where
        'a: 'b,
    {
        self.remove(key);
        let mut entries: Vec<Entry<'b>> = self.entries;
        entries.push(Entry { key: key.as_str(), version, bytes });
        Entries { entries }
    }

    pub(crate) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let length: usize = self.entries.iter().map(|entry| entry.bytes.len() + LINE).sum();
        // Large enough from the start: a vector that grows leaves copies of secrets behind.
        let mut body = Zeroizing::new(Vec::with_capacity(length));
        for Entry { key, version, bytes } in &self.entries {
            body.extend_from_slice(format!("{key} {version} {}\n", bytes.len()).as_bytes());
            body.extend_from_slice(bytes);
            body.push(b'\n');
        }
        let mut all = Zeroizing::new(Vec::with_capacity(body.len() + LINE));
        all.extend_from_slice(MAGIC);
        all.extend_from_slice(format!("{FORMAT} {}\n", sha256(&body)).as_bytes());
        all.extend_from_slice(&body);
        all
    }
}

impl std::fmt::Debug for Entry<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry").field("key", &self.key).finish_non_exhaustive()
    }
}

/// The SHA-256 of the bytes, in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // a String takes everything
        text
    })
}

fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    Some((bytes.get(..end)?, bytes.get(end + 1..)?))
}

const MAGIC: &[u8] = b"tokenkeeper-records ";
const FORMAT: u64 = 1;
const LINE: usize = 300; // the longest key has 200 characters, a version 32, a length 20

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokenkeeper::Order;

    use super::*;

    fn key(text: &str) -> StorageKey {
        StorageKey::new(text).unwrap()
    }

    fn file() -> Zeroizing<Vec<u8>> {
        let record = TokenRecord::from_parts(b"pay\nload".to_vec(), Order::new(3, 4), None, false);
        let (alice, bob, bytes) = (key("svc:alice"), key("svc:bob"), record.to_bytes());
        let version = Identifier::parse(&"1".repeat(32)).unwrap();
        Entries::default().with(&alice, version, &bytes).with(&bob, version, b"").to_bytes()
    }

    #[test]
    fn the_format_does_not_change_between_releases() {
        let expected = "tokenkeeper-records 1 \
            5b09fc4d5c6dedc6fa5486a377cbb9dfae4f40d993620184c137548f7c068e14\n\
            svc:alice 11111111111111111111111111111111 97\n\
            {\"tokenkeeper\":1,\"order\":{\"epoch\":3,\"generation\":4},\
            \"keep_until\":null,\"tombstone\":false}\npay\nload\n\
            svc:bob 11111111111111111111111111111111 0\n\n";

        assert_eq!(String::from_utf8_lossy(&file()), expected);
    }

    #[test]
    fn records_come_back_under_their_keys() {
        let file = file();
        let entries = Entries::parse(&file).unwrap();

        let (_, alice) = entries.get(&key("svc:alice")).unwrap();
        assert_eq!((alice.payload(), alice.order()), (&b"pay\nload"[..], Order::new(3, 4)));
        assert!(entries.get(&key("svc:bob")).is_some());
        assert!(entries.get(&key("svc:carol")).is_none());
        assert_eq!(entries.to_bytes(), file);
    }

    #[test]
    fn a_file_that_is_cut_off_anywhere_is_refused() {
        let file = file();
        for length in 0..file.len() {
            assert!(Entries::parse(&file[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let mut file = file();
        for bit in 0..file.len() * 8 {
            file[bit / 8] ^= 1 << (bit % 8);
            assert!(Entries::parse(&file).is_err(), "bit {bit}");
            file[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn a_newer_format_is_told_from_a_damaged_file() {
        let parse = |text: &str| Entries::parse(text.as_bytes()).map(|_| ()).unwrap_err();

        assert_eq!(parse("tokenkeeper-records 2 whatever\n\0"), Unreadable::Newer(2));
        assert_eq!(parse("tokenkeeper-records 10\n"), Unreadable::Newer(10));
        assert_eq!(parse("tokenkeeper-records 0 x\n"), Unreadable::Damaged);
        assert_eq!(parse("tokenkeeper-records 01 x\n"), Unreadable::Damaged);
        assert_eq!(parse("tokenkeeper-records 1"), Unreadable::Damaged);
        assert_eq!(parse("-----BEGIN OPENSSH PRIVATE KEY-----\n"), Unreadable::Foreign);
        assert_eq!(parse(""), Unreadable::Foreign);
    }

    proptest! {
        #[test]
        fn any_bytes_are_records_or_an_error(bytes: Vec<u8>, sound: bool, newer: u8) {
            let head = format!("{}", if newer == 0 { 2 } else { 1 });
            let sum = if sound { sha256(&bytes) } else { String::new() };
            let whole = [MAGIC, format!("{head} {sum}\n").as_bytes(), &bytes].concat();

            let _ = Entries::parse(&bytes);
            if let Ok(entries) = Entries::parse(&whole) {
                prop_assert_eq!(&entries.to_bytes()[..], &whole[..]);
            }
        }

        #[test]
        fn any_lines_under_a_good_checksum_are_records_or_an_error(
            body in "([a-z:]{0,3} [0-9a-f]{32} [0-9+]{1,3}\n[a-z\n]{0,9}){0,3}",
        ) {
            let sum = sha256(body.as_bytes());
            let whole = [MAGIC, format!("{FORMAT} {sum}\n").as_bytes(), body.as_bytes()].concat();

            if let Ok(entries) = Entries::parse(&whole) {
                prop_assert!(entries.entries.len() <= 3);
            }
        }

        #[test]
        fn what_was_written_is_read(payloads: Vec<Vec<u8>>) {
            let version = Identifier::random().unwrap();
            let keys: Vec<_> = (0..payloads.len()).map(|n| key(&format!("k{n}"))).collect();
            let mut entries = Entries::default();
            for (key, payload) in keys.iter().zip(&payloads) {
                entries = entries.with(key, version, payload);
            }

            let file = entries.to_bytes();
            let read = Entries::parse(&file).unwrap();

            for (key, payload) in keys.iter().zip(&payloads) {
                let (_, record) = read.get(key).unwrap();
                prop_assert_eq!(&record.to_bytes()[..], &TokenRecord::from_bytes(payload).to_bytes()[..]);
            }
        }
    }
}
