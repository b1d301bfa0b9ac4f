//! Panics of code that is not ours: caught, and dropped so that they end there.
//!
//! The payload of a panic is a value of its author, and dropping it may panic too.

use std::any::Any;
use std::future::poll_fn;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

/// That a call panicked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Panicked;

/// Calls code that may panic.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(dispose)
}

/// Polls a future and catches a panic in it. The future is dropped under the same care.
pub(crate) async fn catching<T>(work: impl Future<Output = T>) -> Result<T, Panicked> {
    let mut work = pin!(work);
    poll_fn(|cx| match caught(|| work.as_mut().poll(cx)) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(result)) => Poll::Ready(Ok(result)),
        Err(panicked) => Poll::Ready(Err(panicked)),
    })
    .await
}

fn dispose(payload: Box<dyn Any + Send>) -> Panicked {
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        mem::forget(second); // a third one is not worth the risk
    }
    Panicked
}
