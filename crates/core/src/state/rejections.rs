//! Which secrets resource servers rejected, and how often that may cause an exchange.
//!
//! An API that answers 401 to everything must not become a storm of logins: a token that is
//! rejected in its first five minutes earns one exchange at once, the next after 5 s, then ever later.

use std::collections::VecDeque;
use std::time::Duration;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::access_token::AccessToken;
use crate::clock::Now;
use crate::policy::{FIRST_REJECTION_PAUSE, LONGEST_REJECTION_PAUSE, MOST_REJECTED, YOUNG};
use crate::state::backoff::doubled;

/// Remembers rejected secrets by their digest: enough to know one again, not to use it.
#[derive(Debug, Default)]
pub(crate) struct Rejections {
    digests: VecDeque<[u8; 32]>,
    /// How many exchanges in a row were caused by a young token.
    streak: u32,
    paused_until: Option<Now>,
}

impl Rejections {
    pub(crate) fn remember(&mut self, token: &AccessToken) {
        if self.contains(token) {
            return;
        }
        if self.digests.len() == MOST_REJECTED {
            self.digests.pop_front();
        }
        self.digests.push_back(digest(token));
    }

    pub(crate) fn contains(&self, token: &AccessToken) -> bool {
        if self.digests.is_empty() {
            return false;
        }
        let digest = digest(token);
        self.digests.iter().any(|known| known.ct_eq(&digest).into())
    }

    /// The current token was rejected. `age` counts from its publication.
    pub(crate) fn note(&mut self, age: Duration) -> bool {
        let young = age < YOUNG;
        if !young {
            self.streak = 0;
            self.paused_until = None;
        }
        young
    }

    /// A token was replaced because it had been rejected: the next young one has to wait.
    pub(crate) fn replaced(&mut self, now: Now, was_young: bool) {
        if !was_young {
            return;
        }
        self.streak = self.streak.saturating_add(1);
        self.paused_until =
            Some(now.after(doubled(FIRST_REJECTION_PAUSE, LONGEST_REJECTION_PAUSE, self.streak)));
    }

    /// Until when exchanges for rejections have to wait, if they do.
    pub(crate) fn pause(&self, now: Now) -> Option<Now> {
        self.paused_until.filter(|until| !now.has_reached(until))
    }

    /// Whether forgetting them changes nothing: the next rejection of a token of this age would be
    /// the first of its kind anyway. The secrets do not count, because the storage has newer ones.
    pub(crate) fn have_faded(&self, now: Now, age: Option<Duration>) -> bool {
        let is_first = self.streak == 0 || age.is_none_or(|age| age >= YOUNG);
        is_first && self.pause(now).is_none()
    }

    /// Somebody logged in anew: what was before says nothing about that.
    pub(crate) fn forgive(&mut self) {
        self.streak = 0;
        self.paused_until = None;
    }
}

fn digest(token: &AccessToken) -> [u8; 32] {
    Sha256::digest(token.secret().expose_secret().as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Now = Now::from_millis(1_000_000, 1_000_000);

    #[test]
    fn a_secret_is_known_again_in_another_token_value() {
        let mut rejections = Rejections::default();
        rejections.remember(&AccessToken::new("a", "Bearer").unwrap());

        assert!(rejections.contains(&AccessToken::new("a", "Bearer").unwrap()));
        assert!(!rejections.contains(&AccessToken::new("b", "Bearer").unwrap()));
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_goes_first() {
        let mut rejections = Rejections::default();
        let token = |n: usize| AccessToken::new(n.to_string(), "Bearer").unwrap();
        for n in 0..MOST_REJECTED + 1 {
            rejections.remember(&token(n));
        }

        assert_eq!(rejections.digests.len(), MOST_REJECTED);
        assert!(!rejections.contains(&token(0)) && rejections.contains(&token(MOST_REJECTED)));
    }

    #[test]
    fn an_api_that_rejects_everything_causes_fewer_and_fewer_exchanges() {
        let mut rejections = Rejections::default();
        let mut now = START;
        let mut pauses = Vec::new();
        for _ in 0..9 {
            assert!(rejections.note(Duration::ZERO));
            assert_eq!(rejections.pause(now), None);
            rejections.replaced(now, true);
            let until = rejections.pause(now).unwrap();
            pauses.push(now.until(&until).as_secs());
            now = until;
        }
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 320, 600, 600]);
    }

    #[test]
    fn a_token_that_served_for_five_minutes_is_replaced_at_once() {
        let mut rejections = Rejections::default();
        rejections.replaced(START, true);
        assert!(rejections.pause(START).is_some());

        assert!(!rejections.note(YOUNG));

        assert_eq!(rejections.pause(START), None);
    }
}
