//! When to ask again whether somebody has approved a device (RFC 8628 §3.5).

use std::time::Duration;

use http::StatusCode;
use parking_lot::Mutex;
use tokenkeeper::{Error, ErrorKind};

use crate::error_codes::class_of;

/// How long to wait before the next poll.
#[derive(Debug)]
pub(crate) struct Pace<'a> {
    /// That of the login, which outlives one wait.
    interval: &'a Mutex<Duration>,
    failures: u32,
    /// What the service asked for in its last answer.
    wish: Duration,
}

impl<'a> Pace<'a> {
    pub(crate) fn new(interval: &'a Mutex<Duration>) -> Self {
        Self { interval, failures: 0, wish: Duration::ZERO }
    }

    /// The interval, doubled for each failure in a row.
    pub(crate) fn pause(&self) -> Duration {
        let interval = *self.interval.lock();
        let doubled = interval.saturating_mul(2_u32.saturating_pow(self.failures));
        doubled.min(LONGEST_BACKOFF).max(interval).max(self.wish)
    }

    /// Takes note of a poll that brought no tokens.
    ///
    /// # Errors
    ///
    /// The error itself, if asking again is of no use.
    pub(crate) fn take_note(&mut self, error: Error) -> Result<(), Error> {
        self.wish = error.retry_after().unwrap_or_default();
        let code = error.oauth().map(|oauth| class_of(oauth.code()));
        match (code, error.kind()) {
            (Some("authorization_pending"), _) => self.failures = 0,
            (Some("slow_down"), _) => {
                self.failures = 0;
                let mut interval = self.interval.lock();
                *interval = interval.saturating_add(SLOWER);
            }
            (_, ErrorKind::Transport) => self.failures += 1,
            // Under any other status, every other code ends it.
            (_, ErrorKind::Unavailable) if error.status() != Some(StatusCode::BAD_REQUEST) => {
                self.failures += 1;
            }
            _ => return Err(error),
        }
        Ok(())
    }
}

const SLOWER: Duration = Duration::from_secs(5); // RFC 8628 §3.5
const LONGEST_BACKOFF: Duration = Duration::from_secs(60); // a person waits at the other end
