//! What others are shown of the state. Nothing here changes it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::decide::Abilities;
use super::{CurrentTokens, OwedWrite, State};
use crate::access_token::AccessToken;
use crate::clock::{Now, unix_millis};
use crate::error::Error;
use crate::policy::RefreshPolicy;
use crate::record::Order;
use crate::refresh::flight::Flight;
use crate::secret::Secret;
use crate::status::{Status, TokenState};
use crate::telemetry::Reading;
use crate::token_set::TokenSet;

impl State {
    pub(crate) fn current(&self) -> Option<&CurrentTokens> {
        self.current.as_ref()
    }

    /// All tokens that are held, to be read without the lock.
    pub(crate) fn tokens(&self) -> Option<Arc<TokenSet>> {
        self.current.as_ref().map(|current| Arc::clone(current.tokens()))
    }

    pub(crate) fn order(&self) -> Order {
        self.order
    }

    pub(crate) fn flight(&self) -> Option<Arc<Flight>> {
        self.flight.clone()
    }

    pub(crate) fn has_read(&self) -> bool {
        self.has_read
    }

    /// Whether a logout may be in the storage that this process has not heard of.
    pub(crate) fn should_read_first(&self) -> bool {
        !self.has_read && self.current.is_none() && self.looked_at.is_none()
    }

    pub(crate) fn is_cleared(&self) -> bool {
        self.is_cleared
    }

    pub(crate) fn has_tasks(&self) -> bool {
        self.tasks > 0
    }

    pub(crate) fn owed(&self) -> Option<&OwedWrite> {
        self.owed.as_ref()
    }

    /// Whether the flight is the one that counts, and not overtaken.
    pub(crate) fn is_current(&self, flight: &Arc<Flight>) -> bool {
        self.flight.as_ref().is_some_and(|current| Arc::ptr_eq(current, flight))
    }

    /// Whether a login or logout is on its way into the storage.
    pub(crate) fn changes_session(&self) -> bool {
        self.flight.as_ref().is_some_and(|flight| flight.kind().changes_session())
    }

    /// Whether the storage lacks something: a write that failed, or a login or logout that is on
    /// its way and not the one that was just `written`.
    pub(crate) fn owes_write(&self, written: Option<&Arc<Flight>>) -> bool {
        let is_written = written.is_some_and(|flight| self.is_current(flight));
        self.owed.is_some() || (self.changes_session() && !is_written)
    }

    /// The token that this process learned of while the flight was under way, if it is fresh.
    pub(crate) fn learned_since(&self, flight: &Flight, now: Now) -> Option<Arc<AccessToken>> {
        let current = self.current.as_ref().filter(|current| !current.is_rejected())?;
        let is_news = self.order > flight.since() && !now.has_reached(&current.life.advisory);
        current.token().filter(|_| is_news).cloned()
    }

    pub(crate) fn is_rejected(&self, token: &AccessToken) -> bool {
        self.rejections.contains(token)
    }

    /// Whether the token is the current one, and was rejected or not, may be replaced now.
    pub(crate) fn may_replace(&self, token: &AccessToken, now: Now) -> bool {
        self.holds(token) && self.rejections.pause(now).is_none()
    }

    pub(crate) fn holds(&self, token: &AccessToken) -> bool {
        self.current.as_ref().is_some_and(|current| current.holds(token))
    }

    /// Whether the refresh token was refused so lately, and so vaguely, that it is too early to
    /// send it again.
    pub(crate) fn is_doubted(&self, token: &Secret, now: Now) -> bool {
        self.doubt.as_ref().is_some_and(|doubt| doubt.is_about(token) && doubt.stands(now))
    }

    /// Whether a refresh token was refused in vague words: what a fetch says is then the verdict.
    pub(crate) fn has_doubt(&self) -> bool {
        self.doubt.is_some()
    }

    /// The failure after which only a person can help.
    pub(crate) fn wants_person(&self) -> Option<Error> {
        self.backoff.wants_person().cloned()
    }

    /// Whether a verdict that was stored at this time is news to this manager.
    pub(crate) fn believes_verdict(&self, at: SystemTime) -> bool {
        !self.doubts_stored_verdict && self.own_verdict_at != Some(at)
    }

    /// Whether there is anything that makes a login unnecessary.
    pub(crate) fn has_login(&self, now: Now) -> bool {
        let has_refresh_token = self.current.as_ref().is_some_and(|c| c.refresh_token().is_some());
        has_refresh_token || self.servable(now).is_some()
    }

    /// Whether only a person can bring the next token.
    fn needs_login(&self, now: Now, can: Abilities) -> bool {
        let is_doubtful = self.doubt.is_some() && !can.non_interactive;
        (is_doubtful || !self.may_request(can)) && self.servable(now).is_none() && self.has_read
    }

    /// What the hot path serves, and until when.
    pub(crate) fn fresh(&self) -> Option<(Arc<AccessToken>, Now)> {
        let current = self.current.as_ref().filter(|current| !current.is_rejected())?;
        Some((Arc::clone(current.token()?), current.life.advisory))
    }

