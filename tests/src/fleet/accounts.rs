//! What the server issued against what the storage held: every refresh token is accounted for.
//!
//! A refresh token that is spent twice ends a login. The only excuse is an answer that was lost: the
//! service has issued a successor, and whoever was to store it was killed or stopped before. So for
//! each token that came twice, it is asked whether its successor was in the storage by then.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use serde_json::Value;
use tokenkeeper_testkit::TokenAnswer;

use super::chronicle::Life;
use super::report::{Happening, unix_millis};
use super::witness::{Sighting, first_stored};

/// The outcome of a comparison.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    /// Logins that the server granted.
    pub logins: usize,
    /// Refreshes that it granted.
    pub refreshes: usize,
    /// Refresh tokens of a login that was already over, and what else it refused.
    pub refused: usize,
    /// How many of the refresh tokens from refreshes were in the storage at some time.
    pub rotations_stored: usize,
    /// Those that never were, by why.
    pub lost: BTreeMap<Loss, usize>,
    /// Refresh tokens that came a second time, by why.
    pub reuses: BTreeMap<Reuse, usize>,
    /// What nothing explains, in words.
    pub unexplained: Vec<String>,
}

/// Why tokens that were issued never reached the storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Loss {
    /// Whoever asked was killed before the write.
    Killed,
    /// Whoever asked was stopped before the write, and others went on meanwhile.
    Stopped,
    /// Whoever asked did not wait so long.
    TimedOut,
    /// The storage failed.
    StorageFailed,
    /// The server does not say whose they were.
    NotTold,
    /// Nothing is known that would explain it.
    Unexplained,
}

/// Why a refresh token came a second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Reuse {
    /// Its successor was not stored by then: the answer was lost in flight.
    SuccessorNotStored,
    /// Its sender was stopped between its last look at the lease and the first byte of the request.
    SentLate,
    /// The server does not say which one it was.
    NotTold,
    /// A defect.
    Unexplained,
}

impl Accounts {
    /// Compares.
    #[must_use]
    pub fn of(answers: &[TokenAnswer], sightings: &[Sighting], lives: &[Life]) -> Self {
        let mut accounts = Self::default();
        let entries: Vec<Entry> = answers.iter().map(Entry::of).collect();
        let issued = entries.iter().filter_map(|entry| entry.issued.as_deref());
        let mut stored = first_stored(sightings, issued);
        for (token, at) in presented_by_others(&entries) {
            stored.entry(token).or_insert(at);
        }
        let by_name: HashMap<&str, &Life> =
            lives.iter().map(|life| (life.name.as_str(), life)).collect();
        let mut spent: HashMap<&str, &Entry> = HashMap::new();
        for entry in &entries {
            let who = by_name.get(entry.who.as_str()).copied();
            let presented = entry.presented.as_deref();
            let spent_before = presented.and_then(|token| spent.get(token).copied());
            match (presented, entry.issued.as_deref()) {
                (None, Some(_)) => accounts.logins += 1,
                (Some(token), Some(_)) => {
                    accounts.refreshes += 1;
                    spent.insert(token, entry);
                }
                (_, None) if spent_before.is_none() => accounts.refused += 1,
                (_, None) => {}
            }
            if let Some(first) = spent_before {
                let successor = first.issued.as_deref().and_then(|token| stored.get(token));
                let why = why_again(entry, successor.copied(), who);
                *accounts.reuses.entry(why).or_default() += 1;
                if why == Reuse::Unexplained {
                    let (who, first) = (&entry.who, &first.who);
                    let when = entry.received_at - successor.copied().unwrap_or(0);
                    let what = format!(
                        "{who} spent at {} what {first} had spent, {when} ms after the successor \
                         was stored",
                        entry.received_at
                    );
                    accounts.unexplained.push(what);
                }
            }
            let Some(token) = entry.issued.as_deref() else { continue };
            if stored.contains_key(token) {
                accounts.rotations_stored += usize::from(presented.is_some());
                continue;
            }
            let why = why_lost(entry, who);
            *accounts.lost.entry(why).or_default() += 1;
            if why == Loss::Unexplained {
                let (who, when) = (&entry.who, entry.acted_at);
                accounts.unexplained.push(format!("what {who} got at {when} was never stored"));
            }
        }
        accounts
    }

