//! Further attempts after a 401, for services whose new tokens are not known everywhere at once.

use std::sync::Arc;
use std::time::Duration;

use tokenkeeper::{Clock, SystemClock};

/// How often a request is sent again that is still answered with 401 after its one replay, and when:
/// after the first delay, then after twice that, and so on, up to a minute.
///
/// Each time the token is given up as rejected, and the request gets the newest one. How often new
/// tokens are requested is the manager's decision, as ever: while it pauses, because
/// [tokens keep being rejected](tokenkeeper#when-a-token-is-rejected), the same token is tried again.
/// A request is sent again only where a replay would be: not after `insufficient_scope` or
/// `Retry-After`, not if its body is a stream, not on a route
/// [without replay](crate::Route::without_replay), and not behind a redirect of a client that follows
/// redirects itself.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use tokenkeeper_reqwest::UnauthorizedRetries;
///
/// let retries = UnauthorizedRetries::new(3, Duration::from_millis(500)); // 0.5 s, 1 s, 2 s
/// ```
#[derive(Clone, Debug)]
pub struct UnauthorizedRetries {
    attempts: u32,
    first_delay: Duration,
    clock: Arc<dyn Clock>,
}

impl UnauthorizedRetries {
    /// So many attempts beyond the request and its replay, the first of them after this delay.
    #[must_use]
    pub fn new(attempts: u32, first_delay: Duration) -> Self {
        Self { attempts, first_delay, clock: Arc::new(SystemClock) }
    }

    /// The clock that delays are waited for on.
    ///
    /// # Default
    ///
    /// [`SystemClock`], which needs a tokio runtime with time enabled, as `reqwest` does.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Waits before an attempt; the first has the number 0.
    pub(crate) async fn wait(&self, attempt: u32) {
        let factor = 2_u32.saturating_pow(attempt);
        self.clock.sleep(self.first_delay.saturating_mul(factor).min(LONGEST_DELAY)).await;
    }
}

const LONGEST_DELAY: Duration = Duration::from_secs(60);
