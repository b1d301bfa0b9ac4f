//! When tokens are renewed, and how long anything may take.

use std::time::Duration;

use crate::error::{Error, ErrorKind};

/// The durations that a manager works with. `new()` is the defaults; they suit most services.
///
/// # Default
///
/// A 15-minute token is renewed in the background after 11 min 15 s (75 % of its life), earlier by
/// a random share of at most 30 s, and waited for after 14 min 30 s (30 s before its end). For a
/// 60-second token these are 45 s and 52.5 s, because the margin is at most an eighth of the life.
#[derive(Clone, Copy, Debug)]
pub struct RefreshPolicy {
    pub(crate) advisory_percent: u32,
    pub(crate) mandatory_margin: Duration,
    pub(crate) longest_wait: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) storage_timeout: Duration,
    pub(crate) lease_ttl: Duration,
    pub(crate) first_backoff: Duration,
    pub(crate) longest_backoff: Duration,
    pub(crate) jitter: bool,
}

impl RefreshPolicy {
    /// The defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            advisory_percent: 75,
            mandatory_margin: Duration::from_secs(30), // clock skew plus one slow request
            longest_wait: Duration::from_secs(5),
            request_timeout: Duration::from_secs(15),
            storage_timeout: Duration::from_secs(5),
            lease_ttl: Duration::from_secs(30),
            first_backoff: Duration::from_secs(1),
            longest_backoff: Duration::from_secs(60),
            jitter: true,
        }
    }

    /// After which share of its life a token is renewed in the background. Default 75.
    #[must_use]
    pub const fn with_advisory_percent(mut self, percent: u32) -> Self {
        self.advisory_percent = percent;
        self
    }

    /// How long before its end a token is waited for, clamped to an eighth of its life.
    /// Default 30 s.
    #[must_use]
    pub const fn with_mandatory_margin(mut self, margin: Duration) -> Self {
        self.mandatory_margin = margin;
        self
    }

    /// How long callers wait for a renewal while the old token is still good. Default 5 s.
    #[must_use]
    pub const fn with_longest_wait(mut self, wait: Duration) -> Self {
        self.longest_wait = wait;
        self
    }

    /// How long one exchange may take. Default 15 s. A transport has a timeout of its own, and the
    /// shorter one counts.
    #[must_use]
    pub const fn with_request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// How long one storage call may take. Default 5 s.
    #[must_use]
    pub const fn with_storage_timeout(mut self, timeout: Duration) -> Self {
        self.storage_timeout = timeout;
        self
    }

    /// How long a lease lasts: what a killed process costs the others at most. It must exceed
    /// request and storage timeout together by a twentieth. Default 30 s.
    #[must_use]
    pub const fn with_lease_ttl(mut self, ttl: Duration) -> Self {
        self.lease_ttl = ttl;
        self
    }

    /// The first and the longest pause after a transient failure; between them it doubles.
    /// Default 1 s and 60 s. Jitter makes a pause up to a quarter longer, within the longest. A longer
    /// `Retry-After` of the service is kept, up to one hour.
    #[must_use]
    pub const fn with_backoff(mut self, first: Duration, longest: Duration) -> Self {
        self.first_backoff = first;
        self.longest_backoff = longest;
        self
    }

    /// Renews and retries at the exact times, for tests. A fleet without jitter renews all at once.
    #[must_use]
    pub const fn without_jitter(mut self) -> Self {
        self.jitter = false;
        self
    }

    /// What a lease must have left before a request is sent under it.
    pub(crate) fn lease_reserve(&self) -> Duration {
        self.request_timeout.saturating_add(self.storage_timeout)
    }

    pub(crate) fn validate(&self) -> Result<(), Error> {
        let durations = [
            ("longest wait", self.longest_wait),
            ("request timeout", self.request_timeout),
            ("storage timeout", self.storage_timeout),
            ("lease ttl", self.lease_ttl),
            ("first backoff", self.first_backoff),
            ("longest backoff", self.longest_backoff),
        ];
        for (name, value) in durations {
            if value < SHORTEST || value > LONGEST {
                return Err(wrong(format!("{name}: must be between 1 ms and 24 h")));
            }
        }
        if self.mandatory_margin > LONGEST {
            return Err(wrong("mandatory margin: must be at most 24 h".to_owned()));
        }
        if !(1..=100).contains(&self.advisory_percent) {
            return Err(wrong("advisory percent: must be between 1 and 100".to_owned()));
        }
        if self.first_backoff > self.longest_backoff {
            return Err(wrong("first backoff: must not exceed the longest backoff".to_owned()));
        }
        let shortest_lease = self.lease_reserve() + self.lease_reserve() / LEASE_SLACK;
        if self.lease_ttl < shortest_lease {
            return Err(wrong(format!(
                "lease ttl: {:?} is too short beside a request timeout of {:?} and a storage \
                 timeout of {:?}; give with_lease_ttl at least {shortest_lease:?}, or shorten the \
                 timeouts",
                self.lease_ttl, self.request_timeout, self.storage_timeout
            )));
        }
        Ok(())
    }
}

