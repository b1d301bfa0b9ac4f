//! The rules of [`TokenStorage`].

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokenkeeper::{Clock, Order, SystemClock, TokenRecord, TokenStorage};

use super::patience::LENGTHS;
use super::rule::{BLINK, Rule, fresh_key, pause, record};

/// A key under which nothing was stored has no record.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn a_missing_key_has_no_record(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "a_missing_key_has_no_record",
        "give Ok(None), not an error and not an empty record, where nothing is",
    );
    let key = fresh_key();

    let found = rule.get(&storage, &key).await;

    rule.check(found.is_none(), "get gave a record for a key that was never set");
}

/// `get` gives what `set` stored: payload, order, end, to the last bit.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn get_gives_what_set_stored(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "get_gives_what_set_stored",
        "store TokenRecord::to_bytes(), or all of its parts without rounding: the order has 64 \
         bits, keep_until has milliseconds",
    );
    let key = fresh_key();
    let order = Order::new((1 << 53) + 1, (1 << 53) + 3); // more than a float can tell apart
    let end = in_the_future(Duration::from_secs(86_400)) + Duration::from_millis(1);
    let record = TokenRecord::from_parts(b"pay\nload".to_vec(), order, Some(end), false);

    rule.set(&storage, &key, &record).await;

    let found = rule.some(rule.get(&storage, &key).await, "get found nothing after set");
    rule.same(&found, &record, "after set");
}

/// Orders are unsigned numbers of 64 bits, up to the greatest.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn the_greatest_orders_are_kept(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "the_greatest_orders_are_kept",
        "keep both parts of the order as unsigned numbers of 64 bits: many a database has signed \
         ones only",
    );
    for (epoch, generation) in [(0, 0), (u64::MAX, u64::MAX), (u64::MAX, 0), (0, 1 << 63)] {
        let key = fresh_key();
        let order = Order::new(epoch, generation);
        let record = TokenRecord::from_parts(b"payload".to_vec(), order, None, false);
        rule.set(&storage, &key, &record).await;
        let found = rule.some(rule.get(&storage, &key).await, "get found nothing after set");
        rule.same(&found, &record, &format!("with the order {epoch}, {generation}"));
    }
}

/// `set` puts a record in the place of the one before, whatever the order of the two.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn set_overwrites(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "set_overwrites",
        "write without looking at what is there: which record is newer is for the manager to say",
    );
    let key = fresh_key();
    let newer = TokenRecord::from_parts(b"a longer first".to_vec(), Order::new(9, 9), None, false);
    let older = TokenRecord::from_parts(b"second".to_vec(), Order::new(1, 1), None, false);

    rule.set(&storage, &key, &newer).await;
    rule.set(&storage, &key, &older).await;

    let found = rule.some(rule.get(&storage, &key).await, "get found nothing after two sets");
    rule.same(&found, &older, "after the second set");
}

/// `delete` removes the record, and the key can be used again.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn delete_removes_the_record(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new("delete_removes_the_record", "remove the record before delete returns");
    let key = fresh_key();
    rule.set(&storage, &key, &record(b"one")).await;

    rule.ok("delete", storage.delete(&key).await);
    rule.check(rule.get(&storage, &key).await.is_none(), "get found a record after delete");
    rule.set(&storage, &key, &record(b"two")).await;

    let found = rule.some(rule.get(&storage, &key).await, "set after delete stored nothing");
    rule.same(&found, &record(b"two"), "after delete and set");
}

/// Deleting what is not there is a success.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn delete_is_idempotent(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new("delete_is_idempotent", "treat a record that is not there as deleted");
    let key = fresh_key();

    rule.ok("delete of a key that was never set", storage.delete(&key).await);
    rule.set(&storage, &key, &record(b"one")).await;
    rule.ok("delete", storage.delete(&key).await);
    rule.ok("the second delete", storage.delete(&key).await);
}

/// `exists` says whether `get` would find something, tombstones included.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn exists_agrees_with_get(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "exists_agrees_with_get",
        "leave exists to its default, or make it count every record; a wrapper must forward it",
    );
    let key = fresh_key();
    let exists = async || rule.ok("exists", storage.exists(&key).await);

    rule.check(!exists().await, "exists is true for a key that was never set");
    rule.set(&storage, &key, &record(b"one")).await;
    rule.check(exists().await, "exists is false after set");
    rule.set(&storage, &key, &tombstone()).await;
    rule.check(exists().await, "exists is false for a tombstone");
    rule.ok("delete", storage.delete(&key).await);
    rule.check(!exists().await, "exists is true after delete");

    let expired = storage.set(&key, &with_end(Some(UNIX_EPOCH))).await;
    if expired.is_ok() && rule.get(&storage, &key).await.is_none() {
        rule.check(!exists().await, "exists is true although the record has expired for get");
    }
}

