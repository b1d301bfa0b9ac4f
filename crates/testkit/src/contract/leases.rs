//! The rules of [`SharedTokenStorage`](tokenkeeper::SharedTokenStorage) about leases.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokenkeeper::{Clock, ErrorKind, Lease, StorageKey, SystemClock, TokenStorage};

use super::patience::{LENGTHS, within};
use super::races::joined;
use super::rule::{
    BLINK, LONG, PATIENCE, Rule, TICK, Wait, fresh_key, key, lease_request, pause, random_word,
    record,
};

/// A lease that nobody holds is granted to one who does not wait.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn a_free_lease_is_granted(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "a_free_lease_is_granted",
        "try once before looking at longest_wait, and build the lease with LeaseRequest::granted",
    );

    let before = SystemClock.now();

    let lease = rule.lease(&storage, &fresh_key(), LONG, Wait::Not).await;

    let left = lease.remaining();
    let passed = SystemClock.now().since(&before);
    rule.check(left <= LONG, "more time is left than was asked for");
    rule.check(left + passed + TICK >= LONG, "less time is left than was asked for");
    rule.ok("release", lease.release().await);
}

/// While a lease is held, nobody else gets it.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn a_held_lease_excludes_others(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "a_held_lease_excludes_others",
        "take the lease only if nobody has it, in one step; the same process counts as somebody \
         else, and the refusal is ErrorKind::Storage",
    );
    let key = fresh_key();
    let lease = rule.lease(&storage, &key, LONG, Wait::Not).await;

    for wait in [Duration::ZERO, BLINK] {
        let want = lease_request(LONG, wait);
        match within(PATIENCE, rule.shared(&storage).lease(&key, &want)).await {
            Some(Ok(_)) => rule.broken("a second lease was granted while the first was held"),
            Some(Err(error)) => {
                rule.check(error.kind() == ErrorKind::Storage, "the refusal has another kind");
            }
            None => {} // it excludes; that it ends in time is a rule of its own
        }
    }
    rule.ok("release", lease.release().await);
}

/// A lease that was released can be had at once.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn a_released_lease_is_free_at_once(storage: Arc<dyn TokenStorage>) {
    let rule =
        Rule::new("a_released_lease_is_free_at_once", "end the lease before release returns");
    let key = fresh_key();

    for _ in 0..3 {
        let lease = rule.lease(&storage, &key, LONG, Wait::Not).await;
        rule.ok("release", lease.release().await);
    }
}

/// Who waits gets the lease when its holder releases it, and so does the next who waits.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn a_waiting_asker_gets_the_released_lease(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "a_waiting_asker_gets_the_released_lease",
        "ask again while there is time: a wait that ends only with the ttl of the holder is too \
         long",
    );
    let key = fresh_key();
    let held = rule.lease(&storage, &key, LONG, Wait::Not).await;
    let ask = async || {
        let lease = rule.lease(&storage, &key, LONG, Wait::ForIt).await;
        rule.ok("release", lease.release().await);
    };
    let mut askers = pin!(async { tokio::join!(ask(), ask(), ask()) });
    tokio::select! {
        biased;
        _ = askers.as_mut() => rule.broken("the lease of somebody else was granted"),
        () = pause(BLINK / 3) => {} // all of them have asked, and wait
    }

    rule.ok("release", held.release().await);

    rule.some(within(PATIENCE / 2, askers).await, "they noticed the release very late");
}

/// Who waits gives up after the longest wait, not much earlier and not much later.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn waiting_for_a_lease_ends_in_time(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "waiting_for_a_lease_ends_in_time",
        "count the wait from the first attempt, by LeaseRequest::clock, and end it with an error",
    );
    let key = fresh_key();
    let lease = rule.lease(&storage, &key, LONG, Wait::Not).await;

    // Who gives up at once is overlooked if the machine stands still for as long as the wait.
    for wait in [Duration::ZERO, BLINK, 2 * BLINK, 3 * BLINK] {
        let asked_at = SystemClock.now();
        let want = lease_request(LONG, wait);
        let answer = within(wait + PATIENCE / 2, rule.shared(&storage).lease(&key, &want)).await;
        let waited = SystemClock.now().since(&asked_at);
        let refused = rule.some(answer, "it went on after the longest wait was over");
        rule.check(refused.is_err(), "the lease of somebody else was granted");
        rule.check(waited + TICK >= wait, "it gave up before the longest wait was over");
    }
    rule.ok("release", lease.release().await);
}

