//! One exchange: which call to make, what its answer means, and what becomes of the tokens.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::access_token::AccessToken;
use crate::clock::Now;
use crate::error::{Error, ErrorKind};
use crate::oauth_error::TokenRequestKind;
use crate::observer::EventKind;
use crate::provider::{FetchContext, SendGate};
use crate::record::Order;
use crate::refresh::flight::{Flight, FlightKind};
use crate::refresh::publish::Persisted;
use crate::refresh::renewal::{Preconditions, ReadOutcome, Renewal, RequestEnd};
use crate::secret::Secret;
use crate::shared::Core;
use crate::shared_storage::Lease;
use crate::state::Reissued;
use crate::store::payload::{Contents, StoredVerdict};
use crate::store::{Expected, Write};
use crate::token_set::TokenSet;

/// An exchange on the preconditions of what was just read.
pub(crate) struct Exchange<'a> {
    renewal: &'a Renewal,
    core: &'a Arc<Core>,
    flight: &'a Arc<Flight>,
    preconditions: Preconditions,
    has_reloaded: bool,
    /// Refresh tokens that the service refused in this flight: none is sent twice.
    refused: Vec<Secret>,
}

/// What a provider brought, and when it was asked for.
struct Issued {
    tokens: TokenSet,
    sent: Now,
    order: Order,
    spent: Option<Secret>,
}

impl<'a> Exchange<'a> {
    pub(crate) fn new(renewal: &'a Renewal, preconditions: Preconditions) -> Self {
        let (core, flight) = (&renewal.core, &renewal.flight);
        Self { renewal, core, flight, preconditions, has_reloaded: false, refused: Vec::new() }
    }

    pub(crate) async fn run(
        mut self,
        lease: &mut Option<Lease>,
    ) -> Result<Option<Arc<AccessToken>>, RequestEnd> {
        loop {
            let (order, current) = {
                let state = self.core.state.lock();
                if !state.is_current(self.flight) {
                    return Ok(None);
                }
                (state.order, state.held.as_ref().map(|held| Arc::clone(&held.tokens)))
            };
            let spends = current.as_deref().filter(|tokens| self.spends_refresh_token(tokens));
            let exchange = self.choose(spends.is_some())?;
            self.secure(lease).await?;
            let (result, sent) = self.call(exchange, spends, lease.as_ref()).await?;
            let error = match result {
                Ok(tokens) => {
                    let tokens = match spends {
                        Some(current) => tokens.carry_over(current),
                        None => tokens,
                    };
                    let spent = spends.and_then(|current| rotated_out(current, &tokens));
                    return self.keep(Issued { tokens, sent, order, spent }).await;
                }
                Err(error) => error,
            };
            let verdict_on_refresh = error.kind() == ErrorKind::RefreshRejected;
            let Some(current) = spends.filter(|_| verdict_on_refresh) else {
                return self.give_up(error, order, current.as_deref()).await;
            };
            self.refused.extend(current.refresh_token().cloned());
            if let Some(token) = self.reload().await? {
                return Ok(Some(token));
            }
            if self.holds_refused() {
                self.drop_refresh_token().await;
                if self.holds_refused() || !self.core.provider.non_interactive() {
                    return Err(RequestEnd::Failed(self.core.fail_flight(self.flight, error)));
                }
            }
        }
    }

    fn spends_refresh_token(&self, current: &TokenSet) -> bool {
        self.flight.errand() != FlightKind::Login
            && self.core.provider.refreshes()
            && !self.preconditions.distrusts_memory
            && current.refresh_token().is_some()
    }

