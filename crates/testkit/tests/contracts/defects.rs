//! The suites find what is broken: a storage with one defect breaks the rules that the defect is
//! about, and no others.
//!
//! Every rule runs on every defect. Some defects break more than one rule; the tables say which.

#![allow(clippy::unwrap_used, reason = "clippy takes only functions marked as tests for tests")]

use std::fmt::Write;
use std::future::Future;
use std::panic;
use std::pin::Pin;
use std::sync::{Arc, Once};
use std::thread;

use crate::broken::{ALONE, Broken, Defect, findings};
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
            .map(|(name, rule)| {
                let rule = rule(Arc::new(Broken::new(*defect)));
                (name, runtime.spawn(ALONE.scope((), rule)))
            })
            .collect();
        runs.push((defect, expected, tasks));
    }
    let mut wrong = String::new();
    for (defect, expected, tasks) in runs {
        for (name, task) in tasks {
            let answer = runtime.block_on(task);
            if findings::BY_CHANCE.contains(&(*defect, name)) {
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

const WORKER: &str = "rule";

#[test]
fn defects_of_records_are_found() {
    check(record_rules, findings::RECORDS);
}

#[test]
fn defects_of_versions_are_found() {
    check(shared_rules, findings::VERSIONS);
}

#[test]
fn defects_of_notices_are_found() {
    check(shared_rules, findings::NOTICES);
}

#[test]
fn defects_of_leases_are_found() {
    check(shared_rules, findings::LEASES);
}

#[test]
fn every_rule_is_the_only_one_that_some_defect_breaks() {
    let tables = [findings::RECORDS, findings::VERSIONS, findings::NOTICES, findings::LEASES];
    let mut not_alone: Vec<&str> =
        record_rules().into_iter().chain(shared_rules()).map(|(name, _)| name).collect();

    not_alone.retain(|name| !tables.iter().any(|table| table.iter().any(|row| row.1 == [*name])));

    let expected: Vec<&str> = findings::NEVER_ALONE.iter().map(|(name, _)| *name).collect();
    assert_eq!(not_alone, expected);
}

#[test]
fn a_storage_that_is_not_shared_breaks_every_rule_of_shared_ones() {
    let all: Vec<&str> = shared_rules().into_iter().map(|(name, _)| name).collect();

    check(shared_rules, &[(Defect::NotShared, &all)]);
}
