//! The suites find what is broken: a storage with one defect breaks the rules that the defect is
//! about, and no others.
//!
//! Every rule runs on every defect. Some defects break more than one rule; the tables say which.

#![allow(clippy::unwrap_used, reason = "clippy takes only functions marked as tests for tests")]

mod broken;

use std::fmt::Write;
use std::future::Future;
use std::panic;
use std::pin::Pin;
use std::sync::{Arc, Once};
use std::thread;

use broken::{Broken, Defect};
use tokenkeeper::TokenStorage;
use tokio::task::JoinError;

type Rule = (&'static str, fn(Arc<dyn TokenStorage>) -> Pin<Box<dyn Future<Output = ()> + Send>>);

macro_rules! list_rules {
    ($context:expr; $($rule:ident)*) => {
        vec![$((stringify!($rule), |storage| Box::pin(tokenkeeper_testkit::contract::$rule(storage)))),*]
    };
}

fn record_rules() -> Vec<Rule> {
    tokenkeeper_testkit::__storage_rules!([list_rules], ())
}

fn shared_rules() -> Vec<Rule> {
    tokenkeeper_testkit::__shared_storage_rules!([list_rules], ())
}

/// Runs all rules on all defects at once and compares which of them break.
fn check(rules: fn() -> Vec<Rule>, table: &[(Defect, &[&str])]) {
    silence_workers();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .thread_name(WORKER)
        .enable_all()
        .build()
        .unwrap();
    let mut runs = Vec::new();
    for (defect, expected) in table {
        let tasks: Vec<_> = rules()
            .into_iter()
            .map(|(name, rule)| (name, runtime.spawn(rule(Arc::new(Broken::new(*defect))))))
            .collect();
        runs.push((defect, expected, tasks));
    }
    let mut wrong = String::new();
    for (defect, expected, tasks) in runs {
        for (name, task) in tasks {
            let answer = runtime.block_on(task);
            if BY_CHANCE.contains(&(*defect, name)) {
                continue;
            }
            match (answer, expected.contains(&name)) {
                (Ok(()), false) | (Err(_), true) => {}
                (Ok(()), true) => {
                    let _ = writeln!(wrong, "{defect:?} does not break {name}");
                }
                (Err(error), false) => {
                    let message = message_of(error);
                    let _ = writeln!(wrong, "{defect:?} breaks {name}: {message}");
                }
            }
        }
    }
    assert!(wrong.is_empty(), "found something else:\n{wrong}");
}

/// Keeps quiet about rules that break, which is what they are here for. Hundreds of backtraces
/// would hold up every worker for as long as they are printed.
fn silence_workers() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let loud = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if thread::current().name() != Some(WORKER) {
                loud(panic);
            }
        }));
    });
}

fn message_of(error: JoinError) -> String {
    let panic = match error.try_into_panic() {
        Ok(panic) => panic,
        Err(error) => return error.to_string(),
    };
    match panic.downcast::<String>() {
        Ok(message) => *message,
        Err(panic) => panic.downcast::<&str>().map_or("no message".into(), |text| (*text).into()),
    }
}

/// Rules that a defect breaks or not as two calls happen to meet; others find it for sure.
const BY_CHANCE: &[(Defect, &str)] = &[
    (Defect::IgnoresExpected, "no_update_is_lost_among_concurrent_writers"),
    (Defect::ReusesVersion, "no_update_is_lost_among_concurrent_writers"),
    (Defect::NeverWaits, "a_lease_that_was_lost_cannot_be_released"),
    (Defect::NeverWaits, "a_lease_that_was_lost_cannot_be_renewed"),
];

const WORKER: &str = "rule";

#[test]
fn defects_of_records_are_found() {
    check(
        record_rules,
        &[
            (Defect::None, &[]),
            (
                Defect::InventsRecords,
                &[
                    "a_missing_key_has_no_record",
                    "a_record_whose_end_has_passed_is_no_error",
                    "delete_removes_the_record",
                    "exists_agrees_with_get",
                ],
            ),
            (Defect::RoundsOrders, &["get_gives_what_set_stored"]),
            (Defect::RefusesOlderRecords, &["set_overwrites"]),
            (Defect::ForgetsDeletes, &["delete_removes_the_record", "exists_agrees_with_get"]),
            (Defect::ComplainsOfMissing, &["delete_is_idempotent"]),
            (Defect::ExistsSkipsTombstones, &["exists_agrees_with_get"]),
            (Defect::FoldsCase, &["keys_are_separate"]),
            (Defect::CutsKeys, &["keys_are_separate"]),
            (Defect::MergesPunctuation, &["keys_are_separate"]),
            (Defect::LosesTombstoneMark, &["tombstones_are_kept"]),
            (Defect::OverflowsFarEnds, &["records_are_kept_until_their_end"]),
            (Defect::FailsOnPastEnds, &["a_record_whose_end_has_passed_is_no_error"]),
            (Defect::KeepsOldEnd, &["a_record_outlives_the_end_of_the_one_before_it"]),
            (Defect::CutsLargeRecords, &["large_records_are_kept_whole"]),
            (Defect::TextOnly, &["large_records_are_kept_whole", "payloads_may_hold_any_byte"]),
            (
                Defect::TornWrites,
                &[
                    "a_dropped_write_leaves_a_whole_record",
                    "concurrent_writers_leave_a_whole_record",
                ],
            ),
            (Defect::TornWhenDropped, &["a_dropped_write_leaves_a_whole_record"]),
        ],
    );
}

