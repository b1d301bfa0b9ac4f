//! Whatever is done with a map that evicts at every opportunity, in whatever order: every user gets
//! what a map that never evicts would have given, and the service is asked exactly as often.
//!
//! One thing at a time, on one thread and manual clocks, so that a failure repeats.

use std::time::Duration;

use crate::support::tenants::{Accounts, Tenants, seconds, secret};
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestCaseResult};
use tokenkeeper::{ErrorKind, RefreshPolicy, TokenManager, TokenSet};
use tokenkeeper_testkit::{ScriptedProvider, Step, StorageFault, StorageOperation};
use tokio::runtime::{Builder, Handle};

/// What can happen. A number names a user.
#[derive(Clone, Debug)]
enum Act {
    Token(u32),
    Force(u32),
    Login(u32),
    LogOut(u32),
    /// Somebody holds a manager for longer than a call.
    Hold(u32),
    LetGo,
    Watch(u32),
    LookAway,
    Advance(u64),
    Evict,
    /// The next exchange of the user fails.
    Fail(u32, Failure),
    BreakWrites,
    Mend,
}

#[derive(Clone, Copy, Debug)]
enum Failure {
    Down,
    WrongCredentials,
    DeadLogin,
}

fn act() -> impl Strategy<Value = Act> {
    let user = 0..USERS;
    let failure =
        prop_oneof![Just(Failure::Down), Just(Failure::WrongCredentials), Just(Failure::DeadLogin)];
    prop_oneof![
        8 => user.clone().prop_map(Act::Token),
        2 => user.clone().prop_map(Act::Force),
        2 => user.clone().prop_map(Act::Login),
        1 => user.clone().prop_map(Act::LogOut),
        1 => user.clone().prop_map(Act::Hold),
        1 => Just(Act::LetGo),
        1 => user.clone().prop_map(Act::Watch),
        1 => Just(Act::LookAway),
        6 => (1_u64..10).prop_map(Act::Advance),
        4 => Just(Act::Evict),
        2 => (user, failure).prop_map(|(user, failure)| Act::Fail(user, failure)),
        1 => Just(Act::BreakWrites),
        2 => Just(Act::Mend),
    ]
}

/// A map, and everybody who holds something of it.
struct World {
    tenants: Tenants,
    held: Vec<TokenManager>,
    watched: Vec<tokenkeeper::StatusStream>,
}

/// What users and the service notice.
#[derive(Debug, PartialEq)]
struct Noticed {
    answer: Option<Result<String, (ErrorKind, Option<Duration>)>>,
    calls: Vec<usize>,
    reuses: usize,
}

impl World {
    /// Users cannot log in on their own, so a token that is lost stays lost. Pauses of a service that
    /// is down do not grow, because how long they were is forgotten a minute after the last one. How
    /// often it refused is forgotten too, but a whole life takes less time than that.
    fn new(is_shared: bool, bound: usize, idle: Duration) -> Self {
        let service = || {
            let lifetime = Some(seconds(40));
            ScriptedProvider::new("svc").attended().with_lifetime(lifetime)
        };
        let tenants = Tenants::with(Accounts::new(service), is_shared, |builder| {
            let policy = RefreshPolicy::new().without_jitter();
            builder
                .policy(policy.with_backoff(seconds(5), seconds(5)))
                .bound(bound)
                .idle_after(idle)
                .driver(Handle::current())
        });
        Self { tenants, held: Vec::new(), watched: Vec::new() }
    }

    async fn act(&mut self, number: usize, act: &Act) -> Noticed {
        let tenants = &self.tenants;
        tenants.clock.advance(Duration::from_millis(1)); // two logouts at one moment are one
        let mut answer = None;
        match act {
            // A token that is due when it is read from the storage is renewed by the next call, and
            // what that brings is seen by the one after it.
            Act::Token(user) => {
                for _ in 0..3 {
                    answer = Some(secret(&tenants.get(*user)).await);
                    let _ = tenants.map.flush().await;
                }
            }
            Act::Force(user) => {
                let forced = tenants.get(*user).force_refresh().await;
                answer = Some(forced.map(|token| token.secret().expose_secret().to_owned()));
            }
            Act::Login(user) => {
                let tokens = TokenSet::from_refresh_token(format!("login-{number}"));
                let done = tenants.get(*user).install(tokens).await;
                answer = Some(done.map(|()| String::new()));
            }
            Act::LogOut(user) => {
                let done = tenants.get(*user).clear().await;
                answer = Some(done.map(|()| String::new()));
            }
            Act::Hold(user) => self.held.push(tenants.get(*user)),
            Act::LetGo => self.held.clear(),
            Act::Watch(user) => self.watched.push(tenants.get(*user).subscribe()),
            Act::LookAway => self.watched.clear(),
            Act::Advance(by) => tenants.clock.advance(seconds(*by)),
            Act::Evict => {
                tenants.map.evict_idle();
            }
            Act::Fail(user, failure) => {
                let service = &tenants.account(*user).service;
                service.on_refresh(match failure {
                    Failure::Down => Step::unavailable(),
                    Failure::WrongCredentials => Step::refuse_credentials(),
                    Failure::DeadLogin => Step::refuse_refresh(),
                });
            }
            Act::BreakWrites => {
                for operation in StorageOperation::WRITES {
                    tenants.storage.fault_until_healed(operation, StorageFault::Fail);
                }
            }
            Act::Mend => tenants.storage.heal(),
        }
        let _ = tenants.map.flush().await; // whatever goes on in the background
        let accounts: Vec<_> = (0..USERS).map(|user| tenants.account(user)).collect();
        Noticed {
            answer: answer.map(|answer| answer.map_err(|e| (e.kind(), e.retry_after()))),
            calls: accounts.iter().map(|account| account.service.calls()).collect(),
            reuses: accounts.iter().map(|account| account.service.reuses()).sum(),
        }
    }
}

fn live(acts: &[Act], is_shared: bool) -> TestCaseResult {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let mut evicting = World::new(is_shared, 1, Duration::from_millis(1));
        let mut reference = World::new(is_shared, usize::MAX, Duration::MAX);
        let logins = (0..USERS).map(Act::Login);
        let at_the_end = [Act::Mend, Act::Advance(60), Act::Evict];
        let asks = (0..USERS).map(Act::Token);
        let acts = logins.chain(acts.iter().cloned()).chain(at_the_end).chain(asks);

        for (number, act) in acts.enumerate() {
            let is = evicting.act(number, &act).await;
            let should = reference.act(number, &act).await;
            prop_assert_eq!(is, should, "{}: {:?}", number, act);
        }

        let accounts: Vec<_> = (0..USERS).map(|user| evicting.tenants.account(user)).collect();
        prop_assert!(accounts.iter().all(|account| account.most_alive() == 1));
        prop_assert!(accounts.iter().all(|account| account.service.most_at_once() <= 1));
        // What this is about has happened.
        prop_assert!(accounts.iter().any(|account| account.made() > 1));
        Ok(())
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        rng_seed: RngSeed::Fixed(20_260),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_map_that_evicts_gives_everybody_what_one_that_does_not_would(
        acts in prop::collection::vec(act(), 1..60),
        is_shared: bool,
    ) {
        live(&acts, is_shared)?;
    }
}

const USERS: u32 = 3;
