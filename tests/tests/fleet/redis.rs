//! A fleet on one Redis.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::time::Duration;

use tokenkeeper_tests::RedisServer;
use tokenkeeper_tests::fleet::{Chaos, Plan, Scenario, Timing, lasting, seed, wait};

const PROGRAM: &str = env!("CARGO_BIN_EXE_fleet-member");

#[test]
fn calm_thirty_two_processes_make_one_exchange_per_rotation() {
    let redis = RedisServer::start();
    let scenario = Scenario::start("calm, one Redis", &Plan::new(PROGRAM, &redis.url()));

    let outcome = scenario.calm(lasting(60));

    outcome.assert_calm();
}

#[test]
fn chaos_only_an_answer_that_was_lost_lets_a_refresh_token_be_spent_twice() {
    let redis = RedisServer::start();
    let (url, delay) = (redis.url(), Duration::from_millis(100));
    let plan = Plan { timing: Timing::SHORT, answer_delay: delay, ..Plan::new(PROGRAM, &url) };
    let scenario = Scenario::start("chaos, one Redis", &plan);

    let outcome = scenario.chaos(Chaos::USUAL, seed(), lasting(60));

    outcome.assert_chaos();
}

/// A storage that forgets everything cannot tell a process that is behind what its siblings have
/// spent. So Redis is killed when everybody holds the newest token, as most of the time.
#[test]
fn a_redis_that_comes_back_empty_costs_no_login_and_no_call() {
    let mut redis = RedisServer::start();
    let url = redis.url();
    let plan = Plan { token_lifetime: seconds(20), ..Plan::new(PROGRAM, &url) };
    let scenario = Scenario::start("Redis lost twice", &plan);

    scenario.wait_for_records(1);

    // Between two renewals nobody notices, and the next one writes the record anew.
    scenario.wait_until_all_hold_the_newest();
    redis.kill();
    wait(seconds(3));
    redis.restart();
    scenario.wait_for_records(2);
    let unnoticed = scenario.storage_failures();

    // Renewals are due from the 13th to the 15th second. The first ones fail, and are repeated.
    scenario.wait_until_all_hold_the_newest();
    redis.kill();
    scenario.wait_until_the_newest_is(Duration::from_millis(14_300));
    let noticed = scenario.storage_failures();
    redis.restart();
    scenario.wait_for_records(3);
    scenario.wait_until_all_hold_the_newest();
    let done = format!(
        "Redis killed for 3 s ({unnoticed} failures) and until renewals failed ({noticed})"
    );
    let outcome = scenario.end(seconds(40), done);

    outcome.expect("an outage that somebody noticed", unnoticed == 0);
    outcome.expect("an outage that nobody noticed", noticed > 0);
    outcome.assert_undisturbed();
    outcome.expect("one exchange after each outage", outcome.accounts.refreshes == 2);
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}
