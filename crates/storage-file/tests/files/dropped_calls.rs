//! Callers that give up: at most one write is under way, and none lands late.

use std::fs::File;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};

use crate::support::{Fixture, LAYOUTS, files, key, record};
use tokenkeeper::TokenStorage;

#[test]
fn a_write_that_was_dropped_does_not_land_after_a_later_one() {
    // One thread for blocking work, so that a test can hold it.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        for layout in LAYOUTS {
            let fixture = Fixture::new(layout);
            let storage = fixture.storage();
            let (open_gate, gate) = mpsc::channel::<()>();
            let held = tokio::task::spawn_blocking(move || gate.recv().unwrap());
            let (key, first, second) = (key(), record("first"), record("second"));

            {
                let mut dropped = pin!(storage.set(&key, &first));
                let mut context = Context::from_waker(Waker::noop());
                assert!(matches!(dropped.as_mut().poll(&mut context), Poll::Pending));
            } // its work waits for the thread
            let mut later = pin!(storage.set(&key, &second));
            let mut context = Context::from_waker(Waker::noop());
            assert!(matches!(later.as_mut().poll(&mut context), Poll::Pending));
            open_gate.send(()).unwrap();
            later.await.unwrap();
            held.await.unwrap();

            assert_eq!(storage.get(&key).await.unwrap().unwrap().payload(), b"second");
        }
    });
}

#[tokio::test]
async fn a_write_that_was_dropped_while_another_process_had_the_lock_keeps_nobody_waiting() {
    for layout in LAYOUTS {
        let fixture = Fixture::new(layout);
        let storage = fixture.storage();
        storage.set(&key(), &record("old")).await.unwrap();
        let files = files(&fixture.folder());
        let is_lock = |path: &&PathBuf| path.to_str().unwrap().contains("lock");
        let lock = File::open(files.iter().find(is_lock).unwrap()).unwrap();
        lock.lock().unwrap();
        {
            let (key, new) = (key(), record("new"));
            let mut dropped = pin!(storage.set(&key, &new));
            let mut context = Context::from_waker(Waker::noop());
            assert!(matches!(dropped.as_mut().poll(&mut context), Poll::Pending));
        }

        assert_eq!(storage.get(&key()).await.unwrap().unwrap().payload(), b"old");
        lock.unlock().unwrap();
        storage.set(&key(), &record("next")).await.unwrap();

        assert_eq!(storage.get(&key()).await.unwrap().unwrap().payload(), b"next");
    }
}
