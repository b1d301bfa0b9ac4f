//! A Redis that is down, dies, stands still, or forgets everything.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::sync::Arc;
use std::time::Duration;

use tokenkeeper::{
    CasOutcome, Clock, Error, ErrorKind, LeaseRequest, Order, SharedTokenStorage, StorageKey,
    SystemClock, TokenManager, TokenRecord, TokenStorage,
};
use tokenkeeper_storage_redis::RedisStorage;
use tokenkeeper_testkit::ScriptedProvider;
use tokenkeeper_tests::{RedisServer, at_once};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

fn key() -> StorageKey {
    StorageKey::new("alice").unwrap()
}

fn record(payload: &[u8]) -> TokenRecord {
    TokenRecord::from_parts(payload.to_vec(), Order::new(1, 1), None, false)
}

fn impatient(server: &RedisServer) -> RedisStorage {
    RedisStorage::builder(&server.url()).timeout(Duration::from_millis(300)).build().unwrap()
}

fn want() -> LeaseRequest {
    LeaseRequest::new(Duration::from_secs(30), Duration::ZERO, Arc::new(SystemClock))
}

#[track_caller]
fn assert_says(error: &Error, what: &str) {
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(error.to_string().contains(what), "{error}");
}

#[tokio::test]
async fn a_server_that_is_down_at_the_start_is_found_once_it_is_there() {
    let mut server = RedisServer::start();
    server.kill();
    let storage = RedisStorage::new(&server.url()).unwrap();

    assert_says(&storage.get(&key()).await.unwrap_err(), "cannot be reached");
    assert_says(&storage.ping().await.unwrap_err(), "cannot be reached");
    server.restart();

    assert!(storage.get(&key()).await.unwrap().is_none());
    storage.ping().await.unwrap();
}

#[test]
fn making_a_storage_needs_neither_a_server_nor_a_runtime() {
    let storage = RedisStorage::builder("redis://127.0.0.1:1").announce_changes(true).build();

    assert!(format!("{:?}", storage.unwrap()).contains("connected: false"));
}

#[tokio::test]
async fn a_server_that_dies_fails_the_calls_of_its_absence_and_no_others() {
    let mut server = RedisServer::start();
    let storage = RedisStorage::new(&server.url()).unwrap();
    storage.set(&key(), &record(b"one")).await.unwrap();

    server.kill();
    assert_says(&storage.set(&key(), &record(b"two")).await.unwrap_err(), "cannot be reached");
    assert_says(&storage.get(&key()).await.unwrap_err(), "cannot be reached");
    server.restart();

    storage.set(&key(), &record(b"three")).await.unwrap();
    assert_eq!(storage.get(&key()).await.unwrap().unwrap().payload(), b"three");
}

