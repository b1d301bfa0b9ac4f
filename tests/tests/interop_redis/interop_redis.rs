//! What every storage has to do, on real servers: alone, and as a primary with a replica.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use tokenkeeper_storage_redis::RedisStorage;
use tokenkeeper_tests::server_url;

fn alone() -> RedisStorage {
    RedisStorage::new(&server_url("TOKENKEEPER_REDIS_URL")).unwrap()
}

/// Every write is confirmed by the replica, and announced.
fn replicated() -> RedisStorage {
    let primary = server_url("TOKENKEEPER_REDIS_PRIMARY_URL");
    RedisStorage::builder(&primary).wait_replicas(1).announce_changes(true).build().unwrap()
}

mod on_one_server {
    tokenkeeper_testkit::storage_contract!(super::alone());
}

mod shared_on_one_server {
    tokenkeeper_testkit::shared_storage_contract!(super::alone());
}

mod handles_on_one_server {
    tokenkeeper_testkit::shared_backend_contract!(_folder => super::alone());
}

mod on_a_primary_with_a_replica {
    tokenkeeper_testkit::storage_contract!(super::replicated());
}

mod shared_on_a_primary_with_a_replica {
    tokenkeeper_testkit::shared_storage_contract!(super::replicated());
}
