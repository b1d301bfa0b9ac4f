//! What every storage has to do, as tests: one public function for each rule.
//!
//! [`storage_contract!`](crate::storage_contract) makes one test of each rule of
//! [`TokenStorage`](tokenkeeper::TokenStorage),
//! [`shared_storage_contract!`](crate::shared_storage_contract) adds those of
//! [`SharedTokenStorage`](tokenkeeper::SharedTokenStorage), and
//! [`shared_backend_contract!`](crate::shared_backend_contract) those about several handles and
//! processes on one backend, so that the name of a failing test is the rule that is broken. The functions are public for those who have a test runner of their own.
//!
//! Every rule takes fresh keys, so all of them may run at once against one server that is not
//! empty. Rules about time wait by the system's clocks, because a remote backend has no other; they
//! take up to two seconds, and ask for leases that are long where something is excluded and short
//! where something ends. A machine that stands still for some seconds breaks no rule: what took too
//! long to be judged is tried again, with more time.

mod backend;
mod compare_and_set;
mod handles;
mod interruptions;
mod keys;
mod leases;
mod notices;
mod patience;
mod processes;
mod races;
mod records;
mod rule;
mod write_proof;

pub use backend::{OpenedStorage, Opening, SharedBackend};
pub use compare_and_set::{
    an_expired_record_is_in_nobodys_way, compare_and_set_adds_only_where_nothing_is,
    compare_and_set_keeps_all_parts_of_a_record, compare_and_set_replaces_the_version_it_expects,
    compare_and_set_with_a_stale_version_conflicts, get_exists_and_load_agree,
    it_offers_to_be_shared, load_gives_the_record_and_its_version,
    load_of_a_missing_key_is_nothing, the_version_of_a_deleted_record_conflicts,
    versions_are_never_used_twice,
};
pub use handles::{
    a_lease_excludes_other_handles, a_lease_that_was_lost_is_another_handles,
    a_stepped_wall_clock_changes_no_lease, a_version_counts_for_every_handle,
    handles_see_the_same_records, no_two_handles_give_the_same_version,
};
pub use interruptions::{
    a_dropped_compare_and_set_leaves_a_whole_record,
    a_dropped_write_does_not_land_after_a_later_one, a_dropped_write_leaves_a_whole_record,
};
pub use keys::{every_key_can_be_used, keys_are_separate};
pub use leases::{
    a_dropped_lease_ends, a_free_lease_is_granted, a_held_lease_excludes_others,
    a_lease_ends_by_itself, a_lease_that_was_lost_cannot_be_released,
    a_lease_that_was_lost_cannot_be_renewed, a_released_lease_is_free_at_once,
    a_waiting_asker_gets_the_released_lease, an_asker_that_is_dropped_leaves_nothing_behind,
    leases_and_records_have_names_of_their_own, leases_of_different_keys_are_independent,
    one_of_many_askers_holds_the_lease_at_a_time, records_can_be_used_while_a_lease_is_held,
    renewing_a_lease_extends_it, waiting_for_a_lease_ends_in_time,
};
pub use notices::notices_follow_every_kind_of_write;
pub use processes::{
    a_lease_outlives_its_process, no_two_processes_give_the_same_version,
    processes_lose_no_update_of_each_other, processes_see_each_others_records, run_process,
};
pub use races::{
    compare_and_set_undoes_no_concurrent_write, concurrent_writers_leave_a_whole_record,
    no_update_is_lost_among_concurrent_writers, one_of_many_concurrent_writers_wins,
    writes_of_different_keys_are_independent,
};
pub use records::{
    a_missing_key_has_no_record, a_record_outlives_the_end_of_the_one_before_it,
    a_record_whose_end_has_passed_is_no_error, delete_is_idempotent, delete_removes_the_record,
    exists_agrees_with_get, get_gives_what_set_stored, large_records_are_kept_whole,
    payloads_may_hold_any_byte, records_are_kept_until_their_end, set_overwrites,
    the_greatest_orders_are_kept, tombstones_are_kept,
};

