//! The clock of the system, moved on by tests.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokenkeeper::{Clock, Now, SystemClock};

/// As the system's clock, but ahead of it. Clones are ahead alike.
#[derive(Clone, Debug, Default)]
pub(crate) struct MovedClock {
    ahead: Arc<Mutex<Duration>>,
}

impl MovedClock {
    pub(crate) fn advance(&self, by: Duration) {
        let mut ahead = self.ahead.lock();
        *ahead = ahead.saturating_add(by);
    }
}

#[async_trait::async_trait]
impl Clock for MovedClock {
    fn now(&self) -> Now {
        SystemClock.now().after(*self.ahead.lock())
    }

    async fn sleep(&self, duration: Duration) {
        SystemClock.sleep(duration).await;
    }
}
