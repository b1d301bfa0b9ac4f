//! A fleet on one folder.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::time::Duration;

use tempfile::TempDir;
use tokenkeeper_tests::fleet::{Chaos, Plan, Scenario, Timing, lasting, seed};

const PROGRAM: &str = env!("CARGO_BIN_EXE_fleet-member");

fn folder() -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("file:{}", folder.path().join("tokens").display());
    (folder, address)
}

#[test]
fn calm_thirty_two_processes_make_one_exchange_per_rotation() {
    let (_folder, storage) = folder();
    let scenario = Scenario::start("calm, one folder", &Plan::new(PROGRAM, &storage));

    let outcome = scenario.calm(lasting(60));

    outcome.assert_calm();
}

#[test]
fn chaos_only_an_answer_that_was_lost_lets_a_refresh_token_be_spent_twice() {
    let (_folder, storage) = folder();
    let plan = Plan {
        timing: Timing::SHORT,
        answer_delay: Duration::from_millis(100),
        ..Plan::new(PROGRAM, &storage)
    };
    let scenario = Scenario::start("chaos, one folder", &plan);

    let outcome = scenario.chaos(Chaos::USUAL, seed(), lasting(60));

    outcome.assert_chaos();
}
