//! The rules of [`TokenStorage`].

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokenkeeper::{Clock, Order, SystemClock, TokenRecord, TokenStorage};

use super::patience::LENGTHS;
use super::{BLINK, Rule, fresh_key, key, pause, random_word, record};

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
}

/// Keys that look alike have records of their own.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn keys_are_separate(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "keys_are_separate",
        "map keys to names one to one: all 200 characters count, letter case counts, and . _ : @ - \
         are five different characters",
    );
    let base = format!("Contract{}", random_word());
    let mut texts: Vec<String> = ["", "x", "X", "xx", ".", "_", ":", "@", "-", ".x", ":x", "-x"]
        .iter()
        .map(|end| format!("{base}{end}"))
        .collect();
    for end in [".lock", ".tmp", ".json", ":lock", ":lease", ":version"] {
        texts.push(format!("{base}{end}"));
    }
    let long = format!("{base}{}", "k".repeat(199 - base.len()));
    texts.extend([format!("{long}1"), format!("{long}2"), format!("{long}K"), long]);
    texts.push(base.to_uppercase());
    texts.push(base.to_lowercase());

    for text in &texts {
        rule.set(&storage, &key(text), &record(text.as_bytes())).await;
    }
    for text in &texts {
        let found = rule.get(&storage, &key(text)).await;
        let found = rule.some(found, &format!("nothing is under the key {text}"));
        rule.same(&found, &record(text.as_bytes()), &format!("under the key {text}"));
    }
    for (at, text) in texts.iter().enumerate() {
        rule.ok("delete", storage.delete(&key(text)).await);
        for other in texts.iter().skip(at + 1).take(2) {
            let found = rule.get(&storage, &key(other)).await;
            rule.check(found.is_some(), &format!("deleting {text} deleted {other} too"));
        }
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

/// 256 KiB come back whole.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn large_records_are_kept_whole(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "large_records_are_kept_whole",
        "keep at least 256 KiB: access tokens with many claims, id tokens and extra members add up",
    );
    let key = fresh_key();
    let payload: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(256 * 1024).collect();

    rule.set(&storage, &key, &record(&payload)).await;

    let found = rule.some(rule.get(&storage, &key).await, "get found nothing after set");
    rule.same(&found, &record(&payload), "for 256 KiB");
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

/// Several writers and readers at once see whole records only.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn concurrent_writers_leave_a_whole_record(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "concurrent_writers_leave_a_whole_record",
        "write a record in one step: a rename, a transaction, one command",
    );
    let key = fresh_key();
    rule.set(&storage, &key, &uniform(0)).await;
    let writers: Vec<_> = (1..=WRITERS)
        .map(|writer| {
            let (storage, key) = (Arc::clone(&storage), key.clone());
            tokio::spawn(async move {
                for write in 0..WRITES {
                    let number = write * WRITERS + writer; // no two writes are the same
                    rule.set(&storage, &key, &uniform(number)).await;
                }
            })
        })
        .collect();

    // Writers that wait in step with each other never look at the wrong moment; this reader does.
    while !writers.iter().all(|writer| writer.is_finished()) {
        let found = rule.get(&storage, &key).await;
        check_whole(rule, found.as_ref(), "while others were writing");
        tokio::task::yield_now().await;
    }
    for writer in writers {
        joined(writer).await;
    }

    check_whole(rule, rule.get(&storage, &key).await.as_ref(), "after all had written");
}

/// A write that is dropped halfway leaves the old record or the new one.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn a_dropped_write_leaves_a_whole_record(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "a_dropped_write_leaves_a_whole_record",
        "make one step decide: callers give up at any await point",
    );
    let key = fresh_key();
    rule.set(&storage, &key, &uniform(0)).await;

    for polls in 0..DROPPED_WRITES {
        let next = uniform(polls + 1);
        tokio::select! {
            biased;
            _ = storage.set(&key, &next) => {}
            () = yields(polls) => {}
        }
        let found = rule.get(&storage, &key).await;
        check_whole(rule, found.as_ref(), "after a write was dropped");
    }

    let last = uniform(100);
    rule.set(&storage, &key, &last).await;
    check_whole(rule, rule.get(&storage, &key).await.as_ref(), "after the next write");
}

/// A record whose parts all say the same number, so that a mixture shows.
fn uniform(number: u8) -> TokenRecord {
    let order = Order::new(u64::from(number), u64::from(number));
    TokenRecord::from_parts(vec![number; 1_024 + usize::from(number)], order, None, false)
}

fn check_whole(rule: Rule, found: Option<&TokenRecord>, when: &str) {
    let found = rule.some(found, &format!("{when}, the record was gone"));
    let number = found.payload().first().copied().unwrap_or_default();
    rule.same(found, &uniform(number), &format!("{when}, the record was a mixture"));
}

async fn yields(count: u8) {
    for _ in 0..count {
        tokio::task::yield_now().await;
    }
}

/// Hands on a panic of a task, so that the test fails with its message.
pub(super) async fn joined<T>(task: tokio::task::JoinHandle<T>) -> T {
    match task.await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
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

const WRITERS: u8 = 4;
const WRITES: u8 = 25;
const DROPPED_WRITES: u8 = 12; // more await points than a simple backend has
