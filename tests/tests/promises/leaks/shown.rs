//! Everything that anybody could get to see, and the search through it.

use std::collections::{BTreeMap, HashMap};
use std::error::Error as StdError;
use std::fmt::{Debug, Display};
use std::sync::Arc;

use parking_lot::Mutex;
use tokenkeeper::{Error, Event, EventKind, Observer, TokenManager};

use super::logs;
use super::plants::Plants;
use super::spellings::{hex, spellings};

/// Collects texts; clones share them. As an observer it collects events.
#[derive(Clone, Default)]
pub(crate) struct Shown(Arc<Mutex<Texts>>);

#[derive(Default)]
struct Texts {
    /// Each text with what was going on when it was shown first.
    seen: HashMap<String, String>,
    going_on: String,
}

impl Shown {
    /// Says what is going on, for the report of a leak.
    pub(crate) fn going_on(&self, what: String) {
        self.0.lock().going_on = what;
    }

    pub(crate) fn text(&self, text: String) {
        let mut texts = self.0.lock();
        let going_on = texts.going_on.clone();
        texts.seen.entry(text).or_insert(going_on);
    }

    pub(crate) fn debug(&self, value: &dyn Debug) {
        self.text(format!("{value:?}"));
        self.text(format!("{value:#?}"));
    }

    pub(crate) fn both(&self, value: &(impl Debug + Display)) {
        self.debug(value);
        self.text(format!("{value}"));
        self.text(format!("{value:#}"));
    }

    /// An error with every cause behind it, down to those of the HTTP client.
    pub(crate) fn error(&self, error: &Error) {
        self.both(error);
        if let Some(oauth) = error.oauth() {
            self.both(oauth);
        }
        let mut next = StdError::source(error);
        while let Some(cause) = next {
            self.text(cause.to_string());
            self.text(format!("{cause:?}"));
            next = cause.source();
        }
    }

    /// What a call came to, and then everything that the manager says of itself.
    pub(crate) fn outcome<T: Debug>(&self, manager: &TokenManager, result: &Result<T, Error>) {
        self.debug(result);
        if let Err(error) = result {
            self.error(error);
        }
        let status = manager.status();
        self.both(&status);
        for error in status.last_error().into_iter().chain(status.unpersisted()) {
            self.error(error);
        }
        self.debug(&manager);
        self.debug(&manager.peek());
    }

    pub(crate) fn count(&self) -> usize {
        self.0.lock().seen.len()
    }

    pub(crate) fn contains(&self, part: &str) -> bool {
        self.0.lock().seen.keys().any(|text| text.contains(part))
    }

    /// Fails if a piece of one of these secrets is in anything that was shown or logged.
    pub(crate) fn assert_hides(&self, plants: &Plants) {
        let search = Search::new(plants.all());
        let mut texts: Vec<(String, String)> = self.0.lock().seen.clone().into_iter().collect();
        texts.extend(logs::lines().into_iter().map(|line| (line, "logged".to_owned())));
        let mut leaks = BTreeMap::new();
        for (text, going_on) in &texts {
            if let Some(name) = search.find(text) {
                leaks.entry((name, text.clone())).or_insert(going_on);
            }
        }
        let report = |((name, text), going_on): (&(&str, String), &&String)| {
            let text: Vec<&str> = text.split_whitespace().collect();
            format!("{name}, {going_on}:\n    {}\n", text.join(" "))
        };
        let some: String = leaks.iter().take(MOST_REPORTED).map(report).collect();
        assert!(leaks.is_empty(), "{} of {} texts leak:\n{some}", leaks.len(), texts.len());
    }
}

/// How many texts there are; not the texts.
impl Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shown({})", self.count())
    }
}

impl Observer for Shown {
    fn on_event(&self, event: &Event) {
        self.debug(event);
        if let EventKind::TokenRequestFailed { error, .. }
        | EventKind::StorageFailed { error, .. }
        | EventKind::AnswerLost { error } = event.kind()
        {
            self.error(error);
        }
    }
}

/// Finds a secret in any of its spellings, whole or eight bytes of it in a row, in any letter case.
pub(crate) struct Search {
    pieces: HashMap<usize, HashMap<Vec<u8>, &'static str>>,
    /// Which four bytes a piece may begin with: most places of a text need no closer look.
    beginnings: Vec<bool>,
}

impl Search {
    pub(crate) fn new<'a>(secrets: impl IntoIterator<Item = (&'static str, &'a str)>) -> Self {
        let mut search = Self { pieces: HashMap::new(), beginnings: vec![false; 1 << 16] };
        for (name, secret) in secrets {
            for spelling in spellings(secret) {
                search.add(name, &spelling, PIECE);
            }
            search.add(name, &hex(secret), 2 * PIECE); // keys are full of hexadecimal digits
        }
        search
    }

    fn add(&mut self, name: &'static str, spelling: &str, piece: usize) {
        let spelling = spelling.to_ascii_lowercase();
        let length = spelling.len().min(piece);
        let pieces = self.pieces.entry(length).or_default();
        for piece in spelling.as_bytes().windows(length) {
            pieces.insert(piece.to_vec(), name);
            let beginning = piece.first_chunk().expect("no secret is that short");
            *self.beginnings.get_mut(slot(beginning)).unwrap() = true;
        }
    }

    /// The name of the secret that is in the text.
    pub(crate) fn find(&self, text: &str) -> Option<&'static str> {
        let text = text.to_ascii_lowercase();
        let at = |(at, beginning): (usize, &[u8])| {
            let beginning = beginning.first_chunk()?;
            self.beginnings.get(slot(beginning)).filter(|known| **known)?;
            self.pieces.iter().find_map(|(length, pieces)| {
                pieces.get(text.as_bytes().get(at..at + length)?).copied()
            })
        };
        text.as_bytes().windows(4).enumerate().find_map(at)
    }
}

fn slot(beginning: &[u8; 4]) -> usize {
    let mixed = u32::from_le_bytes(*beginning).wrapping_mul(0x9e37_79b1); // 2^32 / golden ratio
    (mixed >> 16) as usize
}

const PIECE: usize = 8; // bytes; shorter ones meet by chance
const MOST_REPORTED: usize = 12;
