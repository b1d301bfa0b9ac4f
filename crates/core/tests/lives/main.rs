//! Random lives of one to three managers on one storage, judged by a reference model.
//!
//! `plan` draws a list of operations from a seed, `life` carries them out on one thread and a clock
//! that moves only when nothing else can happen, and `model` says which rules were broken. A life
//! that breaks one is shortened and printed so that it can be pasted into `kept`.
//!
//! | variable | what it says |
//! |---|---|
//! | `LIVES` | how many lives; 2,000 without it |
//! | `LIVES_SECONDS` | how long instead, on all processors |
//! | `LIVES_SEED` | the first seed, or `random`; they are counted up from it |
//! | `LIVES_SURVEY` | do not stop at the first, but list every rule that is broken, with its first seed |
//! | `LIVES_IGNORE` | rules that do not count, separated by commas |

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]
#![allow(clippy::indexing_slicing, clippy::print_stderr, reason = "tests fail by panicking")]
#![allow(unreachable_pub, reason = "one binary")]

mod clock;
mod kept;
mod life;
mod model;
mod plan;
mod service;
mod shrink;
mod storage;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::env;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::life::live;
use crate::model::Violation;
use crate::plan::{Life, draw};
use crate::shrink::shrink;

thread_local! {
    static LIVES_HERE: Cell<bool> = const { Cell::new(false) };
}

/// Panics are part of a life; their messages would bury the one that counts.
pub fn silence_panics() {
    static SILENCED: AtomicBool = AtomicBool::new(false);
    LIVES_HERE.set(true);
    if !SILENCED.swap(true, Ordering::Relaxed) {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !LIVES_HERE.get() {
                before(info);
            }
        }));
    }
}

struct Found {
    seed: u64,
    lives: u64,
    violation: Violation,
}

struct Search {
    first: u64,
    lives: AtomicU64,
    operations: AtomicU64,
    broken: AtomicU64,
    found: Mutex<BTreeMap<&'static str, Found>>,
    ignored: Vec<String>,
    most_lives: u64,
    until: Option<Instant>,
    survey: bool,
}

impl Search {
    fn from_environment() -> Self {
        let number = |name: &str| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let seconds = number("LIVES_SECONDS");
        let ignored = env::var("LIVES_IGNORE").unwrap_or_default();
        Self {
            first: match env::var("LIVES_SEED").as_deref() {
                Ok("random") => fastrand::u64(..u64::MAX / 2),
                _ => number("LIVES_SEED").unwrap_or(1),
            },
            lives: AtomicU64::new(0),
            operations: AtomicU64::new(0),
            broken: AtomicU64::new(0),
            found: Mutex::default(),
            ignored: ignored.split(',').map(|rule| rule.trim().to_owned()).collect(),
            most_lives: number("LIVES").unwrap_or(if seconds.is_some() { u64::MAX } else { 2_000 }),
            until: seconds.map(|seconds| now() + Duration::from_secs(seconds)),
            survey: env::var("LIVES_SURVEY").is_ok(),
        }
    }

    fn run(&self) {
        let threads = match self.until {
            Some(_) => std::thread::available_parallelism().map_or(1, usize::from),
            None => 1,
        };
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| self.search());
            }
        });
    }

    fn search(&self) {
        silence_panics();
        loop {
            let number = self.lives.fetch_add(1, Ordering::Relaxed);
            let is_over = self.until.is_some_and(|until| now() >= until);
            if number >= self.most_lives
                || is_over
                || (!self.survey && !self.found.lock().is_empty())
            {
                self.lives.fetch_sub(1, Ordering::Relaxed);
                return;
            }
            let seed = self.first.wrapping_add(number);
            if env::var("LIVES_TRACE").is_ok() {
                eprintln!("seed {seed}: {}", pasted(&draw(seed), ""));
            }
            let report = live(&draw(seed));
            let operations = u64::try_from(report.operations).unwrap_or(0);
            self.operations.fetch_add(operations, Ordering::Relaxed);
            let counts = |rule: &str| self.ignored.iter().all(|ignored| ignored != rule);
            let violations: Vec<_> =
                report.violations.into_iter().filter(|found| counts(found.rule)).collect();
            if !violations.is_empty() {
                self.broken.fetch_add(1, Ordering::Relaxed);
            }
            let mut found = self.found.lock();
            for violation in violations {
                found.entry(violation.rule).or_insert(Found { seed, lives: number + 1, violation });
            }
        }
    }

    fn report(&self) -> String {
        let mut text = format!(
            "seed {}: {} lives, {} operations, {} lives with violations\n",
            self.first,
            self.lives.load(Ordering::Relaxed),
            self.operations.load(Ordering::Relaxed),
            self.broken.load(Ordering::Relaxed),
        );
        for found in self.found.lock().values() {
            let Violation { rule, detail } = &found.violation;
            let (seed, lives) = (found.seed, found.lives);
            text += &format!("\n{rule}: seed {seed}, after {lives} lives: {detail}\n");
            let life = shrink(&draw(seed), rule);
            let detail = live(&life).violations.into_iter().find(|v| v.rule == *rule);
            text += &format!(
                "{}\n{}\n",
                detail.map_or_else(String::new, |v| v.detail),
                pasted(&life, rule)
            );
        }
        text
    }
}

/// A life as a test of `kept`.
fn pasted(life: &Life, rule: &str) -> String {
    let ops: Vec<String> = life.ops.iter().map(|op| format!("        {op:?},")).collect();
    format!(
        "    // {rule}\n    Life {{ setup: {:?}, ops: vec![\n{}\n    ]}}",
        life.setup,
        ops.join("\n")
    )
}

#[expect(clippy::disallowed_methods, reason = "measures real time; no token is involved")]
fn now() -> Instant {
    Instant::now()
}

#[test]
fn no_random_life_breaks_a_promise() {
    let search = Search::from_environment();

    search.run();

    silence_panics();
    let report = search.report();
    eprintln!("{report}");
    LIVES_HERE.set(false);
    assert!(search.found.lock().is_empty(), "{report}");
    assert!(search.lives.load(Ordering::Relaxed) > 0, "no life was lived");
}

#[test]
fn a_life_repeats() {
    silence_panics();
    for seed in 0..50 {
        let (one, other) = (live(&draw(seed)), live(&draw(seed)));

        assert_eq!(one.violations, other.violations, "seed {seed}");
    }
}
