//! What time it is for all processes of this host.
//!
//! The end of a lease is read by processes that share no clock but the machine's. The wall clock is
//! stepped by administrators and time servers, so where there is a clock that counts from the boot,
//! and an identifier to know the boot by, that decides.

use std::time::{Duration, UNIX_EPOCH};

use tokenkeeper::{Clock, SystemClock};

/// One reading, in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostTime {
    /// The boot that `since_boot` counts from, where both are known: one word.
    pub(crate) boot: Option<String>,
    pub(crate) since_boot: u64,
    pub(crate) wall: u64,
}

impl HostTime {
    pub(crate) fn now() -> Self {
        let wall = SystemClock.now().wall().duration_since(UNIX_EPOCH).map_or(0, millis);
        let boot = boot();
        Self { since_boot: if boot.is_some() { since_boot() } else { 0 }, boot, wall }
    }

    pub(crate) fn after(&self, duration: Duration) -> Self {
        let duration = millis(duration);
        Self {
            boot: self.boot.clone(),
            since_boot: self.since_boot.saturating_add(duration),
            wall: self.wall.saturating_add(duration),
        }
    }

    /// How long until `end`, which was `ttl` away when it was set. Zero once it has been reached.
    ///
    /// Within one boot the clock of the boot says so. Otherwise, after a reboot, in a sandbox that
    /// makes up boots, or where there is no such clock, it is the wall clock. Neither is believed
    /// when it says more than a lease can have left: a number may be damaged, a clock stepped back,
    /// and nobody would get the lease for years. Then the next is asked, and at last it has passed.
    pub(crate) fn until(&self, end: &Self, ttl: Duration) -> Duration {
        let most = ttl.saturating_mul(2).max(SHORTEST_DOUBT);
        if self.boot.is_some() && self.boot == end.boot {
            let left = Duration::from_millis(end.since_boot.saturating_sub(self.since_boot));
            if left <= most {
                return left;
            }
        }
        let left = Duration::from_millis(end.wall.saturating_sub(self.wall));
        if left > most { Duration::ZERO } else { left }
    }
}

/// The boot, and the time namespace that its clock is shifted by: a container may have one of its
/// own. Read every time: a process that was frozen may wake up elsewhere.
#[cfg(target_os = "linux")]
fn boot() -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let boot = boot.trim();
    let is_word = !boot.is_empty() && boot.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    is_word.then(|| format!("{boot}.{}", time_namespace().unwrap_or_default()))
}

/// The number in a link like `time:[4026531834]`. A kernel before 5.6 has none.
#[cfg(target_os = "linux")]
fn time_namespace() -> Option<u64> {
    let link = std::fs::read_link("/proc/self/ns/time").ok()?;
    link.to_str()?.strip_prefix("time:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(not(target_os = "linux"))]
fn boot() -> Option<String> {
    None
}

/// It goes on while the machine sleeps, unlike the monotonic clock.
#[cfg(target_os = "linux")]
fn since_boot() -> u64 {
    use rustix::time::{ClockId, clock_gettime};

    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000).saturating_add(nanos / 1_000_000)
}

#[cfg(not(target_os = "linux"))]
fn since_boot() -> u64 {
    0
}

/// Rounded up: a lease must not end early.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

// A lease shorter than the clocks are coarse has more left than twice its time.
const SHORTEST_DOUBT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(30);

    fn at(boot: Option<&str>, since_boot: u64, wall: u64) -> HostTime {
        HostTime { boot: boot.map(str::to_owned), since_boot, wall }
    }

    #[test]
    fn within_one_boot_a_wall_clock_that_is_stepped_changes_nothing() {
        let end = at(Some("a"), 1_000, 5_000_000).after(TTL);

        for wall in [0, 5_000_000, 9_000_000_000] {
            assert_eq!(at(Some("a"), 11_000, wall).until(&end, TTL), Duration::from_secs(20));
            assert_eq!(at(Some("a"), 31_000, wall).until(&end, TTL), Duration::ZERO);
        }
    }

    #[test]
    fn after_a_reboot_what_is_left_is_counted_by_the_wall_clock() {
        let end = at(Some("a"), 900_000, 5_000_000).after(TTL);

        assert_eq!(at(Some("b"), 10, 5_010_000).until(&end, TTL), Duration::from_secs(20));
        assert_eq!(at(Some("b"), 10, 5_030_000).until(&end, TTL), Duration::ZERO);
        assert_eq!(at(None, 0, 5_010_000).until(&end, TTL), Duration::from_secs(20));
    }

    #[test]
    fn a_wall_clock_that_went_far_back_does_not_keep_a_lease_alive() {
        let end = at(None, 0, 5_000_000).after(TTL);

        assert_eq!(at(None, 0, 4_999_000).until(&end, TTL), Duration::from_secs(31));
        assert_eq!(at(None, 0, 0).until(&end, TTL), Duration::ZERO);
    }

    #[test]
    fn an_end_that_the_clock_of_the_boot_cannot_have_set_is_left_to_the_wall_clock() {
        let end = at(Some("a"), 900_000_000, 5_000_000).after(TTL);

        assert_eq!(at(Some("a"), 1_000, 5_010_000).until(&end, TTL), Duration::from_secs(20));
        assert_eq!(at(Some("a"), 1_000, 5_030_000).until(&end, TTL), Duration::ZERO);
    }

    #[test]
    fn a_lease_that_is_shorter_than_a_clock_is_coarse_lasts_all_the_same() {
        let short = Duration::from_millis(1);
        for boot in [Some("a"), None] {
            let end = at(boot, 1_000, 5_000).after(short + Duration::from_millis(10));

            assert_eq!(at(boot, 1_000, 5_000).until(&end, short), Duration::from_millis(11));
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn on_linux_a_boot_is_that_of_one_time_namespace() {
        let link = std::fs::read_link("/proc/self/ns/time").unwrap();
        let number: String = link.to_str().unwrap().chars().filter(char::is_ascii_digit).collect();

        let boot = HostTime::now().boot.unwrap();

        assert!(boot.ends_with(&format!(".{number}")), "{boot} in {link:?}");
        assert!(boot.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b)), "{boot}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn on_linux_the_boot_is_known_and_its_clock_moves() {
        let start = HostTime::now();
        while HostTime::now().since_boot == start.since_boot {
            std::thread::yield_now();
        }

        assert!(start.boot.is_some() && start.since_boot > 0);
    }
}
