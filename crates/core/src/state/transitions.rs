//! All that changes the state, one named transition each.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::backoff::Pace;
use super::current::{Age, CurrentTokens};
use super::doubt::{Doubt, GatewayRefusals};
use super::lifetimes::Lifetime;
use super::{OwedWrite, State};
use crate::access_token::AccessToken;
use crate::clock::Now;
use crate::error::{Error, ErrorKind};
use crate::oauth_error::TokenRequestKind;
use crate::policy::RefreshPolicy;
use crate::record::{Order, TokenRecord};
use crate::refresh::flight::{Flight, FlightKind};
use crate::secret::Secret;
use crate::store::conflict::{Claim, Holding, Winner, winner};
use crate::store::payload::Contents;
use crate::store::{Write, WriteKind};
use crate::token_set::TokenSet;

/// What became of a record that was read.
#[derive(Debug)]
pub(crate) enum Adoption {
    /// It is not newer, or a flight that counts more is under way.
    Kept,
    /// It counts now. Its token, if that is news and serves.
    Learned(Option<Arc<AccessToken>>),
}

/// Tokens that a token request brought.
#[derive(Debug)]
pub(crate) struct Issued {
    pub(crate) tokens: TokenSet,
    /// When the request was sent.
    pub(crate) sent: Now,
    pub(crate) order: Order,
    /// The storage could not be read, so the order says nothing about what is there.
    pub(crate) is_provisional: bool,
    /// The refresh token that the service put another in the place of.
    pub(crate) spent: Option<Secret>,
}

/// What the refusal of a token request says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The refresh token is dead.
    RefreshRejected,
    /// The refresh token may be dead.
    RefreshDoubtful,
    Other(Pace),
}

impl State {
    /// Makes a flight the one that counts.
    pub(crate) fn begin(&mut self, kind: FlightKind, now: Now) -> Arc<Flight> {
        let flight = Flight::new(kind, self.order);
        self.flight = Some(Arc::clone(&flight));
        self.tasks += 1;
        if kind == FlightKind::Lookup {
            self.looked_at = Some(now);
        }
        flight
    }

    /// A login or logout: raises the epoch, so that every token request under way loses.
    pub(crate) fn overtake(&mut self, kind: FlightKind, now: Now) -> Arc<Flight> {
        self.order = self.order.next_epoch(now.wall_millis());
        if kind == FlightKind::Logout {
            self.current = None;
            self.owed = None;
            self.requested_at = None;
            self.is_cleared = true;
            self.doubt = None;
            self.backoff.forget_verdict();
            self.rejections.forgive();
        }
        self.begin(kind, now)
    }

    pub(crate) fn finish(&mut self, flight: &Arc<Flight>) {
        self.tasks -= 1;
        if self.is_current(flight) {
            self.flight = None;
        }
    }

    pub(crate) fn task_started(&mut self) {
        self.tasks += 1;
    }

    pub(crate) fn task_ended(&mut self) {
        self.tasks -= 1;
    }

    pub(crate) fn storage_was_read(&mut self) {
        self.has_read = true;
    }

    /// Notes a failure, and returns it with the pause that follows.
    pub(crate) fn fail_at(
        &mut self,
        now: Now,
        error: Error,
        pace: Pace,
        policy: &RefreshPolicy,
    ) -> Error {
        self.backoff.fail(now, error, pace, policy)
    }

    pub(crate) fn note_empty_lookup(&mut self, now: Now, error: Error) {
        self.backoff.note_empty_lookup(now, error);
    }

    /// A verdict that another process met: answered from memory until it is over.
    pub(crate) fn learn_verdict(&mut self, now: Now, error: Error, left: Duration) -> Error {
        self.backoff.learn_verdict(now, error, left)
    }

    pub(crate) fn stored_own_verdict(&mut self, at: SystemTime) {
        self.own_verdict_at = Some(at);
    }

