//! Callers that are known to wait, and time that is known to be waited for.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use tokenkeeper::{ManualClock, TokenManager};
use tokenkeeper_testkit::ScriptedProvider;

/// A future that was polled once: it has done what it does before its first wait.
pub struct Started<'a, T> {
    first: Poll<T>,
    future: Pin<Box<dyn Future<Output = T> + Send + 'a>>,
}

impl<T> Started<'_, T> {
    pub fn is_waiting(&self) -> bool {
        self.first.is_pending()
    }

    pub async fn end(self) -> T {
        match self.first {
            Poll::Ready(value) => value,
            Poll::Pending => self.future.await,
        }
    }
}

pub async fn started<'a, T>(future: impl Future<Output = T> + Send + 'a) -> Started<'a, T> {
    let mut future: Pin<Box<dyn Future<Output = T> + Send + 'a>> = Box::pin(future);
    let first = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
    Started { first, future }
}

/// Returns once so many sleep on the clock, so that an advance reaches them.
pub async fn sleeping(clock: &ManualClock, count: usize) {
    while clock.sleepers() < count {
        tokio::task::yield_now().await;
    }
}

/// Runs whatever can run on this runtime, until nothing but time can bring it further. For managers
/// whose driver is this runtime, which must have one thread.
pub async fn settled() {
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
}

/// The same for managers whose driver is the thread of the process: it takes its tasks in turn, and
/// an errand that was given to it last comes last.
pub async fn driver_settled() {
    for _ in 0..ERRANDS {
        TokenManager::new(ScriptedProvider::new("other")).token().await.unwrap();
    }
}

const TURNS: usize = 500; // far more than an exchange and its write take
const ERRANDS: usize = 50; // each is several turns of the driver
