//! What must be over before a manager may be dropped and made anew without anybody noticing.
//!
//! The tokens are in the storage, and the next manager finds them there. What is only in memory is
//! work under way, and what was learned from failures: a wrong password must not be tried again,
//! nor a rejected token served, because the manager that knew of it is gone.

use std::sync::Arc;

use crate::clock::Now;
use crate::manager::TokenManager;

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