/// A lease that is not released ends when its time is up, and not before.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn a_lease_ends_by_itself(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "a_lease_ends_by_itself",
        "give the lease its ttl in the backend: its holder may have been killed",
    );
    // Who gets it too early is overlooked if the machine stands still until it would have ended.
    for ttl in [BLINK, 2 * BLINK, 3 * BLINK] {
        let key = fresh_key();
        let first = rule.lease(&storage, &key, ttl, Wait::Not).await;

        let second = rule.lease(&storage, &key, LONG, Wait::ForIt).await;

        let left = first.remaining();
        rule.check(left <= TICK, "it was given away before the time of its holder was up");
        std::mem::forget(first);
        rule.ok("release", second.release().await);
    }
}

/// A lease that ended and was taken by another cannot be renewed.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn a_lease_that_was_lost_cannot_be_renewed(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "a_lease_that_was_lost_cannot_be_renewed",
        "give every lease a name of its own, and renew only if the name is still there",
    );
    let key = fresh_key();
    let mut first = rule.lease(&storage, &key, BLINK, Wait::Not).await;
    let second = rule.lease(&storage, &key, LONG, Wait::ForIt).await;

    let renewed = first.renew().await;

    rule.check(renewed.is_err(), "the lease of another was renewed");
    std::mem::forget(first);
    rule.ok("release", second.release().await);
}

/// A lease that ended and was taken by another stays with the other when the first lets go.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn a_lease_that_was_lost_cannot_be_released(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "a_lease_that_was_lost_cannot_be_released",
        "give every lease a name of its own, and release only if the name is still there, in one \
         step; the same for leases that are dropped",
    );
    for dropped in [false, true] {
        let key = fresh_key();
        let first = rule.lease(&storage, &key, BLINK, Wait::Not).await;
        let second = rule.lease(&storage, &key, LONG, Wait::ForIt).await;

        if dropped {
            drop(first);
            pause(BLINK / 3).await; // a backend may let go in the background
        } else {
            rule.ok("release of a lease that was lost", first.release().await);
        }

        rule.check_held(&storage, &key, &second, "it ended the lease of another").await;
        rule.ok("release", second.release().await);
    }
}

/// A lease that is dropped ends, when its time is up at the latest.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn a_dropped_lease_ends(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new("a_dropped_lease_ends", "do not renew leases in the background");
    let key = fresh_key();

    drop(rule.lease(&storage, &key, BLINK, Wait::Not).await);

    let next = rule.lease(&storage, &key, LONG, Wait::ForIt).await;
    rule.ok("release", next.release().await);
}

/// Who gives up waiting does not get the lease later, or loses it when its time is up.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn an_asker_that_is_dropped_leaves_nothing_behind(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "an_asker_that_is_dropped_leaves_nothing_behind",
        "keep no place in a queue for somebody who is gone",
    );
    let key = fresh_key();
    let held = rule.lease(&storage, &key, LONG, Wait::Not).await;
    {
        let want = lease_request(BLINK, LONG);
        let mut asking = pin!(rule.shared(&storage).lease(&key, &want));
        tokio::select! {
            biased;
            answer = asking.as_mut() => rule.broken(match answer {
                Ok(_) => "the lease of somebody else was granted",
                Err(_) => "it gave up before the longest wait was over",
            }),
            () = pause(BLINK / 3) => {}
        }
    }

    rule.ok("release", held.release().await);
    pause(BLINK / 3).await; // who is gone, and is still in a queue, gets it now

    let next = rule.lease(&storage, &key, LONG, Wait::ForIt).await;
    rule.ok("release", next.release().await);
}

/// Renewing starts the time of a lease anew, here and in the backend.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn renewing_a_lease_extends_it(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "renewing_a_lease_extends_it",
        "set the ttl anew in the backend, counted from the renewal",
    );
    for length in LENGTHS {
        let (key, ttl) = (fresh_key(), 3 * length);
        let mut lease = rule.lease(&storage, &key, ttl, Wait::Not).await;
        pause(2 * length).await;
        let renewed = lease.renew().await;
        if renewed.is_err() && lease.remaining() < TICK {
            continue; // this machine was too slow to renew in time
        }
        rule.ok("renew of a lease that is held", renewed);
        pause(2 * length).await;
        let leased = rule.is_leased(&storage, &key).await;
        if lease.remaining() < TICK {
            continue; // this machine was too slow to look in time
        }
        rule.check(leased, "somebody else got it although it was renewed");
        return;
    }
}

