//! The hot path: a fresh token costs no lock, no allocation and no yield.
//!
//! This is a test binary of its own, because counting allocations replaces the global allocator.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use allocation_counter::measure;
use tokenkeeper::{
    AccessToken, Clock, Error, Event, MemoryStorage, Now, Observer, SystemClock, TokenManager,
    async_trait,
};
use tokenkeeper_testkit::{FaultyStorage, Gate, ScriptedProvider};

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

/// Stops at the gate whoever reads it, if the thread that reads it is the marked one.
#[derive(Clone, Debug, Default)]
struct StoppableClock {
    stops: Arc<AtomicBool>,
    reads: Arc<AtomicUsize>,
    gate: Gate,
}

#[async_trait]
impl Clock for StoppableClock {
    fn now(&self) -> Now {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let is_slow = std::thread::current().name() == Some("stopped");
        if is_slow && self.stops.load(Ordering::SeqCst) {
            pollster::block_on(self.gate.wait());
        }
        SystemClock.now()
    }

    async fn sleep(&self, duration: Duration) {
        SystemClock.sleep(duration).await;
    }
}

/// The slow path decides under the manager's lock and reads the clock there; a thread that is
/// stopped at that moment holds the lock.
#[test]
fn a_thread_stopped_inside_the_managers_lock_does_not_stop_others() {
    let clock = StoppableClock { gate: Gate::closed(), ..StoppableClock::default() };
    let warm = Warm::new(clock.clone());
    clock.stops.store(true, Ordering::SeqCst);
    let manager = warm.manager.clone();
    let stopped = std::thread::Builder::new()
        .name("stopped".to_owned())
        .spawn(move || manager.blocking().token_valid_for(Duration::from_secs(1)).is_ok())
        .unwrap();
    pollster::block_on(clock.gate.arrived(1));

    let (report, reported) = mpsc::channel();
    std::thread::spawn(move || {
        let served = (0..REPETITIONS).all(|_| {
            matches!(warm.token_at_first_poll(), Some(Ok(_))) && warm.manager.peek().is_some()
        });
        let _ = report.send(served);
    });
    let served = reported.recv_timeout(Duration::from_secs(20));

    clock.gate.release();
    assert_eq!(served, Ok(true), "a fresh token waited for the lock");
    assert!(stopped.join().unwrap());
}

#[test]
fn a_fresh_token_costs_one_reading_of_the_clocks() {
    let clock = StoppableClock::default();
    let warm = Warm::new(clock.clone());
    let before = clock.reads.load(Ordering::SeqCst);

    for _ in 0..REPETITIONS {
        assert!(warm.token_at_first_poll().is_some());
    }

    assert_eq!(clock.reads.load(Ordering::SeqCst) - before, REPETITIONS);
}
