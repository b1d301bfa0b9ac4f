//! The three points in the life of a token, fixed once, on both clocks.

use std::time::Duration;

use crate::clock::Now;
use crate::policy::{LONGEST_JITTER, RefreshPolicy};
use crate::token_set::TokenSet;

/// When a token is renewed in the background, when callers wait for that, and when it ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetime {
    pub(crate) advisory: Now,
    pub(crate) mandatory: Now,
    pub(crate) expiry: Now,
}

impl Lifetime {
    /// For tokens that were just requested: life counts from `sent`.
    pub(crate) fn of_issued(tokens: &TokenSet, sent: Now, policy: &RefreshPolicy) -> Self {
        match (tokens.lifetime(), tokens.expires_at()) {
            (Some(life), Some(expires_at)) => {
                // A provider that does not count from the sending must not lengthen the life.
                let left = expires_at.duration_since(sent.wall()).unwrap_or_default();
                Self::new(life, left.min(life), sent, policy)
            }
            _ => Self::NEVER,
        }
    }

    /// For tokens out of a storage: what is left by the wall clock, at most their whole life (the
    /// wall clock may stand before `requested_at`).
    pub(crate) fn of_loaded(tokens: &TokenSet, now: Now, policy: &RefreshPolicy) -> Self {
        match (tokens.lifetime(), tokens.expires_at()) {
            (Some(life), Some(expires_at)) => {
                let left = expires_at.duration_since(now.wall()).unwrap_or_default();
                Self::new(life, left.min(life), now, policy)
            }
            _ => Self::NEVER,
        }
    }

    fn new(life: Duration, left: Duration, from: Now, policy: &RefreshPolicy) -> Self {
        let margin = policy.mandatory_margin.min(life / 8);
        let early = life.mul_f64(f64::from(100 - policy.advisory_percent) / 100.0);
        let jitter = if policy.jitter { jitter(life) } else { Duration::ZERO };
        let advisory = (early + jitter).max(margin);
        Self {
            advisory: from.after(left.saturating_sub(advisory)),
            mandatory: from.after(left.saturating_sub(margin)),
            expiry: from.after(left),
        }
    }

    /// Whether the service did not say how long the token lives.
    pub(crate) fn is_unknown(&self) -> bool {
        self.expiry == Self::NEVER.expiry
    }

    /// Of a token of unknown lifetime: it is served until a resource server rejects it.
    const NEVER: Self = {
        let never = Now::from_millis(u64::MAX, u64::MAX);
        Self { advisory: never, mandatory: never, expiry: never }
    };
}

/// At most a tenth of the life and 30 s.
fn jitter(life: Duration) -> Duration {
    (life / 10).min(LONGEST_JITTER).mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::access_token::AccessToken;

    const START: Now = Now::from_millis(1_000_000, 5_000);

    fn tokens(life: u64) -> TokenSet {
        TokenSet::new(AccessToken::new("t", "Bearer").unwrap(), START.wall())
            .with_lifetime(Duration::from_secs(life))
    }

    fn seconds(point: Now) -> f64 {
        START.until(&point).as_secs_f64()
    }

    #[test]
    fn the_worked_examples_hold() {
        let policy = RefreshPolicy::new().without_jitter();
        for (life, advisory, mandatory) in [(60, 45.0, 52.5), (900, 675.0, 870.0)] {
            let at = Lifetime::of_issued(&tokens(life), START, &policy);
            assert_eq!(seconds(at.advisory), advisory);
            assert_eq!(seconds(at.mandatory), mandatory);
            assert_eq!(START.until(&at.expiry), Duration::from_secs(life));
        }
    }

    #[test]
    fn jitter_only_makes_it_earlier_by_a_tenth_and_thirty_seconds_at_most() {
        let policy = RefreshPolicy::new();
        let mut seen = Vec::new();
        for _ in 0..1_000 {
            let short = seconds(Lifetime::of_issued(&tokens(60), START, &policy).advisory);
            let long = seconds(Lifetime::of_issued(&tokens(3_600), START, &policy).advisory);
            assert!((39.0..=45.0).contains(&short), "{short}");
            assert!((2_670.0..=2_700.0).contains(&long), "{long}");
            seen.push(long);
        }
        assert!(seen.iter().any(|s| *s < 2_680.0) && seen.iter().any(|s| *s > 2_690.0));
    }

    #[test]
    fn a_loaded_token_never_has_more_than_its_life_left() {
        let policy = RefreshPolicy::new().without_jitter();
        let set_back = Now::from_millis(1_000, 5_000);

        let at = Lifetime::of_loaded(&tokens(60), set_back, &policy);

        assert_eq!(set_back.until(&at.expiry), Duration::from_secs(60));
    }

    #[test]
    fn a_loaded_token_has_what_the_wall_clock_leaves_it() {
        let policy = RefreshPolicy::new().without_jitter();
        let later = START.after(Duration::from_secs(50));

        let at = Lifetime::of_loaded(&tokens(60), later, &policy);

        assert_eq!(later.until(&at.expiry), Duration::from_secs(10));
        assert!(later.has_reached(&at.advisory) && !later.has_reached(&at.mandatory));
    }

    #[test]
    fn a_lifetime_of_ages_does_not_overflow() {
        let ages = Duration::from_secs(1_501_138_041_000);
        let set = tokens(1).with_expires_at(SystemTime::UNIX_EPOCH.checked_add(ages));

        let at = Lifetime::of_issued(&set, START, &RefreshPolicy::new());

        assert!(!START.has_reached(&at.advisory));
    }
}