    /// Which call to make, or why none.
    fn choose(&self, has_refresh_token: bool) -> Result<TokenRequestKind, RequestEnd> {
        if !self.flight.must_request() {
            let state = self.core.state.lock();
            if let Some(error) = state.backoff.wants_person() {
                let error = error.clone();
                drop(state);
                return Err(RequestEnd::Failed(self.core.note_empty_lookup(self.flight, error)));
            }
            let own = state.own_verdict_at;
            let doubts = state.doubts_stored_verdict
                || self
                    .preconditions
                    .verdict
                    .as_ref()
                    .is_some_and(|verdict| Some(verdict.at) == own);
            drop(state);
            if !doubts && let Some((error, left)) = self.preconditions.fresh_verdict(self.core) {
                let now = self.core.clock.now();
                let error = self.core.change(|s| s.backoff.learn_verdict(now, error, left));
                return Err(RequestEnd::Failed(error));
            }
        }
        if has_refresh_token {
            return Ok(TokenRequestKind::Refresh);
        }
        if self.core.provider.non_interactive() || self.flight.errand() == FlightKind::Login {
            return Ok(TokenRequestKind::Fetch);
        }
        let what = "there is no refresh token, and this provider cannot log in with nobody there";
        let error = self.core.error(ErrorKind::LoginRequired, what);
        Err(RequestEnd::Failed(self.core.note_empty_lookup(self.flight, error)))
    }

    /// Sees to it that the lease lasts for a request and a write.
    async fn secure(&self, lease: &mut Option<Lease>) -> Result<(), RequestEnd> {
        let Some(lease) = lease else { return Ok(()) };
        let reserve = self.core.policy.lease_reserve();
        if lease.remaining() > reserve {
            return Ok(());
        }
        match self.core.renew_lease(lease).await {
            Ok(()) if lease.remaining() > reserve => Ok(()),
            _ => Err(RequestEnd::LeaseTooShort),
        }
    }

    async fn call(
        &self,
        exchange: TokenRequestKind,
        spends: Option<&TokenSet>,
        lease: Option<&Lease>,
    ) -> Result<(Result<TokenSet, Error>, Now), RequestEnd> {
        let core = self.core;
        let started = core.clock.now();
        let gate = LeaseGate::new(lease, core.policy.lease_reserve());
        let limit = core.policy.request_timeout;
        let cx = FetchContext::gated(&core.clock, limit, &gate);
        let late = || {
            let what = format!("the service did not answer within {} s", limit.as_secs_f64());
            let error = Error::new(ErrorKind::Transport, what);
            if cx.sent().is_some() { error.with_answer_lost() } else { error }
        };
        core.emit(EventKind::TokenRequestStarted { exchange });
        let result = match spends {
            Some(current) => {
                let work = core.provider.refresh_token(current, &cx);
                let end = lease.map_or(Duration::MAX, Lease::remaining);
                let result = core.call_until("refresh_token", limit, end, late, work).await;
                result.map_err(|failed| core.tell(failed))
            }
            None => core.call("fetch_token", limit, late, core.provider.fetch_token(&cx)).await,
        };
        let result = result.and_then(|tokens| self.check(tokens));
        let took = core.clock.now().since(&started);
        let has_ended = || lease.is_some_and(|lease| lease.remaining().is_zero());
        match &result {
            Ok(tokens) => {
                let expires_at = tokens.expires_at();
                core.emit(EventKind::TokenRequestSucceeded { exchange, took, expires_at });
            }
            Err(_) if gate.refused() || has_ended() && cx.sent().is_none() => {
                return Err(RequestEnd::LeaseTooShort);
            }
            Err(error) => {
                let error = error.clone();
                if error.answer_lost() && spends.is_some() {
                    core.emit(EventKind::AnswerLost { error: error.clone() });
                }
                core.emit(EventKind::TokenRequestFailed { exchange, took, error });
            }
        }
        Ok((result, cx.sent().unwrap_or(started)))
    }

    fn check(&self, tokens: TokenSet) -> Result<TokenSet, Error> {
        if tokens.access_token().is_some() {
            return Ok(tokens);
        }
        Err(self.core.error(ErrorKind::InvalidResponse, "the provider brought no access token"))
    }

