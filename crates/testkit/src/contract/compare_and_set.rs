//! The rules of [`SharedTokenStorage`](tokenkeeper::SharedTokenStorage) about versions.

use std::sync::Arc;

use tokenkeeper::{CasOutcome, Order, StorageKey, TokenRecord, TokenStorage, Version};

use super::patience::LENGTHS;
use super::records::{in_the_future, joined, tombstone, with_end};
use super::{BLINK, Rule, fresh_key, pause, record};

/// `shared` gives the storage, through pointers too.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn it_offers_to_be_shared(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "it_offers_to_be_shared",
        "implement shared() as Some(self); a wrapper gives Some if what it wraps does",
    );
    let boxed: Box<dyn TokenStorage> = Box::new(Arc::clone(&storage));

    rule.check(storage.shared().is_some(), "shared() gives None");
    rule.check(boxed.shared().is_some(), "shared() gives None in a Box");
}

/// `load` of a key under which nothing was stored gives nothing.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn load_of_a_missing_key_is_nothing(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new("load_of_a_missing_key_is_nothing", "give Ok(None) where nothing is");

    let found = rule.load(&storage, &fresh_key()).await;

    rule.check(found.is_none(), "load gave a record for a key that was never set");
}

/// `load` gives the record, and the version that the write reported.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn load_gives_the_record_and_its_version(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "load_gives_the_record_and_its_version",
        "report the version that the write made; load reads it together with the record",
    );
    let key = fresh_key();

    let outcome = rule.cas(&storage, &key, None, &record(b"one")).await;

    let version = rule.stored(outcome, "where nothing was");
    let (loaded, found) = rule.some(rule.load(&storage, &key).await, "load found nothing");
    rule.same(&found, &record(b"one"), "after compare_and_set");
    rule.check(loaded == version, "load gives another version than compare_and_set reported");
    let (again, _) = rule.some(rule.load(&storage, &key).await, "the second load found nothing");
    rule.check(again == version, "two loads without a write between them give two versions");
    let got = rule.some(rule.get(&storage, &key).await, "get does not find what load finds");
    rule.same(&got, &record(b"one"), "by get after compare_and_set");
}

/// Without an expected version, a record is stored only where none is.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn compare_and_set_adds_only_where_nothing_is(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "compare_and_set_adds_only_where_nothing_is",
        "with expected = None, store only where nothing is, else give what is there; a tombstone \
         is something",
    );
    for there in [record(b"there"), tombstone()] {
        let key = fresh_key();
        let version = rule.cas(&storage, &key, None, &there).await;
        let version = rule.stored(version, "where nothing was");

        let outcome = rule.cas(&storage, &key, None, &record(b"other")).await;

        let conflict = rule.conflict(outcome, "where a record was and none was expected");
        check_there(rule, conflict, &version, &there);
        check_there(rule, rule.load(&storage, &key).await, &version, &there);
    }
}

/// With the version that is there, a record is replaced, and gets a new version.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn compare_and_set_replaces_the_version_it_expects(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "compare_and_set_replaces_the_version_it_expects",
        "compare versions byte for byte, and make a new one with every write",
    );
    let key = fresh_key();
    rule.set(&storage, &key, &record(b"one")).await;
    let (first, _) = rule.some(rule.load(&storage, &key).await, "load found nothing after set");

    let outcome = rule.cas(&storage, &key, Some(&first), &record(b"two")).await;

    let second = rule.stored(outcome, "with the version that is there");
    rule.check(second != first, "the write did not change the version");
    check_there(rule, rule.load(&storage, &key).await, &second, &record(b"two"));
}

/// With a version that was replaced, nothing is stored.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn compare_and_set_with_a_stale_version_conflicts(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "compare_and_set_with_a_stale_version_conflicts",
        "store only if the version that is there is the expected one, and give what is there",
    );
    let key = fresh_key();
    let first = rule.cas(&storage, &key, None, &record(b"one")).await;
    let first = rule.stored(first, "where nothing was");
    let second = rule.cas(&storage, &key, Some(&first), &record(b"two")).await;
    let second = rule.stored(second, "with the version that is there");

    for expected in [first, Version::new(*b"from elsewhere")] {
        let outcome = rule.cas(&storage, &key, Some(&expected), &record(b"three")).await;
        let there = rule.conflict(outcome, "with a version that is not there");
        check_there(rule, there, &second, &record(b"two"));
        check_there(rule, rule.load(&storage, &key).await, &second, &record(b"two"));
    }
}

/// `compare_and_set` keeps tombstones, orders, ends and bytes as `set` does.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn compare_and_set_keeps_all_parts_of_a_record(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "compare_and_set_keeps_all_parts_of_a_record",
        "let set and compare_and_set write the same bytes, with the same expiry",
    );
    let order = Order::new((1 << 53) + 1, 5);
    let all: Vec<u8> = (0..=255).cycle().take(256 * 1024).collect();
    let large = TokenRecord::from_parts(all, order, Some(in_the_future(BLINK * 1_000)), false);
    for record in [tombstone(), large] {
        let key = fresh_key();
        let outcome = rule.cas(&storage, &key, None, &record).await;
        let version = rule.stored(outcome, "where nothing was");
        check_there(rule, rule.load(&storage, &key).await, &version, &record);
    }

    for length in LENGTHS {
        let key = fresh_key();
        let short = with_end(Some(in_the_future(length)));
        let version = rule.cas(&storage, &key, None, &short).await;
        let version = rule.stored(version, "where nothing was");
        // On a slow machine the short one may be gone by now; then there is nothing to outlive.
        let outcome = rule.cas(&storage, &key, Some(&version), &with_end(None)).await;
        if matches!(outcome, CasOutcome::Stored(_)) {
            pause(length + 2 * BLINK).await;
            let found = rule.load(&storage, &key).await;
            rule.check(found.is_some(), "a record went when the time of the one before it was up");
            return;
        }
    }
}

