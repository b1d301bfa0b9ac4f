//! M8: a token is over when either clock says so; a clock that is stepped revives nothing.

use std::sync::Arc;
use std::time::Duration;

use crate::support::records::{key_of, tokens_of};
use crate::support::setup::{Setup, manager, seconds};
use crate::support::waiting::started;
use tokenkeeper::{
    Clock, ErrorKind, LeaseRequest, ManualClock, MemoryStorage, SharedTokenStorage, TokenManager,
    TokenState,
};
use tokenkeeper_testkit::{Gate, ScriptedProvider, Step};

#[tokio::test]
async fn a_wall_clock_stepped_back_a_day_does_not_prolong_a_token() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager, clock, .. } = Setup::new(&provider);
    let first = manager.token().await.unwrap();

    clock.set_wall(clock.now().wall() - DAY);
    assert!(Arc::ptr_eq(&manager.token().await.unwrap(), &first), "nor does it end it");
    clock.advance(seconds(900) - MILLISECOND);
    assert_eq!(manager.status().token_state(), TokenState::Due);
    clock.advance(MILLISECOND);

    assert_eq!(manager.status().token_state(), TokenState::Expired);
    assert!(!Arc::ptr_eq(&manager.token().await.unwrap(), &first));
}

#[tokio::test]
async fn a_machine_that_slept_for_longer_than_a_token_lives_wakes_with_an_expired_token() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager, clock, .. } = Setup::new(&provider);
    let first = manager.token().await.unwrap();

    clock.suspend(seconds(900) - MILLISECOND);
    assert_eq!(manager.status().token_state(), TokenState::Due);
    clock.suspend(MILLISECOND);

    assert_eq!(manager.status().token_state(), TokenState::Expired);
    assert!(!Arc::ptr_eq(&manager.token().await.unwrap(), &first));
    assert_eq!(provider.calls(), 2);
}

#[tokio::test]
async fn a_wall_clock_stepped_forward_a_day_costs_one_exchange() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager, clock, .. } = Setup::new(&provider);
    manager.token().await.unwrap();

    clock.set_wall(clock.now().wall() + DAY);
    for _ in 0..100 {
        manager.token().await.unwrap();
    }
    manager.flush().await.unwrap();

    assert_eq!(provider.calls(), 2);
}

#[tokio::test]
async fn a_token_ends_by_the_monotonic_clock_although_the_wall_clock_stands() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager, clock, .. } = Setup::new(&provider);
    manager.token().await.unwrap();
    let wall = clock.now().wall();

    clock.advance(seconds(900));
    clock.set_wall(wall);

    assert_eq!(manager.status().token_state(), TokenState::Expired);
    assert!(manager.peek().is_none());
}

#[tokio::test]
async fn both_thresholds_are_reached_by_either_clock() {
    for suspended in [true, false] {
        let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
        provider.on_refresh(Step::issue().held(&gate));
        let Setup { manager, clock, .. } = Setup::new(&provider);
        manager.token().await.unwrap();
        let wall = clock.now().wall();
        let pass = |time| {
            if suspended {
                clock.suspend(time);
            } else {
                clock.advance(time);
                clock.set_wall(wall);
            }
        };

        pass(seconds(675));
        assert_eq!(manager.status().token_state(), TokenState::Due);
        pass(seconds(195));
        let caller = started(manager.token()).await;
        assert!(caller.is_waiting());
        gate.release();

        assert_eq!(caller.end().await.unwrap().authorization(), "Bearer access-2");
    }
}

#[tokio::test]
async fn a_token_that_ended_while_its_process_was_stopped_is_replaced_and_not_handed_out() {
    let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
    provider.on_refresh(Step::issue().held_before_answering(&gate));
    let Setup { manager, clock, .. } = Setup::new(&provider);
    manager.token().await.unwrap();
    clock.advance(seconds(900));
    let caller = started(manager.token()).await;
    gate.arrived(1).await;

    clock.suspend(seconds(900)); // the service has issued, and nobody was there to read it
    gate.release();

    assert_eq!(caller.end().await.unwrap().authorization(), "Bearer access-3");
    assert_eq!(provider.spent(), ["refresh-1", "refresh-2"]);
}

#[tokio::test]
async fn a_loaded_token_from_the_future_has_its_life_left_and_no_more() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager: before, clock, storage } = Setup::new(&provider);
    before.token().await.unwrap();
    clock.set_wall(clock.now().wall() - DAY);

    let after = manager(&provider, storage, &clock);
    assert_eq!(after.token().await.unwrap().authorization(), "Bearer access-1");
    clock.advance(seconds(900) - MILLISECOND);
    assert!(after.peek().is_some());
    clock.advance(MILLISECOND);

    assert!(after.peek().is_none());
    assert_eq!(provider.calls(), 1);
}

#[tokio::test]
async fn a_loaded_token_has_left_what_the_wall_clock_leaves_it() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager: before, clock, storage } = Setup::new(&provider);
    before.token().await.unwrap();
    // Another process, with a monotonic clock of its own.
    let clock = ManualClock::starting_at(clock.now().wall() + seconds(600));

    let after = manager(&provider, storage, &clock);
    after.token().await.unwrap();
    clock.advance(seconds(75) - MILLISECOND);
    assert_eq!(after.status().token_state(), TokenState::Fresh);
    clock.advance(MILLISECOND);
    assert_eq!(after.status().token_state(), TokenState::Due);
    clock.advance(seconds(225));

    assert_eq!(after.status().token_state(), TokenState::Expired);
    assert_eq!(provider.calls(), 1);
}

