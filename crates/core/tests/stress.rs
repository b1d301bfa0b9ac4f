//! M10: many tasks do everything at once to a few processes, and most calls are dropped on the way.
//!
//! `m10_random_lives` does one thing at a time, so that a failure repeats. This is its opposite:
//! callers and exchanges on two threads, answers that arrive now and then, and calls that are
//! dropped wherever they happen to be. What a task does comes from its number; how the tasks meet
//! does not, so a failure may take some runs to come again, and only what holds in every order is
//! asserted.
//!
//! Bounded: three rounds of 24 tasks with 150 acts each. The clock moves on by less than five
//! seconds in a round, so that no deadline runs out because a thread was not scheduled.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod support;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use support::fleet::{Fleet, OVER, seconds, secret};
use tokenkeeper::{Clock, TokenManager};
use tokenkeeper_testkit::{Gate, ScriptedProvider, Step};
use tokio::task::{JoinSet, yield_now};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_refresh_token_is_spent_twice_wherever_callers_are_dropped() {
    for round in 0..ROUNDS {
        let fleet = live(round, EXCHANGES).await;

        assert_eq!(fleet.provider.reuses(), 0);
        assert_eq!(fleet.provider.most_at_once(), 1);
    }
}

/// What is spent twice is not asked here, where logins come and go in the middle of exchanges.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_cleared_and_installed_meanwhile_a_fleet_comes_to_rest_and_agrees() {
    for round in 0..ROUNDS {
        let fleet = live(round, EXCHANGES_AND_HANDOVERS).await;

        assert!(fleet.managers.iter().all(|manager| !manager.status().is_requesting()));
        assert!(fleet.managers.iter().all(|manager| manager.status().unpersisted().is_none()));
        fleet.clock.advance(OVER);
        let tokens = fleet.tokens().await;
        let newcomer = fleet.newcomer().token().await.unwrap();
        assert!(tokens.iter().all(|token| secret(token) == secret(&newcomer)));
    }
}

/// One round, at whose end nothing is under way.
async fn live(round: u64, acts: Range<u32>) -> Fleet {
    let provider = ScriptedProvider::new("svc").with_lifetime(Some(seconds(2)));
    let gate = Gate::closed();
    provider.always_on_fetch(Step::issue().held_before_answering(&gate));
    provider.always_on_refresh(Step::issue().held_before_answering(&gate));
    let fleet = Arc::new(Fleet::on_this_runtime(4, &provider));
    let start = fleet.clock.now();

    let mut tasks = JoinSet::new();
    for number in 0..24 {
        let (fleet, gate, acts) = (Arc::clone(&fleet), gate.clone(), acts.clone());
        tasks.spawn(async move {
            let mut rng = Rng::with_seed(round * 100 + number);
            for step in 0..150 {
                let (act, turns) = (rng.u32(acts.clone()), rng.u32(0..100));
                let manager = &fleet.managers[rng.usize(0..fleet.managers.len())];
                let name = format!("{number}-{step}");
                tokio::select! {
                    biased;
                    () = do_one_thing(&fleet, &gate, manager, act, &name) => {}
                    () = some_turns(turns) => {}
                }
            }
        });
    }
    let over = async {
        tasks.join_all().await;
        gate.release();
        fleet.flush().await;
    };
    assert!(tokio::time::timeout(seconds(60), over).await.is_ok(), "it hangs");

    assert!(fleet.clock.now().since(&start) < seconds(5));
    Arc::into_inner(fleet).unwrap()
}

/// Of a hundred things that are done, half ask for a token.
async fn do_one_thing(fleet: &Fleet, gate: &Gate, manager: &TokenManager, act: u32, name: &str) {
    match act {
        0..50 => drop(manager.token().await),
        50..65 => drop(manager.force_refresh().await),
        65..80 => {
            if let Some(token) = manager.peek() {
                drop(manager.replace_rejected(&token).await);
            }
        }
        80..82 => drop(manager.login().await),
        82..84 => drop(manager.flush().await),
        84 => drop(manager.revoke().await),
        85..94 => {
            fleet.clock.advance(Duration::from_millis(10));
            gate.let_through(1); // one answer arrives
        }
        94..97 => drop(manager.clear().await),
        _ => drop(manager.install(fleet.login(name)).await),
    }
}

/// So many turns of the scheduler: others come first, and the driver goes on.
async fn some_turns(turns: u32) {
    for _ in 0..turns {
        yield_now().await;
    }
}

const ROUNDS: u64 = 3;
/// What [`do_one_thing`] may be asked to do.
const EXCHANGES: Range<u32> = 0..94;
const EXCHANGES_AND_HANDOVERS: Range<u32> = 0..100;
