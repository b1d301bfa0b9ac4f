//! Listeners are told of what others write, over one connection that mends itself.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::time::Duration;

use tokenkeeper::{
    ChangeNotices, Order, SharedTokenStorage, StorageKey, TokenRecord, TokenStorage,
};
use tokenkeeper_storage_redis::RedisStorage;
use tokenkeeper_tests::RedisServer;

fn key(name: &str) -> StorageKey {
    StorageKey::new(name).unwrap()
}

fn record(generation: u64) -> TokenRecord {
    TokenRecord::from_parts(b"payload".to_vec(), Order::new(1, generation), None, false)
}

fn storage(server: &RedisServer) -> RedisStorage {
    RedisStorage::builder(&server.url()).announce_changes(true).build().unwrap()
}

async fn next(notices: &mut Box<dyn ChangeNotices>) -> Option<Order> {
    let notice = tokio::time::timeout(Duration::from_secs(60), notices.next()).await;
    notice.unwrap().unwrap()
}

/// The connections of the server that listen.
fn listening(server: &RedisServer) -> usize {
    let clients: String = server.run(&["CLIENT", "LIST", "TYPE", "pubsub"]);
    clients.lines().filter(|line| !line.is_empty()).count()
}

#[tokio::test]
async fn every_kind_of_write_is_told_with_the_order_that_is_there_now() {
    let server = RedisServer::start();
    let (reader, writer) = (storage(&server), storage(&server));
    let mut notices = reader.notices(&key("alice")).unwrap();
    assert_eq!(next(&mut notices).await, None, "the first says that the connection stands");

    writer.set(&key("alice"), &record(1)).await.unwrap();
    assert_eq!(next(&mut notices).await, Some(Order::new(1, 1)));
    let (version, _) = writer.load(&key("alice")).await.unwrap().unwrap();
    writer.compare_and_set(&key("alice"), Some(&version), &record(2)).await.unwrap();
    assert_eq!(next(&mut notices).await, Some(Order::new(1, 2)));
    writer.delete(&key("alice")).await.unwrap();

    assert_eq!(next(&mut notices).await, None);
}

#[tokio::test]
async fn a_conflict_and_a_write_of_another_key_tell_nothing() {
    let server = RedisServer::start();
    let (reader, writer) = (storage(&server), storage(&server));
    writer.set(&key("alice"), &record(1)).await.unwrap();
    let mut notices = reader.notices(&key("alice")).unwrap();
    next(&mut notices).await;

    writer.compare_and_set(&key("alice"), None, &record(2)).await.unwrap();
    writer.set(&key("bob"), &record(3)).await.unwrap();
    writer.set(&key("alice"), &record(4)).await.unwrap();

    assert_eq!(next(&mut notices).await, Some(Order::new(1, 4)), "the first that was told");
}

#[tokio::test]
async fn what_was_written_while_nobody_waited_is_not_missed() {
    let server = RedisServer::start();
    let (reader, writer) = (storage(&server), storage(&server));
    let mut notices = reader.notices(&key("alice")).unwrap();
    next(&mut notices).await;

    for generation in 1..=50 {
        writer.set(&key("alice"), &record(generation)).await.unwrap();
    }

    while next(&mut notices).await != Some(Order::new(1, 50)) {}
}

#[tokio::test]
async fn any_number_of_listeners_share_one_connection_which_ends_with_the_last() {
    let server = RedisServer::start();
    let reader = storage(&server);
    assert_eq!(listening(&server), 0, "nobody listens yet");

    let mut all: Vec<_> = (0..20)
        .map(|number| reader.clone().notices(&key(&format!("key-{}", number % 10))).unwrap())
        .collect();
    for notices in &mut all {
        next(notices).await;
    }
    assert_eq!(listening(&server), 1);
    let channels = || server.run::<Vec<String>>(&["PUBSUB", "CHANNELS"]).len();
    assert_eq!(channels(), 10);

    all.truncate(5);
    while channels() != 5 {
        tokio::task::yield_now().await;
    }
    drop(all);
    while listening(&server) != 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_connection_that_broke_is_mended_and_tells_that_something_may_have_been_missed() {
    let server = RedisServer::start();
    let (reader, writer) = (storage(&server), storage(&server));
    let mut notices = [0, 1].map(|_| reader.notices(&key("alice")).unwrap());
    for notices in &mut notices {
        next(notices).await;
    }

    server.run::<usize>(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    for notices in &mut notices {
        assert_eq!(next(notices).await, None);
    }
    writer.set(&key("alice"), &record(7)).await.unwrap();

    for notices in &mut notices {
        while next(notices).await != Some(Order::new(1, 7)) {}
    }
    assert_eq!(listening(&server), 1);
}

#[tokio::test]
async fn a_server_that_is_gone_is_an_error_and_the_next_listener_finds_it_again() {
    let mut server = RedisServer::start();
    let (reader, writer) = (storage(&server), storage(&server));
    let mut notices = reader.notices(&key("alice")).unwrap();
    next(&mut notices).await;

    server.kill();
    let error = notices.next().await.unwrap_err().to_string();
    assert!(error.contains("cannot listen on tokenkeeper:{alice}:changes"), "{error}");
    server.restart();
    let mut notices = reader.notices(&key("alice")).unwrap();
    assert_eq!(next(&mut notices).await, None);
    writer.set(&key("alice"), &record(1)).await.unwrap();

    assert_eq!(next(&mut notices).await, Some(Order::new(1, 1)));
}

#[tokio::test]
async fn listeners_outlive_the_runtime_that_the_first_of_them_ran_on() {
    let server = RedisServer::start();
    let (reader, writer) = (storage(&server), storage(&server));
    let elsewhere = reader.clone();
    let other = std::thread::spawn(move || {
        let mut notices = elsewhere.notices(&key("alice")).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(next(&mut notices));
        notices
    });
    let mut first = other.join().unwrap();

    writer.set(&key("alice"), &record(1)).await.unwrap();

    assert_eq!(next(&mut first).await, Some(Order::new(1, 1)));
}

#[tokio::test]
async fn a_storage_that_does_not_announce_does_not_listen() {
    let server = RedisServer::start();
    let silent = RedisStorage::new(&server.url()).unwrap();
    let listening = storage(&server);
    let mut notices = listening.notices(&key("alice")).unwrap();
    next(&mut notices).await;

    assert!(silent.notices(&key("alice")).is_none());
    silent.set(&key("alice"), &record(1)).await.unwrap();
    listening.set(&key("alice"), &record(2)).await.unwrap();

    assert_eq!(next(&mut notices).await, Some(Order::new(1, 2)), "the silent one was heard");
}
