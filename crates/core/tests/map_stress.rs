//! Threads ask a map for everything at once while it evicts at every opportunity.
//!
//! `map_random_lives` does one thing at a time, so that a failure repeats. Here only what holds in
//! every order is asserted: no user is logged out, no refresh token is spent twice, and a thread
//! that holds a manager never meets a second one. The storage has no leases that would hide one.
//!
//! Bounded: eight threads with 2,000 acts each. The clock moves on by milliseconds, so that no
//! deadline runs out because a thread was not scheduled. Tokens live longer than the minimum interval of 1 s: one that
//! ends within it is an error until the interval is over.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::thread;
use std::time::Duration;

use fastrand::Rng;
use support::tenants::{Accounts, Tenants, seconds};
use tokenkeeper::{Clock, TokenManager, TokenSet};
use tokenkeeper_testkit::ScriptedProvider;

#[test]
fn whatever_threads_do_at_once_no_user_has_two_managers_and_none_is_logged_out() {
    let service = || {
        let lifetime = Some(Duration::from_millis(1_500));
        ScriptedProvider::new("svc").attended().with_lifetime(lifetime)
    };
    let tenants = Tenants::with(Accounts::new(service), false, |builder| {
        builder.bound(2).idle_after(Duration::from_millis(1))
    });
    for user in 0..USERS {
        let login = TokenSet::from_refresh_token(format!("login-{user}"));
        tenants.get(user).blocking().install(login).unwrap();
    }
    let start = tenants.clock.now();

    thread::scope(|scope| {
        for number in 0..8 {
            let tenants = &tenants;
            scope.spawn(move || {
                let mut rng = Rng::with_seed(number);
                let mut held: Option<(u32, TokenManager)> = None;
                for _ in 0..2_000 {
                    do_one_thing(tenants, &mut rng, &mut held);
                }
            });
        }
    });
    assert!(tenants.clock.now().since(&start) < seconds(5));
    pollster::block_on(tenants.map.flush()).unwrap();

    for user in 0..USERS {
        let account = tenants.account(user);
        assert!(tenants.get(user).blocking().token().is_ok());
        assert_eq!((account.service.reuses(), account.service.most_at_once()), (0, 1));
        assert!(
            account.made() > 1 && account.service.refreshes() > 1,
            "nothing happened to {user}"
        );
    }
}

fn do_one_thing(tenants: &Tenants, rng: &mut Rng, held: &mut Option<(u32, TokenManager)>) {
    let user = rng.u32(0..USERS);
    match rng.u32(0..100) {
        0..40 => assert!(tenants.get(user).blocking().token().is_ok()),
        40..55 => *held = Some((user, tenants.get(user))),
        55..70 => {
            if let Some((user, manager)) = held {
                assert_eq!(number_of(manager), number_of(&tenants.get(*user)));
            }
        }
        70..75 => *held = None,
        75..80 => drop(tenants.get(user).blocking().force_refresh()),
        80..85 => tenants.clock.advance(Duration::from_millis(5)),
        85..90 => drop(tenants.map.evict_idle()),
        90..95 => drop(tenants.map.remove(&user)),
        95..97 => drop(tenants.map.statuses()),
        _ => pollster::block_on(tenants.map.flush()).unwrap(),
    }
}

/// The provider's number, which tells one manager from the next.
fn number_of(manager: &TokenManager) -> String {
    let shown = format!("{manager:?}");
    shown.split_once("number ").unwrap().1.chars().take_while(char::is_ascii_digit).collect()
}

const USERS: u32 = 12;
