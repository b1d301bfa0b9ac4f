//! A fleet in front of a server in the test's own process: set up, left alone or not, and judged.

use std::time::Duration;

use tokenkeeper::{Clock, SystemClock};
use tokenkeeper_testkit::{FakeAuthServer, Fault};

use super::accounts::Accounts;
use super::chronicle::{Life, Totals};
use super::crew::Crew;
use super::monkey::{Chaos, Monkey};
use super::orders::{Orders, Timing};
use super::outcome::Outcome;
use super::report::{Happening, unix_millis};
use super::witness::Witness;

/// A fleet, its server, and somebody who looks into its storage.
#[derive(Debug)]
pub struct Scenario {
    title: String,
    server: FakeAuthServer,
    crew: Crew,
    witness: Witness,
    timing: Timing,
}

impl Scenario {
    /// Starts so many members on one storage, at a server that issues tokens for this long, and
    /// waits until all of them have one.
    ///
    /// # Panics
    ///
    /// If that cannot be done, or takes longer than a minute.
    #[must_use]
    pub fn start(title: &str, plan: &Plan<'_>) -> Self {
        let server = FakeAuthServer::builder().token_lifetime(plan.token_lifetime).start();
        if !plan.answer_delay.is_zero() {
            server.fail_next(100_000, Fault::DelayAnswer(plan.answer_delay));
        }
        let mut orders = Orders::new(plan.storage, &server.token_url());
        orders.resource_url = Some(server.resource_url());
        orders.timing = plan.timing;
        let storage = orders.storage().expect("a storage");
        let witness = Witness::start(storage, orders.key().expect("a key"));
        let crew = Crew::start(plan.program, &orders, plan.members);
        crew.wait_until_all_have_tokens();
        Self { title: title.to_owned(), server, crew, witness, timing: plan.timing }
    }

    /// Leaves the fleet alone for so long.
    #[must_use]
    pub fn calm(self, lasting: Duration) -> Outcome {
        wait(lasting);
        self.end(lasting, String::new())
    }

    /// Lets a monkey rage for so long.
    #[must_use]
    pub fn chaos(mut self, chaos: Chaos, seed: u64, lasting: Duration) -> Outcome {
        let mut monkey = Monkey::new(chaos, seed);
        monkey.rage(&mut self.crew, lasting);
        // What it was in the middle of comes to its end.
        wait(self.timing.lease() * 2);
        self.end(lasting, monkey.to_string())
    }

    /// Waits until every member holds what is stored. For tokens that live for much longer than it
    /// takes to see a record.
    ///
    /// # Panics
    ///
    /// If that takes longer than a minute.
    pub fn wait_until_all_hold_the_newest(&self) {
        let newest = self.witness.so_far().last().map_or(0, |newest| newest.at);
        let has_it = |life: &Life| {
            life.happenings.iter().any(|(at, what)| {
                let brings = [Happening::Adopted, Happening::Refreshed, Happening::LoggedIn];
                *at + LATEST_SIGHT >= newest && brings.contains(what)
            })
        };
        self.crew
            .wait("all to hold the newest", |crew| crew.chronicle().lives().iter().all(has_it));
    }

    /// How many records were seen so far.
    #[must_use]
    pub fn records(&self) -> usize {
        self.witness.so_far().len()
    }

    /// Waits until so many records were seen.
    ///
    /// # Panics
    ///
    /// If that takes longer than a minute.
    pub fn wait_for_records(&self, count: usize) {
        self.crew.wait("a record", |_| self.records() >= count);
    }

    /// Waits until the record that was stored last is so old.
    ///
    /// # Panics
    ///
    /// If that takes longer than a minute.
    pub fn wait_until_the_newest_is(&self, old: Duration) {
        let stored_at = self.witness.so_far().last().map_or(0, |newest| newest.at);
        self.crew.wait("a record to age", |_| {
            let age = unix_millis(SystemClock.now().wall()).saturating_sub(stored_at);
            Duration::from_millis(age) >= old
        });
    }

    /// How often the storage has failed somebody so far.
    #[must_use]
    pub fn storage_failures(&self) -> usize {
        Totals::of(&self.crew.chronicle().lives()).storage_failures.values().sum()
    }

    /// Ends all members, and compares what everybody knows.
    #[must_use]
    pub fn end(mut self, lasted: Duration, done_to_it: String) -> Outcome {
        let ended_badly = self.crew.end();
        let lives = self.crew.chronicle().lives();
        let sightings = self.witness.testify();
        let outcome = Outcome {
            title: self.title,
            members: self.crew.size(),
            lasted,
            totals: Totals::of(&lives),
            accounts: Accounts::of(&self.server.token_answers(), &sightings, &lives),
            lives,
            ended_badly,
            last_order: sightings.last().map(|last| last.order),
            done_to_it,
            lease: self.timing.lease(),
        };
        println!("{outcome}");
        outcome
    }
}

/// What a scenario starts with.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// The `fleet-member` that cargo has built: `env!("CARGO_BIN_EXE_fleet-member")`.
    pub program: &'a str,
    /// Where the tokens are kept.
    pub storage: &'a str,
    /// How many processes.
    pub members: usize,
    /// How long access tokens live.
    pub token_lifetime: Duration,
    /// How long the server keeps an answer after it has acted.
    pub answer_delay: Duration,
    /// How long anything may take.
    pub timing: Timing,
}

impl<'a> Plan<'a> {
    /// 32 processes, tokens for 2 s, the usual times.
    #[must_use]
    pub const fn new(program: &'a str, storage: &'a str) -> Self {
        Self {
            program,
            storage,
            members: 32,
            token_lifetime: Duration::from_secs(2),
            answer_delay: Duration::ZERO,
            timing: Timing::USUAL,
        }
    }
}

/// Lets real time pass.
pub fn wait(duration: Duration) {
    let until = SystemClock.now().after(duration);
    while !SystemClock.now().until(&until).is_zero() {
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// So much later, in milliseconds, the witness may see what a member knew before: a Redis that was
/// away is not found again at once.
const LATEST_SIGHT: u64 = 5_000;
