//! The flight of `token()`: look into the storage, adopt what is there, else make an exchange.
//!
//! In a fleet it first takes the lease, then looks, then spends the refresh token that is stored,
//! so that of all processes only one makes the exchange and the others adopt what it brought.

use std::sync::Arc;
use std::time::Duration;

use super::core::Core;
use super::exchange::Exchange;
use super::flight::{Flight, Outcome};
use super::stored::{Expected, Stored};
use crate::access_token::AccessToken;
use crate::error::{Error, ErrorKind};
use crate::observer::EventKind;
use crate::record_format::{Contents, StoredVerdict, Unreadable};
use crate::shared_storage::Lease;

/// One flight that may end in an exchange.
pub(super) struct Renewal {
    pub(super) core: Arc<Core>,
    pub(super) flight: Arc<Flight>,
}

/// What a look into the storage left to do.
pub(super) struct Basis {
    pub(super) expected: Expected,
    /// What is stored cannot be read, so the refresh token in memory may be spent already.
    pub(super) distrusts_memory: bool,
    pub(super) verdict: Option<StoredVerdict>,
}

/// Where a look into the storage leads.
pub(super) enum Look {
    Adopt(Arc<AccessToken>),
    Go(Basis),
}

impl Renewal {
    pub(super) async fn run(self) -> Outcome {
        if self.core.storage.shared().is_none() {
            let basis = match self.look().await? {
                Look::Adopt(token) => return Ok(Some(token)),
                Look::Go(basis) => basis,
            };
            return match Exchange::new(&self, basis).run(&mut None).await {
                Ok(outcome) => Ok(outcome),
                Err(Stopped::Failed(error)) => Err(error),
                Err(Stopped::LeaseTooShort) => Ok(None),
            };
        }
        self.run_in_fleet().await
    }

    async fn run_in_fleet(&self) -> Outcome {
        let cold = !self.core.state.lock().has_read;
        if cold
            && !self.flight.insists()
            && let Look::Adopt(token) = self.look().await?
        {
            return Ok(Some(token));
        }
        for _ in 0..MOST_STARTS {
            let mut lease = match self.core.lease().await {
                Ok(lease) => lease,
                Err(error) => self.go_on_without_storage(error).map(|()| None)?,
            };
            let result = self.run_leased(&mut lease).await;
            self.release(lease);
            match result {
                Ok(outcome) => return Ok(outcome),
                Err(Stopped::Failed(error)) => return Err(error),
                Err(Stopped::LeaseTooShort) => {}
            }
        }
        let what = "the storage was too slow: every lease was nearly over before it could be used";
        Err(self.core.fail(self.core.error(ErrorKind::Storage, what)))
    }

    async fn run_leased(
        &self,
        lease: &mut Option<Lease>,
    ) -> Result<Option<Arc<AccessToken>>, Stopped> {
        let basis = match self.look().await? {
            Look::Adopt(token) => return Ok(Some(token)),
            Look::Go(basis) => basis,
        };
        Exchange::new(self, basis).run(lease).await
    }

    /// Whoever waits for the token does not wait for this.
    fn release(&self, lease: Option<Lease>) {
        if lease.is_none() {
            return;
        }
        let core = Arc::clone(&self.core);
        // Where the driver is gone the lease is dropped, which lets go of it too.
        let _ = self.core.spawn_counted(async move { core.release(lease).await });
    }

    /// Reads the record, learns from it, and adopts its token if that serves.
    pub(super) async fn look(&self) -> Result<Look, Error> {
        let stored = match self.core.read().await {
            Ok(stored) => stored,
            Err(error) => {
                self.go_on_without_storage(error)?;
                return Ok(Look::Go(Basis::unknown()));
            }
        };
        self.weigh(stored)
    }

    fn weigh(&self, stored: Stored) -> Result<Look, Error> {
        let mut basis = Basis {
            expected: Expected::Version(stored.version),
            distrusts_memory: false,
            verdict: None,
        };
        let Some(record) = stored.record else { return Ok(Look::Go(basis)) };
        let contents = match Contents::of_record(&record) {
            Ok(contents) => contents,
            Err(unreadable) => {
                let newer = unreadable == Unreadable::Newer;
                let error = self.core.unreadable(newer);
                if !self.core.provider.unattended() {
                    return Err(self.core.fail(error));
                }
                if newer {
                    basis.expected = Expected::Unknown; // the write will look, and refuse
                }
                basis.distrusts_memory = true;
                self.core.change(|state| state.order = state.order.max(record.order()));
                return Ok(Look::Go(basis));
            }
        };
        basis.verdict = contents.rejected;
        let now = self.core.clock.now();
        let adopted = self.core.change(|state| {
            if record.order() <= state.order || !state.is_current(&self.flight) {
                return None;
            }
            state.learn(record.order(), contents.tokens, now, &self.core.policy);
            let held = state.held.as_ref().filter(|held| held.rejected.is_none())?;
            let serves = !now.has_reached(&held.times.mandatory) && self.flight.adopts();
            let token = serves.then(|| held.token().cloned()).flatten()?;
            state.pacing.reset();
            Some(token)
        });
        match adopted {
            Some(token) => {
                self.core.emit(EventKind::Adopted);
                Ok(Look::Adopt(token))
            }
            None => Ok(Look::Go(basis)),
        }
    }

    /// A storage that is down stops an exchange only if a single-use token could be spent twice.
    fn go_on_without_storage(&self, error: Error) -> Result<(), Error> {
        if self.core.provider.refreshes() { Err(self.core.fail(error)) } else { Ok(()) }
    }
}

impl Basis {
    fn unknown() -> Self {
        Self { expected: Expected::Unknown, distrusts_memory: false, verdict: None }
    }

    /// A verdict that another process met within the last minute, and what is left of the minute.
    pub(super) fn fresh_verdict(&self, core: &Core) -> Option<(Error, Duration)> {
        let verdict = self.verdict.as_ref()?;
        let now = core.clock.now().wall();
        // A clock that is ahead elsewhere must not make a verdict stand until we catch up.
        let age = now.duration_since(verdict.at).unwrap_or_else(|ahead| ahead.duration());
        let left = VERDICT_STANDS.checked_sub(age).filter(|left| !left.is_zero())?;
        Some((verdict.to_error().at_service(&core.service_name), left))
    }
}

/// Why an exchange did not come to an end.
pub(super) enum Stopped {
    Failed(Error),
    /// Nothing was sent. The lease has to be asked for anew.
    LeaseTooShort,
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

const MOST_STARTS: usize = 3;
const VERDICT_STANDS: Duration = Duration::from_secs(60); // fifty restarting pods ask once a minute
