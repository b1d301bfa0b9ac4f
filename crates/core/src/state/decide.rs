//! What a caller gets now: one pure decision, for callers who want a token and for those who want a
//! token request.

use std::sync::Arc;
use std::time::Duration;

use super::State;
use super::current::CurrentTokens;
use crate::access_token::AccessToken;
use crate::clock::Now;
use crate::error::{Error, ErrorKind};
use crate::policy::{LONGEST_INTERVAL, SHORTEST_INTERVAL};
use crate::refresh::flight::{Flight, FlightKind};

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
    /// Start a flight of this kind, then decide again.
    Start(FlightKind),
    Fail(Error),
}

impl State {
    /// What to do for a caller who wants a token with `at_least` left.
    pub(crate) fn decide(&self, now: Now, at_least: Duration, can: Abilities) -> Decision {
        let Some((current, token)) = self.current.as_ref().and_then(|c| Some((c, c.token()?)))
        else {
            return self.obtain(now);
        };
        if current.is_rejected() {
            return self.decide_rejected(now, current, token);
        }
        if !current.is_alive(now) {
            return match self.interval_error(now) {
                Some(error) if self.flight.is_none() => Decision::Fail(error),
                _ => self.obtain(now),
            };
        }
        if !current.leaves(now, at_least) {
            return self.decide_short(now, current, token, at_least);
        }
        if !now.has_reached(&current.life.advisory) {
            return Decision::Serve(Arc::clone(token));
        }
        let must_wait = now.has_reached(&current.life.mandatory);
        if let Some(flight) = &self.flight {
            if must_wait && !flight.is_slow() {
                return Decision::Wait { flight: Arc::clone(flight), has_fallback: true };
            }
            return Decision::Serve(Arc::clone(token));
        }
        if self.interval_left(now).is_some()
            || self.backoff.pause(now).is_some()
            || !self.may_request(can)
        {
            return Decision::Serve(Arc::clone(token));
        }
        if must_wait {
            Decision::Start(FlightKind::Renew)
        } else {
            Decision::ServeAndRenew(Arc::clone(token))
        }
    }

    /// While requests for rejected tokens are paused, the newest token answers for as long as it
    /// lives.
    fn decide_rejected(
        &self,
        now: Now,
        current: &CurrentTokens,
        token: &Arc<AccessToken>,
    ) -> Decision {
        match self.rejections.pause(now) {
            None => self.obtain(now),
            Some(_) if current.is_alive(now) => Decision::Serve(Arc::clone(token)),
            Some(until) => match &self.flight {
                Some(flight) => Decision::Wait { flight: Arc::clone(flight), has_fallback: false },
                None => Decision::Fail(rejection_error(now, until)),
            },
        }
    }

    /// The token serves, but not for as long as was asked for.
    fn decide_short(
        &self,
        now: Now,
        current: &CurrentTokens,
        token: &Arc<AccessToken>,
        at_least: Duration,
    ) -> Decision {
        if let Some(flight) = &self.flight {
            return Decision::Wait { flight: Arc::clone(flight), has_fallback: false };
        }
        if let Some(error) = self.asks_too_much(at_least)
            && (self.interval_left(now).is_some() || !now.has_reached(&current.life.advisory))
        {
            // Another process may have stored one that lives longer.
            let looked = self.looked_at.or(self.requested_at);
            let may_look = looked.is_none_or(|at| now.since(&at) >= LONGEST_INTERVAL);
            return if may_look {
                Decision::Start(FlightKind::Lookup)
            } else {
                Decision::Fail(error)
            };
        }
        match self.interval_left(now) {
            Some(_) => Decision::Serve(Arc::clone(token)),
            None => self.obtain(now),
        }
    }

    /// For a caller for whom nothing is there that could serve.
    fn obtain(&self, now: Now) -> Decision {
        if let Some(flight) = &self.flight {
            return Decision::Wait { flight: Arc::clone(flight), has_fallback: false };
        }
        match self.backoff.pause(now) {
            Some(error) => Decision::Fail(error),
            None => Decision::Start(FlightKind::Renew),
        }
    }

    /// What a caller who insists on a token request gets without one, if anything. Joining a flight
    /// is asking, so this comes before that too.
    pub(crate) fn answer_without_request(
        &self,
        kind: FlightKind,
        now: Now,
    ) -> Option<Result<Arc<AccessToken>, Error>> {
        if let Some(error) = self.backoff.pause_for_insistent(now) {
            return Some(Err(error));
        }
        if kind != FlightKind::Force {
            return None;
        }
        if let Some(error) = self.backoff.pause_after_empty_lookup(now) {
            return Some(Err(error));
        }
        let current = self.current.as_ref()?;
        let error = match current.is_rejected() {
            true => rejection_error(now, self.rejections.pause(now)?),
            false => self.interval_error(now)?,
        };
        let token = current.token()?;
        Some(if current.is_alive(now) { Ok(Arc::clone(token)) } else { Err(error) })
    }

    /// The token that would be served without waiting for anything.
    pub(crate) fn servable(&self, now: Now) -> Option<Arc<AccessToken>> {
        let current = self.current.as_ref()?;
        let is_refused = current.is_rejected() && self.rejections.pause(now).is_none();
        let serves = current.is_alive(now) && !is_refused;
        serves.then(|| current.token().cloned()).flatten()
    }

    /// The service's tokens live for less than the caller asks for, as far as is known.
    pub(crate) fn asks_too_much(&self, at_least: Duration) -> Option<Error> {
        let issued = self.current.as_ref().filter(|current| current.is_issued)?;
        let life = issued.tokens.lifetime().filter(|life| *life < at_least)?;
        let what = format!(
            "a token valid for {} s was asked for, but the service issues tokens that live {} s",
            at_least.as_secs_f64(),
            life.as_secs_f64()
        );
        Some(Error::new(ErrorKind::Config, what))
    }

    /// How much of the minimum interval between two token requests is left: half the life that the
    /// last one brought, at least 1 s and at most 5 s.
    pub(crate) fn interval_left(&self, now: Now) -> Option<Duration> {
        let until = self.interval_ends()?;
        (!now.has_reached(&until)).then(|| now.until(&until))
    }

    pub(super) fn interval_ends(&self) -> Option<Now> {
        let half = self.last_life.map_or(LONGEST_INTERVAL, |life| life / 2);
        Some(self.requested_at?.after(half.clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL)))
    }

    /// For a caller whom no token can be served within the minimum interval.
    fn interval_error(&self, now: Now) -> Option<Error> {
        let left = self.interval_left(now)?;
        let life = self.last_life.unwrap_or_default().as_secs_f64();
        let what = format!(
            "the newest token has ended (it lived {life} s), and the last token request was sent \
             a moment ago"
        );
        Some(Error::new(ErrorKind::Unavailable, what).with_retry_after(left))
    }

    /// Whether a token request could be made without a person.
    pub(crate) fn may_request(&self, can: Abilities) -> bool {
        let may_refresh =
            can.refreshes && self.current.as_ref().is_some_and(|c| c.refresh_token().is_some());
        self.backoff.wants_person().is_none() && (can.non_interactive || may_refresh)
    }
}

fn rejection_error(now: Now, until: Now) -> Error {
    let what = "resource servers keep rejecting new tokens, and the newest one has ended";
    Error::new(ErrorKind::Unavailable, what)
        .with_advice("check that the API accepts tokens of this service, then ask again")
        .with_retry_after(now.until(&until))
}