    /// Persists, then publishes.
    async fn keep(self, brought: Issued) -> Result<Option<Arc<AccessToken>>, RequestEnd> {
        let Issued { tokens, sent, order, spent } = brought;
        let order = order.next_generation();
        let record = Contents::of_tokens(tokens.clone()).to_record(order)?;
        let expected = self.preconditions.expected.clone();
        let has_read = matches!(expected, Expected::Version(_));
        let write = Write::of_exchange(record, expected, spent);
        let order = match self.core.persist(self.flight, write).await {
            Persisted::Stored(order) | Persisted::Later(order, _) => order,
            Persisted::Overtaken => return Ok(self.lose(order, tokens, true)),
            Persisted::Overruled(there) => {
                self.core.take_over(&there);
                return Ok(self.lose(order, tokens, has_read));
            }
        };
        let now = self.core.clock.now();
        let token = tokens.access_token().cloned();
        let published = self.core.change(|state| {
            // Somebody may have read it out of the storage before it is published here.
            let is_known = order == state.order
                && state.held.as_ref().zip(token.as_ref()).is_some_and(|(h, t)| h.holds(t));
            let wins = state.is_current(self.flight) && (order > state.order || is_known);
            wins.then(|| {
                self.flight.mark_requested();
                state.publish(order, tokens.clone(), sent, now, &self.core.policy)
            })
        });
        match published {
            Some(Reissued(reissued)) => {
                if reissued {
                    self.core.emit(EventKind::RejectedTokenReissued);
                }
                Ok(token)
            }
            None => Ok(self.lose(order, tokens, true)),
        }
    }

    /// Something newer is there. After a logout or login our tokens belong to nobody, and are
    /// revoked; otherwise they may be of the same family as what is there, and revoking them would
    /// take both. Who had not read the storage cannot tell these apart, and revokes nothing.
    fn lose(&self, ours: Order, tokens: TokenSet, may_tell: bool) -> Option<Arc<AccessToken>> {
        let now = self.core.clock.now();
        let (is_overtaken, servable) = {
            let state = self.core.state.lock();
            let overtaken = !state.is_current(self.flight);
            (overtaken || state.order.epoch() > ours.epoch(), state.servable(now))
        };
        if !is_overtaken || !may_tell {
            self.core.emit(EventKind::Adopted);
            return servable;
        }
        discard(self.core, tokens);
        None
    }

    /// After a verdict on a refresh token: did somebody store a newer one meanwhile? A token that
    /// serves is adopted; a newer refresh token is left in memory for another attempt.
    async fn reload(&mut self) -> Result<Option<Arc<AccessToken>>, RequestEnd> {
        if std::mem::replace(&mut self.has_reloaded, true) {
            return Ok(None);
        }
        match self.renewal.look().await? {
            ReadOutcome::Adopt(token) => Ok(Some(token)),
            ReadOutcome::Go(preconditions) => {
                self.preconditions = preconditions;
                Ok(None)
            }
        }
    }

    /// Whether memory has a refresh token that the service refused.
    fn holds_refused(&self) -> bool {
        let state = self.core.state.lock();
        let held = state.held.as_ref().and_then(|held| held.tokens.refresh_token());
        held.is_some_and(|held| self.refused.iter().any(|refused| refused.ct_eq(held)))
    }

    /// Nobody shall spend it again: not we, and not whoever reads the storage.
    async fn drop_refresh_token(&mut self) {
        self.core.emit(EventKind::RefreshTokenDropped);
        // What is held now, not what was spent: a reload may have brought a newer access token
        // with the same refresh token.
        let (order, current) = {
            let state = self.core.state.lock();
            let Some(held) = &state.held else { return };
            (state.order.next_generation(), Arc::clone(&held.tokens))
        };
        let tokens = TokenSet::clone(&current).without_refresh_token();
        let Ok(record) = Contents::of_tokens(tokens.clone()).to_record(order) else { return };
        let expected = std::mem::replace(&mut self.preconditions.expected, Expected::Unknown);
        let spent = current.refresh_token().cloned();
        let write = Write::of_exchange(record, expected, spent);
        match self.core.persist(self.flight, write).await {
            Persisted::Stored(order) | Persisted::Later(order, _) => self.core.change(|state| {
                if state.is_current(self.flight)
                    && order > state.order
                    && let Some(held) = &mut state.held
                {
                    state.order = order;
                    held.tokens = Arc::new(tokens);
                }
            }),
            Persisted::Overruled(there) => self.core.take_over(&there),
            Persisted::Overtaken => {}
        }
    }

