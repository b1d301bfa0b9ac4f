//! What a manager knows, and what a caller gets on the strength of it.
//!
//! Everything here is pure bookkeeping under one lock: nothing waits, nothing calls out.

pub(crate) mod backoff;
pub(crate) mod lifetimes;
pub(crate) mod rejections;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::access_token::AccessToken;
use crate::clock::{Now, unix_millis};
use crate::error::{Error, ErrorKind};
use crate::policy::RefreshPolicy;
use crate::record::{Order, TokenRecord};
use crate::refresh::flight::{Flight, FlightKind};
use crate::secret::Secret;
use crate::state::backoff::Backoff;
use crate::state::lifetimes::Lifetime;
use crate::state::rejections::Rejections;
use crate::store::Rank;
use crate::store::payload::Contents;
use crate::telemetry::Reading;
use crate::token_set::TokenSet;

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) held: Option<CurrentTokens>,
    /// Tokens were cleared, and nobody has asked for one since.
    pub(crate) is_cleared: bool,
    /// The highest order that was seen: of what is held, or of what cleared it.
    pub(crate) order: Order,
    pub(crate) flight: Option<Arc<Flight>>,
    pub(crate) backoff: Backoff,
    pub(crate) rejections: Rejections,
    /// When the request of the last successful exchange was sent.
    pub(crate) requested_at: Option<Now>,
    /// The lifetime issued last.
    pub(crate) last_life: Option<Duration>,
    /// What the storage should hold and does not.
    pub(crate) unpersisted: Option<Unpersisted>,
    /// The storage was read at least once.
    pub(crate) has_read: bool,
    /// Somebody corrected the credentials: a verdict in the storage is about the old ones.
    pub(crate) doubts_stored_verdict: bool,
    /// A task on the driver is about to write what is unpersisted.
    pub(crate) retries_writes: bool,
    /// When this manager stored a verdict of its own, which it need not be told.
    pub(crate) own_verdict_at: Option<SystemTime>,
    /// Tasks on the driver that must end before a process should.
    pub(crate) tasks: usize,
}

#[derive(Debug)]
pub(crate) struct Unpersisted {
    pub(crate) record: TokenRecord,
    /// The refresh token that was spent to get it, if one was.
    pub(crate) spent: Option<Secret>,
    pub(crate) rank: Rank,
    pub(crate) error: Error,
}

/// The newest tokens.
#[derive(Clone, Debug)]
pub(crate) struct CurrentTokens {
    pub(crate) tokens: Arc<TokenSet>,
    pub(crate) times: Lifetime,
    pub(crate) published_at: Now,
    pub(crate) rejected: Option<RejectedHeld>,
}

/// That a resource server rejected the token that is held.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RejectedHeld {
    pub(crate) young: bool,
}

/// What the provider can do; asked before the lock is taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Abilities {
    pub(crate) non_interactive: bool,
    pub(crate) refreshes: bool,
}

/// What a caller of `token()` gets.
#[derive(Debug)]
pub(crate) enum Decision {
    Serve(Arc<AccessToken>),
    /// Serve, and renew in the background.
    ServeAndRenew(Arc<AccessToken>),
    /// Wait for this flight; with something good in hand, not for long.
    Wait {
        flight: Arc<Flight>,
        has_fallback: bool,
    },
    /// Start a flight, then decide again.
    Renew,
    Fail(Error),
}

impl CurrentTokens {
    pub(crate) fn token(&self) -> Option<&Arc<AccessToken>> {
        self.tokens.access_token()
    }

    fn is_alive(&self, now: Now) -> bool {
        !now.has_reached(&self.times.expiry)
    }

    pub(crate) fn holds(&self, token: &AccessToken) -> bool {
        self.token().is_some_and(|held| same_token(held, token))
    }
}

/// Whether both are the same secret: pointer first, then without telling where they differ.
pub(crate) fn same_token(a: &AccessToken, b: &AccessToken) -> bool {
    std::ptr::eq(a, b) || a.secret().ct_eq(b.secret())
}

impl State {
    /// What to do for a caller who wants a token with `at_least` left.
    pub(crate) fn decide(&self, now: Now, at_least: Duration, can: Abilities) -> Decision {
        let Some((held, token)) = self.held.as_ref().and_then(|h| Some((h, h.token()?))) else {
            return self.obtain(now);
        };
        let serve = || Decision::Serve(Arc::clone(token));
        if held.rejected.is_some() {
            // While exchanges for rejections are paused, the newest token serves everybody.
            let paused = self.rejections.pause(now).is_some();
            return if paused && held.is_alive(now) { serve() } else { self.obtain(now) };
        }
        if !held.is_alive(now) || now.until(&held.times.expiry) < at_least {
            let answers = self.flight.is_none() && self.within_minimum_interval(now);
            return if answers { serve() } else { self.obtain(now) };
        }
        if !now.has_reached(&held.times.advisory) {
            return serve();
        }
        let must_wait = now.has_reached(&held.times.mandatory);
        if let Some(flight) = &self.flight {
            if must_wait && !flight.is_slow() {
                return Decision::Wait { flight: Arc::clone(flight), has_fallback: true };
            }
            return serve();
        }
        if self.within_minimum_interval(now)
            || self.backoff.pause(now).is_some()
            || !self.may_exchange(can)
        {
            return serve();
        }
        if must_wait { Decision::Renew } else { Decision::ServeAndRenew(Arc::clone(token)) }
    }

