//! A clock for tests that moves only when it is told to.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::clock::{Clock, Now, from_unix_millis, unix_millis, whole_millis};

/// A clock that stands still until a test advances it. Clones share the time.
///
/// Sleepers wake when [`advance`](Self::advance) carries the monotonic clock past their end, so a
/// test of a ten-minute outage takes no time. The wall clock can be stepped on its own, and a
/// suspended machine imitated, because those are the two ways in which clocks disagree.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use tokenkeeper::{Clock, ManualClock};
///
/// let clock = ManualClock::new();
/// let start = clock.now();
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(clock.now().since(&start), Duration::from_secs(60));
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock {
    now: Arc<watch::Sender<Now>>,
    sleepers: Arc<Mutex<Vec<u64>>>,
}

impl ManualClock {
    /// A clock that stands at 2030-01-01T00:00:00Z.
    #[must_use]
    pub fn new() -> Self {
        Self::starting_at(UNIX_EPOCH + Duration::from_secs(1_893_456_000))
    }

    /// A clock that stands at `wall`.
    #[must_use]
    pub fn starting_at(wall: SystemTime) -> Self {
        // Monotonic clocks do not start at zero either; a test that mistakes one clock for the
        // other shall notice.
        let now = Now::new(wall, Duration::from_secs(1_000));
        Self { now: Arc::new(watch::Sender::new(now)), sleepers: Arc::default() }
    }

    /// Moves both clocks on and wakes the sleepers whose time has come.
    pub fn advance(&self, by: Duration) {
        self.now.send_modify(|now| *now = now.after(by));
    }

    /// Moves only the wall clock to `wall`, back or forward, as a time server would.
    pub fn set_wall(&self, wall: SystemTime) {
        self.now.send_modify(|now| *now = Now::new(wall, now.mono()));
    }

    /// Moves only the wall clock on: what a program sees after its machine slept for `by`.
    pub fn suspend(&self, by: Duration) {
        self.now.send_modify(|now| {
            let wall = unix_millis(now.wall()).saturating_add(whole_millis(by));
            *now = Now::new(from_unix_millis(wall), now.mono());
        });
    }

    /// How many sleeps are under way: lets a test wait until somebody waits.
    #[must_use]
    pub fn sleepers(&self) -> usize {
        self.sleepers.lock().len()
    }

    /// How long until the first sleeper wakes, if there is one.
    #[must_use]
    pub fn next_wake(&self) -> Option<Duration> {
        let first = self.sleepers.lock().iter().copied().min()?;
        Some(Duration::from_millis(first.saturating_sub(self.now().mono_millis())))
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Now {
        *self.now.borrow()
    }

    async fn sleep(&self, duration: Duration) {
        let mut changes = self.now.subscribe();
        let end = self.now().after(duration).mono_millis();
        let _asleep = Asleep::until(end, &self.sleepers);
        // The sender lives in `self`, so the wait cannot fail.
        let _ = changes.wait_for(|now| now.mono_millis() >= end).await;
    }
}

/// Counts a sleep while it lasts, also when it is dropped.
struct Asleep<'a> {
    end: u64,
    sleepers: &'a Mutex<Vec<u64>>,
}

impl<'a> Asleep<'a> {
    fn until(end: u64, sleepers: &'a Mutex<Vec<u64>>) -> Self {
        sleepers.lock().push(end);
        Self { end, sleepers }
    }
}

impl Drop for Asleep<'_> {
    fn drop(&mut self) {
        let mut sleepers = self.sleepers.lock();
        if let Some(at) = sleepers.iter().position(|end| *end == self.end) {
            sleepers.swap_remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn a_sleeper_wakes_when_its_time_has_come_and_not_before() {
        let clock = ManualClock::new();
        let mut sleep = pin!(clock.sleep(Duration::from_secs(5)));
        let mut cx = Context::from_waker(Waker::noop());

        assert_eq!(sleep.as_mut().poll(&mut cx), Poll::Pending);
        clock.advance(Duration::from_millis(4_999));
        assert_eq!(sleep.as_mut().poll(&mut cx), Poll::Pending);
        assert_eq!(clock.next_wake(), Some(Duration::from_millis(1)));
        clock.advance(Duration::from_millis(1));

        assert_eq!(sleep.as_mut().poll(&mut cx), Poll::Ready(()));
        assert_eq!(clock.sleepers(), 0);
    }

    #[test]
    fn a_suspended_machine_shows_on_the_wall_clock_only() {
        let clock = ManualClock::new();
        let before = clock.now();

        clock.suspend(Duration::from_secs(3_600));

        assert_eq!(clock.now().mono(), before.mono());
        assert_eq!(clock.now().since(&before), Duration::from_secs(3_600));
    }
}
