//! Which keys there are: a walk through the database, a piece at a time.

use async_trait::async_trait;
use redis::Value;
use tokenkeeper::{Error, ErrorKind, KeyCursor, KeyPage, ListKeys, StorageKey};

use crate::failure::Failure;
use crate::keys::{key_of, pattern};
use crate::link::Ask;
use crate::storage::RedisStorage;

/// Walks by `SCAN`, which blocks nobody and looks at every name in the database: where others share
/// it, pages with few keys are many.
#[async_trait]
impl ListKeys for RedisStorage {
    /// Of a Redis Cluster it is [`ErrorKind::Unsupported`]: each node knows its own keys only.
    async fn list_keys(&self, after: Option<&KeyCursor>) -> Result<KeyPage, Error> {
        if self.link().is_cluster() {
            let what = "a Redis Cluster has no list of its keys";
            let error = Error::new(ErrorKind::Unsupported, what);
            return Err(error.with_advice("list those of each node, by a storage on its own URL"));
        }
        let prefix = self.prefix();
        let scan = || {
            let mut scan = redis::cmd("SCAN");
            scan.arg(after.map_or("0", KeyCursor::as_str));
            scan.arg("MATCH").arg(pattern(prefix)).arg("COUNT").arg(PAGE);
            Ok(Ask::new(scan))
        };
        let answer = self.link().call(scan).await.and_then(|answer| page(prefix, answer));
        answer.map_err(|failure| {
            failure.into_error("cannot list the keys under", prefix, &self.link().server())
        })
    }
}

fn page(prefix: &str, answer: Value) -> Result<KeyPage, Failure> {
    let (next, names): (String, Vec<Vec<u8>>) =
        redis::from_redis_value(answer).map_err(|_| Failure::Nonsense)?;
    let keys: Vec<StorageKey> = names.iter().filter_map(|name| key_of(prefix, name)).collect();
    let next = (next != "0").then(|| KeyCursor::new(next));
    Ok(KeyPage::new(keys, next))
}

const PAGE: usize = 500; // names that Redis looks at in one step, of which some are ours