    /// Notes a failure, and tells the other processes of a verdict on the credentials.
    async fn give_up(
        &self,
        error: Error,
        order: Order,
        current: Option<&TokenSet>,
    ) -> Result<Option<Arc<AccessToken>>, RequestEnd> {
        if !self.core.state.lock().is_current(self.flight) {
            return Ok(None);
        }
        let is_verdict = error.kind() == ErrorKind::CredentialsRejected;
        let noted = self.core.fail_flight(self.flight, error);
        let may_note = self.core.storage.shared().is_some() && !self.preconditions.distrusts_memory;
        if is_verdict && may_note {
            self.share_verdict(&noted, order, current).await;
        }
        Err(RequestEnd::Failed(noted))
    }

    async fn share_verdict(&self, error: &Error, order: Order, current: Option<&TokenSet>) {
        let verdict = StoredVerdict {
            at: self.core.clock.now().wall(),
            status: error.status(),
            code: error.oauth().map(|oauth| oauth.code().into()),
        };
        let at = verdict.at;
        let contents = Contents { tokens: current.cloned(), rejected: Some(verdict) };
        // A note on the record that is there, under its order: it must beat nobody's tokens.
        let Ok(record) = contents.to_record(order) else { return };
        let expected = self.preconditions.expected.clone();
        let mut write = Write::of_exchange(record, expected, None);
        let result = {
            let _writing = self.core.writing.lock().await;
            if !self.core.state.lock().is_current(self.flight) {
                return;
            }
            self.core.put(&mut write).await
        };
        match result {
            Ok(_) => self.core.change(|state| state.own_verdict_at = Some(at)),
            // Other processes then find the refusal out themselves; that is not worth another attempt.
            Err(failed) => drop(self.core.tell(failed)),
        }
    }
}

/// Drops tokens that a `clear` or `install` has overtaken, at the service too.
fn discard(core: &Arc<Core>, tokens: TokenSet) {
    core.emit(EventKind::Overtaken);
    let task = {
        let core = Arc::clone(core);
        async move {
            let limit = core.policy.request_timeout;
            let late = || Error::new(ErrorKind::Transport, "the revocation took too long");
            // Best effort: nobody has these tokens, and nobody waits.
            let _ = core.call("revoke", limit, late, core.provider.revoke(&tokens)).await;
        }
    };
    let _ = core.spawn_counted(task);
}

/// The refresh token of `current`, if the answer put another in its place. Whoever still stores
/// it then is behind; where a service does not rotate, everybody stores the same.
fn rotated_out(current: &TokenSet, answer: &TokenSet) -> Option<Secret> {
    let (old, new) = (current.refresh_token()?, answer.refresh_token()?);
    (!old.ct_eq(new)).then(|| old.clone())
}

/// Lets a request out only while the lease lasts for it and for the write after it.
#[derive(Debug)]
struct LeaseGate {
    ends: Option<Now>,
    reserve: Duration,
    refused: AtomicBool,
}

impl LeaseGate {
    fn new(lease: Option<&Lease>, reserve: Duration) -> Self {
        Self { ends: lease.map(Lease::ends), reserve, refused: AtomicBool::new(false) }
    }

    fn refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }
}

impl SendGate for LeaseGate {
    fn check(&self, now: &Now) -> Result<(), Error> {
        match self.ends {
            Some(ends) if now.until(&ends) <= self.reserve => {
                self.refused.store(true, Ordering::Relaxed);
                let what = "the lease is nearly over, so the request was not sent";
                Err(Error::new(ErrorKind::Storage, what))
            }
            _ => Ok(()),
        }
    }
}
