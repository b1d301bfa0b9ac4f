//! A fleet: real processes that share one storage, and the proof of what it promises.
//!
//! Each member is a process of its own (`fleet-member`) with one manager. The test that started it
//! has the authorization server, looks into the storage from outside, kills and stops members, and in
//! the end compares what the server issued with what the storage held and what the members got.

mod accounts;
mod chronicle;
mod crew;
mod member;
mod monkey;
mod orders;
mod outcome;
mod process;
mod report;
mod scenario;
mod witness;

pub use accounts::{Accounts, Loss, Reuse};
pub use chronicle::{Chronicle, Life, Totals};
pub use crew::Crew;
pub use member::serve;
pub use monkey::{Chaos, Monkey};
pub use orders::{Orders, Timing};
pub use outcome::Outcome;
pub use process::Process;
pub use report::{Counts, Happening, Report, Span, unix_millis};
pub use scenario::{Plan, Scenario, wait};
pub use witness::{Sighting, Witness};

use std::env;
use std::time::Duration;

/// How long a scenario lasts: as long as it says, or `TOKENKEEPER_FLEET_SECONDS`.
///
/// # Panics
///
/// If that is no number.
#[must_use]
pub fn lasting(seconds: u64) -> Duration {
    Duration::from_secs(number("TOKENKEEPER_FLEET_SECONDS").unwrap_or(seconds))
}

/// What the chaos is made of: `TOKENKEEPER_FLEET_SEED`, or something new. It is printed, so that a
/// run can be had again, as far as the scheduler agrees.
///
/// # Panics
///
/// If that is no number.
#[must_use]
pub fn seed() -> u64 {
    number("TOKENKEEPER_FLEET_SEED").unwrap_or_else(|| fastrand::u64(1..1_000_000))
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} must be a whole number")))
}
