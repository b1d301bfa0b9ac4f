//! What the rules say and ask, so that each of them reads as its promise.

use std::sync::Arc;
use std::time::Duration;

use tokenkeeper::{
    CasOutcome, Clock, Error, Lease, LeaseRequest, Order, SharedTokenStorage, StorageKey,
    SystemClock, TokenRecord, TokenStorage, Version,
};

use super::patience::within;

/// A rule that is being checked: its name, and what the author of a backend should look at.
#[derive(Clone, Copy)]
pub(super) struct Rule {
    name: &'static str,
    advice: &'static str,
}

impl Rule {
    pub(super) const fn new(name: &'static str, advice: &'static str) -> Self {
        Self { name, advice }
    }

    #[track_caller]
    pub(super) fn check(&self, holds: bool, found: &str) {
        if !holds {
            self.broken(found);
        }
    }

    /// The value of a call that must not fail.
    #[track_caller]
    pub(super) fn ok<T>(&self, call: &str, answer: Result<T, Error>) -> T {
        match answer {
            Ok(value) => value,
            Err(error) => self.broken(&format!("{call} failed: {error}")),
        }
    }

    #[track_caller]
    pub(super) fn some<T>(&self, value: Option<T>, found: &str) -> T {
        match value {
            Some(value) => value,
            None => self.broken(found),
        }
    }

    #[track_caller]
    pub(super) fn same(&self, found: &TokenRecord, expected: &TokenRecord, when: &str) {
        self.check(found.payload() == expected.payload(), &format!("{when}, the payload differs"));
        self.check(found.order() == expected.order(), &format!("{when}, the order differs"));
        self.check(
            found.keep_until() == expected.keep_until(),
            &format!("{when}, keep_until differs"),
        );
        self.check(
            found.is_tombstone() == expected.is_tombstone(),
            &format!("{when}, is_tombstone differs"),
        );
    }

    #[track_caller]
    pub(super) fn stored(&self, outcome: CasOutcome, when: &str) -> Version {
        match outcome {
            CasOutcome::Stored(version) => version,
            CasOutcome::Conflict(_) => self.broken(&format!("{when}, it was a conflict")),
        }
    }

    #[track_caller]
    pub(super) fn conflict(
        &self,
        outcome: CasOutcome,
        when: &str,
    ) -> Option<(Version, TokenRecord)> {
        match outcome {
            CasOutcome::Conflict(there) => there,
            CasOutcome::Stored(_) => self.broken(&format!("{when}, it was stored")),
        }
    }

    #[track_caller]
    pub(super) fn shared<'a>(
        &self,
        storage: &'a Arc<dyn TokenStorage>,
    ) -> &'a dyn SharedTokenStorage {
        self.some(storage.shared(), "shared() gives None")
    }

    pub(super) async fn get(
        &self,
        storage: &dyn TokenStorage,
        key: &StorageKey,
    ) -> Option<TokenRecord> {
        self.ok("get", storage.get(key).await)
    }

    pub(super) async fn set(
        &self,
        storage: &dyn TokenStorage,
        key: &StorageKey,
        record: &TokenRecord,
    ) {
        self.ok("set", storage.set(key, record).await);
    }

    pub(super) async fn cas(
        &self,
        storage: &Arc<dyn TokenStorage>,
        key: &StorageKey,
        expected: Option<&Version>,
        record: &TokenRecord,
    ) -> CasOutcome {
        let shared = self.shared(storage);
        self.ok("compare_and_set", shared.compare_and_set(key, expected, record).await)
    }

    pub(super) async fn load(
        &self,
        storage: &Arc<dyn TokenStorage>,
        key: &StorageKey,
    ) -> Option<(Version, TokenRecord)> {
        self.ok("load", self.shared(storage).load(key).await)
    }

    /// A lease that is free, or will be while this machine runs for [`PATIENCE`].
    ///
    /// The asker waits longer than that, so that it does not give up because the machine stood
    /// still.
    pub(super) async fn lease(
        &self,
        storage: &Arc<dyn TokenStorage>,
        key: &StorageKey,
        ttl: Duration,
        wait: Wait,
    ) -> Lease {
        let longest_wait = match wait {
            Wait::Not => Duration::ZERO,
            Wait::ForIt => LONG,
        };
        let want = lease_request(ttl, longest_wait);
        let answer = within(PATIENCE, self.shared(storage).lease(key, &want)).await;
        self.ok("lease", self.some(answer, "a lease that is free was not granted"))
    }

    /// That the holder of the lease still keeps others out, unless its time is over.
    pub(super) async fn check_held(
        &self,
        storage: &Arc<dyn TokenStorage>,
        key: &StorageKey,
        lease: &Lease,
        found: &str,
    ) {
        let leased = self.is_leased(storage, key).await;
        self.check(leased || lease.remaining() < TICK, found);
    }

    /// Whether somebody who does not wait is refused.
    pub(super) async fn is_leased(
        &self,
        storage: &Arc<dyn TokenStorage>,
        key: &StorageKey,
    ) -> bool {
        let want = lease_request(BLINK, Duration::ZERO);
        self.shared(storage).lease(key, &want).await.is_err()
    }

    #[track_caller]
    #[expect(clippy::panic, reason = "this is how a test says that a rule is broken")]
    pub(super) fn broken(&self, found: &str) -> ! {
        panic!("the storage breaks the rule `{}`: {found}; {}", self.name, self.advice)
    }
}

/// Whether an asker waits for a lease that is held.
#[derive(Clone, Copy)]
pub(super) enum Wait {
    Not,
    ForIt,
}

pub(super) fn lease_request(ttl: Duration, longest_wait: Duration) -> LeaseRequest {
    LeaseRequest::new(ttl, longest_wait, Arc::new(SystemClock))
}

pub(super) fn fresh_key() -> StorageKey {
    key(&format!("contract-{}", random_word()))
}

#[expect(clippy::expect_used, reason = "the suite uses only letters that keys may have")]
pub(super) fn key(text: &str) -> StorageKey {
    StorageKey::new(text).expect("a valid key")
}

pub(super) fn random_word() -> String {
    std::iter::repeat_with(fastrand::alphanumeric).take(16).collect()
}

pub(super) fn record(payload: &[u8]) -> TokenRecord {
    TokenRecord::from_parts(payload.to_vec(), Order::new(1, 1), None, false)
}

pub(super) async fn pause(duration: Duration) {
    SystemClock.sleep(duration).await;
}

pub(super) const BLINK: Duration = Duration::from_millis(300); // short enough to wait for its end
pub(super) const LONG: Duration = Duration::from_secs(60); // longer than any rule takes on a slow machine
pub(super) const PATIENCE: Duration = Duration::from_secs(10); // of a running machine: what is due has come
pub(super) const TICK: Duration = Duration::from_millis(30); // coarse clocks, and clocks of two machines
