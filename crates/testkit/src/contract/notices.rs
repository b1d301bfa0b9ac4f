//! The rule about notices, for storages that give them.

use std::sync::Arc;

use tokenkeeper::{Order, StorageKey, TokenRecord, TokenStorage};
use tokio::sync::mpsc;

use super::patience::within;
use super::rule::{PATIENCE, Rule, fresh_key};

/// Whoever listens is told of every kind of write. A storage without notices keeps the rule.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn notices_follow_every_kind_of_write(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "notices_follow_every_kind_of_write",
        "send a notice after set, delete and compare_and_set, with the order of the record or \
         none; a wrapper must forward notices",
    );
    let key = fresh_key();
    let Some(mut notices) = rule.shared(&storage).notices(&key) else {
        return;
    };
    let (told, mut heard) = mpsc::unbounded_channel();
    let listener = tokio::spawn(async move {
        loop {
            let notice = notices.next().await;
            let last = notice.is_err();
            if told.send(notice).is_err() || last {
                return; // a dropped `next` would be the last one too
            }
        }
    });

    for (number, write) in (1..).zip(["set", "compare_and_set", "delete", "compare_and_set", "set"])
    {
        let told = async {
            make(rule, &storage, &key, write, number).await;
            rule.some(heard.recv().await, "the notices ended")
        };
        let mut answer = within(PATIENCE / 2, told).await;
        if answer.is_none() {
            // One may be lost. Two are not.
            make(rule, &storage, &key, write, number).await;
            answer = within(PATIENCE / 2, heard.recv()).await.flatten();
        }
        let notice = rule.some(answer, &format!("no notice came after {write}"));
        let order = rule.ok("a notice", notice);
        let known = |order: Order| order.generation() <= number && order.epoch() == EPOCH;
        rule.check(order.is_none_or(known), "a notice has an order that no record has");
        while heard.try_recv().is_ok() {} // several may come for one write
    }
    listener.abort();
}

/// Writes in one of the ways that there are.
async fn make(
    rule: Rule,
    storage: &Arc<dyn TokenStorage>,
    key: &StorageKey,
    how: &str,
    number: u64,
) {
    let order = Order::new(EPOCH, number);
    let next = TokenRecord::from_parts(b"payload".to_vec(), order, None, false);
    match how {
        "set" => rule.set(storage, key, &next).await,
        "delete" => rule.ok("delete", storage.delete(key).await),
        _ => {
            let there = rule.load(storage, key).await.map(|(version, _)| version);
            let outcome = rule.cas(storage, key, there.as_ref(), &next).await;
            rule.stored(outcome, "with the version that is there");
        }
    }
}

const EPOCH: u64 = 7;
