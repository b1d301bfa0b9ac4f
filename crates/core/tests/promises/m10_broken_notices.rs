//! M10: notices are hints. What is wrong with them costs time, and nothing else.

use std::pin::pin;
use std::task::{Context, Waker};

use crate::support::telling::{Pair, Spoilt, seconds, settle};
use tokenkeeper::EventKind;
use tokenkeeper_testkit::{StorageFault, StorageOperation};

/// Subscriptions after each of the given waits, in seconds.
async fn subscriptions(pair: &Pair, waits: &[u64]) -> Vec<usize> {
    let mut seen = Vec::new();
    for wait in waits {
        pair.clock.advance(seconds(*wait));
        settle().await;
        seen.push(pair.storage.subscriptions().0);
    }
    seen
}

#[tokio::test]
async fn notices_that_fail_are_asked_for_anew_after_pauses_that_grow() {
    for spoilt in [Spoilt::Fails, Spoilt::Panics, Spoilt::CannotSubscribe] {
        let pair = Pair::warm().await;
        pair.storage.spoil_all(spoilt);
        let _refresher = pair.listener.spawn_refresher();

        let seen = subscriptions(&pair, &[0, 1, 1, 1, 3, 1, 7, 1, 15, 1, 31, 1, 59, 1]).await;

        assert_eq!(seen, [1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8], "{spoilt:?}");
        assert_eq!(pair.storage.calls.total_calls(), 0, "{spoilt:?}");
        let failed = pair.events.count(|event| match event {
            EventKind::StorageFailed { call, .. } | EventKind::Panicked { call } => {
                *call == "notices"
            }
            _ => false,
        });
        assert_eq!(failed, 8, "{spoilt:?}");
    }
}

#[tokio::test]
async fn a_refresher_whose_notices_fail_renews_all_the_same() {
    for spoilt in [Spoilt::Fails, Spoilt::Panics, Spoilt::CannotSubscribe] {
        let pair = Pair::warm().await;
        pair.storage.spoil_all(spoilt);
        let _refresher = pair.listener.spawn_refresher();
        settle().await;

        pair.clock.advance(seconds(700));
        settle().await;

        assert_eq!(pair.served().as_deref(), Some("access-2"), "{spoilt:?}");
    }
}

#[tokio::test]
async fn a_subscription_that_was_mended_hears_again_and_its_pauses_start_anew() {
    let pair = Pair::warm().await;
    pair.storage.spoil_next(3, Spoilt::Fails);
    let _refresher = pair.listener.spawn_refresher();
    assert_eq!(subscriptions(&pair, &[0, 1, 2, 4]).await, [1, 2, 3, 4]);

    pair.sibling.force_refresh().await.unwrap();
    settle().await;
    assert_eq!(pair.served().as_deref(), Some("access-2"));
    pair.storage.spoil_next(1, Spoilt::Fails);
    pair.clock.advance(seconds(1));
    pair.raise(1).await;
    settle().await;

    assert_eq!(subscriptions(&pair, &[0, 1]).await, [4, 5]);
    assert_eq!(pair.storage.subscriptions(), (5, 4));
}

#[tokio::test]
async fn a_stream_that_always_has_a_notice_causes_one_look_a_second() {
    let pair = Pair::warm().await;
    pair.storage.spoil_all(Spoilt::ForNothing);
    let _refresher = pair.listener.spawn_refresher();
    settle().await;
    let mut status = pair.listener.subscribe();

    for looks in 1..=5 {
        assert_eq!(pair.storage.calls.total_calls(), looks);
        pair.clock.advance(seconds(1));
        settle().await;
    }

    assert_eq!(pair.events.count(|event| matches!(event, EventKind::Adopted)), 0);
    let change = pin!(status.changed()).poll(&mut Context::from_waker(Waker::noop()));
    assert!(change.is_pending(), "what changes nothing tells nobody of a change");
}

#[tokio::test]
async fn a_look_that_fails_is_repeated_until_the_storage_answers() {
    for fault in [StorageFault::Fail, StorageFault::Panic] {
        let pair = Pair::warm().await;
        let _refresher = pair.listener.spawn_refresher();
        settle().await;
        pair.storage.calls.fault_next(StorageOperation::Load, 2, fault.clone());

        pair.sibling.clear().await.unwrap();
        settle().await;
        pair.clock.advance(seconds(1));
        settle().await;
        assert!(pair.listener.peek().is_some(), "{fault:?}");
        pair.clock.advance(seconds(2));
        settle().await;

        assert!(pair.listener.peek().is_none(), "{fault:?}");
        assert_eq!(pair.storage.calls.total_calls(), 3, "{fault:?}");
    }
}

#[tokio::test]
async fn a_look_that_hangs_ends_after_the_time_of_a_storage_call() {
    let pair = Pair::warm().await;
    let _refresher = pair.listener.spawn_refresher();
    settle().await;
    pair.storage.calls.fault_next(StorageOperation::Load, 1, StorageFault::Hang);

    pair.sibling.clear().await.unwrap();
    settle().await;
    pair.clock.advance(seconds(5));
    settle().await;
    assert!(pair.listener.peek().is_some());
    pair.clock.advance(seconds(1));
    settle().await;

    assert!(pair.listener.peek().is_none());
}
