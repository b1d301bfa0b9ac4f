//! When a service that failed or refused may be asked again.

use std::time::Duration;

use crate::clock::Now;
use crate::error::{Error, ErrorKind};
use crate::policy::{
    EMPTY_LOOKUP_PAUSE, FIRST_DOUBT_PAUSE, FIRST_VERDICT_PAUSE, LONGEST_DOUBT_PAUSE,
    LONGEST_RETRY_AFTER, LONGEST_VERDICT_PAUSE, MOST_JITTER, RefreshPolicy,
};

/// The last failure, and the pause that it earned.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failure: Option<Failure>,
    /// Refusals in a row, whatever failed in between: a password is not sent more often because
    /// the service is down now and then.
    refusals: u32,
    /// Doubtful answers to a refresh in a row.
    doubts: u32,
    /// Nothing was there, and no request could be made; until when it is not worth another lookup.
    empty_lookup: Option<(Now, Error)>,
}

#[derive(Debug)]
struct Failure {
    error: Error,
    pace: Pace,
    streak: u32,
    at: Now,
    /// `None` for as long as no person does anything about it.
    until: Option<Now>,
}

/// How a failure is paced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// It may pass by itself.
    Transient,
    /// The service has decided; asking again changes nothing until something is corrected.
    Verdict,
    /// The refresh token may be dead, and only a person can bring another one.
    Doubt,
    /// The service wants a person.
    Person,
}

impl Backoff {
    /// Notes a failure and returns it with the pause that follows.
    pub(super) fn fail(
        &mut self,
        now: Now,
        error: Error,
        pace: Pace,
        policy: &RefreshPolicy,
    ) -> Error {
        let counted = |count: &mut u32| {
            *count = count.saturating_add(1);
            *count
        };
        let streak = match (pace, &self.failure) {
            (Pace::Verdict, _) => counted(&mut self.refusals),
            (Pace::Doubt, _) => counted(&mut self.doubts),
            (_, Some(last)) if last.pace == pace => last.streak.saturating_add(1),
            _ => 1,
        };
        let asked = error.retry_after().unwrap_or_default().min(LONGEST_RETRY_AFTER);
        if pace == Pace::Transient && self.wants_person().is_some() {
            // A storage that failed does not change what the service said.
            let pause = transient_pause(1, asked, policy);
            let error = error.with_retry_after(pause);
            self.empty_lookup = Some((now.after(pause), error.clone()));
            return error;
        }
        let pause = match pace {
            Pace::Transient => Some(transient_pause(streak, asked, policy)),
            Pace::Verdict => {
                Some(doubled(FIRST_VERDICT_PAUSE, LONGEST_VERDICT_PAUSE, streak).max(asked))
            }
            Pace::Doubt => Some(doubled(FIRST_DOUBT_PAUSE, LONGEST_DOUBT_PAUSE, streak).max(asked)),
            Pace::Person => None,
        };
        let until = pause.map(|pause| now.after(pause));
        self.failure = Some(Failure { error: error.clone(), pace, streak, at: now, until });
        match pause {
            Some(pause) => error.with_retry_after(pause),
            None => error,
        }
    }

    /// A verdict that another process met: answered from memory until it is `over`.
    pub(crate) fn learn_verdict(&mut self, now: Now, error: Error, left: Duration) -> Error {
        let until = Some(now.after(left));
        let pace = Pace::of(error.kind());
        self.failure = Some(Failure { error: error.clone(), pace, streak: 1, at: now, until });
        error.with_retry_after(left)
    }

    /// The failure that answers callers now, if a pause is on.
    pub(crate) fn pause(&self, now: Now) -> Option<Error> {
        self.pause_after_empty_lookup(now).or_else(|| self.pause_after_failure(now))
    }

    /// Notes that there was nothing to be had: for a second, nobody looks again.
    pub(crate) fn note_empty_lookup(&mut self, now: Now, error: Error) {
        self.empty_lookup = Some((now.after(EMPTY_LOOKUP_PAUSE), error));
    }

    pub(crate) fn pause_after_empty_lookup(&self, now: Now) -> Option<Error> {
        let (until, error) = self.empty_lookup.as_ref()?;
        (!now.has_reached(until)).then(|| error.clone())
    }