/// A tombstone is a record like any other.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn tombstones_are_kept(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "tombstones_are_kept",
        "keep tombstones with their mark and their order: they stop an exchange in \
         flight from bringing back tokens that were cleared",
    );
    let key = fresh_key();

    rule.set(&storage, &key, &tombstone()).await;

    let found = rule.some(rule.get(&storage, &key).await, "the tombstone is gone");
    rule.same(&found, &tombstone(), "for a tombstone");
}

/// A record stays until its end, for ever if it has none.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn records_are_kept_until_their_end(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "records_are_kept_until_their_end",
        "expire records by keep_until alone, as an absolute time, and never those without it",
    );
    let year = Duration::from_secs(366 * 86_400);
    let ends = [
        ("without an end", None),
        ("with an end in a minute", Some(in_the_future(Duration::from_secs(60)))),
        ("with an end in 100 years", Some(in_the_future(100 * year))),
        ("with an end in the year 9999", Some(UNIX_EPOCH + Duration::from_secs(253_402_300_799))),
    ];

    for (what, end) in ends {
        let key = fresh_key();
        let record = with_end(end);
        rule.set(&storage, &key, &record).await;
        let found = rule.get(&storage, &key).await;
        let found = rule.some(found, &format!("a record {what} is gone at once"));
        rule.same(&found, &record, &format!("for a record {what}"));
    }
}

/// A record whose end has passed may be kept or not, but neither storing nor reading it fails.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn a_record_whose_end_has_passed_is_no_error(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "a_record_whose_end_has_passed_is_no_error",
        "give it a short life or none, but do not hand a negative or zero one to the backend",
    );
    for end in [UNIX_EPOCH, UNIX_EPOCH + Duration::from_secs(1), in_the_future(Duration::ZERO)] {
        let key = fresh_key();
        let record = with_end(Some(end));
        rule.set(&storage, &key, &record).await;
        if let Some(found) = rule.get(&storage, &key).await {
            rule.same(&found, &record, "for a record whose end has passed");
        }
    }
}

/// A record without an end stays when the time of the one before it is up.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn a_record_outlives_the_end_of_the_one_before_it(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "a_record_outlives_the_end_of_the_one_before_it",
        "take away the expiry that the earlier write set",
    );
    for length in LENGTHS {
        let key = fresh_key();
        let end = in_the_future(length);

        rule.set(&storage, &key, &with_end(Some(end))).await;
        rule.set(&storage, &key, &with_end(None)).await;
        let in_time = SystemClock.now().wall() < end; // else the first may have been gone already
        pause(length + 2 * BLINK).await;

        let found = rule.get(&storage, &key).await;
        rule.check(found.is_some(), "it went when the time of the one before it was up");
        if in_time {
            return;
        }
    }
}

/// A record of 1 MiB comes back whole.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn large_records_are_kept_whole(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "large_records_are_kept_whole",
        "keep at least 1 MiB: access tokens with many claims, id tokens and extra members add up, \
         and a wrapper that encrypts adds to them",
    );
    let key = fresh_key();
    let payload: String = std::iter::repeat_with(fastrand::alphanumeric).take(1 << 20).collect();
    let record = record(payload.as_bytes());

    rule.set(&storage, &key, &record).await;

    let found = rule.some(rule.get(&storage, &key).await, "get found nothing after set");
    rule.same(&found, &record, "for 1 MiB");
}

/// A payload is bytes, not text; it may be empty.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn payloads_may_hold_any_byte(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "payloads_may_hold_any_byte",
        "treat the payload as bytes: it may be encrypted, and need not be UTF-8",
    );
    let all: Vec<u8> = (0..=255).collect();
    for payload in [&b""[..], b"\0", b"\n", b"{}\n{}", b"\r\n \xff\xfe", &all] {
        let key = fresh_key();
        rule.set(&storage, &key, &record(payload)).await;
        let found = rule.get(&storage, &key).await;
        let found = rule.some(found, &format!("a payload of {} bytes is gone", payload.len()));
        rule.same(&found, &record(payload), &format!("for {} bytes", payload.len()));
    }
}

pub(super) fn tombstone() -> TokenRecord {
    TokenRecord::from_parts(Vec::new(), Order::new(2, 0), None, true)
}

pub(super) fn with_end(end: Option<SystemTime>) -> TokenRecord {
    TokenRecord::from_parts(b"payload".to_vec(), Order::new(1, 1), end, false)
}

pub(super) fn in_the_future(by: Duration) -> SystemTime {
    SystemClock.now().wall() + by
}
