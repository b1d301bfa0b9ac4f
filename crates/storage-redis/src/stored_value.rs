//! What stands under a key in Redis: a head that names the write, and the record.
//!
//! The head is the version: random, made anew for every attempt to write, so that no version comes
//! back after a delete, or in a Redis that was restarted empty, where a counter would start anew.

use std::time::SystemTime;

use tokenkeeper::{Error, ErrorKind, TokenRecord, Version};
use zeroize::Zeroizing;

/// A record with a version of its own, ready to be written.
pub(crate) struct StoredValue {
    bytes: Zeroizing<Vec<u8>>,
    version: Version,
}

impl StoredValue {
    pub(crate) fn new(record: &TokenRecord) -> Result<Self, Error> {
        let head = format!("{MARK}{}\n", random_name()?);
        let record = record.to_bytes();
        let mut bytes = Zeroizing::new(Vec::with_capacity(head.len() + record.len()));
        bytes.extend_from_slice(head.as_bytes());
        bytes.extend_from_slice(&record);
        Ok(Self { bytes, version: Version::new(head.into_bytes()) })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn into_version(self) -> Version {
        self.version
    }

    /// What was found under a key, taken apart.
    ///
    /// Bytes that have no head were written by somebody else. All of them are the record then, which
    /// the manager cannot read, and their beginning is the version, so that it can be replaced.
    pub(crate) fn take_apart(bytes: Vec<u8>) -> (Version, TokenRecord) {
        let bytes = Zeroizing::new(bytes);
        let (head, rest) = bytes.split_at(HEAD_LENGTH.min(bytes.len()));
        let ours = head.len() == HEAD_LENGTH && head.starts_with(MARK.as_bytes());
        let record = TokenRecord::from_bytes(if ours { rest } else { &bytes });
        (Version::new(head), record)
    }
}

/// How long Redis has to keep the record, in milliseconds as `PX` wants it; nothing for a record that
/// stays.
///
/// It is what is left, not the point in time: the end was counted by the clock of this host, and
/// Redis would judge it by its own, which may be half an hour ahead.
pub(crate) fn time_left(record: &TokenRecord, now: SystemTime) -> String {
    let Some(end) = record.keep_until() else { return String::new() };
    let left = end.duration_since(now).unwrap_or_default();
    left.as_millis().saturating_add(MARGIN).min(LONGEST_LIFE).to_string()
}

/// 128 random bits as 32 hexadecimal digits, which no other write or lease will ever have.
pub(crate) fn random_name() -> Result<String, Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        let what = format!("the operating system gives no random numbers: {error}");
        Error::new(ErrorKind::Internal, what)
    })?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

const MARK: &str = "tokenkeeper 1 "; // 1 is the version of this layout
const HEAD_LENGTH: usize = MARK.len() + 32 + 1; // the scripts say 47
const MARGIN: u128 = 60_000; // milliseconds; the clocks of two hosts that write one record differ
const LONGEST_LIFE: u128 = 1 << 53; // 285 000 years; more makes Redis count past its own range

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use tokenkeeper::Order;

    use super::*;
    use crate::scripts;

    fn record(end: Option<SystemTime>) -> TokenRecord {
        TokenRecord::from_parts(b"pay\nload\xff".to_vec(), Order::new(7, 3), end, false)
    }

    #[test]
    fn a_value_gives_its_version_and_its_record_back() {
        let value = StoredValue::new(&record(None)).unwrap();

        let (version, found) = StoredValue::take_apart(value.bytes().to_vec());

        assert_eq!(found.payload(), record(None).payload());
        assert_eq!(found.order(), record(None).order());
        assert_eq!(version, value.into_version());
    }

    #[test]
    fn two_writes_of_one_record_have_two_versions() {
        let [one, other] = [(), ()].map(|()| StoredValue::new(&record(None)).unwrap());

        assert_ne!(one.into_version(), other.into_version());
    }

    #[test]
    fn bytes_of_strangers_are_a_record_that_nobody_can_read() {
        for bytes in [&b""[..], b"hello", b"tokenkeeper 1 short", &[b'x'; 200]] {
            let (version, record) = StoredValue::take_apart(bytes.to_vec());
            assert_eq!(record.payload(), bytes);
            assert_eq!(record.order(), Order::default());
            assert_eq!(version.as_bytes(), &bytes[..bytes.len().min(HEAD_LENGTH)]);
        }
    }

    #[test]
    fn the_scripts_cut_the_version_where_this_module_does() {
        let cut = format!(", 1, {HEAD_LENGTH})");

        for script in [scripts::COMPARE_AND_SET, scripts::COMPARE_AND_DELETE] {
            assert_eq!(script.matches(&cut).count(), script.matches("string.sub(").count());
        }
    }

    #[test]
    fn redis_is_told_what_is_left_and_not_when_that_is_over() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let left = |end, now| time_left(&record(end), now);

        assert_eq!(left(None, at(0)), "");
        for now in [0, 1_000, 1_900_000_000] {
            assert_eq!(left(Some(at(now + 30)), at(now)), "90000");
        }
        assert_eq!(left(Some(at(0)), at(5_000)), "60000", "an end that has passed");
        assert_eq!(left(Some(at(u64::MAX >> 1)), at(0)), "9007199254740992");
    }
}
