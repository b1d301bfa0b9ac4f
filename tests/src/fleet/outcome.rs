//! The end of a scenario: everything that was counted, as a table and for assertions.

use std::fmt::{self, Display};
use std::time::Duration;

use tokenkeeper::Order;

use super::accounts::{Accounts, Reuse};
use super::chronicle::{Life, Totals};
use super::report::Span;

/// What came of a fleet.
#[derive(Debug)]
pub struct Outcome {
    /// What it was about.
    pub title: String,
    /// How many members there were at a time.
    pub members: usize,
    /// How long it went on after everybody had a token.
    pub lasted: Duration,
    /// All lives.
    pub lives: Vec<Life>,
    /// Their sums.
    pub totals: Totals,
    /// The refresh tokens, where the server tells of them.
    pub accounts: Accounts,
    /// How many members did not end in good order, of those that were not killed.
    pub ended_badly: usize,
    /// The order of the last record that was stored.
    pub last_order: Option<Order>,
    /// What was done to the fleet, in words.
    pub done_to_it: String,
    /// How long a lease lasts.
    pub lease: Duration,
}

impl Outcome {
    /// Panics if a condition does not hold. The table was printed before.
    ///
    /// # Panics
    ///
    /// If it does not.
    pub fn expect(&self, what: &str, holds: bool) {
        assert!(holds, "{}: {what}; the table above has the counts", self.title);
    }

    /// What holds for a fleet that nobody disturbs.
    ///
    /// # Panics
    ///
    /// If it does not.
    pub fn assert_calm(&self) {
        self.assert_undisturbed();
        self.expect("a failed exchange", self.totals.others.is_empty());
        self.expect("a failing storage", self.totals.storage_failures.is_empty());
        // Every rotation raises it by one, and the login was the first.
        let generation = self.last_order.map(|order| order.generation());
        let expected = u64::try_from(self.accounts.refreshes + 1).ok();
        self.expect("not one generation per exchange", generation == expected);
    }

    /// What holds for a fleet whose callers are not to notice anything.
    ///
    /// # Panics
    ///
    /// If it does not.
    pub fn assert_undisturbed(&self) {
        let (totals, accounts) = (&self.totals, &self.accounts);
        self.assert_sound();
        self.expect("an error", totals.counts.errors == 0);
        self.expect("a gap without a valid token", totals.gaps.is_empty());
        self.expect("a refused token", totals.counts.refused == 0);
        self.expect("another login", accounts.logins == 1);
        self.expect("a token spent twice", accounts.reuses() == 0 && accounts.refused == 0);
        self.expect("a lost answer", accounts.lost() == 0);
        let one_each = accounts.refreshes == accounts.rotations_stored;
        self.expect("not one refresh per rotation", one_each && accounts.refreshes > 0);
    }

    /// What holds for a fleet of which somebody is killed or stopped all the time: nothing but a
    /// lost answer ends a login, and whoever is hit costs the others a lease time.
    ///
    /// # Panics
    ///
    /// If it does not.
    pub fn assert_chaos(&self) {
        self.assert_sound();
        let (accounts, lost) = (&self.accounts, self.accounts.lost());
        // A refresh token that came twice and was not to blame for is one more reason.
        let blameless = accounts.reuses.get(&Reuse::SentLate).copied().unwrap_or(0);
        self.expect("a login without a reason", accounts.logins <= 1 + lost + blameless);
        let hopeless = self.totals.errors.keys().find(|error| error.contains("log in"));
        self.expect("an error that asks for a person", hopeless.is_none());
        self.assert_short_gaps();
    }

    /// Whoever is hit costs the others a lease time, and not much more.
    ///
    /// # Panics
    ///
    /// If it does.
    pub fn assert_short_gaps(&self) {
        for (gap, length) in &self.totals.gaps {
            let longest = self.longest_that_hits_explain(*gap);
            let what = format!("a gap of {length} ms, and hits explain {longest} ms");
            self.expect(&what, *length <= longest);
        }
    }

