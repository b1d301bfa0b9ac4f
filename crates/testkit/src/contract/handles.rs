//! The rules about several handles on one backend: what is shared is in the backend, and nothing that
//! decides is in the memory of a handle.

use std::sync::Arc;
use std::time::Duration;

use tokenkeeper::{Clock, LeaseRequest, Now, StorageKey, SystemClock, Version, async_trait};

use super::backend::SharedBackend;
use super::patience::within;
use super::rule::{BLINK, LONG, PATIENCE, Rule, Wait, fresh_key, lease_request, record};

/// What one handle wrote or deleted, every other finds at once, with the same version.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn handles_see_the_same_records(backend: SharedBackend) {
    let rule = Rule::new(
        "handles_see_the_same_records",
        "keep records in the backend, and ask it with every call: no cache, no replica that is \
         behind",
    );
    let (one, other, key) = (backend.open().await, backend.open().await, fresh_key());
    rule.check(rule.load(&other, &key).await.is_none(), "a fresh key has a record");

    rule.set(&one, &key, &record(b"one")).await;
    let (seen, found) =
        rule.some(rule.load(&other, &key).await, "another handle does not see the record");
    rule.same(&found, &record(b"one"), "through another handle");
    let (version, _) = rule.some(rule.load(&one, &key).await, "load finds nothing");
    rule.check(version == seen, "two handles give one record two versions");
    rule.ok("delete", other.delete(&key).await);

    rule.check(rule.load(&one, &key).await.is_none(), "a handle sees what another one deleted");
}

/// A version that one handle gave is good for every other.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn a_version_counts_for_every_handle(backend: SharedBackend) {
    let rule = Rule::new(
        "a_version_counts_for_every_handle",
        "compare with the version in the backend, and not with what this handle wrote last",
    );
    let (one, other, key) = (backend.open().await, backend.open().await, fresh_key());
    let first = rule.cas(&one, &key, None, &record(b"one")).await;
    let first = rule.stored(first, "where nothing was");

    let second = rule.cas(&other, &key, Some(&first), &record(b"two")).await;
    let second = rule.stored(second, "with the version that another handle gave");

    let outcome = rule.cas(&one, &key, Some(&first), &record(b"three")).await;
    let there = rule.conflict(outcome, "with a version that another handle has replaced");
    let (version, found) = rule.some(there, "the record that is there is not given");
    rule.same(&found, &record(b"two"), "for the record that is there");
    rule.check(version == second, "the version is not that of the last write");
}

/// No handle gives a version that another one gave, also after a delete.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn no_two_handles_give_the_same_version(backend: SharedBackend) {
    let rule = Rule::new(
        "no_two_handles_give_the_same_version",
        "take versions from a counter in the backend, or make them random: a counter in memory \
         starts anew with every process",
    );
    let key = fresh_key();
    let mut seen: Vec<Version> = Vec::new();
    for _ in 0..3 {
        let handle = backend.open().await;
        let version = rule.cas(&handle, &key, None, &record(b"the same bytes")).await;
        let version = rule.stored(version, "where nothing was");
        rule.check(!seen.contains(&version), "two handles gave the same version");
        seen.push(version);
        rule.ok("delete", handle.delete(&key).await);
    }
}

/// A lease that one handle holds keeps out every other, until it is released.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn a_lease_excludes_other_handles(backend: SharedBackend) {
    let rule = Rule::new(
        "a_lease_excludes_other_handles",
        "keep leases in the backend: those in memory keep nobody out but this handle",
    );
    let (one, other, key) = (backend.open().await, backend.open().await, fresh_key());
    let lease = rule.lease(&one, &key, LONG, Wait::Not).await;

    rule.check_held(&other, &key, &lease, "another handle got a lease that is held").await;
    rule.ok("release", lease.release().await);

    let next = rule.lease(&other, &key, LONG, Wait::Not).await;
    rule.check_held(&one, &key, &next, "the handle that released it got it all the same").await;
    rule.ok("release", next.release().await);
}