    pub(crate) fn credentials_changed(&mut self) {
        self.backoff.forget_verdict();
        self.doubts_stored_verdict = true;
    }

    /// What the failure of a token request says, in the light of what the endpoint said before.
    pub(crate) fn judge(&mut self, now: Now, kind: TokenRequestKind, error: &Error) -> Meaning {
        self.has_answered |= error.oauth().is_some();
        let is_refresh = kind == TokenRequestKind::Refresh;
        let is_anonymous = error.kind() == ErrorKind::RequestRejected
            && error.oauth().is_none()
            && error.status().is_some_and(|status| status.is_client_error());
        if is_refresh && is_anonymous {
            return match self.gateway.note(now) {
                true => Meaning::RefreshDoubtful,
                false => Meaning::Other(Pace::Transient),
            };
        }
        if is_refresh && error.status().is_some() {
            self.gateway = GatewayRefusals::default();
        }
        match error.kind() {
            ErrorKind::RefreshRejected if is_refresh => Meaning::RefreshRejected,
            ErrorKind::RefreshDoubtful if is_refresh => Meaning::RefreshDoubtful,
            _ if is_anonymous && self.has_answered => Meaning::Other(Pace::Transient),
            kind => Meaning::Other(Pace::of(kind)),
        }
    }

    /// The refresh token may be dead: it is kept, and sent again after a growing pause.
    pub(crate) fn doubt(&mut self, token: &Secret, now: Now) {
        self.doubt = Some(Doubt::noted(self.doubt.take(), token, now));
    }

    /// The current token was rejected. How old it was, if that is news.
    pub(crate) fn reject(&mut self, now: Now, token: &AccessToken) -> Option<Age> {
        self.rejections.remember(token);
        let current = self.current.as_mut().filter(|current| current.holds(token))?;
        if current.rejected.is_some() {
            return None;
        }
        let age = match self.rejections.note(now.since(&current.published_at)) {
            true => Age::Young,
            false => Age::Old,
        };
        current.rejected = Some(age);
        Some(age)
    }

    /// Learns a record, if it beats what is known.
    pub(crate) fn adopt(
        &mut self,
        record: &TokenRecord,
        contents: Contents,
        now: Now,
        policy: &RefreshPolicy,
    ) -> Adoption {
        match self.would_adopt(record, &contents, now) {
            true => Adoption::Learned(self.learn(record.order(), contents, now, policy)),
            false => Adoption::Kept,
        }
    }

    /// As [`adopt`](Self::adopt), of a record that a write of ours lost to, which counts at a tie.
    pub(crate) fn give_way(
        &mut self,
        record: &TokenRecord,
        contents: Contents,
        now: Now,
        policy: &RefreshPolicy,
    ) -> Adoption {
        match self.against(record, &contents, now) {
            Winner::Ours => Adoption::Kept,
            Winner::Theirs | Winner::Same => {
                Adoption::Learned(self.learn(record.order(), contents, now, policy))
            }
        }
    }

    /// Whether a record beats what is known.
    pub(crate) fn would_adopt(&self, record: &TokenRecord, contents: &Contents, now: Now) -> bool {
        self.against(record, contents, now) == Winner::Theirs
    }

    /// Which counts: what is known, or a record that was read.
    fn against(&self, record: &TokenRecord, contents: &Contents, now: Now) -> Winner {
        if self.spent_what_is_in(contents) {
            return Winner::Ours;
        }
        let mut theirs = contents.claim(record, now);
        let token = contents.tokens.as_ref().and_then(|tokens| tokens.access_token());
        if let Holding::AccessToken { serves } = &mut theirs.holding {
            *serves &= token.is_some_and(|token| !self.rejections.contains(token));
        }
        winner(self.claim(now), theirs)
    }

    /// Whether a record holds the refresh token that was spent for tokens that are not stored yet.
    fn spent_what_is_in(&self, contents: &Contents) -> bool {
        let spent = self.owed.as_ref().and_then(|owed| owed.write.spent.as_ref());
        let stored = contents.tokens.as_ref().and_then(|tokens| tokens.refresh_token());
        spent.zip(stored).is_some_and(|(spent, stored)| spent.ct_eq(stored))
    }

