//! What callers wait in: the slow path of `token()`, and its relatives.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use crate::access_token::AccessToken;
use crate::error::{Error, ErrorKind};
use crate::observer::EventKind;
use crate::policy::MOST_ROUNDS;
use crate::refresh::flight::{Flight, FlightKind, Outcome};
use crate::refresh::renewal::Renewal;
use crate::refreshed::Refreshed;
use crate::shared::Core;
use crate::state::{Age, Decision, State, same_token};
use crate::telemetry::Request;

/// What a caller who insists on a token request does next.
enum Step {
    Answer(Result<Arc<AccessToken>, Error>),
    /// The flight brings what is asked for.
    Join(Arc<Flight>),
    /// The flight does not; look again when it is over.
    Await(Arc<Flight>),
    Start(Arc<Flight>),
}

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

    /// A token that is good now, if no wait is needed for it.
    pub(crate) fn obtain_now(self: &Arc<Self>) -> Poll<Result<Arc<AccessToken>, Error>> {
        let result = match self.decide(Duration::ZERO)? {
            Decision::Serve(token) | Decision::ServeAndRenew(token) => Ok(token),
            Decision::Wait { .. } | Decision::Start(_) => return Poll::Pending,
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
                Decision::Start(_) => continue,
            };
            let outcome = if has_fallback {
                match request.wait(flight.done_or_slow()).await {
                    Some(outcome) => outcome,
                    None => continue,
                }
            } else {
                request.wait(flight.done()).await
            };
            if let Some(result) = self.answer(&flight, outcome, at_least) {
                return result;
            }
        }
        Err(self.superseded())
    }

    /// What the end of a flight means for a caller who waited for it; `None` to decide again.
    fn answer(
        &self,
        flight: &Flight,
        outcome: Outcome,
        at_least: Duration,
    ) -> Option<Result<Arc<AccessToken>, Error>> {
        match outcome {
            // Its whole life passed while this process, or its machine, stood still.
            Ok(Some(token)) if self.has_ended(&token) => None,
            // What the service just issued is the best that can be had.
            Ok(Some(token)) if flight.has_requested() => {
                let too_much = self.state.lock().asks_too_much(at_least);
                Some(too_much.map_or(Ok(token), |e| Err(e.at_service(&self.service_name))))
            }
            Ok(Some(token)) if self.has_left(&token, at_least) => Some(Ok(token)),
            Ok(_) => None,
            // Nothing that is still good is withheld because something else failed.
            Err(error) => {
                let now = self.clock.now();
                let servable = self.state.lock().servable(now);
                Some(servable.filter(|t| self.has_left(t, at_least)).ok_or(error))
            }
        }
    }

    /// Decides for one caller, and starts the flight that the decision asks for.
    fn decide(self: &Arc<Self>, at_least: Duration) -> Result<Decision, Error> {
        self.check_process()?;
        let (can, now) = (self.abilities(), self.clock.now());
        let (decision, starts) = {
            let mut state = self.state.lock();
            let decision = state.decide(now, at_least, can);
            let starts = match decision {
                Decision::Start(kind) => Some(state.begin(kind, now)),
                Decision::ServeAndRenew(_) => Some(state.begin(FlightKind::Renew, now)),
                _ => None,
            };
            let decision = match (decision, &starts) {
                // Decided again, now that there is a flight to wait for.
                (Decision::Start(_), Some(_)) => state.decide(now, at_least, can),
                (decision, _) => decision,
            };
            if let Decision::Wait { flight, .. } = &decision {
                flight.mark_wanted();
            }
            (decision, starts)
        };
        if let Some(flight) = starts {
            self.depart(&flight);
        }
        Ok(match decision {
            Decision::Fail(error) => Decision::Fail(error.at_service(&self.service_name)),
            decision => decision,
        })
    }

    /// Whether a token is over, although its token request is so long ago that another may be made.
    fn has_ended(&self, token: &AccessToken) -> bool {
        let now = self.clock.now();
        let state = self.state.lock();
        let current = state.current().filter(|current| current.holds(token));
        current.is_some_and(|current| !current.is_alive(now)) && state.interval_left(now).is_none()
    }

    /// Whether a token serves for that long.
    fn has_left(&self, token: &AccessToken, at_least: Duration) -> bool {
        if at_least.is_zero() {
            return true;
        }
        let now = self.clock.now();
        let state = self.state.lock();
        let current = state.current().filter(|current| current.holds(token));
        current.is_some_and(|current| current.leaves(now, at_least))
    }

    /// Starts the task of a flight that gets a token.
    pub(crate) fn depart(self: &Arc<Self>, flight: &Arc<Flight>) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
        let renewal = Renewal { core: Arc::clone(self), flight: Arc::clone(flight) };
        self.fly(flight, renewal.run());
    }

    /// Renews in the background if it is time, on behalf of no caller. After a logout that this
    /// process has not read yet, nothing may be requested: so it reads first.
    pub(crate) fn renew_if_due(self: &Arc<Self>) {
        let (can, now) = (self.abilities(), self.clock.now());
        let flight = {
            let mut state = self.state.lock();
            let kind = match state.decide(now, Duration::ZERO, can) {
                Decision::Start(_) if state.should_read_first() => FlightKind::Lookup,
                Decision::Start(kind) => kind,
                Decision::ServeAndRenew(_) => FlightKind::Renew,
                _ => return,
            };
            state.begin(kind, now)
        };
        self.depart(&flight);
    }

    /// A token request in any case, but for a pause: joined if one is on its way, else started.
    pub(crate) async fn request_anyway(
        self: &Arc<Self>,
        kind: FlightKind,
    ) -> Result<Refreshed, Error> {
        for _ in 0..MOST_ROUNDS {
            self.check_process()?;
            let now = self.clock.now();
            let step = next_step(&mut self.state.lock(), kind, now);
            let (flight, joined) = match step {
                Step::Answer(Ok(token)) => return Ok(Refreshed::unchanged(token)),
                Step::Answer(Err(error)) => return Err(error.at_service(&self.service_name)),
                Step::Join(flight) => (flight, true),
                Step::Await(flight) => (flight, false),
                Step::Start(flight) => {
                    self.depart(&flight);
                    (flight, true)
                }
            };
            match self.telemetry.wait(flight.done()).await {
                _ if !joined => {}
                Ok(Some(token)) if self.has_ended(&token) => {}
                Ok(Some(token)) => return Ok(Refreshed::requested(token)),
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
            (news, state.may_replace(token, now))
        });
        if let Some(age) = news {
            self.emit(EventKind::Rejected { young: age == Age::Young });
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
            (state.holds(rejected), state.flight())
        };
        if is_current && !will_replace {
            // Requests are paused; one that is under way all the same is worth waiting for.
            let Some(flight) = flight else { return Ok(None) };
            let outcome: Outcome = self.telemetry.wait(flight.done()).await;
            return Ok(outcome?.filter(|token| self.is_replacement(token, rejected)));
        }
        let token = self.obtain(Duration::ZERO).await?;
        Ok(self.is_replacement(&token, rejected).then_some(token))
    }

    fn is_replacement(&self, token: &AccessToken, rejected: &AccessToken) -> bool {
        let is_refused = || self.state.lock().is_rejected(token);
        !same_token(token, rejected) && !self.has_ended(token) && !is_refused()
    }

    pub(crate) fn superseded(&self) -> Error {
        let what = "tokens were cleared or installed while this call waited for a token request";
        self.error(ErrorKind::Superseded, what)
    }
}

fn next_step(state: &mut State, kind: FlightKind, now: crate::clock::Now) -> Step {
    let Some(flight) = state.flight() else {
        return match state.answer_without_request(kind, now) {
            Some(answer) => Step::Answer(answer),
            None => {
                let flight = state.begin(kind, now);
                flight.mark_wanted();
                Step::Start(flight)
            }
        };
    };
    if flight.satisfies(kind) {
        flight.mark_wanted();
        return Step::Join(flight);
    }
    if !flight.can_be_forced(kind) {
        return Step::Await(flight);
    }
    match state.answer_without_request(kind, now) {
        Some(answer) => Step::Answer(answer),
        None => {
            flight.mark_wanted();
            flight.force();
            Step::Join(flight)
        }
    }
}
