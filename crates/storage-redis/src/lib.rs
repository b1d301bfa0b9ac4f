//! Keeps the tokens of a fleet in Redis 7 or Valkey, so that all its processes make one exchange
//! per rotation.
//!
//! Records are compared and set by scripts, and whoever wants to spend a refresh token takes a lease
//! first. The manager asks Redis when a token has to be renewed, never when it is served: a cold
//! start on a fresh stored token costs one round trip, a refresh four (lease, load, write, release).
//!
//! The lease shows that the record can be written: in the same step it writes what is there once
//! more. Where the user may not do that, or the server is a replica or full, the lease fails, and no
//! refresh token is spent whose successor could not be stored.
//!
//! # Examples
//!
//! ```no_run
//! use std::time::Duration;
//! use tokenkeeper_storage_redis::RedisStorage;
//!
//! let storage = RedisStorage::builder("rediss://:secret@redis.example.org:6379/2")
//!     .key_prefix("billing:")
//!     .timeout(Duration::from_secs(2))
//!     .announce_changes(true)
//!     .build()?; // connects to nothing yet
//! // TokenManager::builder(provider).storage(storage).build()?
//! assert!(!format!("{storage:?}").contains("secret"));
//! # Ok::<(), tokenkeeper::Error>(())
//! ```
//!
//! # When Redis is in trouble
//!
//! The status of a manager says that Redis is away only once it is needed; for a probe there is
//! [`RedisStorage::ping`]. A manager whose call failed asks again after its pause, 60 s at most.
//!
//! Every call ends within [`timeout`](RedisStorageBuilder::timeout). Its error names the key, the
//! server without its password, and what to do. The manager serves the tokens that it has all the
//! while, and does not spend a refresh token that it cannot store.
//!
//! | Redis | a call | then |
//! |---|---|---|
//! | is down, at the start or later | fails at once | the next call connects |
//! | closed a connection that nobody used | succeeds, on a new connection | |
//! | stands still, or is too slow | fails after the timeout; a write may have happened, or happen later if nothing else was written | the next call connects anew, and nothing queues up |
//! | is well, and this process was too busy to look | fails after the timeout, and says for how long the process was busy | |
//! | restarted empty | finds nothing; versions and leases of before are not taken for new ones | the manager writes back what it holds; two processes may hold a lease |
//! | is full (`maxmemory`, `noeviction`) | writes and leases fail with OOM; what is there stays | works again when there is room |
//! | evicts keys (any other `maxmemory-policy`) | finds nothing | a refresh token is lost with its record: do not do this |
//! | has something else under the key | fails with WRONGTYPE; it is left alone | |
//! | refuses the password, the user, or the command | fails; the next call asks again | |
//! | is a read-only replica | reads; writes fail with READONLY | the next call connects anew, as the name may lead to the new primary |
//! | is a node of a cluster | fails unless the key is on it | use `RedisStorage::cluster`, feature `cluster` |
//! | has fewer replicas than [`wait_replicas`](RedisStorageBuilder::wait_replicas) | writes fail, and say that the primary has them | |
//!
//! # What a failover may lose
//!
//! Redis replicates after it has answered. A primary that dies may take the last writes and leases
//! with it, so for that moment the storage is not linearizable: a lease may be granted twice, and a
//! spent refresh token may come back. `wait_replicas` makes a lost write unlikely, not impossible,
//! and does not cover leases. The manager never replaces newer tokens with what came back; it cannot
//! help that a sibling without them spends an old refresh token. For the same reason keep
//! `appendonly` on if logins must survive a restart of Redis.
//!
//! With `wait_replicas` the manager repeats a write that was not confirmed. It finds its record on
//! the primary then, and takes it as stored.
//!
//! Sentinel is not asked. Name what leads to the primary: a service address, a proxy.
//!
//! # What Redis needs
//!
//! Version 7.0 or Valkey 7.2, and `maxmemory-policy noeviction`. A user of its access control list
//! needs the commands `GET`, `SET`, `DEL`, `PEXPIRE`, `EVAL` and `PING`, `WAIT` with `wait_replicas`,
//! `PUBLISH`, `SUBSCRIBE` and `UNSUBSCRIBE` with `announce_changes`, `SELECT` with a database in
//! the URL, and `SCAN` to list keys; on keys `tokenkeeper:*` and channels `tokenkeeper:*`, or what the prefix is.
//!
//! Records hold secrets as they are. `redis://` to another host is refused unless
//! [`danger_allow_plaintext`](RedisStorageBuilder::danger_allow_plaintext) says that the network
//! encrypts; wrap the storage in `tokenkeeper-storage-encrypted` where Redis is not yours.
//!
//! # Names
//!
//! | in Redis | what |
//! |---|---|
//! | `tokenkeeper:{<storage key>}` | the record, a string: a line with the version, then the record; expires a minute after the record's end, counted from the write |
//! | `tokenkeeper:{<storage key>}:lease` | the random name of the holder; expires with the lease |
//! | `tokenkeeper:{<storage key>}:changes` | the channel on which writes are announced |
//!
//! # Features
//!
//! | feature | |
//! |---|---|
//! | `cluster` | `RedisStorage::cluster`, for Redis Cluster |
//! | `tls-rustls` | `rediss://` by rustls, with the certificate authorities of the operating system or your own |
//!
//! None is on by default.

mod builder;
#[cfg(feature = "cluster")]
mod cluster;
mod failure;
mod home;
mod keys;
mod lease;
mod link;
mod listing;
mod notices;
mod scripts;
mod sockets;
mod storage;
mod stored_value;
#[cfg(feature = "tls-rustls")]
mod tls;

pub use builder::RedisStorageBuilder;
pub use storage::RedisStorage;
