//! Time that moves only when the driver says so, and the moment when nothing more can happen.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use tokenkeeper::{Clock, Now, async_trait};
use tokio::runtime::{Builder, Runtime};

/// Both clocks, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    pub wall: u64,
    pub mono: u64,
}

impl At {
    /// How long ago `earlier` was, by the clock that says the longer.
    pub fn since(self, earlier: Self) -> u64 {
        let wall = self.wall.saturating_sub(earlier.wall);
        wall.max(self.mono.saturating_sub(earlier.mono))
    }
}

/// The clocks of all processes of a life. Clones are the same clock.
#[derive(Clone)]
pub struct LifeClock(Arc<Mutex<Inner>>);

struct Inner {
    at: At,
    last_sleep: u64,
    sleeps: Vec<(u64, u64, Waker)>,
}

impl LifeClock {
    pub fn new() -> Self {
        let at = At { wall: 1_893_456_000_000, mono: 1_000_000 };
        Self(Arc::new(Mutex::new(Inner { at, last_sleep: 0, sleeps: Vec::new() })))
    }

    pub fn at(&self) -> At {
        self.0.lock().at
    }

    /// Moves both clocks on and wakes those whose time has come.
    pub fn advance(&self, millis: u64) {
        let due = {
            let mut inner = self.0.lock();
            inner.at.wall = inner.at.wall.saturating_add(millis);
            inner.at.mono = inner.at.mono.saturating_add(millis);
            let mono = inner.at.mono;
            let (due, asleep) = inner.sleeps.drain(..).partition(|(end, ..)| *end <= mono);
            inner.sleeps = asleep;
            let due: Vec<(u64, u64, Waker)> = due;
            due
        };
        for (.., waker) in due {
            waker.wake();
        }
    }

    pub fn step_wall(&self, by: i64) {
        let mut inner = self.0.lock();
        inner.at.wall = inner.at.wall.saturating_add_signed(by);
    }

    /// How long until the first sleep ends.
    pub fn next_wake(&self) -> Option<u64> {
        let inner = self.0.lock();
        let first = inner.sleeps.iter().map(|(end, ..)| *end).min()?;
        Some(first.saturating_sub(inner.at.mono))
    }
}

impl fmt::Debug for LifeClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LifeClock").field(&self.at()).finish()
    }
}

#[async_trait]
impl Clock for LifeClock {
    fn now(&self) -> Now {
        let at = self.at();
        Now::new(wall_time(at.wall), Duration::from_millis(at.mono))
    }

    async fn sleep(&self, duration: Duration) {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let end = self.at().mono.saturating_add(millis);
        Sleep { clock: self.clone(), end, id: None }.await;
    }
}

pub fn wall_time(millis: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(millis)
}

pub fn millis_of(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

struct Sleep {
    clock: LifeClock,
    end: u64,
    id: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let (end, id) = (self.end, self.id);
        let clock = self.clock.clone();
        let mut inner = clock.0.lock();
        if inner.at.mono >= end {
            return Poll::Ready(());
        }
        let id = id.unwrap_or_else(|| {
            inner.last_sleep += 1;
            inner.last_sleep
        });
        match inner.sleeps.iter_mut().find(|(_, other, _)| *other == id) {
            Some((.., waker)) => waker.clone_from(cx.waker()),
            None => inner.sleeps.push((end, id, cx.waker().clone())),
        }
        self.id = Some(id);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.clock.0.lock().sleeps.retain(|(_, other, _)| *other != id);
        }
    }
}

thread_local! {
    static WAITS_FOR_IDLE: RefCell<Option<Waker>> = const { RefCell::new(None) };
    static IS_IDLE: Cell<bool> = const { Cell::new(false) };
}

/// A runtime on which [`idle`] can be waited for.
pub fn runtime() -> Runtime {
    Builder::new_current_thread()
        .on_thread_park(|| {
            if let Some(waker) = WAITS_FOR_IDLE.take() {
                IS_IDLE.set(true);
                waker.wake();
            }
        })
        .build()
        .expect("a runtime")
}

/// Completes when no task of this runtime can go on before time passes: the runtime is about to
/// put its thread to sleep.
pub async fn idle() {
    IS_IDLE.set(false);
    poll_fn(|cx| {
        if IS_IDLE.get() {
            return Poll::Ready(());
        }
        WAITS_FOR_IDLE.set(Some(cx.waker().clone()));
        Poll::Pending
    })
    .await;
}
