//! What a storage of this process tells of its writes: the reference for others.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokenkeeper::{
    CasOutcome, ChangeNotices, MemoryStorage, Order, SharedTokenStorage, StorageKey, TokenRecord,
    TokenStorage,
};
use tokenkeeper_testkit::FaultyStorage;

fn key() -> StorageKey {
    StorageKey::new("alice").unwrap()
}

fn record(generation: u64) -> TokenRecord {
    TokenRecord::from_parts(b"payload".to_vec(), Order::new(1, generation), None, false)
}

fn listen(storage: &impl TokenStorage) -> Box<dyn ChangeNotices> {
    storage.shared().unwrap().notices(&key()).unwrap()
}

/// The notice that is there: an order, or none that is known.
fn notice(notices: &mut Box<dyn ChangeNotices>) -> Option<Option<Order>> {
    match pin!(notices.next()).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(notice) => Some(notice.unwrap()),
        Poll::Pending => None,
    }
}

#[tokio::test]
async fn every_kind_of_write_is_told_with_the_order_that_is_there_now() {
    let storage = MemoryStorage::new();
    let mut notices = listen(&storage);

    storage.set(&key(), &record(1)).await.unwrap();
    assert_eq!(notice(&mut notices), Some(Some(Order::new(1, 1))));
    let (version, _) = storage.load(&key()).await.unwrap().unwrap();
    storage.compare_and_set(&key(), Some(&version), &record(2)).await.unwrap();
    assert_eq!(notice(&mut notices), Some(Some(Order::new(1, 2))));
    storage.delete(&key()).await.unwrap();
    assert_eq!(notice(&mut notices), Some(None));
}

#[tokio::test]
async fn writes_between_two_calls_are_one_notice_of_the_last() {
    let storage = MemoryStorage::new();
    let mut notices = listen(&storage);

    for generation in 1..=50 {
        storage.set(&key(), &record(generation)).await.unwrap();
    }

    assert_eq!(notice(&mut notices), Some(Some(Order::new(1, 50))));
    assert_eq!(notice(&mut notices), None);
}

#[tokio::test]
async fn what_writes_nothing_under_the_key_is_not_told() {
    let storage = MemoryStorage::new();
    storage.set(&key(), &record(1)).await.unwrap();
    let mut notices = listen(&storage);

    storage.set(&StorageKey::new("bob").unwrap(), &record(2)).await.unwrap();
    let refused = storage.compare_and_set(&key(), None, &record(2)).await.unwrap();
    storage.get(&key()).await.unwrap();

    assert!(matches!(refused, CasOutcome::Conflict(_)));
    assert_eq!(notice(&mut notices), None);
}

#[tokio::test]
async fn everybody_who_listens_is_told_also_after_somebody_left() {
    let storage = MemoryStorage::new();
    let (mut first, second, mut third) = (listen(&storage), listen(&storage), listen(&storage));

    drop(second);
    storage.set(&key(), &record(1)).await.unwrap();
    assert_eq!([notice(&mut first), notice(&mut third)], [Some(Some(Order::new(1, 1))); 2]);
    drop((first, third));
    storage.set(&key(), &record(2)).await.unwrap();
    let mut fourth = listen(&storage);
    assert_eq!(notice(&mut fourth), None);
    storage.set(&key(), &record(3)).await.unwrap();

    assert_eq!(notice(&mut fourth), Some(Some(Order::new(1, 3))));
}

#[tokio::test]
async fn a_waiting_listener_is_woken_by_a_write_through_a_wrapper() {
    let storage = FaultyStorage::new(Arc::new(MemoryStorage::new()));
    let mut notices = listen(&storage);

    let waiting = tokio::spawn(async move { notices.next().await });
    tokio::task::yield_now().await;
    storage.set(&key(), &record(7)).await.unwrap();

    assert_eq!(waiting.await.unwrap().unwrap(), Some(Order::new(1, 7)));
}
