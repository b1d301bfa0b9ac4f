//! When to ask again whether a device was approved (RFC 8628 §3.5).

use std::time::Duration;

use http::StatusCode;
use parking_lot::Mutex;
use tokenkeeper::{Error, ErrorKind};

use crate::error_codes::class_of;

/// The polls of one device code, shared by all who wait for it: two of them that each keep to the
/// interval alone would ask twice as often as the service allows.
#[derive(Debug)]
pub(crate) struct Polls {
    /// What the service asks for. `slow_down` raises it for good.
    pub(crate) interval: Duration,
    /// When the last one was made, by the monotonic clock. At first when the codes were asked for;
    /// absent in a process that did not ask for them.
    pub(crate) last: Option<Duration>,
}

/// How long one wait pauses before its next poll.
#[derive(Debug)]
pub(crate) struct Pace<'a> {
    polls: &'a Mutex<Polls>,
    failures: u32,
    /// What the service asked for in its last answer.
    wish: Duration,
    /// Whether an answer of the service itself has come.
    is_answered: bool,
    /// Answers in a row that are a gateway's by their looks: how many, and when the first came.
    of_gateway: Option<(u32, Duration)>,
}

impl<'a> Pace<'a> {
    pub(crate) fn new(polls: &'a Mutex<Polls>, now: Duration) -> Self {
        polls.lock().last.get_or_insert(now);
        Self { polls, failures: 0, wish: Duration::ZERO, is_answered: false, of_gateway: None }
    }

    /// How long to wait from now on, at least: the interval since the last poll of anyone, doubled
    /// for each failure in a row.
    pub(crate) fn pause(&self, now: Duration) -> Duration {
        let polls = self.polls.lock();
        let interval = polls.interval;
        let doubled = interval.saturating_mul(2_u32.saturating_pow(self.failures));
        let pause = doubled.min(LONGEST_BACKOFF).max(interval).max(self.wish);
        polls.last.unwrap_or(now).saturating_add(pause).saturating_sub(now)
    }

    /// Whether it is this wait's turn, which it takes then. Another wait may have polled meanwhile.
    pub(crate) fn take_turn(&self, now: Duration, is_last: bool) -> bool {
        let is_due = is_last || self.pause(now).is_zero();
        if is_due {
            self.polls.lock().last = Some(now);
        }
        is_due
    }

    /// Takes note of a poll that brought no tokens.
    ///
    /// # Errors
    ///
    /// The error itself, if asking again is of no use.
    pub(crate) fn take_note(&mut self, error: Error, now: Duration) -> Result<(), Error> {
        self.polls.lock().last = Some(now);
        self.wish = error.retry_after().unwrap_or_default();
        let code = error.oauth().map(|oauth| class_of(oauth.code()));
        let of_gateway = self.of_gateway.take();
        self.is_answered |= code.is_some();
        match (code, error.kind()) {
            (Some("authorization_pending"), _) => self.failures = 0,
            (Some("slow_down"), _) => {
                self.failures = 0;
                let mut polls = self.polls.lock();
                polls.interval = polls.interval.saturating_add(SLOWER);
            }
            (Some("use_dpop_nonce"), ErrorKind::Unavailable) | (_, ErrorKind::Transport) => {
                self.failures += 1;
            }
            // Under any other status, every other code ends it.
            (_, ErrorKind::Unavailable) if error.status() != Some(StatusCode::BAD_REQUEST) => {
                self.failures += 1;
            }
            (None, _) if is_of_gateway(&error) => {
                let (count, since) = of_gateway.unwrap_or((0, now));
                let is_lasting =
                    count + 1 >= GATEWAY_ANSWERS && now.saturating_sub(since) >= GATEWAY_TIME;
                if is_lasting && !self.is_answered {
                    return Err(error); // the URL is wrong, most likely
                }
                self.of_gateway = Some((count + 1, since));
                self.failures += 1;
            }
            _ => return Err(error),
        }
        Ok(())
    }
}

/// Whether an answer without a code looks like that of a proxy, a firewall or a page to log in to a
/// network, which says nothing of the device code.
fn is_of_gateway(error: &Error) -> bool {
    let is_page = error.kind() == ErrorKind::InvalidResponse
        && error.status().is_some_and(|status| status.is_success());
    is_page
        || matches!(
            error.status(),
            Some(StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED)
        )
}

const SLOWER: Duration = Duration::from_secs(5); // RFC 8628 §3.5
const LONGEST_BACKOFF: Duration = Duration::from_secs(60); // a person waits at the other end
const GATEWAY_ANSWERS: u32 = 3; // one or two come with a deployment
const GATEWAY_TIME: Duration = Duration::from_secs(60);
