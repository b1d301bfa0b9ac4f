//! The flight of `token()`: look into the storage, adopt what is there, else make an exchange.
//!
//! In a fleet it first takes the lease, then looks, then spends the refresh token that is stored,
//! so that of all processes only one makes the exchange and the others adopt what it brought.

use std::sync::Arc;
use std::time::Duration;

use crate::access_token::AccessToken;
use crate::error::{Error, ErrorKind};
use crate::observer::EventKind;
use crate::policy::{LOOKUPS_PER_LEASE, MOST_LEASES, SHORTEST_PAUSE, STORED_VERDICT_STANDS};
use crate::record::TokenRecord;
use crate::refresh::flight::{Flight, FlightKind, Outcome};
use crate::refresh::token_request::TokenRequest;
use crate::shared::Core;
use crate::shared_storage::Lease;
use crate::state::Adoption;
use crate::store::payload::{Contents, StoredVerdict};
use crate::store::{Expected, Snapshot};

/// One flight that may end in an exchange.
pub(crate) struct Renewal {
    pub(crate) core: Arc<Core>,
    pub(crate) flight: Arc<Flight>,
}

/// What a look into the storage left to do.
pub(crate) struct Preconditions {
    pub(crate) expected: Expected,
    /// What is stored cannot be read, so the refresh token in memory may be spent already.
    pub(crate) distrusts_memory: bool,
    pub(crate) verdict: Option<StoredVerdict>,
}

/// How the wait for the lease ended.
enum LeaseWait {
    Done(Result<Option<Lease>, Error>),
    /// Another process brought a token, or a login or logout overtook the flight.
    ForNothing(Option<Arc<AccessToken>>),
}

/// Where a look into the storage leads.
pub(crate) enum ReadOutcome {
    Adopt(Arc<AccessToken>),
    Go(Preconditions),
}

impl Renewal {
    /// Who waited for a flight that was overtaken looks at what overtook it.
    pub(crate) async fn run(self) -> Outcome {
        let outcome = self.run_to_its_end().await;
        if outcome.is_err() && !self.core.state.lock().is_current(&self.flight) {
            return Ok(None);
        }
        outcome
    }

    async fn run_to_its_end(&self) -> Outcome {
        if self.flight.kind() == FlightKind::Lookup {
            return match self.look().await? {
                ReadOutcome::Adopt(token) => Ok(Some(token)),
                ReadOutcome::Go(_) => Ok(None),
            };
        }
        if self.core.storage.shared().is_none() {
            return match self.look().await? {
                ReadOutcome::Adopt(token) => Ok(Some(token)),
                ReadOutcome::Go(preconditions) => self.request_unleased(preconditions).await,
            };
        }
        self.run_in_fleet().await
    }

    async fn request_unleased(&self, preconditions: Preconditions) -> Outcome {
        match TokenRequest::new(self, preconditions).run(&mut None).await {
            Ok(outcome) => Ok(outcome),
            Err(RequestEnd::Failed(error)) => Err(error),
            Err(RequestEnd::LeaseTooShort | RequestEnd::LoggedOut) => Ok(None),
        }
    }

    async fn run_in_fleet(&self) -> Outcome {
        let cold = !self.core.state.lock().has_read();
        if cold && !self.flight.must_request() {
            match self.look().await? {
                ReadOutcome::Adopt(token) => return Ok(Some(token)),
                // A storage that is down is not asked twice.
                ReadOutcome::Go(preconditions)
                    if matches!(preconditions.expected, Expected::Unknown) =>
                {
                    return self.request_unleased(preconditions).await;
                }
                ReadOutcome::Go(_) => {}
            }
        }
        for _ in 0..MOST_LEASES {
            let started = self.core.clock.now();
            let waited = tokio::select! {
                biased;
                kept = self.core.kept_lease.next() => LeaseWait::Done(Ok(Some(kept))),
                lease = self.core.lease() => LeaseWait::Done(lease),
                token = self.news() => LeaseWait::ForNothing(token),
            };
            let took = self.core.clock.now().since(&started);
            let taken = matches!(waited, LeaseWait::Done(Ok(Some(_))));
            self.core.emit(EventKind::LeaseWaited { took, taken });
            let mut lease = match waited {
                LeaseWait::Done(Ok(lease)) => lease,
                LeaseWait::Done(Err(error)) => self.go_on_without_storage(error).map(|()| None)?,
                LeaseWait::ForNothing(token) => return Ok(token),
            };
            match self.run_leased(&mut lease).await {
                Ok(outcome) => {
                    self.let_go(lease);
                    return Ok(outcome);
                }
                Err(RequestEnd::Failed(error)) => {
                    self.let_go(lease);
                    return Err(error);
                }
                Err(RequestEnd::LoggedOut) => {
                    self.let_go(lease);
                    return Ok(None);
                }
                // Kept for a write that failed, it is taken again, and renewed.
                Err(RequestEnd::LeaseTooShort) if self.core.state.lock().owes_write(None) => {
                    self.let_go(lease);
                }
                Err(RequestEnd::LeaseTooShort) => self.core.release(lease).await,
            }
        }
        let what = "the storage was too slow: every lease was nearly over before it could be used";
        Err(self.core.fail_flight(&self.flight, self.core.error(ErrorKind::Storage, what)))
    }