/// After a delete, the version that was there conflicts, with nothing.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn the_version_of_a_deleted_record_conflicts(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "the_version_of_a_deleted_record_conflicts",
        "an expected version and nothing there is Conflict(None)",
    );
    let key = fresh_key();
    let version = rule.cas(&storage, &key, None, &record(b"one")).await;
    let version = rule.stored(version, "where nothing was");
    rule.ok("delete", storage.delete(&key).await);

    let outcome = rule.cas(&storage, &key, Some(&version), &record(b"two")).await;

    let there = rule.conflict(outcome, "with the version of a deleted record");
    rule.check(there.is_none(), "the conflict names a record although it was deleted");
    let found = rule.load(&storage, &key).await;
    rule.check(found.is_none(), "the conflict stored a record");
}

/// No write has the version of another, also for the same bytes, also after a delete.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn versions_are_never_used_twice(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "versions_are_never_used_twice",
        "take versions from a counter that survives deletes, or make them random; not from the \
         content, and not from a counter that a delete resets",
    );
    let key = fresh_key();
    let same = record(b"the same bytes");
    let mut seen: Vec<Version> = Vec::new();
    for round in 0..3 {
        let version = rule.cas(&storage, &key, None, &same).await;
        seen.push(rule.stored(version, "where nothing was"));
        let last = seen.last().cloned();
        let version = rule.cas(&storage, &key, last.as_ref(), &same).await;
        seen.push(rule.stored(version, "with the version that is there"));
        rule.set(&storage, &key, &same).await;
        let (version, _) = rule.some(rule.load(&storage, &key).await, "load found nothing");
        seen.push(version);
        check_all_stale(rule, &storage, &key, &seen).await;
        if round < 2 {
            rule.ok("delete", storage.delete(&key).await);
        }
    }
    let all = seen.len();

    seen.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    seen.dedup();

    rule.check(seen.len() == all, "two writes had the same version");
}

/// Of many that write at once with the same expectation, exactly one succeeds.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn one_of_many_concurrent_writers_wins(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "one_of_many_concurrent_writers_wins",
        "compare and write in one step: a script, a transaction, a lock",
    );
    let key = fresh_key();
    let mut expected: Option<Version> = None;
    for _ in 0..RACES {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (storage, key) = (Arc::clone(&storage), key.clone());
                let expected = expected.clone();
                tokio::spawn(async move {
                    let record = record(&[writer]);
                    rule.cas(&storage, &key, expected.as_ref(), &record).await
                })
            })
            .collect();
        let mut winners = Vec::new();
        for (writer, task) in (0..WRITERS).zip(writers) {
            if let CasOutcome::Stored(version) = joined(task).await {
                winners.push((writer, version));
            }
        }
        let count = winners.len();
        rule.check(count == 1, &format!("{count} of {WRITERS} writers were told that they won"));
        if let Some((writer, version)) = winners.pop() {
            check_there(rule, rule.load(&storage, &key).await, &version, &record(&[writer]));
            expected = Some(version);
        }
    }
}

/// Many that add to what they read, and repeat on a conflict, lose nothing.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn no_update_is_lost_among_concurrent_writers(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "no_update_is_lost_among_concurrent_writers",
        "read the record and its version in one step, and compare and write in one step",
    );
    let key = fresh_key();
    let version = rule.cas(&storage, &key, None, &record(b"")).await;
    rule.stored(version, "where nothing was");
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (storage, key) = (Arc::clone(&storage), key.clone());
            tokio::spawn(async move {
                for _ in 0..UPDATES {
                    append(rule, &storage, &key, writer).await;
                }
            })
        })
        .collect();

    for writer in writers {
        joined(writer).await;
    }

    let (_, found) = rule.some(rule.load(&storage, &key).await, "load found nothing");
    let expected = usize::from(WRITERS) * UPDATES;
    let there = found.payload().len();
    rule.check(there == expected, &format!("of {expected} updates {there} are there"));
}

/// Adds one byte to what is there, as often as it takes.
async fn append(rule: Rule, storage: &Arc<dyn TokenStorage>, key: &StorageKey, byte: u8) {
    let mut there = rule.load(storage, key).await;
    loop {
        let (version, found) = rule.some(there, "the record vanished");
        let longer = record(&[found.payload(), &[byte]].concat());
        match rule.cas(storage, key, Some(&version), &longer).await {
            CasOutcome::Stored(_) => return,
            CasOutcome::Conflict(newer) => there = newer,
        }
    }
}

/// That none of the versions but the last is taken for the one that is there.
async fn check_all_stale(
    rule: Rule,
    storage: &Arc<dyn TokenStorage>,
    key: &StorageKey,
    seen: &[Version],
) {
    for stale in seen.iter().rev().skip(1) {
        let outcome = rule.cas(storage, key, Some(stale), &record(b"stale")).await;
        rule.conflict(outcome, "with the version of an earlier write of the same bytes");
    }
}

#[track_caller]
fn check_there(
    rule: Rule,
    there: Option<(Version, TokenRecord)>,
    version: &Version,
    record: &TokenRecord,
) {
    let (found_version, found) = rule.some(there, "the record that is there is not given");
    rule.same(&found, record, "for the record that is there");
    rule.check(found_version == *version, "the version is not that of the last write");
}

const RACES: usize = 5;
const WRITERS: u8 = 8;
const UPDATES: usize = 5;
