//! What storages keep: an envelope around bytes that only the core reads.
//!
//! The order and the end of a record stand outside the payload, so that a storage can expire and
//! compare records, and a wrapper can encrypt the payload, without knowing what is in it.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::clock::{from_unix_millis, unix_millis};

/// Which of two records is the newer: the epoch counts first, then the generation.
///
/// `clear` and `install` raise the epoch, an exchange raises the generation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Order {
    epoch: u64,
    generation: u64,
}

impl Order {
    /// An order made of its two parts.
    #[must_use]
    pub const fn new(epoch: u64, generation: u64) -> Self {
        Self { epoch, generation }
    }

    /// Raised by `clear` and `install`, to the time in milliseconds or one more than before.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Raised by every exchange.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// The order of an exchange that builds on this one.
    /// Whether a record of this order may take the place of one of the `other`. The highest order
    /// cannot rise, and gives way to itself.
    pub(crate) fn beats(self, other: Self) -> bool {
        self > other || self == other && self.next_generation() == self
    }

    pub(crate) const fn next_generation(self) -> Self {
        Self { epoch: self.epoch, generation: self.generation.saturating_add(1) }
    }

    /// The order of a `clear` or `install` that overrules this one.
    pub(crate) fn next_epoch(self, wall_millis: u64) -> Self {
        Self { epoch: self.epoch.saturating_add(1).max(wall_millis), generation: 0 }
    }
}

/// One record of a storage: a secret payload, and what a storage may know about it.
///
/// A backend that keeps bytes uses [`to_bytes`](Self::to_bytes) and
/// [`from_bytes`](Self::from_bytes). One that keeps columns, and a wrapper that changes the
/// payload, use the accessors, [`from_parts`](Self::from_parts) and
/// [`with_payload`](Self::with_payload).
#[derive(Clone)]
pub struct TokenRecord {
    payload: Arc<Zeroizing<Vec<u8>>>,
    order: Order,
    keep_until: Option<SystemTime>,
    tombstone: bool,
    /// A newer version wrote the envelope, and the payload is all of it.
    newer: bool,
}

impl TokenRecord {
    /// What a wrapper that encrypts begins its payloads with. A manager that is handed such a
    /// payload, because its own storage lacks the wrapper, neither reads it nor writes over it.
    pub const SEALED_PREFIX: &'static [u8] = b"tkenc";

    /// Puts a record together again from what a storage kept of it.
    #[must_use]
    pub fn from_parts(
        payload: Vec<u8>,
        order: Order,
        keep_until: Option<SystemTime>,
        tombstone: bool,
    ) -> Self {
        let payload = Arc::new(Zeroizing::new(payload));
        Self { payload, order, keep_until, tombstone, newer: false }
    }

    /// This record with another payload, for wrappers that encrypt.
    #[must_use]
    pub fn with_payload(&self, payload: Vec<u8>) -> Self {
        Self { payload: Arc::new(Zeroizing::new(payload)), ..self.clone() }
    }

    pub(crate) fn with_order(&self, order: Order) -> Self {
        Self { order, ..self.clone() }
    }

    /// The secret part. Only the core looks into it; to everybody else it is bytes.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Which of two records is the newer.
    #[must_use]
    pub fn order(&self) -> Order {
        self.order
    }

    /// Until when the record is worth keeping, to the millisecond: the end of the refresh token if
    /// that is known, of the access token if there is no refresh token, of the tombstone.
    /// `None` means for ever.
    #[must_use]
    pub fn keep_until(&self) -> Option<SystemTime> {
        self.keep_until
    }

    /// Whether it marks that tokens were cleared. It has to be kept like any other.
    #[must_use]
    pub fn is_tombstone(&self) -> bool {
        self.tombstone
    }

    /// Whether a newer version of tokenkeeper wrote the envelope, so that nothing here is known and
    /// the payload is all of it. A wrapper hands on such a record as it is: the manager neither
    /// reads it nor writes over it.
    #[must_use]
    pub fn is_newer(&self) -> bool {
        self.newer
    }

