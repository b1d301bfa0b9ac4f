//! What lies in the storage: nothing of the plaintext, bound to its place, the same in every release.

use std::collections::HashSet;

use crate::sealing::{PAYLOAD, Sealing, at, key, record, tombstone};
use proptest::prelude::*;
use tokenkeeper::{ErrorKind, MemoryStorage, Order, TokenRecord};
use tokenkeeper_storage_encrypted::EncryptionKey;

/// Sealed by another implementation (libsodium), after the table of the format.
const GOLDEN: &str = concat!(
    "746b656e630180e552c43c7a7b840000000000000038103164626535666661636433",
    "30613735666465666768696a6b6c6d6e6f707172737475767778797a7b07518f92c5",
    "1fa5a0f35ff65ac81c9ff320992014825eafc3e40a10c8403b16329124310a0e9ad5",
    "b58f77107927226d353184a43da58349dbfe0b7ff0aec59aa9b8fba94f2e814daa",
);
const GOLDEN_TOMBSTONE: &str = concat!(
    "746b656e6301b058a592ef2add7900000000000000001170726f6a656374732f702f6b6579732f31",
    "c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfb89b225c04508884a5c6b3af056519ee",
);

fn golden_key() -> EncryptionKey {
    EncryptionKey::from_bytes(std::array::from_fn(|at| u8::try_from(at).unwrap()))
}

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |c: u8| char::from(c).to_digit(16).unwrap() as u8;
    hex.as_bytes().as_chunks().0.iter().map(|[high, low]| digit(*high) << 4 | digit(*low)).collect()
}

#[test]
fn a_record_that_the_first_release_wrote_can_be_read_by_every_release() {
    let order = Order::new(1_893_456_000_000, 7);
    let golden = TokenRecord::from_parts(bytes(GOLDEN), order, Some(at(1_900_000_000_123)), false);
    let sealing = Sealing::over(MemoryStorage::new(), golden_key());
    sealing.plant("alice", &golden);

    let read = sealing.read("alice").unwrap();

    let payload: &[u8] = br#"{"v":1,"tokens":{"refresh_token":"rt","requested_at":1}}"#;
    assert_eq!(read.payload(), payload);
    assert_eq!((read.order(), read.keep_until()), (order, Some(at(1_900_000_000_123))));
}

#[test]
fn a_tombstone_that_the_first_release_wrote_can_be_read_by_every_release() {
    let golden = TokenRecord::from_parts(bytes(GOLDEN_TOMBSTONE), Order::new(2, 0), None, true);
    let key = golden_key().with_id("projects/p/keys/1").unwrap();
    let sealing = Sealing::over(MemoryStorage::new(), key);
    sealing.plant("Bob:2", &golden);

    let read = sealing.read("Bob:2").unwrap();

    assert!(read.is_tombstone() && read.payload().is_empty());
}

/// What is written differs from the golden record by nothing but the nonce and what follows from it.
#[test]
fn every_release_writes_what_the_first_one_can_read() {
    let order = Order::new(1_893_456_000_000, 7);
    let payload = br#"{"v":1,"tokens":{"refresh_token":"rt","requested_at":1}}"#.to_vec();
    let plain = TokenRecord::from_parts(payload, order, Some(at(1_900_000_000_123)), false);
    let sealing = Sealing::over(MemoryStorage::new(), golden_key());

    sealing.put("alice", &plain);

    let (written, golden) = (sealing.at_rest("alice"), bytes(GOLDEN));
    let head = 5 + 1 + 8 + 8 + 1 + 16;
    assert_eq!(written.payload()[..head], golden[..head]);
    assert_eq!(written.payload().len(), golden.len());
}

#[test]
fn the_envelope_stays_readable_for_the_storage() {
    for plain in [record(PAYLOAD), tombstone()] {
        let sealing = Sealing::new();

        sealing.put("alice", &plain);

        let at_rest = sealing.at_rest("alice");
        assert_eq!(at_rest.order(), plain.order());
        assert_eq!(at_rest.keep_until(), plain.keep_until());
        assert_eq!(at_rest.is_tombstone(), plain.is_tombstone());
    }
}

