//! The rules about several handles and processes: a backend that keeps them all, and backends with one
//! flaw, which break the rules that it is about and no others.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::thread;

use tokenkeeper_testkit::contract::{self, OpenedStorage, Opening, SharedBackend};

use crate::imitation::{Flaw, Imitation};

type Rule = (&'static str, fn(SharedBackend) -> Pin<Box<dyn Future<Output = ()>>>);

macro_rules! list_rules {
    ($context:expr; $($rule:ident)*) => {
        vec![$((stringify!($rule), |backend| Box::pin(contract::$rule(backend)))),*]
    };
}

fn rules() -> Vec<Rule> {
    tokenkeeper_testkit::__backend_rules!([list_rules], ())
}

/// Runs all rules at once and compares which of them break. What breaks by chance, as two processes
/// happen to meet, is not looked at.
fn check(open: fn(PathBuf) -> Opening, module: &'static str, breaks: &[&str], by_chance: &[&str]) {
    let runs: Vec<_> = rules()
        .into_iter()
        .map(|(name, rule)| {
            let run = move || contract::run(rule(SharedBackend::new(open, module)));
            (name, thread::spawn(run))
        })
        .collect();
    let mut wrong = Vec::new();
    for (name, run) in runs {
        let broke = run.join().is_err();
        if broke != breaks.contains(&name) && !by_chance.contains(&name) {
            wrong.push(format!("{} {name}", if broke { "breaks" } else { "does not break" }));
        }
    }
    assert!(wrong.is_empty(), "{module}: {wrong:#?}");
}

macro_rules! flawed {
    ($($name:ident: $flaw:ident => [$($rule:ident),*], by chance [$($chance:ident),*];)*) => {$(
        mod $name {
            use super::*;

            fn open(folder: PathBuf) -> Opening {
                Box::pin(async move {
                    let storage: OpenedStorage = Arc::new(Imitation::open(folder, Flaw::$flaw));
                    storage
                })
            }

            #[test]
            #[ignore = "started by the rules about processes"]
            fn a_process_of_the_contract() {
                contract::run(contract::run_process(open));
            }

            #[test]
            fn breaks_the_rules_that_it_is_about() {
                check(open, module_path!(), &[$(stringify!($rule)),*], &[$(stringify!($chance)),*]);
            }
        }
    )*};
}

flawed! {
    none: None => [], by chance [];
    records_in_the_handle: RecordsInHandle => [
        handles_see_the_same_records, a_version_counts_for_every_handle,
        processes_see_each_others_records, processes_lose_no_update_of_each_other
    ], by chance [];
    cached_reads: CachesReads => [
        handles_see_the_same_records, processes_lose_no_update_of_each_other
    ], by chance [];
    versions_compared_with_memory: ComparesWithMemory => [
        a_version_counts_for_every_handle, processes_see_each_others_records
    ], by chance [processes_lose_no_update_of_each_other];
    versions_of_a_counter_in_the_handle: VersionsInHandle => [
        a_version_counts_for_every_handle, no_two_handles_give_the_same_version,
        processes_see_each_others_records, no_two_processes_give_the_same_version
    ], by chance [processes_lose_no_update_of_each_other, handles_see_the_same_records];
    versions_of_a_counter_in_the_process: VersionsInProcess => [
        no_two_processes_give_the_same_version
    ], by chance [processes_lose_no_update_of_each_other, processes_see_each_others_records];
    locks_in_the_process: LocksInProcess => [
        processes_lose_no_update_of_each_other
    ], by chance [];
    leases_in_the_handle: LeasesInHandle => [
        a_lease_excludes_other_handles, a_lease_that_was_lost_is_another_handles,
        a_stepped_wall_clock_changes_no_lease, a_lease_outlives_its_process
    ], by chance [];
    leases_in_the_process: LeasesInProcess => [a_lease_outlives_its_process], by chance [];
    lease_names_of_a_counter_in_the_handle: LeaseNamesInHandle => [
        a_lease_that_was_lost_is_another_handles
    ], by chance [];
    leases_by_the_wall_clock_of_the_asker: AskersWallClock => [
        a_stepped_wall_clock_changes_no_lease
    ], by chance [];
    leases_of_the_dead_are_free: FreesLeasesOfTheDead => [
        a_lease_outlives_its_process
    ], by chance [];
}

fn proof(open: fn(PathBuf) -> Opening) -> thread::Result<()> {
    let run = move || {
        let backend = SharedBackend::new(open, module_path!());
        let folder = backend.folder().to_owned();
        contract::run(contract::a_lease_shows_that_the_record_can_be_replaced(
            backend,
            async move |key, is_forbidden| Imitation::forbid(&folder, key, is_forbidden),
        ));
    };
    thread::spawn(run).join()
}

#[test]
fn a_lease_that_shows_nothing_of_the_record_is_found() {
    let with = |folder| -> Opening {
        Box::pin(async {
            Arc::new(Imitation::open(folder, Flaw::LeaseShowsNothing)) as OpenedStorage
        })
    };
    let without = |folder| -> Opening {
        Box::pin(async { Arc::new(Imitation::open(folder, Flaw::None)) as OpenedStorage })
    };

    proof(without).unwrap();
    let broken = proof(with).unwrap_err();

    let message = broken.downcast::<String>().unwrap();
    assert!(message.contains("a_lease_shows_that_the_record_can_be_replaced"), "{message}");
}
