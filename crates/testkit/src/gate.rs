//! A gate: holds futures until a test lets them go.
//!
//! Tests of concurrency that sleep are slow on a good day and wrong on a bad one. A gate names the
//! moment instead: hold, wait until so many have arrived, look at the state, release.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::watch;

/// Holds whoever calls [`wait`](Self::wait) while it is closed. Clones are the same gate.
///
/// It belongs to no runtime: waiters may be on other threads and other executors.
///
/// # Examples
///
/// ```
/// use tokenkeeper_testkit::Gate;
///
/// let gate = Gate::closed();
/// let inside = gate.clone();
/// let worker = std::thread::spawn(move || pollster::block_on(inside.wait()));
/// pollster::block_on(gate.arrived(1));
/// assert!(!worker.is_finished());
/// gate.release();
/// assert!(worker.join().is_ok());
/// ```
#[derive(Clone, Debug)]
pub struct Gate {
    state: Arc<watch::Sender<State>>,
}

#[derive(Debug, Default)]
struct State {
    closed: bool,
    last_ticket: u64,
    /// Tickets of those who are held, in the order in which they came.
    held: BTreeSet<u64>,
}

impl Gate {
    /// A gate that lets everybody through until [`hold`](Self::hold).
    #[must_use]
    pub fn open() -> Self {
        Self { state: Arc::new(watch::Sender::new(State::default())) }
    }

    /// A gate that holds everybody until [`release`](Self::release).
    #[must_use]
    pub fn closed() -> Self {
        let gate = Self::open();
        gate.hold();
        gate
    }

    /// Closes the gate: who comes from now on is held.
    pub fn hold(&self) {
        self.state.send_modify(|state| state.closed = true);
    }

    /// Opens the gate and lets everybody go, also if it is closed again right after.
    pub fn release(&self) {
        self.state.send_modify(|state| {
            state.closed = false;
            state.held.clear();
        });
    }

    /// Lets those `count` go who came first, and stays closed for the others.
    pub fn let_through(&self, count: usize) {
        self.state.send_modify(|state| {
            for _ in 0..count.min(state.held.len()) {
                state.held.pop_first();
            }
        });
    }

    /// How many are held right now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.state.borrow().held.len()
    }

    /// Completes once at least `count` are held at the same time.
    pub async fn arrived(&self, count: usize) {
        let mut changes = self.state.subscribe();
        // The sender lives in `self`, so this wait and the one below cannot fail.
        let _ = changes.wait_for(|state| state.held.len() >= count).await;
    }

    /// Passes the gate: at once if it is open, else when it is released.
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped no longer counts as waiting.
    pub async fn wait(&self) {
        let Some(place) = self.queue() else { return };
        let mut changes = self.state.subscribe();
        let _ = changes.wait_for(|state| !state.held.contains(&place.ticket)).await;
    }

    /// A place among those who are held; `None` if the gate is open.
    fn queue(&self) -> Option<Place<'_>> {
        let mut ticket = None;
        self.state.send_if_modified(|state| {
            if state.closed {
                state.last_ticket += 1;
                state.held.insert(state.last_ticket);
                ticket = Some(state.last_ticket);
            }
            state.closed
        });
        ticket.map(|ticket| Place { ticket, gate: self })
    }
}

/// An open gate.
impl Default for Gate {
    fn default() -> Self {
        Self::open()
    }
}

struct Place<'a> {
    ticket: u64,
    gate: &'a Gate,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.gate.state.send_if_modified(|state| state.held.remove(&self.ticket));
    }
}
