//! One token request: which call to make, what its answer means, and what becomes of the tokens.

use std::sync::Arc;

use crate::access_token::AccessToken;
use crate::clock::Now;
use crate::error::{Error, ErrorKind};
use crate::oauth_error::TokenRequestKind;
use crate::observer::EventKind;
use crate::record::Order;
use crate::refresh::flight::{Flight, FlightKind};
use crate::refresh::gate::LeaseGate;
use crate::refresh::publish::Persisted;
use crate::refresh::renewal::{Preconditions, ReadOutcome, Renewal, RequestEnd};
use crate::secret::Secret;
use crate::shared::Core;
use crate::shared_storage::Lease;
use crate::state::backoff::Pace;
use crate::state::{Issued, Meaning};
use crate::store::payload::{Contents, StoredVerdict};
use crate::store::{Expected, Write};
use crate::token_set::TokenSet;

/// A token request under the preconditions that were just read.
pub(crate) struct TokenRequest<'a> {
    pub(super) core: &'a Arc<Core>,
    pub(super) flight: &'a Arc<Flight>,
    renewal: &'a Renewal,
    preconditions: Preconditions,
    has_reloaded: bool,
    /// Refresh tokens that the service refused in this flight: none is sent twice.
    refused: Vec<Secret>,
}

type Token = Option<Arc<AccessToken>>;

impl<'a> TokenRequest<'a> {
    pub(crate) fn new(renewal: &'a Renewal, preconditions: Preconditions) -> Self {
        let (core, flight) = (&renewal.core, &renewal.flight);
        let (has_reloaded, refused) = (false, Vec::new());
        Self { renewal, core, flight, preconditions, has_reloaded, refused }
    }

    pub(crate) async fn run(mut self, lease: &mut Option<Lease>) -> Result<Token, RequestEnd> {
        loop {
            let (order, current) = {
                let state = self.core.state.lock();
                if !state.is_current(self.flight) {
                    return Ok(None);
                }
                (state.order(), state.tokens())
            };
            let spends = current.as_deref().filter(|tokens| self.spends_refresh_token(tokens));
            let kind = self.choose(spends.is_some())?;
            self.secure(lease).await?;
            let (result, sent) = self.call(kind, spends, lease.as_ref()).await?;
            let error = match result {
                Ok(tokens) => {
                    let tokens = match spends {
                        Some(current) => tokens.carry_over(current),
                        None => tokens,
                    };
                    let spent = spends.and_then(|current| rotated_out(current, &tokens));
                    let is_provisional = matches!(self.preconditions.expected, Expected::Unknown);
                    return self.keep(Issued { tokens, sent, order, is_provisional, spent }).await;
                }
                Err(error) => error,
            };
            let now = self.core.clock.now();
            let meaning = self.core.change(|state| state.judge(now, kind, &error));
            let spent = spends.and_then(|current| current.refresh_token().cloned());
            match (meaning, spent) {
                (Meaning::RefreshRejected, Some(token)) => {
                    self.refused.push(token);
                    if let Some(token) = self.reload().await? {
                        return Ok(Some(token));
                    }
                    self.after_rejection(error).await?;
                }
                (Meaning::RefreshDoubtful, Some(token)) => {
                    self.refused.push(token);
                    if let Some(token) = self.reload().await? {
                        return Ok(Some(token));
                    }
                    self.after_doubt(error)?;
                }
                (meaning, _) => {
                    return self.give_up(error, meaning, order, current.as_deref()).await;
                }
            }
        }
    }

    fn spends_refresh_token(&self, current: &TokenSet) -> bool {
        let can = self.core.abilities();
        let Some(token) = current.refresh_token() else { return false };
        let now = self.core.clock.now();
        let may_fetch = can.non_interactive;
        self.flight.kind() != FlightKind::Login
            && can.refreshes
            && !self.preconditions.distrusts_memory
            && !self.is_refused(token)
            && !(may_fetch && self.core.state.lock().is_doubted(token, now))
    }

