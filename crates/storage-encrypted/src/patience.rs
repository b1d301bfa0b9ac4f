//! Waiting for a key, and no longer than a caller has patience.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokenkeeper::{Clock, SystemClock};

/// What the work gives, if it gives it in time. A provider that has its keys at hand needs no timer,
/// and no runtime that has one.
pub(crate) async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut timer = None;
    poll_fn(|context| {
        if let Poll::Ready(value) = work.as_mut().poll(context) {
            return Poll::Ready(Some(value));
        }
        let timer = timer.get_or_insert_with(|| Box::pin(SystemClock.sleep(limit)));
        timer.as_mut().poll(context).map(|()| None)
    })
    .await
}