pub use write_proof::a_lease_shows_that_the_record_can_be_replaced;

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

/// Makes one test for each rule about several handles and several processes on one backend. Use the
/// other two as well.
///
/// The expression opens the backend, as every process of a program would: again and again, with
/// nothing but the backend in common. It may use `.await`. The name before it is that of a folder, a
/// `&Path` that is the same for all that belong together; a backend that is elsewhere leaves it be.
///
/// The rules about processes start the test program anew and tell it the name of one test, so this
/// works in every test that cargo or cargo-nextest runs, and not in a doc test.
///
/// # Examples
///
/// ```no_run
/// # use tokenkeeper::MemoryStorage;
/// # fn open_in(_: &std::path::Path) -> MemoryStorage { MemoryStorage::new() }
/// mod my_storage {
///     # use super::open_in;
///     tokenkeeper_testkit::shared_backend_contract!(folder => open_in(folder));
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! shared_backend_contract {
    ($folder:ident => $open:expr) => {
        fn open_backend(folder: ::std::path::PathBuf) -> $crate::contract::Opening {
            ::std::boxed::Box::pin(async move {
                let $folder: &::std::path::Path = folder.as_path();
                let storage: $crate::contract::OpenedStorage = ::std::sync::Arc::new($open);
                storage
            })
        }

        /// Not a test: a process that a rule has started.
        #[test]
        #[ignore = "started by the rules about processes"]
        fn a_process_of_the_contract() {
            $crate::contract::run($crate::contract::run_process(open_backend));
        }

        $crate::__backend_rules!([$crate::__tests_of_backend_rules], ::core::module_path!());
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __tests_of_backend_rules {
    ($module:expr; $($rule:ident)*) => {$(
        #[test]
        fn $rule() {
            let backend = $crate::contract::SharedBackend::new(open_backend, $module);
            $crate::contract::run($crate::contract::$rule(backend));
        }
    )*};
}

#[doc(hidden)]
#[macro_export]
macro_rules! __backend_rules {
    ([$($callback:tt)*], $context:expr) => {
        $($callback)*! {
            $context;
            handles_see_the_same_records
            a_version_counts_for_every_handle
            no_two_handles_give_the_same_version
            a_lease_excludes_other_handles
            a_lease_that_was_lost_is_another_handles
            a_stepped_wall_clock_changes_no_lease
            processes_see_each_others_records
            no_two_processes_give_the_same_version
            processes_lose_no_update_of_each_other
            a_lease_outlives_its_process
        }
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
            a_dropped_write_does_not_land_after_a_later_one
            a_dropped_write_leaves_a_whole_record
            a_missing_key_has_no_record
            a_record_outlives_the_end_of_the_one_before_it
            a_record_whose_end_has_passed_is_no_error
            concurrent_writers_leave_a_whole_record
            delete_is_idempotent
            delete_removes_the_record
            every_key_can_be_used
            exists_agrees_with_get
            get_gives_what_set_stored
            keys_are_separate
            large_records_are_kept_whole
            payloads_may_hold_any_byte
            records_are_kept_until_their_end
            set_overwrites
            the_greatest_orders_are_kept
            tombstones_are_kept
            writes_of_different_keys_are_independent
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
            get_exists_and_load_agree
            compare_and_set_adds_only_where_nothing_is
            compare_and_set_replaces_the_version_it_expects
            compare_and_set_with_a_stale_version_conflicts
            compare_and_set_keeps_all_parts_of_a_record
            the_version_of_a_deleted_record_conflicts
            an_expired_record_is_in_nobodys_way
            versions_are_never_used_twice
            one_of_many_concurrent_writers_wins
            no_update_is_lost_among_concurrent_writers
            compare_and_set_undoes_no_concurrent_write
            a_dropped_compare_and_set_leaves_a_whole_record
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
            leases_and_records_have_names_of_their_own
            records_can_be_used_while_a_lease_is_held
            one_of_many_askers_holds_the_lease_at_a_time
            notices_follow_every_kind_of_write
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