/// A handle whose lease ran out can do nothing to the lease of the handle that has it now.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn a_lease_that_was_lost_is_another_handles(backend: SharedBackend) {
    let rule = Rule::new(
        "a_lease_that_was_lost_is_another_handles",
        "name leases from a counter in the backend, or at random: a counter in memory gives two \
         handles the same name",
    );
    let (one, other, key) = (backend.open().await, backend.open().await, fresh_key());
    let mut first = rule.lease(&one, &key, BLINK, Wait::Not).await;
    let second = rule.lease(&other, &key, LONG, Wait::ForIt).await;

    rule.check(first.renew().await.is_err(), "the lease of another handle was renewed");
    rule.ok("release of a lease that was lost", first.release().await);

    rule.check_held(&one, &key, &second, "it ended the lease of another handle").await;
    rule.ok("release", second.release().await);
}

/// A wall clock that was set forward or back neither ends a lease nor keeps it.
///
/// The rule steps the clock of the asker, [`LeaseRequest::clock`]. What a storage reads from the system
/// itself it cannot step.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn a_stepped_wall_clock_changes_no_lease(backend: SharedBackend) {
    let rule = Rule::new(
        "a_stepped_wall_clock_changes_no_lease",
        "let the backend count the ttl by its own clock; the wall clock of the asker may be stepped, \
         and differs from that of the next asker",
    );
    let (one, other) = (backend.open().await, backend.open().await);
    for (step, how) in [(Step::Forward, "set forward"), (Step::Back, "set back")] {
        let key = fresh_key();
        let lease = rule.lease(&one, &key, LONG, Wait::Not).await;
        let got = rule.shared(&other).lease(&key, &step.request(LONG, Duration::ZERO)).await;
        let found = format!("an asker whose wall clock was {how} got a lease that is held");
        rule.check(got.is_err(), &found);
        rule.ok("release", lease.release().await);

        let lease = rule.shared(&one).lease(&key, &step.request(LONG, Duration::ZERO)).await;
        let lease = rule.ok("lease", lease);
        let found = format!("a lease was given away because its holder's wall clock was {how}");
        rule.check(rule.is_leased(&other, &key).await, &found);
        rule.ok("release", lease.release().await);

        check_ends(rule, (&one, &other), step, how).await;
    }
}

/// That a short lease of a holder whose clock was stepped ends for one whose clock was not.
async fn check_ends(
    rule: Rule,
    (one, other): (&super::OpenedStorage, &super::OpenedStorage),
    step: Step,
    how: &str,
) {
    let key: StorageKey = fresh_key();
    let lease = rule.shared(one).lease(&key, &step.request(BLINK, Duration::ZERO)).await;
    std::mem::forget(rule.ok("lease", lease));

    let next = within(PATIENCE, rule.shared(other).lease(&key, &lease_request(LONG, LONG))).await;

    let found = format!("a lease did not end because its holder's wall clock was {how}");
    let next = rule.ok("lease", rule.some(next, &found));
    rule.ok("release", next.release().await);
}

/// A day, so that no length of a lease hides it.
#[derive(Clone, Copy, Debug)]
enum Step {
    Forward,
    Back,
}

impl Step {
    fn request(self, ttl: Duration, longest_wait: Duration) -> LeaseRequest {
        LeaseRequest::new(ttl, longest_wait, Arc::new(SteppedClock(self)))
    }
}

/// The clock of the system, with another wall.
#[derive(Debug)]
struct SteppedClock(Step);

#[async_trait]
impl Clock for SteppedClock {
    fn now(&self) -> Now {
        let now = SystemClock.now();
        let wall = match self.0 {
            Step::Forward => now.wall() + DAY,
            Step::Back => now.wall() - DAY,
        };
        Now::new(wall, now.mono())
    }

    async fn sleep(&self, duration: Duration) {
        SystemClock.sleep(duration).await;
    }
}

const DAY: Duration = Duration::from_secs(86_400);