    /// Which call to make, or why none.
    fn choose(&self, has_refresh_token: bool) -> Result<TokenRequestKind, RequestEnd> {
        if !self.flight.must_request() {
            self.check_pauses()?;
        }
        if has_refresh_token {
            return Ok(TokenRequestKind::Refresh);
        }
        if self.core.abilities().non_interactive || self.flight.kind() == FlightKind::Login {
            return Ok(TokenRequestKind::Fetch);
        }
        let what = "there is no refresh token, and this provider cannot log in without a person";
        let error = self.core.error(ErrorKind::LoginRequired, what);
        Err(RequestEnd::Failed(self.core.note_empty_lookup(self.flight, error)))
    }

    /// What stands in the way of a request that no caller insists on.
    fn check_pauses(&self) -> Result<(), RequestEnd> {
        let verdict = self.preconditions.verdict.as_ref();
        let (person, believes) = {
            let state = self.core.state.lock();
            if state.is_cleared() && !self.flight.is_wanted() {
                return Err(RequestEnd::LoggedOut);
            }
            let believes = verdict.is_some_and(|verdict| state.believes_verdict(verdict.at));
            (state.wants_person(), believes)
        };
        if let Some(error) = person {
            return Err(RequestEnd::Failed(self.core.note_empty_lookup(self.flight, error)));
        }
        if believes && let Some((error, left)) = self.preconditions.fresh_verdict(self.core) {
            let now = self.core.clock.now();
            let error = self.core.change(|state| state.learn_verdict(now, error, left));
            return Err(RequestEnd::Failed(error));
        }
        Ok(())
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
        kind: TokenRequestKind,
        spends: Option<&TokenSet>,
        lease: Option<&Lease>,
    ) -> Result<(Result<TokenSet, Error>, Now), RequestEnd> {
        let core = self.core;
        let started = core.clock.now();
        let gate = LeaseGate::new(lease, core.policy.lease_reserve());
        let limit = core.policy.request_timeout;
        let cx = crate::provider::FetchContext::gated(&core.clock, limit, &gate);
        let late = || {
            let what = format!("the service did not answer within {} s", limit.as_secs_f64());
            let error = Error::new(ErrorKind::Transport, what);
            if cx.sent().is_some() { error.with_answer_lost() } else { error }
        };
        self.flight.mark_requesting();
        core.emit(EventKind::TokenRequestStarted { exchange: kind });
        let result = match spends {
            Some(current) => {
                let work = core.provider.refresh_token(current, &cx);
                let end = lease.map_or(std::time::Duration::MAX, Lease::remaining);
                let result = core.call_until("refresh_token", limit, end, late, work).await;
                result.map_err(|failed| core.tell(failed))
            }
            None => core.call("fetch_token", limit, late, core.provider.fetch_token(&cx)).await,
        };
        let result = result.and_then(|tokens| self.check(tokens));
        let has_ended = || lease.is_some_and(|lease| lease.remaining().is_zero());
        if result.is_err() && (gate.refused() || has_ended() && cx.sent().is_none()) {
            return Err(RequestEnd::LeaseTooShort);
        }
        self.tell_end(kind, started, &result);
        Ok((result, cx.sent().unwrap_or(started)))
    }

    fn tell_end(&self, kind: TokenRequestKind, started: Now, result: &Result<TokenSet, Error>) {
        let took = self.core.clock.now().since(&started);
        let exchange = kind;
        match result {
            Ok(tokens) => {
                let expires_at = tokens.expires_at();
                self.core.emit(EventKind::TokenRequestSucceeded { exchange, took, expires_at });
            }
            Err(error) => {
                if error.answer_lost() && kind == TokenRequestKind::Refresh {
                    self.core.emit(EventKind::AnswerLost { error: error.clone() });
                }
                let error = error.clone();
                self.core.emit(EventKind::TokenRequestFailed { exchange, took, error });
            }
        }
    }

    fn check(&self, tokens: TokenSet) -> Result<TokenSet, Error> {
        if tokens.access_token().is_some() {
            return Ok(tokens);
        }
        Err(self.core.error(ErrorKind::InvalidResponse, "the provider brought no access token"))
    }

