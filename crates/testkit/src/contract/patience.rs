//! Waiting on a machine that may stand still.
//!
//! A rule must not take a busy machine for a broken backend, and must not overlook a broken one
//! because the machine was busy. So patience is counted in steps that a pause of the whole machine
//! cannot use up, and what has to happen before a short time is over is tried again with a longer
//! one if the clock says that it happened too late.

use std::time::Duration;

use super::rule::pause;

/// The answer of `call`, if it comes while this machine runs for `patience`.
pub(super) async fn within<T>(patience: Duration, call: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        answer = call => Some(answer),
        () = running(patience) => None,
    }
}

/// Sleeps for `duration` in steps. A machine that stands still for seconds does so in one of them,
/// and the others are left to whatever runs beside.
async fn running(duration: Duration) {
    for _ in 0..STEPS {
        pause(duration / STEPS).await;
    }
}

/// How long something lasts that a rule waits for: short, and longer each time that this machine
/// was too slow for it.
pub(super) const LENGTHS: [Duration; 3] =
    [Duration::from_millis(300), Duration::from_secs(1), Duration::from_secs(4)];

const STEPS: u32 = 50;