    /// What the state holds against what is stored.
    pub(super) fn claim(&self, now: Now) -> Claim {
        let holding = match &self.current {
            None if self.is_cleared => Holding::Logout,
            None => Holding::Nothing,
            Some(current) if current.refresh_token().is_some() => Holding::RefreshToken,
            Some(current) => {
                Holding::AccessToken { serves: current.is_alive(now) && !current.is_rejected() }
            }
        };
        Claim { order: self.order, holding, is_provisional: self.is_provisional }
    }

    fn learn(
        &mut self,
        order: Order,
        contents: Contents,
        now: Now,
        policy: &RefreshPolicy,
    ) -> Option<Arc<AccessToken>> {
        if order.epoch() > self.order.epoch() {
            // A login or logout elsewhere: what the service said before no longer counts.
            self.backoff.forget_verdict();
            self.rejections.forgive();
        }
        self.order = order;
        self.is_provisional = false;
        self.owed = None; // it was beaten, as what is held was
        let had = self.current.as_ref().and_then(|current| current.token().cloned());
        let Some(tokens) = contents.tokens else {
            self.current = None;
            self.is_cleared = true;
            return None;
        };
        if !self.has_refresh_token_of(&tokens) {
            self.backoff.forget_person(); // a person has logged in elsewhere
        }
        let known = self.current.as_ref().filter(|current| {
            let same = tokens.access_token().is_some_and(|token| current.holds(token));
            same && current.tokens.expires_at() == tokens.expires_at()
        });
        let life = match known {
            Some(current) => current.life, // the points in a token's life are fixed once
            None => Lifetime::of_loaded(&tokens, now, policy),
        };
        self.hold(tokens, life, false, now);
        let current = self.current.as_ref().filter(|current| !current.is_rejected())?;
        if now.has_reached(&current.life.advisory) && had.is_some_and(|had| current.holds(&had)) {
            return None; // the token that is due, under a higher order
        }
        let token = current.token().filter(|_| !now.has_reached(&current.life.mandatory)).cloned();
        if token.is_some() {
            self.backoff.reset();
        }
        token
    }

    fn has_refresh_token_of(&self, tokens: &TokenSet) -> bool {
        let ours = self.current.as_ref().and_then(|current| current.refresh_token());
        match (ours, tokens.refresh_token()) {
            (Some(ours), Some(theirs)) => ours.ct_eq(theirs),
            (_, theirs) => theirs.is_none(),
        }
    }

    /// A record that cannot be read is beaten by what is written next.
    pub(crate) fn rise_above(&mut self, order: Order) {
        self.order = self.order.max(order);
    }

    /// Holds tokens that a token request brought, unless something newer was learned meanwhile.
    /// Whether the service issued a secret that had been rejected before.
    pub(crate) fn publish(
        &mut self,
        issued: Issued,
        now: Now,
        policy: &RefreshPolicy,
    ) -> Option<Reissued> {
        let Issued { tokens, sent, order, is_provisional, .. } = issued;
        // A notice may have told of it before it is published here.
        let is_known = order == self.order
            && self.current.as_ref().zip(tokens.access_token()).is_some_and(|(c, t)| c.holds(t));
        if !order.beats(self.order) && !is_known {
            return None;
        }
        let replaced = self.current.as_ref().and_then(|current| current.rejected);
        self.order = order;
        self.is_provisional = is_provisional;
        self.requested_at = Some(sent);
        self.last_life = tokens.lifetime();
        self.backoff.reset();
        self.gateway = GatewayRefusals::default();
        self.doubt = None;
        self.has_answered = true;
        self.doubts_stored_verdict = false;
        let life = Lifetime::of_issued(&tokens, sent, policy);
        self.hold(tokens, life, true, now);
        let is_reissued = self.current.as_ref().is_some_and(CurrentTokens::is_rejected);
        if is_reissued || replaced == Some(Age::Young) {
            self.rejections.replaced(now, true);
        }
        Some(Reissued(is_reissued))
    }