    /// Persists, then publishes.
    async fn keep(self, issued: Issued) -> Result<Token, RequestEnd> {
        let order = issued.order.next_generation();
        let record = Contents::of_tokens(issued.tokens.clone()).to_record(order)?;
        let expected = self.preconditions.expected.clone();
        let has_read = matches!(expected, Expected::Version(_));
        let write = Write::of_token_request(record, expected, issued.spent.clone());
        let write = Write { is_provisional: issued.is_provisional, ..write };
        let (order, is_stored) = match self.core.persist(self.flight, write).await {
            Persisted::Stored(order) => (order, true),
            Persisted::Later(order, _) => (order, false),
            Persisted::Overtaken => return Ok(self.lose(order, issued.tokens, true)),
            Persisted::Overruled(there) => {
                self.core.give_way(&there);
                return Ok(self.lose(order, issued.tokens, has_read));
            }
        };
        let is_provisional = issued.is_provisional && !is_stored;
        let issued = Issued { order, is_provisional, ..issued };
        let (sent, tokens) = (issued.sent, issued.tokens.clone());
        let now = self.core.clock.now();
        let published = self.core.change(|state| {
            let counts = state.is_current(self.flight);
            counts.then(|| state.publish(issued, now, &self.core.policy)).flatten()
        });
        let Some(reissued) = published else { return Ok(self.lose(order, tokens, true)) };
        if reissued.0 {
            self.core.emit(EventKind::RejectedTokenReissued);
        }
        self.check_alive(&tokens, sent)?;
        self.flight.mark_requested();
        Ok(tokens.access_token().cloned())
    }

    /// A service that is slower than its tokens live is asked once for each call, and then paced.
    fn check_alive(&self, tokens: &TokenSet, sent: Now) -> Result<(), RequestEnd> {
        let now = self.core.clock.now();
        let is_alive = self.core.state.lock().current().is_none_or(|current| current.is_alive(now));
        let took = now.since(&sent);
        // One that was suspended, or stopped, for longer than a request may take asks again.
        if is_alive || took > self.core.policy.request_timeout {
            return Ok(());
        }
        let what = format!(
            "the service issued a token that lives {} s and answered after {} s, so the token had \
             ended when it came",
            tokens.lifetime().unwrap_or_default().as_secs_f64(),
            took.as_secs_f64()
        );
        let error = Error::new(ErrorKind::InvalidResponse, what)
            .with_advice("have the service issue tokens that live longer, or answer sooner");
        Err(RequestEnd::Failed(self.core.fail_flight(self.flight, error)))
    }

    /// Something newer is there. After a logout or login our tokens are of no use, and are revoked;
    /// otherwise they may be of the same family as what is there, and revoking them would take
    /// both. Without having read the storage these cannot be told apart, and nothing is revoked.
    fn lose(&self, ours: Order, tokens: TokenSet, may_tell: bool) -> Token {
        let now = self.core.clock.now();
        let (is_overtaken, servable) = {
            let state = self.core.state.lock();
            let overtaken = !state.is_current(self.flight);
            (overtaken || state.order().epoch() > ours.epoch(), state.servable(now))
        };
        if !is_overtaken || !may_tell {
            self.core.emit(EventKind::Adopted);
            return servable;
        }
        discard(self.core, tokens);
        None
    }

