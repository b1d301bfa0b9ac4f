//! What every storage has to do, as tests: one public function for each rule.
//!
//! [`storage_contract!`](crate::storage_contract) makes one test of each rule of
//! [`TokenStorage`], [`shared_storage_contract!`](crate::shared_storage_contract) adds those of
//! [`SharedTokenStorage`], so that the name of a failing test is the rule that is broken. The
//! functions are public for those who have a test runner of their own.
//!
//! Every rule takes fresh keys, so all of them may run at once against one server that is not
//! empty. Rules about time wait by the system's clocks, because a remote backend has no other; they
//! take up to two seconds, and ask for leases that are long where something is excluded and short
//! where something ends. A machine that stands still for some seconds breaks no rule: what took too
//! long to be judged is tried again, with more time.

use std::sync::Arc;
use std::time::Duration;

use tokenkeeper::{
    CasOutcome, Clock, Error, Lease, LeaseRequest, Order, SharedTokenStorage, StorageKey,
    SystemClock, TokenRecord, TokenStorage, Version,
};

mod compare_and_set;
mod leases;
mod patience;
mod records;

pub use compare_and_set::{
    compare_and_set_adds_only_where_nothing_is, compare_and_set_keeps_all_parts_of_a_record,
    compare_and_set_replaces_the_version_it_expects,
    compare_and_set_with_a_stale_version_conflicts, it_offers_to_be_shared,
    load_gives_the_record_and_its_version, load_of_a_missing_key_is_nothing,
    no_update_is_lost_among_concurrent_writers, one_of_many_concurrent_writers_wins,
    the_version_of_a_deleted_record_conflicts, versions_are_never_used_twice,
};
pub use leases::{
    a_dropped_lease_ends, a_free_lease_is_granted, a_held_lease_excludes_others,
    a_lease_ends_by_itself, a_lease_that_was_lost_cannot_be_released,
    a_lease_that_was_lost_cannot_be_renewed, a_released_lease_is_free_at_once,
    a_waiting_asker_gets_the_released_lease, an_asker_that_is_dropped_leaves_nothing_behind,
    leases_of_different_keys_are_independent, one_of_many_askers_holds_the_lease_at_a_time,
    records_can_be_used_while_a_lease_is_held, renewing_a_lease_extends_it,
    waiting_for_a_lease_ends_in_time,
};
use patience::within;
pub use records::{
    a_dropped_write_leaves_a_whole_record, a_missing_key_has_no_record,
    a_record_outlives_the_end_of_the_one_before_it, a_record_whose_end_has_passed_is_no_error,
    concurrent_writers_leave_a_whole_record, delete_is_idempotent, delete_removes_the_record,
    exists_agrees_with_get, get_gives_what_set_stored, keys_are_separate,
    large_records_are_kept_whole, payloads_may_hold_any_byte, records_are_kept_until_their_end,
    set_overwrites, tombstones_are_kept,
};

/// Makes one test for each rule of [`TokenStorage`](tokenkeeper::TokenStorage).
///
/// The expression makes the storage. It is evaluated once for each rule, on the multi-threaded
/// tokio runtime that the rule runs on, and may use `.await`. Put the macro into a module of its
/// own.
///
/// # Examples
///
/// ```
/// mod memory_storage {
///     tokenkeeper_testkit::storage_contract!(tokenkeeper::MemoryStorage::new());
/// }
/// ```
#[macro_export]
macro_rules! storage_contract {
    ($make:expr) => {
        $crate::__storage_rules!([$crate::__tests_of_rules], $make);
    };
}

