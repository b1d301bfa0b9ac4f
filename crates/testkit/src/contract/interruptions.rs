//! The rules about calls that are dropped before they end.

use std::sync::Arc;

use tokenkeeper::TokenStorage;

use super::races::{check_whole, uniform};
use super::rule::{Rule, fresh_key};

/// A write that is dropped halfway leaves the old record or the new one.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn a_dropped_write_leaves_a_whole_record(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "a_dropped_write_leaves_a_whole_record",
        "make one step decide: callers give up at any await point",
    );
    let key = fresh_key();
    rule.set(&storage, &key, &uniform(0)).await;

    for polls in 0..DROPPED_WRITES {
        let next = uniform(polls + 1);
        tokio::select! {
            biased;
            _ = storage.set(&key, &next) => {}
            () = yields(polls) => {}
        }
        let found = rule.get(&storage, &key).await;
        check_whole(rule, found.as_ref(), "after a write was dropped");
    }

    let last = uniform(100);
    rule.set(&storage, &key, &last).await;
    check_whole(rule, rule.get(&storage, &key).await.as_ref(), "after the next write");
}

async fn yields(count: u8) {
    for _ in 0..count {
        tokio::task::yield_now().await;
    }
}

const DROPPED_WRITES: u8 = 12; // more await points than a simple backend has
