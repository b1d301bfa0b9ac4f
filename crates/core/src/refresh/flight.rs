//! One errand that any number of callers wait for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use crate::access_token::AccessToken;
use crate::error::{Error, ErrorKind};
use crate::record::Order;
use crate::shared::Core;

/// What a flight brings: a token, or the news that there is something new to look at.
pub(crate) type Outcome = Result<Option<Arc<AccessToken>>, Error>;

/// What a flight is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlightKind {
    /// Get a token that serves: out of the storage if there is one, else by an exchange.
    Renew,
    /// Make an exchange, whatever there is.
    Force,
    /// Prove the credentials.
    Login,
    /// Put tokens in or out. Exchanges that are still under way are overtaken.
    Handover,
}

/// Shared by the task that flies and everybody who waits for it.
#[derive(Debug)]
pub(crate) struct Flight {
    errand: FlightKind,
    /// The highest order that was known when it took off.
    since: Order,
    phase: watch::Sender<Phase>,
    /// Somebody asked for an exchange after this flight had begun.
    forced: AtomicBool,
    /// It has decided to adopt, so it is too late to force it.
    adopting: AtomicBool,
    /// Its token comes from its own exchange.
    exchanged: AtomicBool,
}

#[derive(Clone, Debug)]
enum Phase {
    Running,
    /// It takes so long that whoever has a token that is still good should use that.
    Slow,
    Done(Outcome),
}

impl Flight {
    pub(crate) fn new(errand: FlightKind, since: Order) -> Arc<Self> {
        Arc::new(Self {
            errand,
            since,
            phase: watch::Sender::new(Phase::Running),
            forced: AtomicBool::new(false),
            adopting: AtomicBool::new(false),
            exchanged: AtomicBool::new(false),
        })
    }

    pub(crate) fn errand(&self) -> FlightKind {
        self.errand
    }

    pub(crate) fn since(&self) -> Order {
        self.since
    }

    /// Whether the flight will do for somebody who must_request on an exchange or a login; turns it into
    /// one that does, if there is still time. To be called under the state lock, as is
    /// [`adopts`](Self::adopts), so that one of them comes first.
    pub(crate) fn satisfies(&self, insistent: FlightKind) -> bool {
        match insistent {
            FlightKind::Login => self.errand == FlightKind::Login,
            _ => self.force(),
        }
    }

    fn force(&self) -> bool {
        match self.errand {
            FlightKind::Force => true,
            FlightKind::Renew if !self.adopting.load(Ordering::Relaxed) => {
                self.forced.store(true, Ordering::Relaxed);
                true
            }
            FlightKind::Renew | FlightKind::Login | FlightKind::Handover => false,
        }
    }

    /// Whether the flight may end with a token that somebody else exchanged.
    pub(crate) fn adopts(&self) -> bool {
        let may = self.errand == FlightKind::Renew && !self.forced.load(Ordering::Relaxed);
        if may {
            self.adopting.store(true, Ordering::Relaxed);
        }
        may
    }

    /// Whether it must end with an exchange, pauses notwithstanding.
    pub(crate) fn must_request(&self) -> bool {
        self.errand != FlightKind::Renew || self.forced.load(Ordering::Relaxed)
    }

    pub(crate) fn mark_requested(&self) {
        self.exchanged.store(true, Ordering::Relaxed);
    }

    /// Whether nothing newer could be had, because the service was asked.
    pub(crate) fn has_requested(&self) -> bool {
        self.exchanged.load(Ordering::Relaxed)
    }

    pub(crate) fn is_slow(&self) -> bool {
        !matches!(*self.phase.borrow(), Phase::Running)
    }

    pub(crate) fn mark_slow(&self) {
        self.phase.send_if_modified(|phase| {
            let running = matches!(phase, Phase::Running);
            if running {
                *phase = Phase::Slow;
            }
            running
        });
    }

    fn finish(&self, outcome: Outcome) {
        self.phase.send_if_modified(|phase| {
            let running = !matches!(phase, Phase::Done(_));
            if running {
                *phase = Phase::Done(outcome);
            }
            running
        });
    }

    fn is_done(&self) -> bool {
        matches!(*self.phase.borrow(), Phase::Done(_))
    }

    /// Waits for the end.
    pub(crate) async fn done(&self) -> Outcome {
        loop {
            if let Some(outcome) = self.next(false).await {
                return outcome;
            }
        }
    }

    /// Waits for the end, or until the flight is slow: then `None`.
    pub(crate) async fn done_or_slow(&self) -> Option<Outcome> {
        self.next(true).await
    }

    async fn next(&self, or_slow: bool) -> Option<Outcome> {
        let mut phases = self.phase.subscribe();
        let reached = |phase: &Phase| match phase {
            Phase::Running => false,
            Phase::Slow => or_slow,
            Phase::Done(_) => true,
        };
        // The sender lives in `self`, so waiting cannot fail.
        match phases.wait_for(reached).await.as_deref() {
            Ok(Phase::Done(outcome)) => Some(outcome.clone()),
            _ => None,
        }
    }
}

/// Ends a flight, also when its task panics or its runtime is shut down.
pub(crate) struct FlightGuard {
    core: Arc<Core>,
    flight: Arc<Flight>,
}

impl FlightGuard {
    pub(crate) fn new(core: Arc<Core>, flight: Arc<Flight>) -> Self {
        Self { core, flight }
    }

    pub(crate) fn finish(self, outcome: Outcome) {
        self.core.finish(&self.flight);
        self.flight.finish(outcome);
    }
}

impl Drop for FlightGuard {
    fn drop(&mut self) {
        if self.flight.is_done() {
            return;
        }
        let what =
            "the task that ran the exchange is gone: it panicked, or its driver was shut down";
        let error = self.core.fail(Error::new(ErrorKind::Internal, what));
        self.core.finish(&self.flight);
        self.flight.finish(Err(error));
    }
}