    /// Whoever is hit in the middle of an exchange keeps its lease to the end. Those who wait in vain
    /// for two of them pause for a second or two.
    fn longest_that_hits_explain(&self, gap: Span) -> u64 {
        let lease = u64::try_from(self.lease.as_millis()).unwrap_or(u64::MAX);
        let hits = self.lives.iter().flat_map(Life::hits);
        let hits = hits.filter(|at| *at + 2 * lease >= gap.from && *at <= gap.to).count();
        u64::try_from(hits).unwrap_or(u64::MAX) * lease + SLACK
    }

    /// What holds for every fleet.
    ///
    /// # Panics
    ///
    /// If it does not.
    pub fn assert_sound(&self) {
        self.expect("something unexplained", self.accounts.unexplained.is_empty());
        self.expect("an expired token", self.totals.counts.expired == 0);
        self.expect("somebody who hangs or crashed", self.ended_badly == 0);
        let survivors = self.lives.iter().filter(|life| life.killed_at.is_none());
        let served = survivors.clone().filter(|life| life.counts.tokens > 0).count();
        self.expect("somebody without a token", served == survivors.count());
    }
}

impl Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (totals, accounts, counts) = (&self.totals, &self.accounts, &self.totals.counts);
        writeln!(f, "\n{}", self.title)?;
        let mut row = |name: &str, value: &dyn Display| writeln!(f, "  {name:<44} {value}");
        row("processes at a time / ever", &format!("{} / {}", self.members, self.lives.len()))?;
        row("seconds", &format!("{:.1}", self.lasted.as_secs_f64()))?;
        if !self.done_to_it.is_empty() {
            row("done to them", &self.done_to_it)?;
        }
        row("calls of token()", &counts.calls)?;
        row("tokens / errors", &format!("{} / {}", counts.tokens, counts.errors))?;
        row("tokens that were over", &counts.expired)?;
        let gaps = format!("{} / {} ms", totals.gaps.len(), totals.longest_gap());
        row("gaps without a valid token / longest", &gaps)?;
        let used = format!("{} / {}", counts.accepted, counts.refused);
        row("tokens used: accepted / refused", &used)?;
        row("logins granted", &accounts.logins)?;
        row("refreshes granted", &accounts.refreshes)?;
        row("rotations stored", &accounts.rotations_stored)?;
        if let Some(order) = self.last_order {
            row("generation of the last record", &order.generation())?;
        }
        let exchanged = format!("{} / {}", totals.exchanges, totals.adoptions);
        row("exchanges begun / tokens adopted", &exchanged)?;
        row("refresh tokens spent twice", &accounts.reuses())?;
        for (why, count) in &accounts.reuses {
            row(&format!("  {why}"), count)?;
        }
        row("tokens that never reached the storage", &accounts.lost())?;
        for (why, count) in &accounts.lost {
            row(&format!("  {why}"), count)?;
        }
        let refused = format!("{} / {}", accounts.refused, totals.dropped);
        row("other refusals / refresh tokens dropped", &refused)?;
        row("answers lost, as the survivors say", &totals.answers_lost)?;
        let longest = totals.stalls.iter().max().unwrap_or(&0);
        let stalls = format!("{} / {longest} ms", totals.stalls.len());
        row("machine kept somebody waiting / longest", &stalls)?;
        for (title, table) in [
            ("error", &totals.errors),
            ("storage", &totals.storage_failures),
            ("exchange", &totals.others),
        ] {
            for (text, count) in table {
                writeln!(f, "  {title}, {count} times: {text}")?;
            }
        }
        for what in &accounts.unexplained {
            writeln!(f, "  UNEXPLAINED: {what}")?;
        }
        Ok(())
    }
}

const SLACK: u64 = 4_000; // a pause after an error, an exchange or two, and a slow machine