    /// When a renewal is next worth a try. `None` while one is under way, and after a logout.
    pub(crate) fn next_renewal(&self, now: Now) -> Option<Now> {
        if self.flight.is_some() {
            return None;
        }
        let due = match &self.current {
            None if self.is_cleared => return None, // a logout does not ask for a login
            None => now,
            Some(current) if current.token().is_none() => now,
            Some(current) if current.is_rejected() => self.rejections.pause(now).unwrap_or(now),
            Some(current) => current.life.advisory,
        };
        // A token in hand answers until the last token request is far enough away.
        let answers =
            self.current.as_ref().is_some_and(|c| c.token().is_some() && !c.is_rejected());
        let interval = if answers { self.interval_ends() } else { None };
        let [failure, lookup] = self.backoff.until();
        let waits = [Some(due), failure, lookup, interval];
        waits.into_iter().flatten().max_by_key(|point| now.until(point))
    }

    /// The errors that are remembered: code that is not ours runs when the last copy is dropped.
    pub(crate) fn errors(&self) -> [Option<Error>; 3] {
        let [failure, lookup] = self.backoff.errors();
        let write = self.owed.as_ref().map(|owed| &owed.error);
        [failure, lookup, write].map(|error| error.cloned())
    }

    pub(crate) fn status(&self, service_name: &Arc<str>, now: Now, can: Abilities) -> Status {
        let token = match self.current.as_ref().filter(|current| current.token().is_some()) {
            None => TokenState::Absent,
            Some(current) if current.is_rejected() => TokenState::Rejected,
            Some(current) if !current.is_alive(now) => TokenState::Expired,
            Some(current) if now.has_reached(&current.life.advisory) => TokenState::Due,
            Some(_) => TokenState::Fresh,
        };
        let failed = self.backoff.pause(now).and_then(|error| error.retry_after());
        let rejected = (token == TokenState::Rejected)
            .then(|| self.rejections.pause(now))
            .flatten()
            .map(|until| now.until(&until));
        let current = self.current.as_ref();
        let tokens = current.map(|current| &current.tokens);
        let expires_at = tokens.and_then(|tokens| tokens.expires_at());
        let asked_for = tokens.filter(|tokens| tokens.access_token().is_some());
        let asked_for = asked_for.map(|tokens| tokens.requested_at());
        Status {
            service_name: Arc::clone(service_name),
            token,
            expires_at,
            expires_in: expires_at.and(current).map(|c| now.until(&c.life.expiry)),
            token_age: asked_for.map(|at| now.wall().duration_since(at).unwrap_or_default()),
            has_refresh_token: tokens.is_some_and(|tokens| tokens.refresh_token().is_some()),
            needs_login: self.needs_login(now, can),
            exchanging: self.flight.is_some(),
            unpersisted: self.owed.as_ref().map(|owed| owed.error.clone()),
            last_error: self.backoff.last_error().cloned(),
            paused_for: failed.into_iter().chain(rejected).max(),
        }
    }

    /// What the gauges show.
    pub(crate) fn reading(&self) -> Reading {
        let seconds = |millis: u64| Duration::from_millis(millis).as_secs_f64();
        let tokens = self.current.as_ref().map(|current| &current.tokens);
        let tokens = tokens.filter(|tokens| tokens.access_token().is_some());
        let expires_at = |tokens: &Arc<TokenSet>| {
            tokens.expires_at().map_or(f64::INFINITY, |end| seconds(unix_millis(end)))
        };
        let paused_until = match self.backoff.wants_person() {
            Some(_) => f64::INFINITY,
            None => {
                let ends = self.backoff.until().into_iter().flatten();
                ends.map(|end| seconds(end.wall_millis())).fold(0.0, f64::max)
            }
        };
        Reading {
            issued_at: tokens.map_or(0.0, |tokens| seconds(unix_millis(tokens.requested_at()))),
            expires_at: tokens.map_or(0.0, expires_at),
            paused_until,
            is_unpersisted: self.owed.is_some(),
        }
    }

    /// Whether something is under way, or not in the storage yet.
    pub(crate) fn owes_work(&self) -> bool {
        self.tasks > 0 || self.flight.is_some() || self.owed.is_some() || self.retries_writes
    }

    /// Whether a manager that knows only what is stored would do the same as this one.
    pub(crate) fn has_faded(
        &self,
        now: Now,
        non_interactive: bool,
        policy: &RefreshPolicy,
    ) -> bool {
        let current = self.current.as_ref();
        // It would be read from the storage, and served.
        let holds_rejected = current.is_some_and(|c| c.is_rejected() && c.is_alive(now));
        let age = current.map(|current| now.since(&current.published_at));
        let has_refresh_token = current.is_some_and(|c| c.refresh_token().is_some());
        !holds_rejected
            && self.interval_left(now).is_none()
            && self.rejections.have_faded(now, age)
            && self.backoff.has_faded(now, non_interactive || has_refresh_token, policy)
    }

    /// Why tokens that would be put in only where there are none are not needed, as `session`
    /// checks: a login is here.
    pub(crate) fn is_login(&self, record: Order, tokens: Option<&TokenSet>, now: Now) -> bool {
        let Some(tokens) = tokens else { return false };
        let is_rejected = || tokens.access_token().is_some_and(|t| self.rejections.contains(t));
        let serves = || tokens.may_serve(now.wall()) && !is_rejected();
        record >= self.order && (tokens.refresh_token().is_some() || serves())
    }
}
