//! Fleets at npm's `oidc-provider`: another program's idea of rotation, with nothing of ours in it.
//! It kills the family of a refresh token that comes twice.
//!
//! It counts requests and does not tell tokens apart, so what was stored is compared by number. Its
//! tokens end at whole seconds, up to one sooner than it says, so nobody uses them for anything.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]
#![allow(clippy::print_stdout, reason = "the counts are to be seen")]

use std::thread;
use std::time::Duration;

use tokenkeeper_tests::fleet::{
    Accounts, Chaos, Crew, Monkey, Orders, Outcome, Reuse, Timing, Totals, Witness, lasting, seed,
    wait,
};
use tokenkeeper_tests::{OidcProvider, RedisServer};
use tokio::runtime::{Builder, Runtime};

const PROGRAM: &str = env!("CARGO_BIN_EXE_fleet-member");

/// Eight processes, for a time.
struct Fleet {
    title: &'static str,
    storage: String,
    /// The server counts for each client, so each fleet has one of its own.
    client: &'static str,
    timing: Timing,
    chaos: Option<Chaos>,
}

impl Fleet {
    fn live(&self, server: &OidcProvider) -> Outcome {
        let mut orders = Orders::new(&self.storage, &server.token_url());
        orders.client = (self.client.to_owned(), format!("{}-secret", self.client));
        orders.posts_secret = self.client == "post";
        orders.timing = self.timing;
        let witness = Witness::start(orders.storage().unwrap(), orders.key().unwrap());
        let mut crew = Crew::start(PROGRAM, &orders, 8);
        crew.wait_until_all_have_tokens();

        let lasted = lasting(20);
        let done_to_it = self.disturb(&mut crew, lasted);

        let ended_badly = crew.end();
        let lives = crew.chronicle().lives();
        let sightings = witness.testify();
        let counts = &runtime().block_on(server.stats())[self.client];
        let outcome = Outcome {
            title: format!("{}, oidc-provider", self.title),
            members: crew.size(),
            lasted,
            totals: Totals::of(&lives),
            accounts: Accounts::of_counts(counts, &sightings, &lives),
            lives,
            ended_badly,
            last_order: sightings.last().map(|last| last.order),
            done_to_it,
            lease: self.timing.lease(),
        };
        println!("{outcome}");
        outcome
    }

    fn disturb(&self, crew: &mut Crew, lasting: Duration) -> String {
        let Some(chaos) = self.chaos else {
            wait(lasting);
            return String::new();
        };
        let mut monkey = Monkey::new(chaos, seed());
        monkey.rage(crew, lasting);
        wait(self.timing.lease() * 2);
        monkey.to_string()
    }
}

/// A fleet on a folder and one on a Redis, at the same time.
fn both(titles: [&'static str; 2], timing: Timing, chaos: Option<Chaos>) -> [Outcome; 2] {
    let server = runtime().block_on(OidcProvider::alone());
    let folder = tempfile::tempdir().unwrap();
    let storage = format!("file:{}", folder.path().join("tokens").display());
    let redis = RedisServer::start();
    let on_folder = Fleet { title: titles[0], storage, client: "basic", timing, chaos };
    let on_redis = Fleet { title: titles[1], storage: redis.url(), client: "post", timing, chaos };
    thread::scope(|scope| {
        let fleets = [&on_folder, &on_redis];
        let lives = fleets.map(|fleet| scope.spawn(|| fleet.live(&server)));
        lives.map(|live| live.join().unwrap())
    })
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn calm_eight_processes_make_one_exchange_per_rotation() {
    let outcomes = both(["calm, one folder", "calm, one Redis"], Timing::USUAL, None);

    outcomes.iter().for_each(Outcome::assert_calm);
}

#[test]
fn chaos_a_fleet_recovers_from_every_answer_that_was_lost() {
    let chaos = Chaos {
        aimed_kill: 3,
        within: Duration::from_millis(20), // it answers sooner than that
        ..Chaos::USUAL
    };

    let outcomes = both(["chaos, one folder", "chaos, one Redis"], Timing::SHORT, Some(chaos));

    for outcome in outcomes {
        let (accounts, lost) = (&outcome.accounts, outcome.accounts.lost());
        outcome.assert_sound();
        let sent_late = accounts.reuses.get(&Reuse::SentLate).copied().unwrap_or(0);
        outcome.expect("a login without a reason", accounts.logins <= 1 + lost + sent_late);
        let without_reason = accounts.reuses() > 0 && lost + sent_late == 0;
        outcome.expect("a refusal without a reason", !without_reason);
        outcome.assert_short_gaps();
    }
}
