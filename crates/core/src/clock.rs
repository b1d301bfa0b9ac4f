//! Where the time comes from.
//!
//! A stored token is read back tomorrow, so expiry is wall-clock time; a stepped clock must not
//! revive it, so the monotonic clock has a say too. Nothing else may call `SystemTime::now`.

use std::fmt::Debug;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;

/// Both clocks and the only sleep that tokenkeeper uses.
///
/// # Contract
///
/// - `now` is cheap and never blocks: every `token()` call reads it.
/// - `mono` never goes back; `wall` may.
/// - `sleep` ends when `mono` has advanced by the duration, or later. Dropping it is harmless.
/// - `sleep` is polled on the manager's driver, which is a tokio runtime.
#[async_trait]
pub trait Clock: Debug + Send + Sync + 'static {
    /// Reads both clocks.
    fn now(&self) -> Now;

    /// Completes after `duration`.
    async fn sleep(&self, duration: Duration);
}

/// One reading of the wall clock and of the monotonic clock, in whole milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    wall: u64,
    mono: u64,
}

impl Now {
    /// From a wall-clock time, and the time since some fixed point on the monotonic clock.
    ///
    /// Times before 1970 count as 1970; fractions of a millisecond are cut off.
    #[must_use]
    pub fn new(wall: SystemTime, mono: Duration) -> Self {
        Self { wall: unix_millis(wall), mono: whole_millis(mono) }
    }

    /// The wall-clock time.
    #[must_use]
    pub fn wall(&self) -> SystemTime {
        from_unix_millis(self.wall)
    }

    /// The time since the fixed point of the monotonic clock.
    #[must_use]
    pub const fn mono(&self) -> Duration {
        Duration::from_millis(self.mono)
    }

    /// Milliseconds since 1970.
    pub(crate) const fn wall_millis(&self) -> u64 {
        self.wall
    }

    /// Milliseconds since the fixed point of the monotonic clock.
    pub(crate) const fn mono_millis(&self) -> u64 {
        self.mono
    }

    /// This reading, later by `duration` on both clocks.
    #[must_use]
    pub fn after(&self, duration: Duration) -> Self {
        let millis = whole_millis(duration);
        Self { wall: self.wall.saturating_add(millis), mono: self.mono.saturating_add(millis) }
    }

    /// How long ago `earlier` was, by the clock that says the longer. Zero if neither has moved on.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Duration {
        let wall = self.wall.saturating_sub(earlier.wall);
        let mono = self.mono.saturating_sub(earlier.mono);
        Duration::from_millis(wall.max(mono))
    }

    /// How long until `later`, by the clock that says the shorter. Zero once either has reached it.
    #[must_use]
    pub fn until(&self, later: &Self) -> Duration {
        let wall = later.wall.saturating_sub(self.wall);
        let mono = later.mono.saturating_sub(self.mono);
        Duration::from_millis(wall.min(mono))
    }

    /// Whether either clock has reached `point`.
    pub(crate) const fn has_reached(&self, point: &Self) -> bool {
        self.wall >= point.wall || self.mono >= point.mono
    }

    pub(crate) const fn from_millis(wall: u64, mono: u64) -> Self {
        Self { wall, mono }
    }
}

/// The clocks of the operating system.
///
/// On Linux these are the coarse clocks, which tick every 1 to 10 ms and cost a few nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    #[cfg(target_os = "linux")]
    fn now(&self) -> Now {
        use rustix::time::{ClockId, clock_gettime};

        Now {
            wall: timespec_millis(clock_gettime(ClockId::RealtimeCoarse)),
            mono: timespec_millis(clock_gettime(ClockId::MonotonicCoarse)),
        }
    }

    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> Now {
        use std::sync::LazyLock;
        use std::time::Instant;

        static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

        Now::new(SystemTime::now(), ORIGIN.elapsed())
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

#[cfg(target_os = "linux")]
fn timespec_millis(time: rustix::time::Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000).saturating_add(nanos / 1_000_000)
}

/// Milliseconds since 1970; earlier times count as 1970.
pub(crate) fn unix_millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, whole_millis)
}

/// The time so many milliseconds after 1970, or the latest that this platform can name.
pub(crate) fn from_unix_millis(millis: u64) -> SystemTime {
    let mut millis = millis;
    loop {
        if let Some(time) = UNIX_EPOCH.checked_add(Duration::from_millis(millis)) {
            return time;
        }
        millis /= 2;
    }
}

/// A duration in milliseconds, cut off at what 64 bits hold.
pub(crate) fn whole_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_of_two_clocks_says_how_much_time_has_passed() {
        let start = Now::from_millis(1_000, 1_000);

        let suspended = Now::from_millis(9_000, 1_500);
        let stepped_back = Now::from_millis(0, 1_500);

        assert_eq!(suspended.since(&start), Duration::from_secs(8));
        assert_eq!(stepped_back.since(&start), Duration::from_millis(500));
    }

    #[test]
    fn the_nearest_of_two_clocks_says_how_much_time_is_left() {
        let end = Now::from_millis(10_000, 10_000);

        assert_eq!(Now::from_millis(9_000, 1_000).until(&end), Duration::from_secs(1));
        assert_eq!(Now::from_millis(12_000, 1_000).until(&end), Duration::ZERO);
    }

    #[test]
    fn the_system_clock_moves_on() {
        let clock = SystemClock;
        let start = clock.now();

        while clock.now().mono() == start.mono() {
            std::thread::yield_now();
        }

        assert!(clock.now().since(&start) > Duration::ZERO);
    }

    #[test]
    fn times_that_the_platform_cannot_name_are_cut_off() {
        let far = from_unix_millis(u64::MAX);

        assert!(far > UNIX_EPOCH);
        assert_eq!(unix_millis(UNIX_EPOCH - Duration::from_secs(5)), 0);
    }
}
