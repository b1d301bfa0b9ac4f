//! What callers wait in: the slow path of `token()`, and its relatives.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use crate::access_token::AccessToken;
use crate::clock::Now;
use crate::error::{Error, ErrorKind};
use crate::observer::EventKind;
use crate::refresh::flight::{Flight, FlightKind, Outcome};
use crate::refresh::renewal::Renewal;
use crate::shared::Core;
use crate::state::{Decision, State, same_token};
use crate::telemetry::Request;

impl Core {
    /// A token with `at_least` left, however long that takes.
    pub(crate) async fn obtain(
        self: &Arc<Self>,
        at_least: Duration,
    ) -> Result<Arc<AccessToken>, Error> {
        let mut request = self.telemetry.request(&*self.clock, || self.fresh().is_some());
        let result = self.obtain_for(&mut request, at_least).await;
        request.answered(result.is_ok());
        result
    }

    /// A token that is good now, if nobody has to wait for it.
    pub(crate) fn obtain_now(self: &Arc<Self>) -> Poll<Result<Arc<AccessToken>, Error>> {
        let result = match self.decide(Duration::ZERO)? {
            Decision::Serve(token) | Decision::ServeAndRenew(token) => Ok(token),
            Decision::Wait { .. } | Decision::Renew => return Poll::Pending,
            Decision::Fail(error) => Err(error),
        };
        self.telemetry.request(&*self.clock, || false).answered(result.is_ok());
        Poll::Ready(result)
    }

    async fn obtain_for(
        self: &Arc<Self>,
        request: &mut Request<'_>,
        at_least: Duration,
    ) -> Result<Arc<AccessToken>, Error> {
        for _ in 0..MOST_ROUNDS {
            let (flight, has_fallback) = match self.decide(at_least)? {
                Decision::Serve(token) | Decision::ServeAndRenew(token) => return Ok(token),
                Decision::Wait { flight, has_fallback } => (flight, has_fallback),
                Decision::Fail(error) => return Err(error),
                Decision::Renew => continue,
            };
            let outcome = if has_fallback {
                match request.wait(flight.done_or_slow()).await {
                    Some(outcome) => outcome,
                    None => continue,
                }
            } else {
                request.wait(flight.done()).await
            };
            match outcome {
                // Its whole life passed while this process, or its machine, stood still.
                Ok(Some(token)) if self.has_ended(&token) => {}
                // What the service just issued is the best that can be had.
                Ok(Some(token)) if flight.has_requested() => {
                    let too_much = self.state.lock().asks_too_much(at_least);
                    return too_much.map_or(Ok(token), |e| Err(e.at_service(&self.service_name)));
                }
                Ok(Some(token)) if self.has_left(&token, at_least) => return Ok(token),
                Ok(_) => {}
                // Nothing that is still good is withheld because something else failed.
                Err(error) => {
                    let now = self.clock.now();
                    let servable = self.state.lock().servable(now);
                    return servable.filter(|t| self.has_left(t, at_least)).ok_or(error);
                }
            }
        }
        Err(self.superseded())
    }

    /// Decides for one caller, and starts the flight that the decision asks for.
    fn decide(self: &Arc<Self>, at_least: Duration) -> Result<Decision, Error> {
        let (can, now) = (self.abilities(), self.clock.now());
        let (decision, starts) = {
            let mut state = self.state.lock();
            if let Some(error) = state.asks_too_much(at_least) {
                return Err(error.at_service(&self.service_name));
            }
            let decision = state.decide(now, at_least, can);
            let starts = match decision {
                Decision::Renew | Decision::ServeAndRenew(_) => {
                    Some(state.begin(FlightKind::Renew))
                }
                _ => None,
            };
            let decision = match (decision, &starts) {
                // Decided again, now that there is a flight to wait for.
                (Decision::Renew, Some(_)) => state.decide(now, at_least, can),
                (decision, _) => decision,
            };
            (decision, starts)
        };
        if let Some(flight) = starts {
            self.depart(&flight);
        }
        Ok(decision)
    }

    /// Whether a token is over, although its exchange is so long ago that another one may be made.
    fn has_ended(&self, token: &AccessToken) -> bool {
        let now = self.clock.now();
        let state = self.state.lock();
        let held = state.held.as_ref().filter(|held| held.holds(token));
        held.is_some_and(|held| now.until(&held.times.expiry).is_zero())
            && !state.within_minimum_interval(now)
    }

