//! What is known of every member that ever lived: what it said, and what was done to it.

use std::collections::BTreeMap;
use std::sync::mpsc::Sender;

use parking_lot::Mutex;
use tokenkeeper::{Clock, SystemClock};

use super::report::{Counts, Happening, Report, Span, unix_millis};

/// The lives of all members. Times are milliseconds since 1970.
#[derive(Debug)]
pub struct Chronicle {
    lives: Mutex<Vec<Life>>,
    /// Told of every exchange that begins, with the number of the life.
    exchanges: Sender<usize>,
}

/// One process, from its start to its end.
#[derive(Clone, Debug)]
pub struct Life {
    /// The name that the server knows it by.
    pub name: String,
    /// When it was killed, if it was.
    pub killed_at: Option<u64>,
    /// When it was stopped. The last of them may not be over.
    pub stops: Vec<Span>,
    /// What it counted.
    pub counts: Counts,
    /// What its manager went through.
    pub happenings: Vec<(u64, Happening)>,
    /// When it had no good token.
    pub gaps: Vec<Span>,
    /// When it did not run.
    pub stalls: Vec<Span>,
    /// The errors that its callers got, once each.
    pub errors: Vec<String>,
}

impl Life {
    /// How often something happened to its manager.
    #[must_use]
    pub fn count(&self, matches: impl Fn(&Happening) -> bool) -> usize {
        self.happenings.iter().filter(|(_, what)| matches(what)).count()
    }

    /// Whether a request that came then is one whose exchange had begun before the process was
    /// stopped, and which was sent when it went on.
    #[must_use]
    pub fn sends_after_a_stop(&self, received_at: u64) -> bool {
        self.stops.iter().any(|stop| {
            let is_next =
                stop.to <= received_at + TICK && received_at < stop.to.saturating_add(SOON);
            let last = self.happenings.iter().rfind(|(at, _)| *at <= stop.from + TICK);
            is_next && last.is_some_and(|(_, what)| *what == Happening::TokenRequestStarted)
        })
    }

    /// How often an exchange that went on after a stop was refused.
    #[must_use]
    pub fn refusals_after_stops(&self) -> usize {
        let failed = self.happenings.iter().filter(|(at, what)| {
            let refused =
                matches!(what, Happening::TokenRequestFailed(how) if how.contains("refused"));
            refused && self.sends_after_a_stop(*at)
        });
        failed.count()
    }

    /// When it was killed or stopped, as far as that was soon after the beginning of an exchange.
    pub fn hits(&self) -> impl Iterator<Item = u64> {
        let stops = self.stops.iter().map(|stop| stop.from);
        stops.chain(self.killed_at).filter(|at| {
            let mut happenings = self.happenings.iter();
            happenings.any(|(begun, what)| {
                *what == Happening::TokenRequestStarted && (*begun..=*begun + SOON).contains(at)
            })
        })
    }
}

impl Chronicle {
    pub(super) fn new(exchanges: Sender<usize>) -> Self {
        Self { lives: Mutex::default(), exchanges }
    }

    /// A copy of all lives so far.
    #[must_use]
    pub fn lives(&self) -> Vec<Life> {
        self.lives.lock().clone()
    }

    /// Whether this life is over, or has had a token.
    #[must_use]
    pub fn has_had_a_token(&self, life: usize) -> bool {
        self.lives.lock()[life].counts.tokens > 0
    }

    pub(super) fn open(&self, name: &str) -> usize {
        let mut lives = self.lives.lock();
        lives.push(Life {
            name: name.to_owned(),
            killed_at: None,
            stops: Vec::new(),
            counts: Counts::default(),
            happenings: Vec::new(),
            gaps: Vec::new(),
            stalls: Vec::new(),
            errors: Vec::new(),
        });
        lives.len() - 1
    }

    pub(super) fn note(&self, life: usize, report: Report) {
        let begins =
            matches!(&report, Report::Happened { what: Happening::TokenRequestStarted, .. });
        {
            let life = &mut self.lives.lock()[life];
            match report {
                Report::Happened { at, what } => life.happenings.push((at, what)),
                Report::Gap(span) => life.gaps.push(span),
                Report::Stall(span) => life.stalls.push(span),
                Report::Error(text) => life.errors.push(text),
                Report::Counts(counts) => life.counts = counts,
            }
        }
        if begins {
            let _ = self.exchanges.send(life); // nobody listens where there is no chaos
        }
    }

    pub(super) fn killed(&self, life: usize) {
        self.lives.lock()[life].killed_at = Some(unix_millis(SystemClock.now().wall()));
    }

