//! What the storage costs, in round trips to Redis, seen from the wire.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests fail by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokenkeeper::{ManualClock, RefreshPolicy, TokenManager};
use tokenkeeper_storage_redis::{RedisStorage, RedisStorageBuilder};
use tokenkeeper_testkit::ScriptedProvider;
use tokenkeeper_tests::{RedisServer, server_url};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Stands between a client and a Redis, and counts how often the client speaks and is answered.
struct Wire {
    port: u16,
    trips: Arc<AtomicUsize>,
}

impl Wire {
    async fn to(redis_port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let trips = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&trips);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", redis_port)).await.unwrap();
                tokio::spawn(pass_on(client, server, Arc::clone(&counted)));
            }
        });
        Self { port, trips }
    }

    fn storage(&self) -> RedisStorageBuilder {
        RedisStorage::builder(&format!("redis://127.0.0.1:{}", self.port))
    }

    /// The round trips since the last look.
    fn trips(&self) -> usize {
        self.trips.swap(0, Ordering::SeqCst)
    }
}

async fn pass_on(mut client: TcpStream, mut server: TcpStream, trips: Arc<AtomicUsize>) {
    let mut answered = true;
    let (mut asked, mut said) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            length = client.read(&mut asked) => match length {
                Ok(length) if length > 0 => {
                    if std::mem::replace(&mut answered, false) {
                        trips.fetch_add(1, Ordering::SeqCst);
                    }
                    server.write_all(&asked[..length]).await.unwrap();
                }
                _ => return,
            },
            length = server.read(&mut said) => match length {
                Ok(length) if length > 0 => {
                    answered = true;
                    client.write_all(&said[..length]).await.unwrap();
                }
                _ => return,
            },
        }
    }
}

fn manager(
    provider: &ScriptedProvider,
    storage: RedisStorage,
    clock: &ManualClock,
) -> TokenManager {
    TokenManager::builder(provider.clone())
        .storage(storage)
        .clock(clock.clone())
        .policy(RefreshPolicy::new().without_jitter())
        .build()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hit_costs_nothing_a_cold_start_one_trip_and_a_refresh_four() {
    let server = RedisServer::start();
    let wire = Wire::to(server.port()).await;
    let provider = ScriptedProvider::new("billing");
    let clock = ManualClock::new();
    let first = manager(&provider, wire.storage().build().unwrap(), &clock);
    first.token().await.unwrap();
    first.flush().await.unwrap();
    wire.trips();

    for _ in 0..100 {
        first.token().await.unwrap();
    }
    assert_eq!(wire.trips(), 0, "a hit asked Redis");

    let storage = wire.storage().build().unwrap();
    storage.ping().await.unwrap(); // connecting takes one trip of its own
    wire.trips();
    let second = manager(&provider, storage, &clock);
    assert_eq!(second.token().await.unwrap().authorization(), "Bearer access-1");
    assert_eq!((wire.trips(), provider.fetches()), (1, 1), "a cold start on a fresh token");

    clock.advance(Duration::from_secs(890));
    assert_eq!(second.token().await.unwrap().authorization(), "Bearer access-2");
    second.flush().await.unwrap();
    assert_eq!((wire.trips(), provider.refreshes()), (4, 1), "lease, load, write, release");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_and_announcements_cost_no_trip_of_their_own() {
    let primary = server_url("TOKENKEEPER_REDIS_PRIMARY_URL");
    let port = primary.rsplit(':').next().unwrap().parse().unwrap();
    let wire = Wire::to(port).await;
    let storage = wire.storage().wait_replicas(1).announce_changes(true).build().unwrap();
    storage.ping().await.unwrap();
    let service = format!("trips-{}", std::process::id());
    let provider = ScriptedProvider::new(&service);
    let clock = ManualClock::new();
    let manager = manager(&provider, storage, &clock);
    manager.token().await.unwrap();
    manager.flush().await.unwrap();
    wire.trips();

    clock.advance(Duration::from_secs(890));
    assert_eq!(manager.token().await.unwrap().authorization(), "Bearer access-2");
    manager.flush().await.unwrap();

    assert_eq!(wire.trips(), 4);
}
