//! Refresh tokens that may be dead: a service refused them without saying so in the words of the
//! RFC, or something in front of it did.

use crate::clock::Now;
use crate::policy::{FIRST_DOUBT_PAUSE, GATEWAY_REFUSALS, GATEWAY_SPAN, LONGEST_DOUBT_PAUSE};
use crate::secret::Secret;
use crate::state::backoff::doubled;

/// A refresh token that is kept, and tried again at growing intervals.
#[derive(Debug)]
pub(super) struct Doubt {
    token: Secret,
    until: Now,
    streak: u32,
}

impl Doubt {
    /// The token was refused now, for the first time or again.
    pub(super) fn noted(before: Option<Self>, token: &Secret, now: Now) -> Self {
        let same = before.filter(|doubt| doubt.is_about(token));
        let streak = same.map_or(1, |doubt| doubt.streak.saturating_add(1));
        let until = now.after(doubled(FIRST_DOUBT_PAUSE, LONGEST_DOUBT_PAUSE, streak));
        Self { token: token.clone(), until, streak }
    }

    pub(super) fn is_about(&self, token: &Secret) -> bool {
        self.token.ct_eq(token)
    }

    /// Whether it is too early to send the token again.
    pub(super) fn stands(&self, now: Now) -> bool {
        !now.has_reached(&self.until)
    }
}

/// Refusals of a refresh that look like those of a gateway: 4xx without an OAuth error.
#[derive(Debug, Default)]
pub(super) struct GatewayRefusals {
    first: Option<Now>,
    count: u32,
}

impl GatewayRefusals {
    /// Notes one. Whether there were so many over such a time that the refresh token is doubtful.
    pub(super) fn note(&mut self, now: Now) -> bool {
        let first = *self.first.get_or_insert(now);
        self.count = self.count.saturating_add(1);
        self.count >= GATEWAY_REFUSALS && now.since(&first) >= GATEWAY_SPAN
    }
}