#[test]
fn defects_of_versions_are_found() {
    check(
        shared_rules,
        &[
            (Defect::None, &[]),
            (
                Defect::LoadsInvented,
                &["load_of_a_missing_key_is_nothing", "the_version_of_a_deleted_record_conflicts"],
            ),
            (
                Defect::LoadsAnotherVersion,
                &[
                    "compare_and_set_adds_only_where_nothing_is",
                    "compare_and_set_keeps_all_parts_of_a_record",
                    "compare_and_set_replaces_the_version_it_expects",
                    "compare_and_set_with_a_stale_version_conflicts",
                    "load_gives_the_record_and_its_version",
                    "one_of_many_concurrent_writers_wins",
                ],
            ),
            (
                Defect::AddsOverRecords,
                &[
                    "compare_and_set_adds_only_where_nothing_is",
                    "one_of_many_concurrent_writers_wins",
                ],
            ),
            (
                Defect::ReusesVersion,
                &[
                    "compare_and_set_replaces_the_version_it_expects",
                    "compare_and_set_with_a_stale_version_conflicts",
                    "one_of_many_concurrent_writers_wins",
                    "versions_are_never_used_twice",
                ],
            ),
            (
                Defect::IgnoresExpected,
                &[
                    "compare_and_set_with_a_stale_version_conflicts",
                    "one_of_many_concurrent_writers_wins",
                    "records_can_be_used_while_a_lease_is_held",
                    "versions_are_never_used_twice",
                ],
            ),
            (Defect::StoresOverNothing, &["the_version_of_a_deleted_record_conflicts"]),
            (Defect::DeleteResetsVersions, &["versions_are_never_used_twice"]),
            (
                Defect::SetKeepsVersion,
                &["versions_are_never_used_twice", "records_can_be_used_while_a_lease_is_held"],
            ),
            (
                Defect::RacyCompareAndSet,
                &[
                    "one_of_many_concurrent_writers_wins",
                    "no_update_is_lost_among_concurrent_writers",
                ],
            ),
            (Defect::TornLoad, &["no_update_is_lost_among_concurrent_writers"]),
            (
                Defect::CasLosesTombstoneMark,
                &[
                    "compare_and_set_adds_only_where_nothing_is",
                    "compare_and_set_keeps_all_parts_of_a_record",
                ],
            ),
            (Defect::CasKeepsOldEnd, &["compare_and_set_keeps_all_parts_of_a_record"]),
        ],
    );
}

#[test]
fn defects_of_leases_are_found() {
    check(
        shared_rules,
        &[
            (Defect::GrantsLate, &["a_free_lease_is_granted"]),
            (
                Defect::GrantsToAll,
                &[
                    "a_held_lease_excludes_others",
                    "a_lease_ends_by_itself",
                    "a_lease_that_was_lost_cannot_be_released",
                    "a_waiting_asker_gets_the_released_lease",
                    "an_asker_that_is_dropped_leaves_nothing_behind",
                    "leases_of_different_keys_are_independent",
                    "one_of_many_askers_holds_the_lease_at_a_time",
                    "records_can_be_used_while_a_lease_is_held",
                    "renewing_a_lease_extends_it",
                    "waiting_for_a_lease_ends_in_time",
                ],
            ),
            (
                Defect::ReleaseDoesNothing,
                &[
                    "a_released_lease_is_free_at_once",
                    "a_waiting_asker_gets_the_released_lease",
                    "an_asker_that_is_dropped_leaves_nothing_behind",
                    "one_of_many_askers_holds_the_lease_at_a_time",
                ],
            ),
            (Defect::WaitsForTheEnd, &["a_waiting_asker_gets_the_released_lease"]),
            (Defect::WaitsTooLong, &["waiting_for_a_lease_ends_in_time"]),
            (
                Defect::NeverWaits,
                &[
                    "a_lease_ends_by_itself",
                    "a_waiting_asker_gets_the_released_lease",
                    "an_asker_that_is_dropped_leaves_nothing_behind",
                    "waiting_for_a_lease_ends_in_time",
                ],
            ),
            (
                Defect::NeverEnds,
                &[
                    "a_lease_ends_by_itself",
                    "a_lease_that_was_lost_cannot_be_released",
                    "a_lease_that_was_lost_cannot_be_renewed",
                ],
            ),
            (Defect::RenewsAnything, &["a_lease_that_was_lost_cannot_be_renewed"]),
            (Defect::ReleasesAnything, &["a_lease_that_was_lost_cannot_be_released"]),
            (
                Defect::RenewsOnlyHere,
                &["a_lease_that_was_lost_cannot_be_renewed", "renewing_a_lease_extends_it"],
            ),
            (Defect::DropExtends, &["a_dropped_lease_ends"]),
            (Defect::OneLeaseForAll, &["leases_of_different_keys_are_independent"]),
            (Defect::DeleteEndsLease, &["records_can_be_used_while_a_lease_is_held"]),
            (Defect::LeaseBlocksRecords, &["records_can_be_used_while_a_lease_is_held"]),
            (Defect::RacyLease, &["one_of_many_askers_holds_the_lease_at_a_time"]),
            (Defect::QueuesTheGone, &["an_asker_that_is_dropped_leaves_nothing_behind"]),
        ],
    );
}

#[test]
fn a_storage_that_is_not_shared_breaks_every_rule_of_shared_ones() {
    let all: Vec<&str> = shared_rules().into_iter().map(|(name, _)| name).collect();

    check(shared_rules, &[(Defect::NotShared, &all)]);
}
