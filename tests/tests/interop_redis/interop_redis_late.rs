//! Commands that Redis gets late, or whose answers are lost on the way.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests fail by panicking"
)]

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokenkeeper::{CasOutcome, Order, SharedTokenStorage, StorageKey, TokenRecord, TokenStorage};
use tokenkeeper_storage_redis::{RedisStorage, RedisStorageBuilder};
use tokenkeeper_tests::RedisServer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Stands between a client and a Redis, and does something to the next script that comes along.
struct Detour {
    port: u16,
    next: Arc<Mutex<Next>>,
    released: Arc<Semaphore>,
    landed: Arc<Semaphore>,
}

#[derive(Clone, Copy)]
enum Next {
    Passes,
    /// It arrives when it is released, whatever became of the client.
    IsHeld,
    /// It arrives, and the connection breaks over the answer.
    LosesItsAnswer,
}

impl Detour {
    async fn to(server: &RedisServer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let next = Arc::new(Mutex::new(Next::Passes));
        let [released, landed] = [0, 0].map(|none| Arc::new(Semaphore::new(none)));
        let redis_port = server.port();
        let detour = Self {
            port,
            next: Arc::clone(&next),
            released: Arc::clone(&released),
            landed: Arc::clone(&landed),
        };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", redis_port)).await.unwrap();
                let gates = [Arc::clone(&released), Arc::clone(&landed)];
                tokio::spawn(pass_on(client, server, Arc::clone(&next), gates));
            }
        });
        detour
    }

    fn storage(&self) -> RedisStorageBuilder {
        RedisStorage::builder(&format!("redis://127.0.0.1:{}", self.port))
    }

    fn next(&self, next: Next) {
        *self.next.lock() = next;
    }

    /// Lets what is held go on to Redis, and waits until it was answered there.
    async fn release(&self) {
        self.released.add_permits(1);
        self.landed.acquire().await.unwrap().forget();
    }
}

async fn pass_on(
    mut client: TcpStream,
    mut server: TcpStream,
    next: Arc<Mutex<Next>>,
    [released, landed]: [Arc<Semaphore>; 2],
) {
    let (mut asked, mut said) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            length = client.read(&mut asked) => {
                let Ok(length @ 1..) = length else { return };
                let asked = &asked[..length];
                let is_script = asked.windows(4).any(|bytes| bytes == b"EVAL");
                let what = if is_script {
                    std::mem::replace(&mut *next.lock(), Next::Passes)
                } else {
                    Next::Passes
                };
                if matches!(what, Next::IsHeld) {
                    released.acquire().await.unwrap().forget();
                }
                server.write_all(asked).await.unwrap();
                if !matches!(what, Next::Passes) {
                    assert!(server.read(&mut said).await.unwrap() > 0);
                    landed.add_permits(1);
                    return;
                }
            }
            length = server.read(&mut said) => {
                let Ok(length @ 1..) = length else { return };
                if client.write_all(&said[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}

fn key() -> StorageKey {
    StorageKey::new("alice").unwrap()
}

fn record(payload: &[u8]) -> TokenRecord {
    TokenRecord::from_parts(payload.to_vec(), Order::new(1, 1), None, false)
}

#[tokio::test]
async fn a_write_or_removal_that_arrives_late_leaves_what_came_after_it() {
    let server = RedisServer::start();
    let detour = Detour::to(&server).await;
    let direct = RedisStorage::new(&server.url()).unwrap();
    let detoured = detour.storage().timeout(Duration::from_secs(1)).build().unwrap();
    direct.set(&key(), &record(b"zero")).await.unwrap();

    detour.next(Next::IsHeld);
    assert!(detoured.set(&key(), &record(b"one")).await.is_err());
    direct.set(&key(), &record(b"two")).await.unwrap();
    detour.release().await;
    let found = direct.get(&key()).await.unwrap().unwrap();
    assert_eq!(found.payload(), b"two", "the late write came out on top");

    detour.next(Next::IsHeld);
    assert!(detoured.delete(&key()).await.is_err());
    direct.set(&key(), &record(b"three")).await.unwrap();
    detour.release().await;
    let found = direct.get(&key()).await.unwrap();
    assert_eq!(found.unwrap().payload(), b"three");
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_made_once_and_known_as_ones_own() {
    let server = RedisServer::start();
    let detour = Detour::to(&server).await;
    let storage = detour.storage().build().unwrap();

    detour.next(Next::LosesItsAnswer);
    let outcome = storage.compare_and_set(&key(), None, &record(b"one")).await.unwrap();
    let CasOutcome::Stored(one) = outcome else { panic!("taken for somebody else's") };
    assert_eq!(storage.load(&key()).await.unwrap().unwrap().0, one);
    detour.next(Next::LosesItsAnswer);
    let outcome = storage.compare_and_set(&key(), Some(&one), &record(b"two")).await.unwrap();

    let CasOutcome::Stored(two) = outcome else { panic!("taken for somebody else's") };
    assert_eq!(storage.load(&key()).await.unwrap().unwrap().0, two);
    detour.next(Next::LosesItsAnswer);
    storage.delete(&key()).await.unwrap();
    assert!(storage.load(&key()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_still_has_to_be_confirmed_by_replicas() {
    let server = RedisServer::start();
    let detour = Detour::to(&server).await;
    let within = Duration::from_millis(50);
    let storage = detour.storage().wait_replicas(1).replica_timeout(within).build().unwrap();

    detour.next(Next::LosesItsAnswer);
    let outcome = storage.compare_and_set(&key(), None, &record(b"one")).await;

    let error = outcome.unwrap_err().to_string();
    assert!(error.contains("only 0 of 1 replicas"), "{error}");
}

/// The connection that waits for replicas must not hold up those who only read.
#[tokio::test]
async fn reads_and_leases_do_not_wait_for_the_replicas_of_writes() {
    let server = RedisServer::start();
    let storage = RedisStorage::builder(&server.url())
        .wait_replicas(1)
        .replica_timeout(Duration::from_secs(20))
        .timeout(Duration::from_secs(30))
        .build()
        .unwrap();
    storage.ping().await.unwrap();

    let record = record(b"one");
    let key = key();
    let writing = storage.set(&key, &record);
    tokio::pin!(writing);
    loop {
        tokio::select! {
            biased;
            _ = &mut writing => panic!("there is no replica"),
            found = storage.get(&key) => if found.unwrap().is_some() { break },
        }
    }
}
