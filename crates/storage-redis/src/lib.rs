//! Keeps the tokens of a fleet in Redis or Valkey.

mod builder;
#[cfg(feature = "cluster")]
mod cluster;
mod failure;
mod keys;
mod lease;
mod link;
mod notices;
mod scripts;
mod storage;
mod stored_value;
#[cfg(feature = "tls-rustls")]
mod tls;

pub use builder::RedisStorageBuilder;
pub use storage::RedisStorage;