    /// Holds tokens that a login elsewhere brought.
    pub(crate) fn install(
        &mut self,
        order: Order,
        tokens: TokenSet,
        now: Now,
        policy: &RefreshPolicy,
    ) {
        self.order = order;
        self.is_provisional = false;
        self.requested_at = None;
        self.doubt = None;
        self.backoff.reset();
        self.rejections.forgive();
        let life = Lifetime::of_loaded(&tokens, now, policy);
        self.hold(tokens, life, false, now);
    }

    fn hold(&mut self, tokens: TokenSet, life: Lifetime, is_issued: bool, now: Now) {
        let same = self.current.as_ref().zip(tokens.access_token());
        let same = same.is_some_and(|(current, token)| current.holds(token));
        let rejected = tokens.access_token().is_some_and(|t| self.rejections.contains(t));
        let published_at = match &self.current {
            Some(current) if same => current.published_at,
            _ => now,
        };
        let rejected = rejected.then_some(Age::Young);
        self.is_cleared = false;
        self.current = Some(CurrentTokens {
            tokens: Arc::new(tokens),
            life,
            is_issued,
            published_at,
            rejected,
        });
    }

    /// The service refused the refresh token, and the record without it has this order.
    pub(crate) fn drop_refresh_token(&mut self, order: Order, without: TokenSet) {
        if order.beats(self.order)
            && let Some(current) = &mut self.current
        {
            self.order = order;
            current.tokens = Arc::new(without);
        }
    }

    /// Keeps a write that the storage refused. What is owed only grows: a login or logout takes the
    /// place of tokens, and tokens that come after a login or logout are written as part of it.
    pub(crate) fn owe(&mut self, write: Write, error: Error) {
        let mut write = write;
        if let Some(owed) = &self.owed {
            if owed.write.record.order() > write.record.order() {
                return;
            }
            if owed.write.kind == WriteKind::LoginOrLogout {
                write.kind = WriteKind::LoginOrLogout;
            }
        }
        write.is_repeated = true;
        self.owed = Some(OwedWrite { write, error });
    }

    /// Whether a task has to be started that repeats what is owed; to be called with the start.
    pub(crate) fn starts_retrying(&mut self) -> bool {
        !std::mem::replace(&mut self.retries_writes, true)
    }

    /// Whether the task that repeats writes is to go on.
    pub(crate) fn goes_on_retrying(&mut self) -> bool {
        self.retries_writes = self.owed.is_some();
        self.retries_writes
    }

    pub(crate) fn cannot_retry(&mut self) {
        self.retries_writes = false;
    }

    /// A record was written: nothing older is owed any more.
    pub(crate) fn stored(&mut self, order: Order) {
        if self.owed.as_ref().is_some_and(|owed| owed.write.record.order() <= order) {
            self.owed = None;
        }
    }

    /// What was owed was written, under this order or, where the storage refused it again, is to be.
    pub(crate) fn repeated(&mut self, tried: Order, write: Write, refused: Option<Error>) {
        if self.order == tried {
            self.order = write.record.order();
            self.is_provisional &= refused.is_some();
        }
        let Some(owed) = self.owed.as_mut().filter(|o| o.write.record.order() <= tried) else {
            return;
        };
        match refused {
            None => self.owed = None,
            Some(error) => {
                owed.write = write;
                owed.error = error;
            }
        }
    }

    /// What was owed lost to the record that is there.
    pub(crate) fn owes_no_more(&mut self, tried: Order) {
        if self.owed.as_ref().is_some_and(|owed| owed.write.record.order() == tried) {
            self.owed = None;
        }
    }
}

/// Whether the service issued a secret that had been rejected before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reissued(pub(crate) bool);