    /// Compares by number, where the server only counts: `{"<grant> <status>": n}`.
    #[must_use]
    pub fn of_counts(counts: &Value, sightings: &[Sighting], lives: &[Life]) -> Self {
        let count =
            |what: &str| counts[what].as_u64().map_or(0, |n| usize::try_from(n).unwrap_or(0));
        let stored: HashSet<String> =
            sightings.iter().filter_map(Sighting::refresh_token).collect();
        let (logins, refreshes) = (count("password 200"), count("refresh_token 200"));
        let lost = (logins + refreshes).saturating_sub(stored.len());
        let sent_late = lives.iter().map(Life::refusals_after_stops).sum::<usize>();
        let refused = count("refresh_token 400").saturating_sub(sent_late);
        let reuses = [(Reuse::SentLate, sent_late), (Reuse::NotTold, refused)];
        Self {
            logins,
            refreshes,
            rotations_stored: stored.len().saturating_sub(1),
            lost: (lost > 0).then_some((Loss::NotTold, lost)).into_iter().collect(),
            reuses: reuses.into_iter().filter(|(_, count)| *count > 0).collect(),
            ..Self::default()
        }
    }

    /// How many tokens never reached the storage.
    #[must_use]
    pub fn lost(&self) -> usize {
        self.lost.values().sum()
    }

    /// How many refresh tokens came a second time.
    #[must_use]
    pub fn reuses(&self) -> usize {
        self.reuses.values().sum()
    }
}

/// One answer of the token endpoint, as far as it matters here.
struct Entry {
    who: String,
    received_at: u64,
    acted_at: u64,
    presented: Option<String>,
    issued: Option<String>,
}

impl Entry {
    fn of(answer: &TokenAnswer) -> Self {
        let request = answer.request();
        Self {
            who: request.header("user-agent").unwrap_or_default().to_owned(),
            received_at: unix_millis(answer.received_at().wall()),
            acted_at: unix_millis(answer.acted_at().wall()),
            presented: request.param("refresh_token"),
            issued: answer.member("refresh_token"),
        }
    }
}

/// Refresh tokens that somebody else sent than the one who was given them, and when: those were in the
/// storage, even if nobody looked in time.
fn presented_by_others(entries: &[Entry]) -> Vec<(&str, u64)> {
    let mut given_to: HashMap<&str, &str> = HashMap::new();
    let mut found = Vec::new();
    for entry in entries {
        if let Some(token) = entry.presented.as_deref()
            && given_to.get(token).is_some_and(|owner| *owner != entry.who)
        {
            found.push((token, entry.received_at));
        }
        if let Some(token) = entry.issued.as_deref() {
            given_to.insert(token, &entry.who);
        }
    }
    found
}

fn why_again(entry: &Entry, successor_stored_at: Option<u64>, who: Option<&Life>) -> Reuse {
    if successor_stored_at.is_none_or(|at| at >= entry.received_at) {
        return Reuse::SuccessorNotStored;
    }
    let was_stopped = |life: &Life| life.sends_after_a_stop(entry.received_at);
    if who.is_some_and(was_stopped) { Reuse::SentLate } else { Reuse::Unexplained }
}

fn why_lost(entry: &Entry, who: Option<&Life>) -> Loss {
    let Some(life) = who else { return Loss::Unexplained };
    let (from, to) = (entry.received_at, entry.acted_at + LATEST_WRITE);
    if life.stops.iter().any(|stop| stop.from <= to && stop.to >= from) {
        return Loss::Stopped;
    }
    if life.killed_at.is_some_and(|at| at + TICK >= entry.acted_at && at <= to) {
        return Loss::Killed;
    }
    let happened = |matches: fn(&Happening) -> bool| {
        life.happenings.iter().any(|(at, what)| (from..=to).contains(at) && matches(what))
    };
    if happened(|what| *what == Happening::AnswerLost) {
        return Loss::TimedOut;
    }
    if happened(|what| matches!(what, Happening::StorageFailed(_))) {
        return Loss::StorageFailed;
    }
    // The answer to a login is not replayed, so its loss is no event of its own.
    if entry.presented.is_none()
        && happened(|what| matches!(what, Happening::TokenRequestFailed(_)))
    {
        return Loss::TimedOut;
    }
    Loss::Unexplained
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Killed => "killed before the write",
            Self::Stopped => "stopped before the write",
            Self::TimedOut => "answer came too late",
            Self::StorageFailed => "storage failed",
            Self::NotTold => "the server does not tell why",
            Self::Unexplained => "UNEXPLAINED",
        })
    }
}

impl fmt::Display for Reuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SuccessorNotStored => "successor lost in flight",
            Self::SentLate => "stopped between lease check and first byte",
            Self::NotTold => "the server does not tell why",
            Self::Unexplained => "UNEXPLAINED",
        })
    }
}

const TICK: u64 = 20; // the coarse clocks are up to 10 ms behind
const LATEST_WRITE: u64 = 5_000; // delay of the answer, and the write, on a slow machine
