//! Keeping a token fresh although nobody asks for it: opt-in, and never in the way.
//!
//! It tends the token by the clock, and takes over what other processes write where the storage
//! tells; see `listener`.

pub(crate) mod notices;

use std::future::pending;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::panics::caught;
use crate::policy::LONGEST_NAP;
use crate::refresher::notices::Listener;
use crate::shared::Core;

/// Keeps a manager's token fresh until it is dropped.
///
/// It does not keep the manager alive. Dropping it stops the refresher, never an exchange.
#[derive(Debug)]
#[must_use = "dropping the handle stops the refresher"]
pub struct RefresherHandle {
    task: Option<JoinHandle<()>>,
}

impl Drop for RefresherHandle {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl RefresherHandle {
    pub(crate) fn spawn(core: &Arc<Core>) -> Self {
        let changes = core.changes.subscribe();
        let tending = tend(Arc::downgrade(core), Arc::clone(&core.clock), changes);
        let listening = Listener::new(core).run();
        let run = async {
            tokio::select! {
                biased; // what is written after the first look shall not be missed
                () = async { listening.await; pending().await } => {}
                () = tending => {}
            }
        };
        let task = core.driver.handle().ok().map(|handle| handle.spawn(run));
        Self { task }
    }
}

/// Between two looks only the clock is held, so that the manager can go.
async fn tend(core: Weak<Core>, clock: Arc<dyn Clock>, mut changes: watch::Receiver<u64>) {
    loop {
        changes.mark_unchanged();
        let nap = match core.upgrade() {
            Some(core) => caught(|| core.tend()).unwrap_or(LONGEST_NAP),
            None => return,
        };
        let changed = tokio::select! {
            changed = changes.changed() => changed,
            () = clock.sleep(nap) => Ok(()),
        };
        if changed.is_err() {
            return;
        }
    }
}

impl Core {
    /// Renews if it is time; returns how long to nap unless something changes before.
    fn tend(self: &Arc<Self>) -> Duration {
        let now = self.clock.now();
        let can = self.abilities();
        let next = {
            let state = self.state.lock();
            // Without a token a look into the storage may help, but one is enough.
            let is_worth_it = state.may_request(can) || !state.has_read();
            if is_worth_it { state.next_renewal(now) } else { None }
        };
        match next {
            Some(at) if now.has_reached(&at) => {
                self.renew_if_due();
                LONGEST_NAP
            }
            Some(at) => now.until(&at).min(LONGEST_NAP),
            None => LONGEST_NAP,
        }
    }
}
