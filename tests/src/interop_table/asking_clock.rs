//! A clock for whoever polls: waiting takes no time, up to a point that the test waits for.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokenkeeper::{Clock, ManualClock, Now, async_trait};
use tokio::sync::{Semaphore, watch};

/// Its sleeps end at once, until one of them is to be the last: that one, and those after it, end when
/// the test lets them. Clones are the same clock.
#[derive(Clone, Debug)]
pub(super) struct AskingClock {
    time: ManualClock,
    free: usize,
    sleeps: Arc<Mutex<Vec<Duration>>>,
    begun: Arc<watch::Sender<usize>>,
    gate: Arc<Semaphore>,
}

impl AskingClock {
    /// So many sleeps end at once.
    pub(super) fn with_free_sleeps(free: usize) -> Self {
        Self {
            time: ManualClock::new(),
            free,
            sleeps: Arc::default(),
            begun: Arc::new(watch::Sender::new(0)),
            gate: Arc::new(Semaphore::new(0)),
        }
    }

    /// Waits until it is asked for the sleep that does not end by itself.
    pub(super) async fn asked_for_more(&self) {
        let mut begun = self.begun.subscribe();
        begun.wait_for(|begun| *begun > self.free).await.expect("a clock");
    }

    /// Lets all sleeps end at once from now on.
    pub(super) fn let_go(&self) {
        self.gate.close();
    }

    /// How long it was asked to sleep each time.
    pub(super) fn sleeps(&self) -> Vec<Duration> {
        self.sleeps.lock().clone()
    }
}

#[async_trait]
impl Clock for AskingClock {
    fn now(&self) -> Now {
        self.time.now()
    }

    async fn sleep(&self, duration: Duration) {
        let number = {
            let mut sleeps = self.sleeps.lock();
            sleeps.push(duration);
            sleeps.len()
        };
        self.begun.send_replace(number);
        if number > self.free {
            let _ = self.gate.acquire().await; // it is closed, never opened
        }
        self.time.advance(duration);
    }
}
