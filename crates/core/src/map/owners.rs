//! Which key of the map a stored record belongs to, so that no other key ever gets its tokens.
//!
//! Kept for the life of the map, also for keys whose manager was dropped: their tokens are still
//! stored. So this is what a map grows by for every key that it ever saw, and it is hashes, which
//! take 20 to 40 bytes. Two records whose hashes collide would refuse an innocent key; among a
//! million keys the odds are one in thirty million.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};

use parking_lot::Mutex;

use crate::identity::StorageKey;

#[derive(Default)]
pub(super) struct Owners {
    hasher: RandomState,
    owners: Mutex<HashMap<u64, u64>>,
}

impl Owners {
    /// Whether the record is this key's, or was nobody's and is now.
    pub(super) fn claim<K: Hash>(&self, record: &StorageKey, key: &K) -> bool {
        let (record, owner) = (self.hasher.hash_one(record), self.hasher.hash_one(key));
        *self.owners.lock().entry(record).or_insert(owner) == owner
    }
}