impl Default for RefreshPolicy {
    fn default() -> Self {
        Self::new()
    }
}

fn wrong(what: String) -> Error {
    Error::new(ErrorKind::Config, what)
}

// The numbers that cannot be chosen.

/// Two token requests of one manager are this far apart: half the life that the last one brought,
/// within these bounds.
pub(crate) const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);
pub(crate) const LONGEST_INTERVAL: Duration = Duration::from_secs(5);

/// At most, and a tenth of the life: more would only cost requests.
pub(crate) const LONGEST_JITTER: Duration = Duration::from_secs(30);
/// How much longer jitter makes a pause at most.
pub(crate) const MOST_JITTER: f64 = 0.25;

/// A login elsewhere is noticed soon enough.
pub(crate) const EMPTY_LOOKUP_PAUSE: Duration = Duration::from_secs(1);
pub(crate) const FIRST_VERDICT_PAUSE: Duration = Duration::from_secs(5);
/// A corrected password is noticed in time.
pub(crate) const LONGEST_VERDICT_PAUSE: Duration = Duration::from_secs(600);
/// A typing error of a service must not mean for ever.
pub(crate) const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3_600);
/// Fifty processes that restart send a wrong password once a minute.
pub(crate) const STORED_VERDICT_STANDS: Duration = Duration::from_secs(60);

/// When a doubtful refresh token is sent again.
pub(crate) const FIRST_DOUBT_PAUSE: Duration = Duration::from_secs(60);
pub(crate) const LONGEST_DOUBT_PAUSE: Duration = Duration::from_secs(3_600);
/// So many refusals in a row that look like those of a gateway, over such a time, make a refresh
/// token doubtful.
pub(crate) const GATEWAY_REFUSALS: u32 = 3;
pub(crate) const GATEWAY_SPAN: Duration = Duration::from_secs(60);

/// An API that refuses a token of this age, and is called less often, costs twelve requests an hour;
/// one that is called more often meets the pauses. With a minute, a call a minute would cost sixty.
pub(crate) const YOUNG: Duration = Duration::from_secs(300);
pub(crate) const FIRST_REJECTION_PAUSE: Duration = Duration::from_secs(5);
pub(crate) const LONGEST_REJECTION_PAUSE: Duration = Duration::from_secs(600);
/// Late 401s are seconds old, not sixty-four tokens.
pub(crate) const MOST_REJECTED: usize = 64;

pub(crate) const FIRST_WRITE_RETRY: Duration = Duration::from_secs(1);
pub(crate) const LONGEST_WRITE_RETRY: Duration = Duration::from_secs(60);
/// Of a tombstone: longer than a process sleeps.
pub(crate) const TOMBSTONE_TTL: Duration = Duration::from_secs(30 * 24 * 3_600);
/// Each conflict means that another process made progress.
pub(crate) const MOST_CONFLICTS: usize = 8;

/// Leases that were nearly over before they could be used.
pub(crate) const MOST_LEASES: usize = 3;
/// How often a process that waits for the lease reads the storage: every second by default.
pub(crate) const LOOKUPS_PER_LEASE: u32 = 30;
/// How often the lease of a write that is owed is renewed: every ten seconds by default.
pub(crate) const RENEWALS_PER_LEASE: u32 = 3;
/// Less is none, as the clocks resolve it.
pub(crate) const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
/// What a lease must have beyond its reserve, as a part of that: the storage takes its time too.
const LEASE_SLACK: u32 = 20;

/// A suspended machine is noticed by the wall clock.
pub(crate) const LONGEST_NAP: Duration = Duration::from_secs(60);
/// Each round of a caller who waits means that a login or logout came in between.
pub(crate) const MOST_ROUNDS: usize = 16;

const SHORTEST: Duration = Duration::from_millis(1); // what the clocks resolve
const LONGEST: Duration = Duration::from_secs(24 * 3_600); // longer is a mistake of units

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert!(RefreshPolicy::default().validate().is_ok());
    }

    #[test]
    fn zero_and_absurd_durations_are_refused_by_name() {
        let base = RefreshPolicy::new;
        let table = [
            (base().with_request_timeout(Duration::ZERO), "request timeout"),
            (base().with_storage_timeout(Duration::MAX), "storage timeout"),
            (base().with_longest_wait(Duration::ZERO), "longest wait"),
            (base().with_mandatory_margin(Duration::MAX), "mandatory margin"),
            (base().with_advisory_percent(0), "advisory percent"),
            (base().with_advisory_percent(101), "advisory percent"),
            (base().with_lease_ttl(Duration::from_millis(20_999)), "lease ttl"),
            (base().with_backoff(Duration::from_secs(9), Duration::from_secs(8)), "first backoff"),
        ];
        for (policy, field) in table {
            let error = policy.validate().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().starts_with(field), "{error}");
        }
    }
}
