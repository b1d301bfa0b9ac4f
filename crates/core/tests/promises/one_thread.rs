//! Everything of a test on its own thread and a manual clock, so that "nothing more happens" can be
//! waited for.

use std::pin::pin;
use std::time::Duration;

use tokenkeeper::ManualClock;
use tokenkeeper_testkit::ScriptedProvider;
use tokio::runtime::Handle;

use crate::support::rig::Rig;
use crate::support::waiting::settled;

/// A manager whose driver is the runtime of the test.
pub(crate) fn rig(provider: &ScriptedProvider, is_shared: bool) -> Rig {
    Rig::with(provider, is_shared, |builder| builder.driver(Handle::current()))
}

/// Waits for `work`, and moves the clock on to the next timer when nothing else is left to wait for.
pub(crate) async fn finish<T>(clock: &ManualClock, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    for _ in 0..MOST_STEPS {
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = settled() => {}
        }
        clock.advance(clock.next_wake().unwrap_or_else(|| panic!("it waits, and for no time")));
    }
    panic!("it never ends");
}

/// Lets so much time pass, and every timer on the way ring when it is due.
pub(crate) async fn pass(clock: &ManualClock, time: Duration) {
    let mut left = time;
    settled().await;
    while !left.is_zero() {
        let step = clock.next_wake().map_or(left, |wake| wake.min(left)).max(SHORTEST_STEP);
        clock.advance(step);
        left = left.saturating_sub(step);
        settled().await;
    }
}

const MOST_STEPS: usize = 10_000;
const SHORTEST_STEP: Duration = Duration::from_millis(1);
