//! Where calls wait for each other, so that a race is lost on a machine of any speed.

use std::time::Duration;

use tokenkeeper::{Clock, SystemClock};
use tokio::sync::watch;

tokio::task_local! {
    /// Set where a rule runs, and not in the tasks that it starts: those race.
    pub(crate) static ALONE: ();
}

/// Whether the caller is one of several that a rule lets loose at once. Nobody else is made to
/// wait for a second call, which might never come.
pub(super) fn is_racing() -> bool {
    ALONE.try_with(|()| ()).is_err()
}

/// Counts calls of one kind, and lets others wait for the next.
#[derive(Clone, Debug, Default)]
pub(super) struct Meeting {
    calls: watch::Sender<u64>,
}

impl Meeting {
    /// Counts one call, and says how many there were with it.
    pub(super) fn arrive(&self) -> u64 {
        let mut arrived = 0;
        self.calls.send_modify(|calls| {
            *calls += 1;
            arrived = *calls;
        });
        arrived
    }

    /// How many calls there were so far.
    pub(super) fn so_far(&self) -> u64 {
        *self.calls.borrow()
    }

    /// Waits until there were more calls than `calls`, and says whether there were. The last of
    /// an odd number waits in vain, longer than a machine is likely to stand still.
    pub(super) async fn more_than(&self, calls: u64) -> bool {
        let mut seen = self.calls.subscribe();
        tokio::select! {
            _ = seen.wait_for(|seen| *seen > calls) => true,
            () = patience() => false,
        }
    }

    /// Lets two calls through together, and says whether there was another.
    pub(super) async fn meet(&self) -> bool {
        let arrived = self.arrive();
        arrived.is_multiple_of(2) || self.more_than(arrived).await
    }
}

async fn patience() {
    for _ in 0..100 {
        SystemClock.sleep(Duration::from_millis(20)).await; // a machine that stalls uses up one
    }
}
