//! A caller that gives up while its write is on its way, at the worst moment: before the lock.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tempfile::TempDir;
use tokenkeeper::{LeaseRequest, SharedTokenStorage, SystemClock, TokenStorage};

use super::{Faults, key, layouts, record, storage};

#[tokio::test]
async fn a_later_write_waits_for_one_that_was_dropped() {
    let folder = TempDir::new().unwrap();
    for layout in layouts(folder.path()) {
        let (open_gate, gated) = Faults::gated();
        let gated = Arc::new(gated);
        let storage = storage(&layout, &gated);
        let (key, first, second) = (key(), record("first"), record("second"));
        let mut context = Context::from_waker(Waker::noop());

        {
            let mut dropped = pin!(storage.set(&key, &first));
            assert!(dropped.as_mut().poll(&mut context).is_pending());
            while gated.reached().is_empty() {
                std::thread::yield_now();
            }
        }
        let mut later = pin!(storage.set(&key, &second));
        for _ in 0..LOOKS {
            assert!(matches!(later.as_mut().poll(&mut context), Poll::Pending), "it overtook");
            tokio::task::yield_now().await;
            std::thread::yield_now();
        }
        open_gate.send(()).unwrap();
        later.await.unwrap();

        assert_eq!(storage.get(&key).await.unwrap().unwrap().payload(), b"second");
    }
}

#[tokio::test]
async fn a_lease_that_nobody_waits_for_any_more_is_not_kept() {
    let folder = TempDir::new().unwrap();
    for layout in layouts(folder.path()) {
        let (open_gate, gated) = Faults::gated();
        let gated = Arc::new(gated);
        let storage = storage(&layout, &gated);
        let key = key();
        let want = LeaseRequest::new(LONG, PATIENCE, Arc::new(SystemClock));

        {
            let mut dropped = pin!(storage.lease(&key, &want));
            while gated.reached().is_empty() {
                let given_up = tokio::time::timeout(Duration::from_millis(1), dropped.as_mut());
                assert!(given_up.await.is_err(), "it went through the gate");
            }
        }
        open_gate.send(()).unwrap();

        let next = storage.lease(&key, &want).await.unwrap();
        next.release().await.unwrap();
    }
}

#[tokio::test]
async fn a_lease_that_is_dropped_is_free_long_before_its_end() {
    let folder = TempDir::new().unwrap();
    for layout in layouts(folder.path()) {
        let storage = storage(&layout, &Arc::default());
        let want = LeaseRequest::new(LONG, PATIENCE, Arc::new(SystemClock));

        drop(storage.lease(&key(), &want).await.unwrap());

        let next = storage.lease(&key(), &want).await.unwrap();
        next.release().await.unwrap();
        assert!(!layout.place(&key()).leases.path.exists());
    }
}

const LONG: Duration = Duration::from_secs(600); // nobody waits for its end
const PATIENCE: Duration = Duration::from_secs(60);
const LOOKS: usize = 20_000; // many times what a write takes that does not wait