#[tokio::test]
async fn installed_tokens_end_by_either_clock() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager, clock, .. } = Setup::new(&provider);
    manager.install(tokens_of("alice", clock.now().wall() - seconds(300))).await.unwrap();

    clock.set_wall(clock.now().wall() - DAY);
    clock.advance(seconds(600) - MILLISECOND);
    assert!(manager.peek().is_some());
    clock.advance(MILLISECOND);

    assert!(manager.peek().is_none());
}

#[tokio::test]
async fn a_backoff_ends_in_time_although_the_wall_clock_was_stepped_back() {
    for (failure, pause) in [(Step::unavailable(), 1), (Step::refuse_credentials(), 60)] {
        let provider = ScriptedProvider::new("svc");
        provider.on_fetch(failure);
        let Setup { manager, clock, .. } = Setup::new(&provider);
        manager.token().await.unwrap_err();

        clock.set_wall(clock.now().wall() - DAY);
        manager.token().await.unwrap_err();
        assert_eq!(provider.calls(), 1);
        clock.advance(seconds(pause));

        manager.token().await.unwrap();
    }
}

#[tokio::test]
async fn a_backoff_is_over_after_the_machine_slept() {
    let provider = ScriptedProvider::new("svc");
    provider.on_fetch(Step::unavailable());
    let Setup { manager, clock, .. } = Setup::new(&provider);
    assert_eq!(manager.token().await.unwrap_err().kind(), ErrorKind::Unavailable);

    clock.suspend(DAY);

    manager.token().await.unwrap();
}

#[tokio::test]
async fn a_pause_after_young_rejections_ends_in_time_although_the_wall_clock_was_stepped_back() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager, clock, .. } = Setup::new(&provider);
    let first = manager.token().await.unwrap();
    let second = manager.replace_rejected(&first).await.unwrap().unwrap();

    clock.set_wall(clock.now().wall() - DAY);
    assert!(manager.replace_rejected(&second).await.unwrap().is_none());
    clock.advance(seconds(5));

    assert!(manager.replace_rejected(&second).await.unwrap().is_some());
}

#[tokio::test]
async fn a_lease_that_ended_while_the_machine_slept_sends_nothing() {
    let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
    provider.on_refresh(Step::issue().held_before_sending(&gate));
    let Setup { manager, clock, .. } = Setup::new(&provider);
    manager.token().await.unwrap();
    clock.advance(seconds(900));

    let caller = started(manager.token()).await;
    gate.arrived(1).await;
    clock.suspend(seconds(10)); // 20 s are left, and a request with its write may take that long
    gate.release();
    caller.end().await.unwrap();

    assert_eq!(provider.refreshes(), 2, "the first one was not let out");
    assert_eq!(provider.spent(), ["refresh-1"]);
}

#[tokio::test]
async fn a_lease_of_a_killed_process_ends_in_time_although_the_wall_clock_was_stepped_back() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager, clock, storage } = Setup::new(&provider);
    leave_lease(&storage, &clock).await;
    clock.set_wall(clock.now().wall() - DAY);

    let caller = started(manager.token()).await;
    crate::support::waiting::sleeping(&clock, 3).await; // five seconds, the limit of the call, the lease
    assert_eq!(provider.calls(), 0);
    clock.advance(seconds(30));

    caller.end().await.unwrap();
    assert_eq!(provider.calls(), 1);
}

/// What is left of a process that was killed while it had the lease.
async fn leave_lease(storage: &MemoryStorage, clock: &ManualClock) {
    let want = LeaseRequest::new(seconds(30), seconds(30), Arc::new(clock.clone()));
    std::mem::forget(storage.lease(&key_of("svc"), &want).await.unwrap());
}

#[tokio::test]
async fn what_a_process_makes_of_stored_times_does_not_depend_on_its_time_zone() {
    let clock = tokenkeeper::SystemClock;
    let hours_ago = |hours: u64| clock.now().wall() - seconds(hours * 3_600);
    for hours in [0, 1, 4, 9, 13] {
        let provider = ScriptedProvider::new("svc");
        let manager = TokenManager::builder(provider.clone()).build().unwrap();
        let tokens = tokens_of("alice", hours_ago(hours)).with_lifetime(seconds(6 * 3_600));
        manager.install(tokens).await.unwrap();

        let token = manager.token().await.unwrap();

        let expected = if hours < 6 { "Bearer alice-access" } else { "Bearer access-1" };
        assert_eq!(token.authorization(), expected, "{hours} h");
        manager.flush().await.unwrap();
        let left = manager.status().expires_at().unwrap().duration_since(clock.now().wall());
        let left = left.unwrap_or_default();
        let life = if hours < 5 { seconds((6 - hours) * 3_600) } else { seconds(900) };
        assert!(left <= life && left > life - seconds(60), "{hours} h: {left:?}");
    }
}

#[test]
fn the_results_are_the_same_in_tokyo_new_york_and_kathmandu() {
    let zones = ["Asia/Tokyo", "America/New_York", "Asia/Kathmandu", "JST-9", "EST5EDT", "UTC0"];
    for zone in zones {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "m08_two_clocks::what_a_process_makes_of_stored_times_does_not_depend_on_its_time_zone",
            ])
            .env("TZ", zone)
            .output()
            .unwrap();

        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{zone}: {said}");
    }
}

const DAY: Duration = Duration::from_secs(24 * 3_600);
const MILLISECOND: Duration = Duration::from_millis(1);
