//! Redis Cluster: with the client for it, and without.

#![allow(clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]

use std::sync::LazyLock;
use std::time::Duration;

use tokenkeeper::{Order, SharedTokenStorage, StorageKey, TokenRecord, TokenStorage};
use tokenkeeper_storage_redis::RedisStorage;
use tokenkeeper_tests::RedisServer;
use tokio::time::timeout;

/// One node with all slots, for all tests of this file. It is a static, which is never dropped: the
/// pipe that it listens at closes with the process.
static ONE_NODE: LazyLock<RedisServer> = LazyLock::new(|| {
    let node = RedisServer::start_with(&["--cluster-enabled", "yes"]);
    node.run::<()>(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    wait_until_ok(&node);
    node
});

fn wait_until_ok(node: &RedisServer) {
    while !node.run::<String>(&["CLUSTER", "INFO"]).contains("cluster_state:ok") {
        std::thread::yield_now();
    }
}

fn clustered() -> RedisStorage {
    let url = ONE_NODE.url();
    RedisStorage::cluster([url.as_str()]).announce_changes(true).build().unwrap()
}

mod on_a_cluster {
    tokenkeeper_testkit::storage_contract!(super::clustered());
}

mod shared_on_a_cluster {
    tokenkeeper_testkit::shared_storage_contract!(super::clustered());
}

/// Two nodes that share the slots.
fn two_nodes() -> [RedisServer; 2] {
    let nodes = [0, 1].map(|_| RedisServer::start_with(&["--cluster-enabled", "yes"]));
    nodes[0].run::<()>(&["CLUSTER", "ADDSLOTSRANGE", "0", "8191"]);
    nodes[1].run::<()>(&["CLUSTER", "ADDSLOTSRANGE", "8192", "16383"]);
    nodes[0].run::<()>(&["CLUSTER", "MEET", "127.0.0.1", &nodes[1].port().to_string()]);
    nodes.iter().for_each(wait_until_ok);
    nodes
}

/// Writes until somebody who listens is told: nodes that have just met lose messages.
async fn write_until_told(cluster: &RedisStorage, key: &StorageKey) {
    let mut notices = cluster.notices(key).unwrap();
    assert_eq!(notices.next().await.unwrap(), None);
    for _ in 0..100 {
        cluster.set(key, &record()).await.unwrap();
        if let Ok(notice) = timeout(Duration::from_millis(300), notices.next()).await {
            assert_eq!(notice.unwrap(), Some(Order::new(1, 1)));
            return;
        }
    }
    panic!("no message of a hundred arrived");
}

fn record() -> TokenRecord {
    TokenRecord::from_parts(b"payload".to_vec(), Order::new(1, 1), None, false)
}

fn keys() -> impl Iterator<Item = StorageKey> {
    (0..16).map(|number| StorageKey::new(&format!("user-{number}")).unwrap())
}

#[tokio::test]
async fn keys_on_all_nodes_are_found_from_one_and_the_wrong_client_is_told() {
    let nodes = two_nodes();
    let url = nodes[0].url();
    let cluster = RedisStorage::cluster([url.as_str()]).announce_changes(true).build().unwrap();
    let single = RedisStorage::new(&url).unwrap();

    let mut elsewhere = 0;
    for key in keys() {
        write_until_told(&cluster, &key).await;
        assert_eq!(cluster.load(&key).await.unwrap().unwrap().1.payload(), b"payload");
        if let Err(error) = single.get(&key).await {
            assert!(error.to_string().contains("RedisStorage::cluster"), "{error}");
            elsewhere += 1;
        }
    }

    assert!((1..16).contains(&elsewhere), "{elsewhere} of 16 keys are on the other node");
}

#[tokio::test]
async fn a_cluster_that_was_restarted_is_found_again() {
    let mut node = RedisServer::start_with(&["--cluster-enabled", "yes"]);
    node.run::<()>(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    wait_until_ok(&node);
    let url = node.url();
    let storage = RedisStorage::cluster([url.as_str()]).build().unwrap();
    let key = StorageKey::new("alice").unwrap();
    storage.set(&key, &record()).await.unwrap();

    node.kill();
    assert!(storage.get(&key).await.is_err());
    node.restart();
    wait_until_ok(&node);

    assert!(storage.get(&key).await.unwrap().is_none());
}