    /// For whoever has nothing that could serve.
    fn obtain(&self, now: Now) -> Decision {
        if let Some(flight) = &self.flight {
            return Decision::Wait { flight: Arc::clone(flight), has_fallback: false };
        }
        match self.backoff.pause(now) {
            Some(error) => Decision::Fail(error),
            None => Decision::Renew,
        }
    }

    /// The token that would be served without waiting for anything.
    pub(crate) fn servable(&self, now: Now) -> Option<Arc<AccessToken>> {
        let held = self.held.as_ref()?;
        let rejected = held.rejected.is_some() && self.rejections.pause(now).is_none();
        let serves = held.is_alive(now) && !rejected;
        serves.then(|| held.token().cloned()).flatten()
    }

    /// Whether there is anything that makes a login unnecessary.
    pub(crate) fn has_login(&self, now: Now) -> bool {
        let has_refresh_token = |held: &CurrentTokens| held.tokens.refresh_token().is_some();
        self.held.as_ref().is_some_and(has_refresh_token) || self.servable(now).is_some()
    }

    /// Whether only a person can bring the next token.
    pub(crate) fn needs_login(&self, now: Now, can: Abilities) -> bool {
        !self.may_exchange(can) && self.servable(now).is_none() && self.has_read
    }

    /// Whether the last exchange is so young that another one must wait: half the life it brought,
    /// at least 1 s and at most 5 s.
    pub(crate) fn within_minimum_interval(&self, now: Now) -> bool {
        self.minimum_interval_ends().is_some_and(|until| !now.has_reached(&until))
    }

    /// Until when the last exchange stands in the way of another.
    pub(crate) fn minimum_interval_ends(&self) -> Option<Now> {
        let half = self.last_life.map_or(LONGEST_SPACING, |life| life / 2);
        Some(self.requested_at?.after(half.clamp(SHORTEST_SPACING, LONGEST_SPACING)))
    }

    /// Whether an exchange could be made without a person.
    pub(crate) fn may_exchange(&self, can: Abilities) -> bool {
        self.backoff.wants_person().is_none() && (can.non_interactive || self.may_refresh(can))
    }

    fn may_refresh(&self, can: Abilities) -> bool {
        can.refreshes && self.held.as_ref().is_some_and(|h| h.tokens.refresh_token().is_some())
    }

    /// The errors that are remembered: strangers' code runs when the last copy is dropped.
    pub(crate) fn errors(&self) -> [Option<Error>; 3] {
        let [failure, look] = self.backoff.errors();
        let write = self.unpersisted.as_ref().map(|unpersisted| &unpersisted.error);
        [failure, look, write].map(|error| error.cloned())
    }

