//! The rules about calls that are dropped before they end.

use std::sync::Arc;

use tokenkeeper::{CasOutcome, StorageKey, TokenStorage};

use super::patience::within;
use super::races::{check_whole, uniform};
use super::rule::{BLINK, PATIENCE, Rule, fresh_key, pause, record};

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

/// A write that is dropped may still land, but not after a later write of the same caller.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn a_dropped_write_does_not_land_after_a_later_one(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "a_dropped_write_does_not_land_after_a_later_one",
        "let writes of a key wait for those before them, also where a write goes on by itself \
         after its caller is gone: on a blocking thread, in a queue",
    );
    let key = fresh_key();
    let (dropped, later) = (record(b"dropped"), record(b"later"));
    for polls in 0..DROPPED_WRITES {
        tokio::select! {
            biased;
            _ = storage.set(&key, &dropped) => {}
            () = yields(polls) => {}
        }
        rule.set(&storage, &key, &later).await;
        let found = rule.some(rule.get(&storage, &key).await, "the record was gone");
        rule.same(&found, &later, "after a write that came after a dropped one");
    }

    pause(BLINK).await; // what was dropped has time to land

    let found = rule.some(rule.get(&storage, &key).await, "the record was gone");
    rule.same(&found, &later, "some time after a dropped write");
}

/// A compare-and-set that is dropped halfway leaves the old record or the new one, and keeps
/// nobody from writing.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn a_dropped_compare_and_set_leaves_a_whole_record(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "a_dropped_compare_and_set_leaves_a_whole_record",
        "make one step decide, and hold no lock that a caller who is gone cannot free",
    );
    let key = fresh_key();
    let outcome = rule.cas(&storage, &key, None, &uniform(0)).await;
    rule.stored(outcome, "where nothing was");

    for polls in 0..DROPPED_WRITES {
        let there = rule.load(&storage, &key).await;
        let (version, _) = rule.some(there, "load found nothing");
        let next = uniform(polls + 1);
        tokio::select! {
            biased;
            _ = rule.shared(&storage).compare_and_set(&key, Some(&version), &next) => {}
            () = yields(polls) => {}
        }
        let found = within(PATIENCE, rule.load(&storage, &key)).await;
        let found = rule.some(found, "load waits for a compare_and_set that was dropped");
        let found = found.map(|(_, record)| record);
        check_whole(rule, found.as_ref(), "after a compare_and_set was dropped");
    }

    let written = within(PATIENCE, write_until_stored(rule, &storage, &key)).await;
    rule.some(written, "a write waits for a compare_and_set that was dropped");
}

/// The dropped ones may land in between.
async fn write_until_stored(rule: Rule, storage: &Arc<dyn TokenStorage>, key: &StorageKey) {
    loop {
        let (version, _) = rule.some(rule.load(storage, key).await, "load found nothing");
        let outcome = rule.cas(storage, key, Some(&version), &uniform(100)).await;
        if matches!(outcome, CasOutcome::Stored(_)) {
            return;
        }
        pause(BLINK / 30).await;
    }
}

async fn yields(count: u8) {
    for _ in 0..count {
        tokio::task::yield_now().await;
    }
}

const DROPPED_WRITES: u8 = 12; // more await points than a simple backend has
