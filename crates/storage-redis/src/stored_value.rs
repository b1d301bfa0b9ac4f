//! What stands under a key in Redis: a head that names the write, and the record.
//!
//! The head is the version: random, made anew for every attempt to write, so that no version comes
//! back after a delete, or in a Redis that was restarted empty, where a counter would start anew.

use std::time::UNIX_EPOCH;

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

/// The time at which Redis may forget the record, in milliseconds since 1970 as `PXAT` wants it;
/// nothing for a record that stays.
pub(crate) fn end_of(record: &TokenRecord) -> String {
    let Some(end) = record.keep_until() else { return String::new() };
    let since_1970 = end.duration_since(UNIX_EPOCH).unwrap_or_default();
    let millis = since_1970.as_millis().saturating_add(CLOCK_MARGIN).min(LATEST_END);
    millis.to_string()
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
const CLOCK_MARGIN: u128 = 60_000; // Redis ends records by its own clock, which may be ahead of ours
const LATEST_END: u128 = 1 << 53; // in 285 000 years; more makes Redis count past its own range

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

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
    fn ends_in_the_past_and_in_ages_are_ones_that_redis_takes() {
        let at = |seconds| Some(UNIX_EPOCH + Duration::from_secs(seconds));

        assert_eq!(end_of(&record(None)), "");
        assert_eq!(end_of(&record(at(0))), "60000");
        assert_eq!(end_of(&record(at(1_000))), "1060000");
        assert_eq!(end_of(&record(at(u64::MAX >> 1))), "9007199254740992");
    }
}
