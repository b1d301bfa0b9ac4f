//! The rules about keys: whatever is a key has a record of its own.

use std::sync::Arc;

use tokenkeeper::TokenStorage;

use super::rule::{Rule, key, random_word, record};

/// Keys that look alike have records of their own.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn keys_are_separate(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "keys_are_separate",
        "map keys to names one to one: all 200 characters count, letter case counts, and . _ : @ - \
         are five different characters",
    );
    let base = format!("Contract{}", random_word());
    let mut texts: Vec<String> = ["", "x", "X", "xx", ".", "_", ":", "@", "-", ".x", ":x", "-x"]
        .iter()
        .map(|end| format!("{base}{end}"))
        .collect();
    for end in [".lock", ".tmp", ".json", ":lock", ":lease", ":version"] {
        texts.push(format!("{base}{end}"));
    }
    let long = format!("{base}{}", "k".repeat(199 - base.len()));
    texts.extend([format!("{long}1"), format!("{long}2"), format!("{long}K"), long]);
    texts.push(base.to_uppercase());
    texts.push(base.to_lowercase());

    for text in &texts {
        rule.set(&storage, &key(text), &record(text.as_bytes())).await;
    }
    for text in &texts {
        let found = rule.get(&storage, &key(text)).await;
        let found = rule.some(found, &format!("nothing is under the key {text}"));
        rule.same(&found, &record(text.as_bytes()), &format!("under the key {text}"));
    }
    for (at, text) in texts.iter().enumerate() {
        rule.ok("delete", storage.delete(&key(text)).await);
        for other in texts.iter().skip(at + 1).take(2) {
            let found = rule.get(&storage, &key(other)).await;
            rule.check(found.is_some(), &format!("deleting {text} deleted {other} too"));
        }
    }
}