    fn pause_after_failure(&self, now: Now) -> Option<Error> {
        let failure = self.failure.as_ref()?;
        let until = failure.until?;
        if now.has_reached(&until) {
            return None;
        }
        Some(failure.error.clone().with_retry_after(now.until(&until)))
    }

    /// Whether somebody who must_request must still wait: a verdict may be put to the test once in 5 s.
    pub(crate) fn pause_for_insistent(&self, now: Now) -> Option<Error> {
        let failure = self.failure.as_ref()?;
        if failure.pace == Pace::Transient {
            return self.pause_after_failure(now);
        }
        let again = failure.at.after(FIRST_VERDICT_PAUSE);
        if now.has_reached(&again) {
            return None;
        }
        Some(failure.error.clone().with_retry_after(now.until(&again)))
    }

    /// The failure after which only a person can help.
    pub(crate) fn wants_person(&self) -> Option<&Error> {
        self.failure.as_ref().filter(|f| f.pace == Pace::Person).map(|f| &f.error)
    }

    /// When the pauses end.
    pub(crate) fn until(&self) -> [Option<Now>; 2] {
        let failure = self.failure.as_ref().and_then(|failure| failure.until);
        [failure, self.empty_lookup.as_ref().map(|(until, _)| *until)]
    }

    /// The last failure, while nothing has succeeded since.
    pub(crate) fn last_error(&self) -> Option<&Error> {
        let [failure, look] = self.errors();
        failure.or(look)
    }

    /// All that is remembered: the last failure, and the last lookup that found nothing.
    pub(crate) fn errors(&self) -> [Option<&Error>; 2] {
        let failure = self.failure.as_ref().map(|failure| &failure.error);
        [failure, self.empty_lookup.as_ref().map(|(_, error)| error)]
    }

    /// Whether forgetting all of it changes nothing: no pause is on, and the last one ended so long
    /// ago that another failure would not be its successor. `can_ask` says whether anything is left
    /// that could be sent to the service with nobody there.
    pub(crate) fn has_faded(&self, now: Now, can_ask: bool, policy: &RefreshPolicy) -> bool {
        if self.empty_lookup.as_ref().is_some_and(|(until, _)| !now.has_reached(until)) {
            return false;
        }
        let Some(failure) = &self.failure else { return true };
        if !can_ask {
            let again = failure.at.after(FIRST_VERDICT_PAUSE);
            return [Some(again), failure.until].iter().flatten().all(|at| now.has_reached(at));
        }
        let lasts = match (self.doubts, self.refusals) {
            (1.., _) => LONGEST_DOUBT_PAUSE,
            (_, 1..) => LONGEST_VERDICT_PAUSE,
            _ => policy.longest_backoff,
        };
        failure.until.is_some_and(|until| now.has_reached(&until.after(lasts)))
    }

    /// Something succeeded, or somebody logged in.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }

    /// Somebody corrected the credentials; a server that is down is still down.
    pub(crate) fn forget_verdict(&mut self) {
        self.refusals = 0;
        self.doubts = 0;
        self.empty_lookup = None;
        if self.failure.as_ref().is_some_and(|f| f.pace != Pace::Transient) {
            self.failure = None;
        }
    }
}

impl Backoff {
    /// A person has logged in elsewhere.
    pub(super) fn forget_person(&mut self) {
        self.empty_lookup = None;
        if self.failure.as_ref().is_some_and(|f| matches!(f.pace, Pace::Person | Pace::Doubt)) {
            self.failure = None;
            self.doubts = 0;
        }
    }
}

impl Pace {
    pub(crate) const fn of(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::LoginRequired => Self::Person,
            ErrorKind::RefreshDoubtful => Self::Doubt,
            ErrorKind::CredentialsRejected
            | ErrorKind::RefreshRejected
            | ErrorKind::ProxyRejected
            | ErrorKind::RequestRejected
            | ErrorKind::RecordUnreadable
            | ErrorKind::Unsupported
            | ErrorKind::Config => Self::Verdict,
            ErrorKind::Transport
            | ErrorKind::Unavailable
            | ErrorKind::InvalidResponse
            | ErrorKind::Storage
            | ErrorKind::Superseded
            | ErrorKind::Internal => Self::Transient,
        }
    }
}