/// Makes one test for each rule of [`SharedTokenStorage`](tokenkeeper::SharedTokenStorage). Use
/// [`storage_contract!`](crate::storage_contract) as well: its rules are not repeated here.
///
/// The expression makes the storage, as there.
///
/// # Examples
///
/// ```
/// mod shared_memory_storage {
///     tokenkeeper_testkit::shared_storage_contract!(tokenkeeper::MemoryStorage::new());
/// }
/// ```
#[macro_export]
macro_rules! shared_storage_contract {
    ($make:expr) => {
        $crate::__shared_storage_rules!([$crate::__tests_of_rules], $make);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __tests_of_rules {
    ($make:expr; $($rule:ident)*) => {$(
        #[test]
        fn $rule() {
            $crate::contract::run(async {
                let storage = ::std::sync::Arc::new($make);
                $crate::contract::$rule(storage).await;
            });
        }
    )*};
}

#[doc(hidden)]
#[macro_export]
macro_rules! __storage_rules {
    ([$($callback:tt)*], $context:expr) => {
        $($callback)*! {
            $context;
            a_dropped_write_leaves_a_whole_record
            a_missing_key_has_no_record
            a_record_outlives_the_end_of_the_one_before_it
            a_record_whose_end_has_passed_is_no_error
            concurrent_writers_leave_a_whole_record
            delete_is_idempotent
            delete_removes_the_record
            exists_agrees_with_get
            get_gives_what_set_stored
            keys_are_separate
            large_records_are_kept_whole
            payloads_may_hold_any_byte
            records_are_kept_until_their_end
            set_overwrites
            tombstones_are_kept
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __shared_storage_rules {
    ([$($callback:tt)*], $context:expr) => {
        $($callback)*! {
            $context;
            it_offers_to_be_shared
            load_of_a_missing_key_is_nothing
            load_gives_the_record_and_its_version
            compare_and_set_adds_only_where_nothing_is
            compare_and_set_replaces_the_version_it_expects
            compare_and_set_with_a_stale_version_conflicts
            compare_and_set_keeps_all_parts_of_a_record
            the_version_of_a_deleted_record_conflicts
            versions_are_never_used_twice
            one_of_many_concurrent_writers_wins
            no_update_is_lost_among_concurrent_writers
            a_free_lease_is_granted
            a_held_lease_excludes_others
            a_released_lease_is_free_at_once
            a_waiting_asker_gets_the_released_lease
            waiting_for_a_lease_ends_in_time
            a_lease_ends_by_itself
            a_lease_that_was_lost_cannot_be_renewed
            a_lease_that_was_lost_cannot_be_released
            a_dropped_lease_ends
            an_asker_that_is_dropped_leaves_nothing_behind
            renewing_a_lease_extends_it
            leases_of_different_keys_are_independent
            records_can_be_used_while_a_lease_is_held
            one_of_many_askers_holds_the_lease_at_a_time
        }
    };
}

/// Runs one rule on a multi-threaded runtime.
///
/// # Panics
///
/// If the rule is broken, or no runtime is to be had.
#[expect(clippy::expect_used, reason = "a test without its runtime cannot go on")]
pub fn run(rule: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2) // enough for two writers to be at it at the same time
        .enable_all()
        .build()
        .expect("a runtime for the contract suite")
        .block_on(rule);
}

/// A rule that is being checked: its name, and what the author of a backend should look at.
#[derive(Clone, Copy)]
struct Rule {
    name: &'static str,
    advice: &'static str,
}

impl Rule {
    const fn new(name: &'static str, advice: &'static str) -> Self {
        Self { name, advice }
    }

    #[track_caller]
    fn check(&self, holds: bool, found: &str) {
        if !holds {
            self.broken(found);
        }
    }

    /// The value of a call that must not fail.
    #[track_caller]
    fn ok<T>(&self, call: &str, answer: Result<T, Error>) -> T {
        match answer {
            Ok(value) => value,
            Err(error) => self.broken(&format!("{call} failed: {error}")),
        }
    }

    #[track_caller]
    fn some<T>(&self, value: Option<T>, found: &str) -> T {
        match value {
            Some(value) => value,
            None => self.broken(found),
        }
    }

    #[track_caller]
    fn same(&self, found: &TokenRecord, expected: &TokenRecord, when: &str) {
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
    fn stored(&self, outcome: CasOutcome, when: &str) -> Version {
        match outcome {
            CasOutcome::Stored(version) => version,
            CasOutcome::Conflict(_) => self.broken(&format!("{when}, it was a conflict")),
        }
    }

    #[track_caller]
    fn conflict(&self, outcome: CasOutcome, when: &str) -> Option<(Version, TokenRecord)> {
        match outcome {
            CasOutcome::Conflict(there) => there,
            CasOutcome::Stored(_) => self.broken(&format!("{when}, it was stored")),
        }
    }

    #[track_caller]
    fn shared<'a>(&self, storage: &'a Arc<dyn TokenStorage>) -> &'a dyn SharedTokenStorage {
        self.some(storage.shared(), "shared() gives None")
    }

    async fn get(&self, storage: &dyn TokenStorage, key: &StorageKey) -> Option<TokenRecord> {
        self.ok("get", storage.get(key).await)
    }

    async fn set(&self, storage: &dyn TokenStorage, key: &StorageKey, record: &TokenRecord) {
        self.ok("set", storage.set(key, record).await);
    }

    async fn cas(
        &self,
        storage: &Arc<dyn TokenStorage>,
        key: &StorageKey,
        expected: Option<&Version>,
        record: &TokenRecord,
    ) -> CasOutcome {
        let shared = self.shared(storage);
        self.ok("compare_and_set", shared.compare_and_set(key, expected, record).await)
    }

    async fn load(
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
    async fn lease(
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
    async fn check_held(
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
    async fn is_leased(&self, storage: &Arc<dyn TokenStorage>, key: &StorageKey) -> bool {
        let want = lease_request(BLINK, Duration::ZERO);
        self.shared(storage).lease(key, &want).await.is_err()
    }

    #[track_caller]
    #[expect(clippy::panic, reason = "this is how a test says that a rule is broken")]
    fn broken(&self, found: &str) -> ! {
        panic!("the storage breaks the rule `{}`: {found}; {}", self.name, self.advice)
    }
}

/// Whether an asker waits for a lease that is held.
#[derive(Clone, Copy)]
enum Wait {
    Not,
    ForIt,
}

fn lease_request(ttl: Duration, longest_wait: Duration) -> LeaseRequest {
    LeaseRequest::new(ttl, longest_wait, Arc::new(SystemClock))
}

fn fresh_key() -> StorageKey {
    key(&format!("contract-{}", random_word()))
}

#[expect(clippy::expect_used, reason = "the suite uses only letters that keys may have")]
fn key(text: &str) -> StorageKey {
    StorageKey::new(text).expect("a valid key")
}

fn random_word() -> String {
    std::iter::repeat_with(fastrand::alphanumeric).take(16).collect()
}

fn record(payload: &[u8]) -> TokenRecord {
    TokenRecord::from_parts(payload.to_vec(), Order::new(1, 1), None, false)
}

async fn pause(duration: Duration) {
    SystemClock.sleep(duration).await;
}

const BLINK: Duration = Duration::from_millis(300); // short enough to wait for its end
const LONG: Duration = Duration::from_secs(60); // longer than any rule takes on a slow machine
const PATIENCE: Duration = Duration::from_secs(10); // of a running machine: what is due has come
const TICK: Duration = Duration::from_millis(30); // coarse clocks, and clocks of two machines
