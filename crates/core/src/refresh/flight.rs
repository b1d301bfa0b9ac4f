//! One piece of work that any number of callers wait for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use crate::access_token::AccessToken;
use crate::error::Error;
use crate::record::Order;

/// What a flight brings: a token, or the news that there is something new to look at.
pub(crate) type Outcome = Result<Option<Arc<AccessToken>>, Error>;

/// What a flight is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlightKind {
    /// Get a token that serves: out of the storage if there is one, else by a token request.
    Renew,
    /// Read the storage, and send nothing.
    Lookup,
    /// Make a token request, whatever there is.
    Force,
    /// Prove the credentials.
    Login,
    /// Put tokens in. Token requests that are still under way are overtaken.
    Install,
    /// Take all tokens out, as [`Install`](Self::Install).
    Logout,
}

impl FlightKind {
    /// Whether it is a login or logout on its way into the storage.
    pub(crate) fn changes_session(self) -> bool {
        matches!(self, Self::Install | Self::Logout)
    }
}

/// Shared by the task that flies and all callers who wait for it.
#[derive(Debug)]
pub(crate) struct Flight {
    kind: FlightKind,
    /// The highest order that was known when it began.
    since: Order,
    phase: watch::Sender<Phase>,
    /// A caller waits for it: after a logout, tokens are only requested for callers.
    wanted: AtomicBool,
    /// A token request was asked for after this flight had begun.
    forced: AtomicBool,
    /// It has decided to adopt, so it is too late to force it.
    adopting: AtomicBool,
    /// It has called the provider, so joining it costs nothing.
    requesting: AtomicBool,
    /// Its token comes from its own token request.
    requested: AtomicBool,
}

#[derive(Clone, Debug)]
enum Phase {
    Running,
    /// It takes so long that a caller with a token that is still good should use that.
    Slow,
    Done(Outcome),
}

impl Flight {
    pub(crate) fn new(kind: FlightKind, since: Order) -> Arc<Self> {
        Arc::new(Self {
            kind,
            since,
            phase: watch::Sender::new(Phase::Running),
            wanted: AtomicBool::new(false),
            forced: AtomicBool::new(false),
            adopting: AtomicBool::new(false),
            requesting: AtomicBool::new(false),
            requested: AtomicBool::new(false),
        })
    }

    pub(crate) fn kind(&self) -> FlightKind {
        self.kind
    }

    pub(crate) fn since(&self) -> Order {
        self.since
    }

    pub(crate) fn mark_wanted(&self) {
        self.wanted.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// Whether it brings what a caller wants who insists on a token request or a login, and would
    /// make that request without this caller too.
    pub(crate) fn satisfies(&self, insistent: FlightKind) -> bool {
        match insistent {
            FlightKind::Login => self.kind == FlightKind::Login,
            _ => {
                self.kind == FlightKind::Force
                    || self.kind == FlightKind::Renew
                        && (self.forced.load(Ordering::Relaxed)
                            || self.requesting.load(Ordering::Relaxed))
            }
        }
    }

    /// Whether it can still be made to request a token.
    pub(crate) fn can_be_forced(&self, insistent: FlightKind) -> bool {
        insistent == FlightKind::Force
            && self.kind == FlightKind::Renew
            && !self.adopting.load(Ordering::Relaxed)
    }

    /// Makes it request a token. To be called under the state lock, as is
    /// [`adopts`](Self::adopts), so that one of them comes first.
    pub(crate) fn force(&self) {
        self.forced.store(true, Ordering::Relaxed);
    }

    /// Whether the flight may end with a token that another process requested.
    pub(crate) fn adopts(&self) -> bool {
        let may = match self.kind {
            FlightKind::Renew => !self.forced.load(Ordering::Relaxed),
            FlightKind::Lookup => true,
            _ => false,
        };
        if may {
            self.adopting.store(true, Ordering::Relaxed);
        }
        may
    }

    /// Whether it must end with a token request, whatever pause is on.
    pub(crate) fn must_request(&self) -> bool {
        match self.kind {
            FlightKind::Renew => self.forced.load(Ordering::Relaxed),
            FlightKind::Lookup => false,
            _ => true,
        }
    }

    pub(crate) fn mark_requesting(&self) {
        self.requesting.store(true, Ordering::Relaxed);
    }

    pub(crate) fn mark_requested(&self) {
        self.requested.store(true, Ordering::Relaxed);
    }

    /// Whether nothing newer could be had, because the service was asked.
    pub(crate) fn has_requested(&self) -> bool {
        self.requested.load(Ordering::Relaxed)
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

    pub(crate) fn finish(&self, outcome: Outcome) {
        self.phase.send_if_modified(|phase| {
            let running = !matches!(phase, Phase::Done(_));
            if running {
                *phase = Phase::Done(outcome);
            }
            running
        });
    }

    pub(crate) fn is_done(&self) -> bool {
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
