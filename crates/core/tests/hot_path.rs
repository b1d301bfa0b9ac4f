//! The hot path: a fresh token costs no lock, no allocation and no yield.
//!
//! This is a test binary of its own, because counting allocations replaces the global allocator.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::error::Error as StdError;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use allocation_counter::measure;
use tokenkeeper::{
    AccessToken, Clock, Error, ErrorKind, Event, ManualClock, MemoryStorage, Now, Observer,
    SystemClock, TokenManager, async_trait,
};
use tokenkeeper_testkit::{FaultyStorage, Gate, ScriptedProvider, Step};

const REPETITIONS: usize = 10_000;

#[derive(Clone, Debug, Default)]
struct Count(Arc<AtomicUsize>);

impl Observer for Count {
    fn on_event(&self, _event: &Event) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A manager with a fresh token, and everything that could notice that it is asked for.
struct Warm {
    manager: TokenManager,
    provider: ScriptedProvider,
    storage: FaultyStorage<MemoryStorage>,
    events: Count,
}

impl Warm {
    fn new(clock: impl Clock) -> Self {
        let (provider, events) = (ScriptedProvider::new("svc"), Count::default());
        let storage = FaultyStorage::new(MemoryStorage::new());
        let manager = TokenManager::builder(provider.clone())
            .storage(storage.clone())
            .observer(events.clone())
            .clock(clock)
            .build()
            .unwrap();
        manager.blocking().token().unwrap();
        manager.blocking().flush().unwrap();
        Self { manager, provider, storage, events }
    }

    /// Of a manager that is not warm yet.
    fn around(manager: TokenManager, provider: ScriptedProvider) -> Self {
        let storage = FaultyStorage::new(MemoryStorage::new());
        Self { manager, provider, storage, events: Count::default() }
    }

    fn token_at_first_poll(&self) -> Option<Result<Arc<AccessToken>, Error>> {
        let mut cx = Context::from_waker(Waker::noop());
        match pin!(self.manager.token()).poll(&mut cx) {
            Poll::Ready(result) => Some(result),
            Poll::Pending => None,
        }
    }
}

#[test]
fn token_is_ready_at_the_first_poll_and_allocates_nothing() {
    let warm = Warm::new(SystemClock);
    assert!(warm.token_at_first_poll().is_some()); // a thread's first read may set something up

    let mut ready = 0;
    let allocations = measure(|| {
        for _ in 0..REPETITIONS {
            ready += usize::from(matches!(warm.token_at_first_poll(), Some(Ok(_))));
        }
    });

    assert_eq!(ready, REPETITIONS);
    assert_eq!(allocations.count_total, 0);
}

#[test]
fn peek_allocates_nothing() {
    let warm = Warm::new(SystemClock);
    assert!(warm.manager.peek().is_some());

    let mut found = 0;
    let allocations = measure(|| {
        for _ in 0..REPETITIONS {
            found += usize::from(warm.manager.peek().is_some());
        }
    });

    assert_eq!(found, REPETITIONS);
    assert_eq!(allocations.count_total, 0);
}

#[test]
fn the_authorization_header_is_shared_and_not_copied() {
    let token = Warm::new(SystemClock).manager.peek().unwrap();

    let allocations = measure(|| {
        for _ in 0..REPETITIONS {
            assert!(token.authorization().is_sensitive());
        }
    });

    assert_eq!(allocations.count_total, 0);
    assert_eq!(
        token.authorization().as_bytes().as_ptr(),
        token.authorization().as_bytes().as_ptr()
    );
}

#[test]
fn the_counter_would_notice_an_allocation() {
    assert_eq!(measure(|| drop(std::hint::black_box(Box::new(1)))).count_total, 1);
}

#[test]
fn a_fresh_token_disturbs_neither_provider_nor_storage_nor_observer() {
    let warm = Warm::new(SystemClock);
    let before = (warm.storage.total_calls(), warm.events.0.load(Ordering::SeqCst));

    for _ in 0..REPETITIONS {
        assert!(warm.token_at_first_poll().is_some() && warm.manager.peek().is_some());
    }
    warm.manager.blocking().flush().unwrap();

    assert_eq!(before, (warm.storage.total_calls(), warm.events.0.load(Ordering::SeqCst)));
    assert_eq!(warm.provider.calls(), 1);
}

/// The cause of a refusal. Whoever lets go of it last is held at the gate.
#[derive(Debug)]
struct Sticky(Gate);

impl fmt::Display for Sticky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refused")
    }
}

impl StdError for Sticky {}

impl Drop for Sticky {
    fn drop(&mut self) {
        pollster::block_on(self.0.wait());
    }
}

/// The manager remembers the last refusal, and forgets it under its lock: a thread that is held
/// while it does so holds the lock.
#[test]
fn a_thread_held_inside_the_managers_lock_does_not_hold_up_others() {
    let (clock, gate) = (ManualClock::new(), Gate::closed());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let provider = ScriptedProvider::new("svc");
    let manager = TokenManager::builder(provider.clone())
        .clock(clock.clone())
        .driver(runtime.handle().clone())
        .build()
        .unwrap();
    let warm = Warm::around(manager, provider);
    runtime.block_on(warm.manager.token()).unwrap();
    clock.advance(Duration::from_secs(6));
    let refusal = Error::new(ErrorKind::CredentialsRejected, "refused");
    warm.provider.on_refresh(Step::fail(refusal.with_source(Sticky(gate.clone()))));
    drop(runtime.block_on(warm.manager.force_refresh()).unwrap_err());
    drop(runtime); // now nobody but the manager remembers

    let manager = warm.manager.clone();
    let held = std::thread::spawn(move || manager.credentials_changed());
    pollster::block_on(gate.arrived(1));
    let manager = warm.manager.clone();
    let locks = std::thread::spawn(move || manager.status().last_error().is_none());
    let (report, reported) = mpsc::channel();
    std::thread::spawn(move || {
        let served = (0..REPETITIONS).all(|_| {
            matches!(warm.token_at_first_poll(), Some(Ok(_))) && warm.manager.peek().is_some()
        });
        let _ = report.send(served);
    });
    let served = reported.recv_timeout(Duration::from_secs(20));
    let lock_was_held = !locks.is_finished();
    gate.release();

    assert_eq!(served, Ok(true), "a fresh token waited for the lock");
    assert!(lock_was_held, "nobody held the lock, so this proves nothing");
    assert!(locks.join().unwrap());
    held.join().unwrap();
}

#[derive(Clone, Debug, Default)]
struct CountingClock(Arc<AtomicUsize>);

#[async_trait]
impl Clock for CountingClock {
    fn now(&self) -> Now {
        self.0.fetch_add(1, Ordering::SeqCst);
        SystemClock.now()
    }

    async fn sleep(&self, duration: Duration) {
        SystemClock.sleep(duration).await;
    }
}

#[test]
fn a_fresh_token_costs_one_reading_of_the_clocks() {
    let clock = CountingClock::default();
    let warm = Warm::new(clock.clone());
    let before = clock.0.load(Ordering::SeqCst);

    for _ in 0..REPETITIONS {
        assert!(warm.token_at_first_poll().is_some());
    }

    assert_eq!(clock.0.load(Ordering::SeqCst) - before, REPETITIONS);
}
