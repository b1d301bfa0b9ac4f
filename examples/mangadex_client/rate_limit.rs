//! The rate limit of the API: about five requests a second for all clients behind one address.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Extensions;
use reqwest::{Request, Response, Url};
use reqwest_middleware::{Error, Middleware, Next};
use tokenkeeper::{Clock, Now, async_trait};
use tokio::sync::Mutex;

/// Lets five requests a second through to one origin, and all to others. Clones share the count.
///
/// A crate such as `governor` does it too; this one goes by a clock that a test can move.
#[derive(Clone)]
pub(crate) struct RateLimit {
    origin: Url,
    clock: Arc<dyn Clock>,
    /// When the last ones were let through, at most [`LIMIT`] of them.
    recent: Arc<Mutex<VecDeque<Now>>>,
    passed: Arc<AtomicUsize>,
}

impl RateLimit {
    pub(crate) fn new(origin: Url, clock: impl Clock) -> Self {
        Self { origin, clock: Arc::new(clock), recent: Arc::default(), passed: Arc::default() }
    }

    /// How many requests were let through so far.
    pub(crate) fn passed(&self) -> usize {
        self.passed.load(Ordering::SeqCst)
    }

    async fn pass(&self) {
        // Who waits keeps the lock, so that those who came later go later.
        let mut recent = self.recent.lock().await;
        if recent.len() == LIMIT
            && let Some(first) = recent.front()
        {
            let since = self.clock.now().since(first);
            self.clock.sleep(WINDOW.saturating_sub(since)).await;
            recent.pop_front();
        }
        recent.push_back(self.clock.now());
        self.passed.fetch_add(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Middleware for RateLimit {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response, Error> {
        if request.url().origin() == self.origin.origin() {
            self.pass().await;
        }
        next.run(request, extensions).await
    }
}

const LIMIT: usize = 5;
const WINDOW: Duration = Duration::from_secs(1);