fn transient_pause(streak: u32, asked: Duration, policy: &RefreshPolicy) -> Duration {
    let (first, longest) = (policy.first_backoff, policy.longest_backoff);
    if !policy.jitter {
        return doubled(first, longest, streak).max(asked);
    }
    // Never earlier than the service asked for: jitter only adds. The longest pause has its spread
    // too, or a fleet would come back all at once from every long outage.
    let spread = 1.0 + fastrand::f64() * MOST_JITTER;
    let pause = doubled(first, longest.div_f64(1.0 + MOST_JITTER).max(first), streak);
    pause.mul_f64(spread).min(longest).max(asked.mul_f64(spread))
}

/// `first`, doubled for every repetition, at most `longest`.
pub(crate) fn doubled(first: Duration, longest: Duration, streak: u32) -> Duration {
    let factor = 2_u32.saturating_pow(streak.saturating_sub(1));
    first.saturating_mul(factor).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Now = Now::from_millis(1_000_000, 1_000_000);

    fn pauses(kind: ErrorKind, policy: &RefreshPolicy, count: usize) -> Vec<u64> {
        let mut backoff = Backoff::default();
        let mut fail =
            || backoff.fail(START, Error::new(kind, "x"), Pace::of(kind), policy).retry_after();
        (0..count).map(|_| fail().unwrap().as_secs()).collect()
    }

    #[test]
    fn a_transient_pause_doubles_from_one_second_to_a_minute() {
        let policy = RefreshPolicy::new().without_jitter();
        assert_eq!(pauses(ErrorKind::Unavailable, &policy, 8), [1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[test]
    fn a_verdict_pause_doubles_from_five_seconds_to_ten_minutes() {
        let policy = RefreshPolicy::new();
        assert_eq!(
            pauses(ErrorKind::CredentialsRejected, &policy, 9),
            [5, 10, 20, 40, 80, 160, 320, 600, 600]
        );
    }

    #[test]
    fn jitter_never_undercuts_what_the_service_asked_for() {
        let policy = RefreshPolicy::new();
        for _ in 0..1_000 {
            let mut backoff = Backoff::default();
            let asked = Duration::from_secs(120);
            let error = Error::new(ErrorKind::Unavailable, "x").with_retry_after(asked);
            let pause = backoff.fail(START, error, Pace::Transient, &policy).retry_after().unwrap();
            assert!((asked..=asked.mul_f64(1.25)).contains(&pause), "{pause:?}");
        }
    }

    #[test]
    fn the_longest_pause_is_spread_as_well() {
        let longest = || *pauses(ErrorKind::Unavailable, &RefreshPolicy::new(), 9).last().unwrap();
        let seen: std::collections::HashSet<u64> = (0..200).map(|_| longest()).collect();

        assert!(seen.len() > 3 && seen.iter().all(|s| (48..=60).contains(s)), "{seen:?}");
    }

    #[test]
    fn an_absurd_retry_after_is_cut_to_an_hour() {
        let policy = RefreshPolicy::new().without_jitter();
        let error = Error::new(ErrorKind::Unavailable, "x").with_retry_after(Duration::MAX);
        let pause = Backoff::default().fail(START, error, Pace::Transient, &policy).retry_after();
        assert_eq!(pause, Some(Duration::from_secs(3_600)));
    }

    #[test]
    fn who_insists_may_test_a_verdict_every_five_seconds_but_not_a_server_that_is_down() {
        let policy = RefreshPolicy::new().without_jitter();
        let six = START.after(Duration::from_secs(6));
        let mut backoff = Backoff::default();
        for _ in 0..5 {
            let error = Error::new(ErrorKind::CredentialsRejected, "x");
            backoff.fail(START, error, Pace::Verdict, &policy);
        }
        assert!(backoff.pause(six).is_some());
        assert!(backoff.pause_for_insistent(START).is_some());
        assert!(backoff.pause_for_insistent(six).is_none());

        for _ in 0..5 {
            let error = Error::new(ErrorKind::Transport, "x");
            backoff.fail(START, error, Pace::Transient, &policy);
        }
        assert!(backoff.pause_for_insistent(six).is_some());
    }
}
