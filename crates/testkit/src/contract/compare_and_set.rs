//! The rules of [`SharedTokenStorage`](tokenkeeper::SharedTokenStorage) about versions.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use tokenkeeper::{CasOutcome, Order, StorageKey, TokenRecord, TokenStorage, Version};

use super::patience::LENGTHS;
use super::records::{in_the_future, tombstone, with_end};
use super::rule::{BLINK, Rule, fresh_key, pause, record};

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
}

/// `get`, `exists` and `load` see the same, whichever way it was written.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn get_exists_and_load_agree(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "get_exists_and_load_agree",
        "read the same bytes from the same place in get, exists and load, and write them so in \
         set and compare_and_set",
    );
    for there in [record(b"there"), tombstone()] {
        let (set, compared) = (fresh_key(), fresh_key());
        rule.set(&storage, &set, &there).await;
        let outcome = rule.cas(&storage, &compared, None, &there).await;
        rule.stored(outcome, "where nothing was");
        for (key, how) in [(&set, "set"), (&compared, "compare_and_set")] {
            let got = rule.get(&storage, key).await;
            let got = rule.some(got, &format!("get finds nothing after {how}"));
            rule.same(&got, &there, &format!("by get after {how}"));
            let loaded = rule.load(&storage, key).await;
            let (_, loaded) = rule.some(loaded, &format!("load finds nothing after {how}"));
            rule.same(&loaded, &there, &format!("by load after {how}"));
            let exists = rule.ok("exists", storage.exists(key).await);
            rule.check(exists, &format!("exists is false after {how}"));
        }
    }
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
        check_loaded(rule, &storage, &key, &there).await;
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
    check_loaded(rule, &storage, &key, &record(b"two")).await;
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
        check_loaded(rule, &storage, &key, &record(b"two")).await;
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
        rule.stored(outcome, "where nothing was");
        check_loaded(rule, &storage, &key, &record).await;
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

/// A record whose time is up is there for `load` and `compare_and_set`, or for neither.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn an_expired_record_is_in_nobodys_way(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "an_expired_record_is_in_nobodys_way",
        "let load and compare_and_set agree about what has expired: a row that load skips must \
         not be a conflict",
    );
    for (end, wait) in [(UNIX_EPOCH, Duration::ZERO), (in_the_future(BLINK), 2 * BLINK)] {
        let key = fresh_key();
        rule.set(&storage, &key, &with_end(Some(end))).await;
        pause(wait).await;
        let there = rule.load(&storage, &key).await.map(|(version, _)| version);

        let outcome = rule.cas(&storage, &key, there.as_ref(), &record(b"next")).await;

        match outcome {
            CasOutcome::Stored(_) => {}
            CasOutcome::Conflict(None) if there.is_some() => {
                let outcome = rule.cas(&storage, &key, None, &record(b"next")).await;
                rule.stored(outcome, "where a record had just expired");
            }
            CasOutcome::Conflict(_) => rule.broken("an expired record is in the way of the next"),
        }
        check_loaded(rule, &storage, &key, &record(b"next")).await;
    }
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

async fn check_loaded(
    rule: Rule,
    storage: &Arc<dyn TokenStorage>,
    key: &StorageKey,
    record: &TokenRecord,
) {
    let (_, found) = rule.some(rule.load(storage, key).await, "load finds nothing");
    rule.same(&found, record, "by load");
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
