//! The hot path: a fresh token costs no lock, no allocation and no yield.
//!
//! That it waits for no lock is shown in `manager/core.rs`, where the lock can be held.
//!
//! This is a test binary of its own, because counting allocations replaces the global allocator.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use allocation_counter::measure;
use tokenkeeper::{
    AccessToken, Clock, Error, Event, MemoryStorage, Now, Observer, ProviderIdentity, SystemClock,
    TokenManager, TokenManagerMap, async_trait,
};
use tokenkeeper_testkit::{FaultyStorage, ScriptedProvider};

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

#[cfg(feature = "metrics")]
#[test]
fn a_recorder_that_counts_fresh_tokens_makes_nothing_allocate() {
    let recorder = support::recorder::Recorded::default();
    let warm = metrics::with_local_recorder(&recorder, || Warm::new(SystemClock));
    assert!(warm.token_at_first_poll().is_some());
    let labels = [("tokenkeeper_service", "svc"), ("result", "fresh")];
    let counted = || recorder.count("tokenkeeper_token_calls_total", &labels);
    let before = counted();

    let allocations = measure(|| {
        for _ in 0..REPETITIONS {
            assert!(warm.token_at_first_poll().is_some());
        }
    });

    assert_eq!(allocations.count_total, 0);
    assert_eq!(counted() - before, REPETITIONS as u64);
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
fn a_user_who_is_known_is_found_in_a_map_without_an_allocation() {
    let map = TokenManagerMap::new(|user: &String| {
        let identity = ProviderIdentity::new("svc").with("subject", user);
        Ok(ScriptedProvider::new("svc").with_identity(identity))
    });
    map.get("alice").unwrap().blocking().token().unwrap();

    let mut found = 0;
    let allocations = measure(|| {
        for _ in 0..REPETITIONS {
            let token = map.get("alice").ok().and_then(|manager| manager.peek());
            found += usize::from(token.is_some());
        }
    });

    assert_eq!(found, REPETITIONS);
    assert_eq!(allocations.count_total, 0);
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