    /// Looks now and then while another process holds the lease, and completes with what that has
    /// stored, if it serves. Who finds it needs no lease: of a fleet in which somebody was killed,
    /// only the next one has to wait for its turn. `None` once a login or logout overtook the
    /// flight, whose callers then look at that.
    async fn news(&self) -> Option<Arc<AccessToken>> {
        let pause = (self.core.policy.lease_ttl / LOOKUPS_PER_LEASE).max(SHORTEST_PAUSE);
        loop {
            self.core.clock.sleep(pause).await;
            if !self.core.state.lock().is_current(&self.flight) {
                return None;
            }
            if self.flight.must_request() {
                continue;
            }
            // Whoever gets the lease looks again, and says what is wrong with the storage.
            let Ok(stored) = self.core.read_quietly().await else { continue };
            let is_readable = |record: &TokenRecord| Contents::of_record(record).is_ok();
            if stored.record.as_ref().is_some_and(is_readable)
                && let Ok(ReadOutcome::Adopt(token)) = self.learn_from(stored)
            {
                return Some(token);
            }
        }
    }

    async fn run_leased(
        &self,
        lease: &mut Option<Lease>,
    ) -> Result<Option<Arc<AccessToken>>, RequestEnd> {
        let preconditions = match self.look().await? {
            ReadOutcome::Adopt(token) => return Ok(Some(token)),
            ReadOutcome::Go(preconditions) => preconditions,
        };
        TokenRequest::new(self, preconditions).run(lease).await
    }

    /// Releases the lease once the storage has what the exchange brought, or what overtook it:
    /// until then others would spend what it spent. Nobody waits for that.
    fn let_go(&self, lease: Option<Lease>) {
        let Some(lease) = lease else { return };
        self.core.keep_lease(lease);
        let (core, flight) = (Arc::clone(&self.core), Arc::clone(&self.flight));
        let task = async move {
            let overtook = core.state.lock().flight().filter(|f| !Arc::ptr_eq(f, &flight));
            if let Some(overtook) = overtook.filter(|f| f.kind().changes_session()) {
                let _ = overtook.done().await;
            }
            core.release_kept_lease(None).await;
        };
        // Where the driver is gone, the lease ends by itself.
        let _ = self.core.spawn_counted(task);
    }

    /// Reads the record, learns from it, and adopts its token if that serves.
    pub(crate) async fn look(&self) -> Result<ReadOutcome, Error> {
        let stored = match self.core.read().await {
            Ok(stored) => stored,
            Err(error) => {
                self.go_on_without_storage(error)?;
                return Ok(ReadOutcome::Go(Preconditions::unknown()));
            }
        };
        self.learn_from(stored)
    }

    fn learn_from(&self, stored: Snapshot) -> Result<ReadOutcome, Error> {
        let mut preconditions = Preconditions {
            expected: Expected::Version(stored.version),
            distrusts_memory: false,
            verdict: None,
        };
        let Some(record) = stored.record else { return Ok(ReadOutcome::Go(preconditions)) };
        let contents = match Contents::of_record(&record) {
            Ok(contents) => contents,
            Err(unreadable) => {
                let must_stay = unreadable.must_stay();
                let error = self.core.unreadable(unreadable);
                let logs_in = self.flight.kind() == FlightKind::Login && !must_stay;
                if !self.core.abilities().non_interactive && !logs_in {
                    return Err(self.core.fail_flight(&self.flight, error));
                }
                if must_stay {
                    preconditions.expected = Expected::Unknown; // the write will look, and refuse
                }
                preconditions.distrusts_memory = true;
                self.core.change(|state| {
                    if state.is_current(&self.flight) {
                        state.rise_above(record.order());
                    }
                });
                return Ok(ReadOutcome::Go(preconditions));
            }
        };
        let verdict = contents.rejected.clone();
        let now = self.core.clock.now();
        let adopted = self.core.change(|state| {
            // One on a record that ours has beaten is about credentials of before.
            preconditions.verdict = verdict.filter(|_| record.order() >= state.order());
            if !state.is_current(&self.flight) {
                return None;
            }
            let token = match state.adopt(&record, contents, now, &self.core.policy) {
                Adoption::Learned(token) => token?,
                Adoption::Kept => state.learned_since(&self.flight, now)?,
            };
            self.flight.adopts().then_some(token)
        });
        match adopted {
            Some(token) => {
                self.core.emit(EventKind::Adopted);
                Ok(ReadOutcome::Adopt(token))
            }
            None => Ok(ReadOutcome::Go(preconditions)),
        }
    }

    /// A storage that is down stops an exchange only if a single-use token could be spent twice.
    fn go_on_without_storage(&self, error: Error) -> Result<(), Error> {
        if !self.core.provider.refreshes() {
            return Ok(());
        }
        Err(self.core.fail_flight(&self.flight, error))
    }
}

impl Preconditions {
    fn unknown() -> Self {
        Self { expected: Expected::Unknown, distrusts_memory: false, verdict: None }
    }

    /// A verdict that another process met within the last minute, and what is left of the minute.
    /// One from further ahead than that was dated by a clock that was stepped.
    pub(crate) fn fresh_verdict(&self, core: &Core) -> Option<(Error, Duration)> {
        let verdict = self.verdict.as_ref()?;
        let age = match core.clock.now().wall().duration_since(verdict.at) {
            Ok(age) => age,
            Err(ahead) if ahead.duration() < STORED_VERDICT_STANDS => Duration::ZERO,
            Err(_) => return None,
        };
        let left = STORED_VERDICT_STANDS.checked_sub(age).filter(|left| !left.is_zero())?;
        Some((verdict.to_error().at_service(&core.service_name), left))
    }
}

/// Why an exchange did not come to an end.
pub(crate) enum RequestEnd {
    Failed(Error),
    /// The tokens were cleared, and no caller has asked for one since.
    LoggedOut,
    /// Nothing was sent. The lease has to be asked for anew.
    LeaseTooShort,
}

impl From<Error> for RequestEnd {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}