    /// The whole record as bytes: one line of JSON, a line feed, the payload.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        if self.newer {
            return Zeroizing::new(self.payload.to_vec()); // as it came
        }
        let head = Head {
            tokenkeeper: ENVELOPE_VERSION,
            order: HeadOrder { epoch: self.order.epoch, generation: self.order.generation },
            keep_until: self.keep_until.map(unix_millis),
            tombstone: self.tombstone,
        };
        // Numbers and booleans cannot fail to serialize; the fallback would not decode, and say so.
        let head = serde_json::to_vec(&head).unwrap_or_default();
        let mut bytes = Zeroizing::new(Vec::with_capacity(head.len() + 1 + self.payload.len()));
        bytes.extend_from_slice(&head);
        bytes.push(b'\n');
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    /// The record that [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// This never fails: bytes that are no record become one of the lowest order whose payload is
    /// all of them. The manager finds that it cannot read it, and follows one rule for that,
    /// whatever the backend.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        if let Some((head, payload)) = Self::split(bytes) {
            let keep_until = head.keep_until.map(from_unix_millis);
            let order = Order::new(head.order.epoch, head.order.generation);
            return Self::from_parts(payload.to_vec(), order, keep_until, head.tombstone);
        }
        let newer = first_line(bytes)
            .and_then(|line| serde_json::from_slice::<Version>(line).ok())
            .is_some_and(|version| version.tokenkeeper > ENVELOPE_VERSION);
        Self { newer, ..Self::from_parts(bytes.to_vec(), Order::default(), None, false) }
    }

    fn split(bytes: &[u8]) -> Option<(Head, &[u8])> {
        let line = first_line(bytes)?;
        let head: Head = serde_json::from_slice(line).ok()?;
        if head.tokenkeeper != ENVELOPE_VERSION {
            return None;
        }
        Some((head, bytes.get(line.len() + 1..)?))
    }
}

/// What comes before the first line feed, if there is one.
fn first_line(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    bytes.get(..end)
}

impl fmt::Debug for TokenRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenRecord")
            .field("payload", &format_args!("{} bytes", self.payload.len()))
            .field("order", &self.order)
            .field("keep_until", &self.keep_until)
            .field("tombstone", &self.tombstone)
            .finish()
    }
}

#[derive(Deserialize)]
struct Version {
    tokenkeeper: u32,
}

#[derive(Serialize, Deserialize)]
struct HeadOrder {
    epoch: u64,
    generation: u64,
}

#[derive(Serialize, Deserialize)]
struct Head {
    tokenkeeper: u32,
    order: HeadOrder,
    keep_until: Option<u64>,
    tombstone: bool,
}

const ENVELOPE_VERSION: u32 = 1;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn record() -> TokenRecord {
        let end = SystemTime::UNIX_EPOCH + Duration::from_millis(1_234_567);
        TokenRecord::from_parts(b"pay\nload\xff".to_vec(), Order::new(7, 3), Some(end), false)
    }

    #[test]
    fn bytes_and_back_give_the_same_record() {
        let back = TokenRecord::from_bytes(&record().to_bytes());

        assert_eq!(back.payload(), record().payload());
        assert_eq!(back.order(), record().order());
        assert_eq!(back.keep_until(), record().keep_until());
        assert_eq!(back.is_tombstone(), record().is_tombstone());
    }

    #[test]
    fn bytes_that_are_no_record_become_one_of_the_lowest_order() {
        for bytes in [&b""[..], b"\n", b"{}", b"{}\nx", b"{\"tokenkeeper\":2}\nx", b"\xff\xfe"] {
            let record = TokenRecord::from_bytes(bytes);
            assert_eq!((record.payload(), record.order()), (bytes, Order::default()));
        }
    }

    #[test]
    fn a_newer_envelope_is_told_from_no_envelope() {
        let is_newer = |bytes: &[u8]| TokenRecord::from_bytes(bytes).is_newer();

        assert!(is_newer(b"{\"tokenkeeper\":2,\"new\":0}\nx"));
        for other in [&b""[..], b"{}\nx", b"{\"tokenkeeper\":2}", &record().to_bytes()] {
            assert!(!is_newer(other));
        }
    }

    #[test]
    fn a_later_epoch_beats_any_generation() {
        assert!(Order::new(2, 0) > Order::new(1, 99));
        assert!(Order::new(1, 2) > Order::new(1, 1));
        assert_eq!(Order::new(5, 9).next_epoch(3), Order::new(6, 0));
        assert_eq!(Order::new(5, 9).next_epoch(1_000), Order::new(1_000, 0));
    }

    #[test]
    fn debug_hides_the_payload() {
        assert!(!format!("{:?}", record()).contains("pay\\nload"));
    }
}
