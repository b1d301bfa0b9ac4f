//! What must be over before a manager may be dropped and made anew without anybody noticing.
//!
//! The tokens are in the storage, and the next manager finds them there. What is only in memory is
//! work under way, and what was learned from failures: a wrong password must not be tried again,
//! nor a rejected token served, because the manager that knew of it is gone.

use std::sync::Arc;

use crate::clock::Now;
use crate::manager::TokenManager;
use crate::policy::RefreshPolicy;
use crate::state::State;

impl TokenManager {
    /// Whether nothing is lost if it is dropped now. Never while somebody else holds it or
    /// watches it, because a second one would be made beside it.
    ///
    /// `non_interactive` is what the provider said of itself: nobody is called here.
    pub(crate) fn may_be_evicted(&mut self, now: Now, non_interactive: bool) -> bool {
        let Some(core) = Arc::get_mut(&mut self.core) else { return false };
        let state = core.state.get_mut();
        !state.owes_work() && state.has_faded(now, non_interactive, &core.policy)
    }

    /// As [`may_be_evicted`](Self::may_be_evicted), and whatever it has learned shall be forgotten.
    pub(crate) fn may_be_removed(&mut self) -> bool {
        Arc::get_mut(&mut self.core).is_some_and(|core| !core.state.get_mut().owes_work())
    }

    /// Whether there is anything for `flush` to wait for.
    pub(crate) fn owes_work(&self) -> bool {
        self.core.state.lock().owes_work()
    }
}

impl State {
    /// Whether something is under way, or not in the storage yet.
    fn owes_work(&self) -> bool {
        self.tasks > 0 || self.flight.is_some() || self.unpersisted.is_some() || self.retries_writes
    }

    /// Whether a manager that knows only what is stored would do the same as this one.
    fn has_faded(&self, now: Now, non_interactive: bool, policy: &RefreshPolicy) -> bool {
        let held = self.held.as_ref();
        // It would be read from the storage, and served.
        let holds_rejected =
            held.is_some_and(|h| h.rejected.is_some() && !now.has_reached(&h.times.expiry));
        let age = held.map(|held| now.since(&held.published_at));
        let has_refresh_token = held.is_some_and(|h| h.tokens.refresh_token().is_some());
        !holds_rejected
            && !self.within_minimum_interval(now)
            && self.rejections.have_faded(now, age)
            && self.backoff.has_faded(now, non_interactive || has_refresh_token, policy)
    }
}
