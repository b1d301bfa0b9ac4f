//! What a refresher does when the storage tells that somebody wrote.
//!
//! A notice is a hint. It leads to one look into the storage, and what is newer than what is held
//! is taken over as a renewal would take it over; nothing is exchanged, nothing is written. While
//! a flight is under way nothing is taken over: it looks for itself, and may be the one that wrote.

use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::clock::{Clock, Now};
use crate::error::Error;
use crate::observer::EventKind;
use crate::panics::{catching, caught};
use crate::policy::RefreshPolicy;
use crate::record::{Order, TokenRecord};
use crate::shared::Core;
use crate::shared_storage::ChangeNotices;
use crate::state::backoff::doubled;
use crate::state::{Adoption, State};
use crate::store::payload::Contents;
use crate::store::storage_failed;

/// Listens for one manager, and does not keep it alive.
pub(crate) struct Listener {
    core: Weak<Core>,
    clock: Arc<dyn Clock>,
    /// A stream that always has a notice ready must not become a storm of looks.
    quiet_until: Option<Now>,
    /// Streams in a row that brought no notice.
    failures: u32,
}

/// What a record that was read after a notice changed.
enum NoticeOutcome {
    None,
    /// A flight is under way; it comes first.
    Wait,
    Told(EventKind),
}

impl Listener {
    pub(crate) fn new(core: &Arc<Core>) -> Self {
        let clock = Arc::clone(&core.clock);
        Self { core: Arc::downgrade(core), clock, quiet_until: None, failures: 0 }
    }

    /// Returns if the storage tells nothing, or the manager is gone.
    pub(crate) async fn run(mut self) {
        loop {
            let Some(subscribed) = self.core.upgrade().map(|core| core.subscribe()) else { return };
            match subscribed {
                Ok(Some(notices)) => self.follow(notices).await,
                Ok(None) => return,
                Err(_panicked) => {}
            }
            self.failures = self.failures.saturating_add(1);
            self.clock.sleep(pause(self.failures)).await;
        }
    }

    /// Acts on notices for as long as they come.
    async fn follow(&mut self, mut notices: Box<dyn ChangeNotices>) {
        loop {
            let notice = catching(notices.next()).await;
            let Some(core) = self.core.upgrade() else { return };
            let order = match notice {
                Ok(Ok(order)) => order,
                Ok(Err(error)) => {
                    let error = error.at_service(&core.service_name);
                    let _ = core.tell(storage_failed(CALL, error.into()));
                    break;
                }
                Err(_panic) => {
                    let _ = core.tell(core.panicked(CALL));
                    break;
                }
            };
            drop(core);
            self.failures = 0;
            self.keep_quiet().await;
            self.act(order).await;
        }
        let _ = caught(|| drop(notices));
    }

    /// The first of many notices is acted upon at once, the others together a little later.
    async fn keep_quiet(&mut self) {
        if let Some(until) = self.quiet_until {
            let left = self.clock.now().until(&until);
            if !left.is_zero() {
                self.clock.sleep(left).await;
            }
        }
        self.quiet_until = Some(self.clock.now().after(SHORTEST_QUIET));
    }

    /// Looks until the storage has answered: there may be no other notice of a logout.
    async fn act(&self, order: Option<Order>) {
        let mut failures = 0;
        while let Some(core) = self.core.upgrade() {
            if core.read_after_notice(order).await.is_ok() {
                return;
            }
            drop(core);
            failures += 1;
            self.clock.sleep(pause(failures)).await;
        }
    }
}

impl Core {
    fn subscribe(&self) -> Result<Option<Box<dyn ChangeNotices>>, Error> {
        let subscribe = || self.storage.shared().and_then(|shared| shared.notices(&self.key));
        caught(subscribe).map_err(|_| self.tell(self.panicked(CALL)))
    }

    /// Takes over what is stored, if it is newer than what is known. A notice of something that is
    /// known, like our own write, costs nothing.
    async fn read_after_notice(&self, order: Option<Order>) -> Result<(), Error> {
        let mut order = order;
        loop {
            // Ours may be what was written; the order of that is known when it has landed.
            self.finish_flight().await;
            if order.is_some_and(|order| order <= self.state.lock().order()) {
                return Ok(());
            }
            let Some(record) = self.read().await?.record else { return Ok(()) };
            // What cannot be read is the next renewal's affair, which has rules for it.
            let Ok(contents) = Contents::of_record(&record) else { return Ok(()) };
            let now = self.clock.now();
            if !self.state.lock().would_adopt(&record, &contents, now) {
                return Ok(());
            }
            match self.change(|state| after_notice(state, &record, contents, now, &self.policy)) {
                NoticeOutcome::None => return Ok(()),
                NoticeOutcome::Wait => order = Some(record.order()),
                NoticeOutcome::Told(event) => {
                    self.emit(event);
                    return Ok(());
                }
            }
        }
    }
}

fn after_notice(
    state: &mut State,
    record: &TokenRecord,
    contents: Contents,
    now: Now,
    policy: &RefreshPolicy,
) -> NoticeOutcome {
    if state.flight().is_some() {
        return NoticeOutcome::Wait;
    }
    let had_tokens = state.current().is_some();
    match state.adopt(record, contents, now, policy) {
        Adoption::Learned(Some(_)) => NoticeOutcome::Told(EventKind::Adopted),
        Adoption::Learned(None) if had_tokens && state.current().is_none() => {
            NoticeOutcome::Told(EventKind::Cleared)
        }
        Adoption::Learned(None) | Adoption::Kept => NoticeOutcome::None,
    }
}

fn pause(failures: u32) -> Duration {
    doubled(FIRST_PAUSE, LONGEST_PAUSE, failures)
}

const CALL: &str = "notices";
const SHORTEST_QUIET: Duration = Duration::from_secs(1); // a look a second is no storm
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