/// A lease of one key is in nobody's way under another, however alike the two are.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn leases_of_different_keys_are_independent(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "leases_of_different_keys_are_independent",
        "make the name of a lease from the whole key",
    );
    let word = random_word();
    let long = format!("{word}{}", "k".repeat(199 - word.len()));
    for (one, other) in [
        (fresh_key(), fresh_key()),
        (key(&format!("{long}1")), key(&format!("{long}2"))),
        (key(&format!("{word}-a")), key(&format!("{word}-A"))),
        (key(&format!("{word}:")), key(&format!("{word}_"))),
    ] {
        let first = rule.lease(&storage, &one, LONG, Wait::Not).await;

        let second = rule.lease(&storage, &other, LONG, Wait::Not).await;
        rule.ok("release", second.release().await);

        rule.check_held(&storage, &one, &first, "releasing one lease ended another").await;
        rule.ok("release", first.release().await);
    }
}

/// A lease is not a record, and its name is not a key.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn leases_and_records_have_names_of_their_own(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "leases_and_records_have_names_of_their_own",
        "name leases so that no key can be that name: with a character that keys do not have, in \
         another table, in another folder",
    );
    let word = random_word();
    let leased = key(&word);
    let lease = rule.lease(&storage, &leased, LONG, Wait::Not).await;

    for end in [".lock", ":lock", "-lock", "_lock", ".lease", ":lease", "-lease", "_lease"] {
        let alike = key(&format!("{word}{end}"));
        let found = rule.get(&storage, &alike).await;
        rule.check(found.is_none(), &format!("the lease is the record of the key + {end}"));
        rule.set(&storage, &alike, &record(b"alike")).await;
        rule.ok("delete", storage.delete(&alike).await);
        let found = format!("a write and a delete of the key + {end} ended the lease");
        rule.check_held(&storage, &leased, &lease, &found).await;
    }
    rule.ok("release", lease.release().await);
}

/// A lease keeps nobody from reading and writing, and no write or delete ends it.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn records_can_be_used_while_a_lease_is_held(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "records_can_be_used_while_a_lease_is_held",
        "keep leases apart from records: the holder writes while it holds, and others clear and \
         install without a lease",
    );
    let key = fresh_key();
    let lease = rule.lease(&storage, &key, LONG, Wait::Not).await;

    let work = async {
        let version = rule.cas(&storage, &key, None, &record(b"one")).await;
        let version = rule.stored(version, "where nothing but a lease was");
        rule.set(&storage, &key, &record(b"two")).await;
        let outcome = rule.cas(&storage, &key, Some(&version), &record(b"three")).await;
        rule.conflict(outcome, "with a stale version under a lease");
        rule.check(rule.load(&storage, &key).await.is_some(), "load finds nothing under a lease");
        rule.ok("delete", storage.delete(&key).await);
        rule.check(rule.get(&storage, &key).await.is_none(), "the lease is taken for a record");
    };
    let worked = within(PATIENCE, work).await;
    rule.some(worked, "a read or a write waits for the end of the lease");

    rule.check_held(&storage, &key, &lease, "a write or a delete ended the lease").await;
    rule.ok("release", lease.release().await);
}

/// However many ask at once and again and again, one at a time holds the lease.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn one_of_many_askers_holds_the_lease_at_a_time(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "one_of_many_askers_holds_the_lease_at_a_time",
        "take a free lease in one step; two that look first both find it free",
    );
    let key = fresh_key();
    let holders = Arc::new(AtomicUsize::new(0));
    let askers: Vec<_> = (0..ASKERS)
        .map(|_| {
            let (storage, key) = (Arc::clone(&storage), key.clone());
            let holders = Arc::clone(&holders);
            tokio::spawn(async move {
                let asking = asked_until_granted(&storage, &key);
                let lease = within(PATIENCE, asking).await;
                let lease = rule.some(lease, "a lease that is free again was not granted");
                let others = holders.fetch_add(1, Ordering::SeqCst);
                rule.check(others == 0, "two held the lease at the same time");
                pause(Duration::from_millis(5)).await;
                holders.fetch_sub(1, Ordering::SeqCst);
                rule.ok("release", lease.release().await);
            })
        })
        .collect();

    for asker in askers {
        joined(asker).await;
    }
}

/// The lease, by an asker that soon gives up and begins anew.
async fn asked_until_granted(storage: &Arc<dyn TokenStorage>, key: &StorageKey) -> Lease {
    loop {
        let want = lease_request(LONG, BLINK);
        if let Some(shared) = storage.shared()
            && let Ok(lease) = shared.lease(key, &want).await
        {
            return lease;
        }
        pause(BLINK / 30).await;
    }
}

const ASKERS: usize = 6;