    /// What the gauges show.
    pub(crate) fn reading(&self) -> Reading {
        let seconds = |millis: u64| Duration::from_millis(millis).as_secs_f64();
        let tokens = self.held.as_ref().map(|held| &held.tokens);
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
            is_unpersisted: self.unpersisted.is_some(),
        }
    }

    /// Whether a login or logout is on its way into the storage.
    pub(crate) fn changes_session(&self) -> bool {
        self.flight.as_ref().is_some_and(|flight| flight.errand() == FlightKind::Handover)
    }

    /// Whether the storage lacks something: a write that failed, or a login or logout that is on
    /// its way and not the one that was just `written`.
    pub(crate) fn owes_write(&self, written: Option<&Arc<Flight>>) -> bool {
        let is_written = written.is_some_and(|flight| self.is_current(flight));
        self.unpersisted.is_some() || (self.changes_session() && !is_written)
    }

    /// Whether the flight is the one that counts, and not overtaken.
    pub(crate) fn is_current(&self, flight: &Arc<Flight>) -> bool {
        self.flight.as_ref().is_some_and(|current| Arc::ptr_eq(current, flight))
    }

    /// Makes a flight the one that counts.
    pub(crate) fn begin(&mut self, errand: FlightKind) -> Arc<Flight> {
        let flight = Flight::new(errand, self.order);
        self.flight = Some(Arc::clone(&flight));
        self.tasks += 1;
        flight
    }

    /// A service promised less than the caller asks for, and asking again would not change it.
    pub(crate) fn asks_too_much(&self, at_least: Duration) -> Option<Error> {
        let life = self.last_life.filter(|life| *life < at_least)?;
        let what = format!(
            "a token valid for {} s was asked for, but the service issues tokens that live {} s",
            at_least.as_secs_f64(),
            life.as_secs_f64()
        );
        Some(Error::new(ErrorKind::Config, what))
    }

    /// The current token was rejected. Whether that is news, and whether it was young.
    pub(crate) fn reject(&mut self, now: Now, token: &AccessToken) -> Option<RejectedHeld> {
        self.rejections.remember(token);
        let held = self.held.as_mut().filter(|held| held.holds(token))?;
        if held.rejected.is_some() {
            return None;
        }
        let young = self.rejections.note(now.since(&held.published_at));
        let rejected = RejectedHeld { young };
        held.rejected = Some(rejected);
        Some(rejected)
    }

    /// Takes over what a storage holds, because it is newer.
    pub(crate) fn learn(
        &mut self,
        order: Order,
        contents: Contents,
        now: Now,
        policy: &RefreshPolicy,
    ) {
        if order.epoch() > self.order.epoch() {
            // A login or logout elsewhere: what the service said before no longer counts.
            self.backoff.forget_verdict();
            self.rejections.forgive();
        }
        self.order = order;
        if self.unpersisted.as_ref().is_some_and(|u| u.record.order() <= order) {
            self.unpersisted = None;
        }
        let Some(tokens) = contents.tokens else {
            self.held = None;
            self.is_cleared = true;
            return;
        };
        let known = self.held.as_ref().filter(|held| {
            let same = tokens.access_token().is_some_and(|token| held.holds(token));
            same && held.tokens.expires_at() == tokens.expires_at()
        });
        let times = match known {
            Some(held) => held.times, // the points in a token's life are fixed once
            None => Lifetime::of_loaded(&tokens, now, policy),
        };
        self.hold(tokens, times, now);
    }

    /// As [`learn`](Self::learn). Returns the token if it is news, and serves.
    pub(crate) fn learn_news(
        &mut self,
        order: Order,
        contents: Contents,
        now: Now,
        policy: &RefreshPolicy,
    ) -> Option<Arc<AccessToken>> {
        let had = self.held.as_ref().and_then(|held| held.token().cloned());
        self.learn(order, contents, now, policy);
        let held = self.held.as_ref().filter(|held| held.rejected.is_none())?;
        if now.has_reached(&held.times.advisory) && had.is_some_and(|had| held.holds(&had)) {
            return None; // the token that is due, under a higher order
        }
        held.token().filter(|_| !now.has_reached(&held.times.mandatory)).cloned()
    }

    /// The token that somebody else learned of while the flight was under way, if it is fresh.
    pub(crate) fn learned_since(&self, flight: &Flight, now: Now) -> Option<Arc<AccessToken>> {
        let held = self.held.as_ref().filter(|held| held.rejected.is_none())?;
        let is_news = self.order > flight.since() && !now.has_reached(&held.times.advisory);
        held.token().filter(|_| is_news).cloned()
    }

    /// Holds tokens that an exchange brought.
    pub(crate) fn publish(
        &mut self,
        order: Order,
        tokens: TokenSet,
        sent: Now,
        now: Now,
        policy: &RefreshPolicy,
    ) -> Reissued {
        let replaced = self.held.as_ref().and_then(|held| held.rejected);
        self.order = order;
        self.requested_at = Some(sent);
        self.last_life = tokens.lifetime();
        self.backoff.reset();
        self.doubts_stored_verdict = false;
        let times = Lifetime::of_issued(&tokens, sent, policy);
        self.hold(tokens, times, now);
        let reissued = self.held.as_ref().is_some_and(|held| held.rejected.is_some());
        if reissued || replaced.is_some_and(|rejected| rejected.young) {
            self.rejections.replaced(now, true);
        }
        Reissued(reissued)
    }

    /// Holds tokens that a login elsewhere brought.
    pub(crate) fn install(&mut self, order: Order, tokens: TokenSet, times: Lifetime, now: Now) {
        self.order = order;
        self.requested_at = None;
        self.backoff.reset();
        self.rejections.forgive();
        self.hold(tokens, times, now);
    }

    fn hold(&mut self, tokens: TokenSet, times: Lifetime, now: Now) {
        let same = self.held.as_ref().zip(tokens.access_token());
        let same = same.is_some_and(|(held, token)| held.holds(token));
        let rejected = tokens.access_token().is_some_and(|t| self.rejections.contains(t));
        let published_at = match &self.held {
            Some(held) if same => held.published_at,
            _ => now,
        };
        let rejected = rejected.then_some(RejectedHeld { young: true });
        self.is_cleared = false;
        self.held = Some(CurrentTokens { tokens: Arc::new(tokens), times, published_at, rejected });
    }
}

/// Whether the service issued a secret that had been rejected before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reissued(pub(crate) bool);

const SHORTEST_SPACING: Duration = Duration::from_secs(1);
const LONGEST_SPACING: Duration = Duration::from_secs(5);