#[test]
fn no_two_writes_of_the_same_record_are_alike() {
    let (sealing, mut seen) = (Sealing::new(), HashSet::new());
    for _ in 0..200 {
        sealing.put("alice", &record(PAYLOAD));
        let at_rest = sealing.at_rest("alice").payload().to_vec();
        let nonce = at_rest[39..63].to_vec();
        assert!(seen.insert(nonce), "a nonce was used twice");
    }
}

#[test]
fn a_record_that_has_no_end_before_1970_or_after_all_calendars_comes_back() {
    let before = at(0) - std::time::Duration::from_nanos(1_500_000);
    let after = at(i64::MAX as u64);
    for end in [None, Some(before), Some(at(0)), Some(at(1)), Some(after)] {
        let plain = TokenRecord::from_parts(PAYLOAD.to_vec(), Order::new(1, 1), end, false);
        let sealing = Sealing::new();
        sealing.put("alice", &plain);
        assert_eq!(sealing.read("alice").unwrap().payload(), PAYLOAD);

        sealing.plant("alice", &TokenRecord::from_bytes(&sealing.at_rest("alice").to_bytes()));

        assert_eq!(sealing.read("alice").unwrap().payload(), PAYLOAD, "{end:?}");
    }
}

/// Storages keep whole milliseconds, and what comes back must still be what was sealed.
#[test]
fn an_end_that_the_storage_cut_to_milliseconds_is_the_same_end() {
    let nanos = std::time::Duration::from_nanos(999_999);
    let end = Some(at(1_900_000_000_123) + nanos);
    let plain = TokenRecord::from_parts(PAYLOAD.to_vec(), Order::new(1, 1), end, false);
    let sealing = Sealing::new();
    sealing.put("alice", &plain);

    sealing.plant("alice", &TokenRecord::from_bytes(&sealing.at_rest("alice").to_bytes()));

    assert_eq!(sealing.read("alice").unwrap().keep_until(), Some(at(1_900_000_000_123)));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_written_is_read_and_no_piece_of_it_is_at_rest(
        payload in prop::collection::vec(any::<u8>(), 0..2_000),
        (epoch, generation) in any::<(u64, u64)>(),
        end in prop::option::of(0..253_402_300_799_000_u64),
        is_tombstone in any::<bool>(),
        name in "[A-Za-z0-9][A-Za-z0-9._:@-]{0,199}",
        bytes in any::<[u8; 32]>(),
    ) {
        let sealing = Sealing::over(MemoryStorage::new(), EncryptionKey::from_bytes(bytes));
        let order = Order::new(epoch, generation);
        let plain = TokenRecord::from_parts(payload.clone(), order, end.map(at), is_tombstone);

        sealing.put(&name, &plain);

        let at_rest = sealing.at_rest(&name);
        prop_assert_eq!(at_rest.payload().len(), payload.len() + 79);
        let pieces: HashSet<&[u8]> = payload.windows(8).collect();
        let found = at_rest.payload()[39..].windows(8).any(|piece| pieces.contains(piece));
        prop_assert!(!found);
        prop_assert!(!at_rest.payload().windows(8).any(|piece| bytes.windows(8).any(|b| b == piece)));
        let read = sealing.read(&name).unwrap();
        prop_assert_eq!(read.payload(), payload.as_slice());
        prop_assert_eq!((read.order(), read.keep_until()), (order, end.map(at)));
        prop_assert_eq!(read.is_tombstone(), is_tombstone);
    }

    #[test]
    fn what_strangers_wrote_is_refused_and_never_a_panic(
        start in prop::sample::select(vec![&b""[..], b"tkenc", b"tkenc\x01"]),
        rest in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let sealing = Sealing::new();
        sealing.plant("alice", &record(&[start, &rest].concat()));

        let error = sealing.read("alice").unwrap_err();

        prop_assert_eq!(error.kind(), ErrorKind::RecordUnreadable);
    }
}

#[test]
fn the_id_of_a_key_is_frozen_and_no_part_of_the_key() {
    assert_eq!(golden_key().id(), "1dbe5ffacd30a75f");
    assert_ne!(key(1).id(), key(2).id());
}