#[tokio::test]
async fn a_connection_that_was_closed_while_nobody_used_it_costs_no_call() {
    let server = RedisServer::start();
    let storage = RedisStorage::new(&server.url()).unwrap();
    let close = || server.run::<u32>(&["CLIENT", "KILL", "TYPE", "normal"]);
    storage.set(&key(), &record(b"one")).await.unwrap();

    close();
    let (version, found) = storage.load(&key()).await.unwrap().unwrap();
    assert_eq!(found.payload(), b"one");
    close();
    let lease = storage.lease(&key(), &want()).await.unwrap();
    close();
    let outcome = storage.compare_and_set(&key(), Some(&version), &record(b"two")).await.unwrap();
    assert!(matches!(outcome, CasOutcome::Stored(_)));
    close();
    lease.release().await.unwrap();
    close();
    storage.delete(&key()).await.unwrap();

    assert!(storage.get(&key()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_connection_outlives_the_runtime_that_it_was_opened_on() {
    let server = RedisServer::start();
    let storage = RedisStorage::new(&server.url()).unwrap();

    for _ in 0..2 {
        let storage = storage.clone();
        let elsewhere = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(storage.get(&key())).unwrap().is_none()
        });
        assert!(elsewhere.join().unwrap());
    }

    assert!(storage.get(&key()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_runtime_that_stands_still_keeps_no_other_from_redis() {
    let server = RedisServer::start();
    let storage = impatient(&server);
    let (first, (end, ended)) = (storage.clone(), std::sync::mpsc::channel::<()>());
    let (opened, is_open) = tokio::sync::oneshot::channel();
    let opener = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        assert!(runtime.block_on(first.get(&key())).unwrap().is_none());
        opened.send(()).unwrap();
        let _ = ended.recv(); // the runtime is there, and runs nothing any more
    });
    is_open.await.unwrap();

    assert!(storage.get(&key()).await.unwrap().is_none());

    drop(end);
    opener.join().unwrap();
}

#[tokio::test]
async fn an_answer_that_came_while_this_process_was_busy_counts() {
    let server = RedisServer::start();
    let storage = impatient(&server);
    storage.ping().await.unwrap();
    let computes = async {
        tokio::task::yield_now().await;
        std::thread::sleep(Duration::from_secs(1)); // more than the storage waits for
    };

    let key = key();
    let (found, ()) = tokio::join!(storage.get(&key), computes);

    assert!(found.unwrap().is_none());
}

#[tokio::test]
async fn a_server_that_was_restarted_empty_knows_no_version_of_before() {
    let mut server = RedisServer::start();
    let storage = RedisStorage::new(&server.url()).unwrap();
    let CasOutcome::Stored(old) =
        storage.compare_and_set(&key(), None, &record(b"one")).await.unwrap()
    else {
        panic!("nothing was there");
    };

    server.restart();
    let outcome = storage.compare_and_set(&key(), Some(&old), &record(b"two")).await.unwrap();
    assert!(matches!(outcome, CasOutcome::Conflict(None)));
    storage.compare_and_set(&key(), None, &record(b"one")).await.unwrap();
    let outcome = storage.compare_and_set(&key(), Some(&old), &record(b"two")).await.unwrap();

    assert!(matches!(outcome, CasOutcome::Conflict(Some(_))), "the old version came back");
}

#[tokio::test]
async fn a_lease_that_the_server_forgot_can_neither_be_renewed_nor_hurt_its_successor() {
    let mut server = RedisServer::start();
    let storage = RedisStorage::new(&server.url()).unwrap();
    let mut forgotten = storage.lease(&key(), &want()).await.unwrap();

    server.restart();
    let next = storage.lease(&key(), &want()).await.unwrap();

    assert_says(&forgotten.renew().await.unwrap_err(), "no longer ours");
    forgotten.release().await.unwrap();
    assert!(storage.lease(&key(), &want()).await.is_err(), "the lease of another was released");
    next.release().await.unwrap();
}

#[tokio::test]
async fn a_server_that_stands_still_is_given_up_in_time_and_used_again() {
    let server = RedisServer::start();
    let storage = impatient(&server);
    storage.set(&key(), &record(b"one")).await.unwrap();

    server.stand_still();
    let asked_at = SystemClock.now();
    assert_says(&storage.get(&key()).await.unwrap_err(), "no answer");
    assert_says(&storage.set(&key(), &record(b"two")).await.unwrap_err(), "no answer");
    assert_says(&storage.delete(&key()).await.unwrap_err(), "no answer");
    assert_says(&storage.lease(&key(), &want()).await.unwrap_err(), "no answer");
    assert!(SystemClock.now().since(&asked_at) < Duration::from_secs(10));
    server.go_on();

    storage.get(&key()).await.unwrap();
}

#[tokio::test]
async fn any_number_of_calls_to_a_server_that_stands_still_end_together() {
    let server = RedisServer::start();
    let storage = impatient(&server);
    storage.ping().await.unwrap();

    server.stand_still();
    let asked_at = SystemClock.now();
    let answers = at_once(200, || {
        let storage = storage.clone();
        async move { storage.get(&key()).await }
    });
    let answers = answers.await;

    assert!(answers.iter().all(Result::is_err));
    assert!(SystemClock.now().since(&asked_at) < Duration::from_secs(10), "they stood in line");
    server.go_on();
    storage.get(&key()).await.unwrap();
}

/// As when a firewall forgot the connection: nothing arrives any more, and nobody says so.
#[tokio::test]
async fn a_connection_that_leads_nowhere_is_replaced() {
    let server = RedisServer::start();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let forgotten = Arc::new(Notify::new());
    let (redis_port, forget) = (server.port(), Arc::clone(&forgotten));
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut redis = TcpStream::connect(("127.0.0.1", redis_port)).await.unwrap();
            let forget = Arc::clone(&forget);
            tokio::spawn(async move {
                tokio::select! {
                    _ = copy_bidirectional(&mut client, &mut redis) => {}
                    () = forget.notified() => std::future::pending().await,
                }
            });
        }
    });
    let storage = RedisStorage::builder(&url).timeout(Duration::from_millis(300)).build().unwrap();
    storage.ping().await.unwrap();

    forgotten.notify_waiters();
    assert_says(&storage.get(&key()).await.unwrap_err(), "no answer");

    storage.get(&key()).await.unwrap();
}

/// Redis may grant a lease after its asker was told that it had no answer.
#[tokio::test]
async fn a_lease_that_was_granted_too_late_to_be_noticed_is_given_back() {
    let server = RedisServer::start();
    let storage = impatient(&server);
    storage.ping().await.unwrap();

    server.stand_still();
    assert_says(&storage.lease(&key(), &want()).await.unwrap_err(), "no answer");
    server.go_on();

    let patient = LeaseRequest::new(
        Duration::from_secs(30),
        Duration::from_secs(20), // less than the lease would last
        Arc::new(SystemClock),
    );
    let storage = RedisStorage::new(&server.url()).unwrap();
    storage.lease(&key(), &patient).await.unwrap().release().await.unwrap();
}

#[tokio::test]
async fn a_lease_whose_asker_is_dropped_over_the_answer_is_given_back() {
    let server = RedisServer::start();
    let storage = RedisStorage::new(&server.url()).unwrap();
    storage.ping().await.unwrap();

    for _ in 0..20 {
        let (key, want) = (key(), want());
        tokio::select! {
            biased;
            lease = storage.lease(&key, &want) => lease.unwrap().release().await.unwrap(),
            () = tokio::task::yield_now() => {} // sent by now, and not answered
        }
    }

    let patient =
        LeaseRequest::new(Duration::from_secs(30), Duration::from_secs(20), Arc::new(SystemClock));
    storage.lease(&key(), &patient).await.unwrap().release().await.unwrap();
}

#[tokio::test]
async fn a_service_starts_while_its_redis_is_down_and_stores_its_tokens_later() {
    let mut server = RedisServer::start();
    server.kill();
    let storage = RedisStorage::new(&server.url()).unwrap();
    let provider = ScriptedProvider::new("billing").without_refresh_tokens();
    let manager = TokenManager::builder(provider.clone()).storage(storage.clone()).build().unwrap();

    let token = manager.token().await.unwrap();
    assert_eq!(token.authorization(), "Bearer access-1");
    server.restart();
    manager.flush().await.unwrap();

    let stored = storage.get(&provider_key(&provider)).await.unwrap();
    assert!(stored.is_some_and(|record| !record.is_tombstone()));
    assert_eq!(provider.fetches(), 1);
}

fn provider_key(provider: &ScriptedProvider) -> StorageKey {
    tokenkeeper::TokenProvider::identity(provider).storage_key()
}