    /// Whether a token serves for that long.
    fn has_left(&self, token: &AccessToken, at_least: Duration) -> bool {
        if at_least.is_zero() {
            return true;
        }
        let now = self.clock.now();
        let state = self.state.lock();
        let held = state.held.as_ref().filter(|held| held.holds(token));
        held.is_some_and(|held| now.until(&held.times.expiry) >= at_least)
    }

    /// Starts the task of a flight that was taken off with an errand for an exchange.
    pub(crate) fn depart(self: &Arc<Self>, flight: &Arc<Flight>) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
        let renewal = Renewal { core: Arc::clone(self), flight: Arc::clone(flight) };
        self.fly(flight, renewal.run());
    }

    /// Renews in the background if it is time. Returns the flight that is on its way.
    pub(crate) fn renew_if_due(self: &Arc<Self>) -> Option<Arc<Flight>> {
        // An error here is the answer to nobody's question.
        let _ = self.decide(Duration::ZERO);
        self.state.lock().flight.clone()
    }

    /// An exchange in any case: joined if one is on its way, else started.
    pub(crate) async fn request_anyway(
        self: &Arc<Self>,
        errand: FlightKind,
    ) -> Result<Arc<AccessToken>, Error> {
        for _ in 0..MOST_ROUNDS {
            let now = self.clock.now();
            let (flight, starts) = {
                let mut state = self.state.lock();
                match state.flight.clone() {
                    Some(flight) => (flight, false),
                    None => {
                        if let Some(answer) = answer_to_insistent(&state, errand, now) {
                            return answer;
                        }
                        (state.begin(errand), true)
                    }
                }
            };
            let joined = if starts {
                self.depart(&flight);
                true
            } else {
                let _state = self.state.lock();
                flight.satisfies(errand)
            };
            match self.telemetry.wait(flight.done()).await {
                _ if !joined => {}
                Ok(Some(token)) => return Ok(token),
                Ok(None) => return Err(self.superseded()),
                Err(error) => return Err(error),
            }
        }
        Err(self.superseded())
    }

    /// See [`TokenManager::invalidate`](crate::TokenManager::invalidate).
    pub(crate) fn reject(&self, token: &AccessToken) -> bool {
        let now = self.clock.now();
        let (news, will_replace) = self.change(|state| {
            let news = state.reject(now, token);
            let is_current = state.held.as_ref().is_some_and(|held| held.holds(token));
            (news, is_current && state.rejections.pause(now).is_none())
        });
        if let Some(rejected) = news {
            self.emit(EventKind::Rejected { young: rejected.young });
        }
        will_replace
    }

    /// See [`TokenManager::replace_rejected`](crate::TokenManager::replace_rejected).
    pub(crate) async fn replace(
        self: &Arc<Self>,
        rejected: &AccessToken,
    ) -> Result<Option<Arc<AccessToken>>, Error> {
        let will_replace = self.reject(rejected);
        let (is_current, flight) = {
            let state = self.state.lock();
            let is_current = state.held.as_ref().is_some_and(|held| held.holds(rejected));
            (is_current, state.flight.clone())
        };
        if is_current && !will_replace {
            // Exchanges are paused; one that is under way all the same is worth waiting for.
            let Some(flight) = flight else { return Ok(None) };
            let outcome: Outcome = self.telemetry.wait(flight.done()).await;
            return Ok(outcome?.filter(|token| self.is_replacement(token, rejected)));
        }
        let token = self.obtain(Duration::ZERO).await?;
        Ok(self.is_replacement(&token, rejected).then_some(token))
    }

    fn is_replacement(&self, token: &AccessToken, rejected: &AccessToken) -> bool {
        !same_token(token, rejected) && !self.state.lock().rejections.contains(token)
    }

    pub(crate) fn superseded(&self) -> Error {
        let what = "tokens were cleared or installed while this call waited for an exchange";
        self.error(ErrorKind::Superseded, what)
    }
}

/// What somebody who must_request on an exchange gets without one, if anything.
fn answer_to_insistent(
    state: &State,
    errand: FlightKind,
    now: Now,
) -> Option<Result<Arc<AccessToken>, Error>> {
    if let Some(error) = state.backoff.pause_for_insistent(now) {
        return Some(Err(error));
    }
    if errand != FlightKind::Force {
        return None;
    }
    if let Some(error) = state.backoff.pause_after_empty_lookup(now) {
        return Some(Err(error));
    }
    let held = state.held.as_ref()?;
    let waits = match held.rejected {
        Some(_) => state.rejections.pause(now).is_some(),
        None => state.within_minimum_interval(now),
    };
    waits.then(|| held.token().cloned()).flatten().map(Ok)
}

const MOST_ROUNDS: usize = 16; // each one means that a login or logout came in between