    /// After a refusal of a refresh token: did another process store a newer one meanwhile? A token
    /// that serves is adopted; a newer refresh token is left in memory for another attempt.
    async fn reload(&mut self) -> Result<Token, RequestEnd> {
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

    fn is_refused(&self, token: &Secret) -> bool {
        self.refused.iter().any(|refused| refused.ct_eq(token))
    }

    /// The current refresh token, if the service refused it in this flight.
    fn refused_token(&self) -> Option<Secret> {
        let tokens = self.core.state.lock().tokens()?;
        tokens.refresh_token().filter(|token| self.is_refused(token)).cloned()
    }

    /// A dead refresh token is dropped; then a fetch, if the provider can make one by itself.
    async fn after_rejection(&mut self, error: Error) -> Result<(), RequestEnd> {
        if self.refused_token().is_none() {
            return Ok(()); // another process stored a newer one
        }
        self.drop_refresh_token().await;
        if self.refused_token().is_some() || !self.core.abilities().non_interactive {
            return Err(RequestEnd::Failed(self.core.fail_flight(self.flight, error)));
        }
        Ok(())
    }

    /// A doubtful refresh token is kept; then a fetch, if the provider can make one by itself.
    fn after_doubt(&mut self, error: Error) -> Result<(), RequestEnd> {
        let Some(token) = self.refused_token() else { return Ok(()) };
        let now = self.core.clock.now();
        self.core.change(|state| {
            if state.is_current(self.flight) {
                state.doubt(&token, now);
            }
        });
        if !self.core.abilities().non_interactive {
            let error = as_doubtful(error);
            return Err(RequestEnd::Failed(self.core.fail_flight(self.flight, error)));
        }
        Ok(())
    }

    /// No process shall spend it again, this one included.
    async fn drop_refresh_token(&mut self) {
        self.core.emit(EventKind::RefreshTokenDropped);
        // What is held now, not what was spent: a reload may have brought a newer access token
        // with the same refresh token.
        let (order, current) = {
            let state = self.core.state.lock();
            let Some(tokens) = state.tokens() else { return };
            (state.order().next_generation(), tokens)
        };
        let tokens = TokenSet::clone(&current).without_refresh_token();
        let Ok(record) = Contents::of_tokens(tokens.clone()).to_record(order) else { return };
        let expected = std::mem::replace(&mut self.preconditions.expected, Expected::Unknown);
        let spent = current.refresh_token().cloned();
        let write = Write::of_token_request(record, expected, spent);
        match self.core.persist(self.flight, write).await {
            Persisted::Stored(order) | Persisted::Later(order, _) => self.core.change(|state| {
                if state.is_current(self.flight) {
                    state.drop_refresh_token(order, tokens);
                }
            }),
            Persisted::Overruled(there) => self.core.give_way(&there),
            Persisted::Overtaken => {}
        }
    }

    /// Notes a failure, and tells the other processes of a verdict on the credentials.
    async fn give_up(
        &self,
        error: Error,
        meaning: Meaning,
        order: Order,
        current: Option<&TokenSet>,
    ) -> Result<Token, RequestEnd> {
        if !self.core.state.lock().is_current(self.flight) {
            return Ok(None);
        }
        let pace = match meaning {
            Meaning::Other(Pace::Transient) if self.core.state.lock().has_doubt() => Pace::Verdict,
            Meaning::Other(pace) => pace,
            Meaning::RefreshRejected | Meaning::RefreshDoubtful => Pace::of(error.kind()),
        };
        let is_verdict = error.kind() == ErrorKind::CredentialsRejected;
        let noted = self.core.fail_flight_at(self.flight, error, pace);
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
        // A note on the record that is there, under its order: it must beat no tokens.
        let Ok(record) = contents.to_record(order) else { return };
        let expected = self.preconditions.expected.clone();
        let mut write = Write::of_token_request(record, expected, None);
        let result = {
            let _writing = self.core.writing.lock().await;
            if !self.core.state.lock().is_current(self.flight) {
                return;
            }
            self.core.put(&mut write).await
        };
        match result {
            Ok(_) => self.core.change(|state| state.stored_own_verdict(at)),
            // Other processes then find the refusal out themselves.
            Err(failed) => drop(self.core.tell(failed)),
        }
    }
}

/// What an interactive provider reports of refusals that look like those of a gateway, once there
/// are too many of them.
fn as_doubtful(error: Error) -> Error {
    if error.kind() == ErrorKind::RefreshDoubtful {
        return error;
    }
    let what = "the refresh was refused several times in a row, by the service or a gateway before \
                it, without an OAuth error";
    let status = error.status();
    let doubtful = Error::new(ErrorKind::RefreshDoubtful, what).with_source(error);
    status.map_or(doubtful.clone(), |status| doubtful.with_status(status))
}

/// Drops tokens that a `clear` or `install` has overtaken, at the service too.
fn discard(core: &Arc<Core>, tokens: TokenSet) {
    core.emit(EventKind::Overtaken);
    let task = {
        let core = Arc::clone(core);
        async move {
            let limit = core.policy.request_timeout;
            let late = || Error::new(ErrorKind::Transport, "the revocation took too long");
            // Best effort: no caller has these tokens, and none waits.
            let _ = core.call("revoke", limit, late, core.provider.revoke(&tokens)).await;
        }
    };
    let _ = core.spawn_counted(task);
}

/// The refresh token of `current`, if the answer put another in its place. A record that still
/// holds it then is behind; where a service does not rotate, all records hold the same.
fn rotated_out(current: &TokenSet, answer: &TokenSet) -> Option<Secret> {
    let (old, new) = (current.refresh_token()?, answer.refresh_token()?);
    (!old.ct_eq(new)).then(|| old.clone())
}