    pub(super) fn stopped(&self, life: usize) {
        let from = unix_millis(SystemClock.now().wall());
        self.lives.lock()[life].stops.push(Span { from, to: u64::MAX });
    }

    pub(super) fn continued(&self, life: usize) {
        let to = unix_millis(SystemClock.now().wall());
        if let Some(stop) = self.lives.lock()[life].stops.last_mut() {
            stop.to = to;
        }
    }
}

/// The sums over all lives.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// What the callers counted.
    pub counts: Counts,
    /// Exchanges that were begun.
    pub exchanges: usize,
    /// Tokens that were taken over from another process.
    pub adoptions: usize,
    /// Answers that a living process waited for in vain.
    pub answers_lost: usize,
    /// Refresh tokens that the service refused.
    pub dropped: usize,
    /// How often the storage failed, and how.
    pub storage_failures: BTreeMap<String, usize>,
    /// What else happened.
    pub others: BTreeMap<String, usize>,
    /// The errors that callers got, and how many processes got each.
    pub errors: BTreeMap<String, usize>,
    /// When a process had no good token, and for how many milliseconds it would have run meanwhile.
    pub gaps: Vec<(Span, u64)>,
    /// When the machine kept a process waiting that was not stopped: milliseconds.
    pub stalls: Vec<u64>,
}

impl Totals {
    /// Sums up. What a process missed while it was stopped is no gap; nor is what it missed while
    /// the machine, which had more to do than it could, kept it or somebody else waiting, and in the
    /// moment after that, in which everybody catches up.
    #[must_use]
    pub fn of(lives: &[Life]) -> Self {
        let mut totals = Self::default();
        let stalls: Vec<Span> = lives.iter().flat_map(own_stalls).collect();
        let excuses: Vec<Span> = stalls.iter().map(with_recovery).collect();
        totals.stalls = stalls.iter().map(|stall| stall.length()).collect();
        for life in lives {
            let counts = life.counts;
            let sum = &mut totals.counts;
            sum.calls += counts.calls;
            sum.tokens += counts.tokens;
            sum.errors += counts.errors;
            sum.expired += counts.expired;
            sum.accepted += counts.accepted;
            sum.refused += counts.refused;
            for (_, what) in &life.happenings {
                totals.add(what);
            }
            for error in &life.errors {
                *totals.errors.entry(error.clone()).or_default() += 1;
            }
            let excused = [life.stops.as_slice(), &excuses].concat();
            let gaps = life.gaps.iter().map(|gap| (*gap, gap.without(&excused)));
            totals.gaps.extend(gaps.filter(|(_, length)| *length > 0));
        }
        totals
    }

    fn add(&mut self, what: &Happening) {
        match what {
            Happening::TokenRequestStarted => self.exchanges += 1,
            Happening::Adopted => self.adoptions += 1,
            Happening::AnswerLost => self.answers_lost += 1,
            Happening::RefreshTokenDropped => self.dropped += 1,
            Happening::StorageFailed(how) => {
                *self.storage_failures.entry(how.clone()).or_default() += 1;
            }
            Happening::TokenRequestFailed(how) => {
                *self.others.entry(how.clone()).or_default() += 1;
            }
            Happening::Other(what) => *self.others.entry(what.clone()).or_default() += 1,
            // The server counts these.
            Happening::Refreshed | Happening::LoggedIn => {}
            Happening::Rejected | Happening::WriteRecovered => {}
        }
    }

    /// The longest gap, in milliseconds.
    #[must_use]
    pub fn longest_gap(&self) -> u64 {
        self.gaps.iter().map(|(_, length)| *length).max().unwrap_or(0)
    }
}

/// A machine that stood still for so long has work to catch up with; one that is idle never does.
fn with_recovery(stall: &Span) -> Span {
    let recovery = if stall.length() >= LONG_STALL { RECOVERY } else { 0 };
    Span { from: stall.from, to: stall.to + recovery }
}

/// When a process did not run although nobody had stopped it.
fn own_stalls(life: &Life) -> Vec<Span> {
    let was_stopped =
        |stall: &Span| life.stops.iter().any(|s| s.from < stall.to && stall.from < s.to);
    life.stalls.iter().filter(|stall| !was_stopped(stall)).copied().collect()
}

const SOON: u64 = 1_000; // milliseconds: an exchange, its write, and the end of its lease
const LONG_STALL: u64 = 200;
const RECOVERY: u64 = 1_000;
const TICK: u64 = 20; // the coarse clocks are up to 10 ms behind
