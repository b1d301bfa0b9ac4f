//! The rules about calls that come at once.

use std::sync::Arc;

use tokenkeeper::{CasOutcome, Order, StorageKey, TokenRecord, TokenStorage, Version};

use super::rule::{Rule, fresh_key, record};

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

/// Writes of different keys do not undo each other.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn writes_of_different_keys_are_independent(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "writes_of_different_keys_are_independent",
        "write one record and not all of them; where they share a file, lock it from reading to \
         writing",
    );
    let writers: Vec<_> = (1..=WRITERS)
        .map(|writer| {
            let storage = Arc::clone(&storage);
            tokio::spawn(async move {
                let keys: Vec<_> = (0..KEYS).map(|_| fresh_key()).collect();
                for key in &keys {
                    rule.set(&storage, key, &record(&[writer])).await;
                }
                keys
            })
        })
        .collect();
    let mut written = Vec::new();
    for (writer, task) in (1..=WRITERS).zip(writers) {
        written.push((writer, joined(task).await));
    }

    for (writer, keys) in written {
        for key in keys {
            let found = rule.get(&storage, &key).await;
            let found = rule.some(found, "a record went when another one was written");
            rule.same(&found, &record(&[writer]), "after writes of other keys");
        }
    }
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
        let writers: Vec<_> = (0..RACERS)
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
        for (writer, task) in (0..RACERS).zip(writers) {
            if let CasOutcome::Stored(version) = joined(task).await {
                winners.push((writer, version));
            }
        }
        let count = winners.len();
        rule.check(count == 1, &format!("{count} of {RACERS} writers were told that they won"));
        if let Some((writer, version)) = winners.pop() {
            let (_, found) = rule.some(rule.load(&storage, &key).await, "load found nothing");
            rule.same(&found, &record(&[writer]), "after a race that this writer won");
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
    let writers: Vec<_> = (0..RACERS)
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
    let expected = usize::from(RACERS) * UPDATES;
    let there = found.payload().len();
    rule.check(there == expected, &format!("of {expected} updates {there} are there"));
}

/// A compare-and-set never undoes a `set` or a `delete` that it did not see.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn compare_and_set_undoes_no_concurrent_write(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "compare_and_set_undoes_no_concurrent_write",
        "let set and delete take part in what makes compare_and_set atomic: they change the \
         version, and wait for the same lock",
    );
    for race in 0..RACES * 2 {
        let key = fresh_key();
        let outcome = rule.cas(&storage, &key, None, &record(b"first")).await;
        let version = rule.stored(outcome, "where nothing was");
        let comparing = {
            let (storage, key) = (Arc::clone(&storage), key.clone());
            tokio::spawn(async move {
                rule.cas(&storage, &key, Some(&version), &record(b"compared")).await;
            })
        };
        let writing = {
            let (storage, key) = (Arc::clone(&storage), key.clone());
            tokio::spawn(async move {
                tokio::task::yield_now().await;
                if race % 2 == 0 {
                    rule.set(&storage, &key, &record(b"set")).await;
                } else {
                    rule.ok("delete", storage.delete(&key).await);
                }
            })
        };

        joined(comparing).await;
        joined(writing).await;

        // Whichever was first: a compare_and_set that came second had the wrong version.
        match rule.get(&storage, &key).await {
            Some(found) => rule.check(found.payload() == b"set", "a set or a delete was undone"),
            None => rule.check(race % 2 == 1, "the record vanished"),
        }
    }
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

/// A record whose parts all say the same number, so that a mixture shows.
pub(super) fn uniform(number: u8) -> TokenRecord {
    let order = Order::new(u64::from(number), u64::from(number));
    TokenRecord::from_parts(vec![number; 1_024 + usize::from(number)], order, None, false)
}

pub(super) fn check_whole(rule: Rule, found: Option<&TokenRecord>, when: &str) {
    let found = rule.some(found, &format!("{when}, the record was gone"));
    let number = found.payload().first().copied().unwrap_or_default();
    rule.same(found, &uniform(number), &format!("{when}, the record was a mixture"));
}

/// Hands on a panic of a task, so that the test fails with its message.
pub(super) async fn joined<T>(task: tokio::task::JoinHandle<T>) -> T {
    match task.await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

const WRITERS: u8 = 4;
const WRITES: u8 = 25;
const KEYS: usize = 10;
const RACES: usize = 5;
const RACERS: u8 = 8;
const UPDATES: usize = 5;
