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
         are five different characters; hash them where file systems fold or refuse some",
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
    // Names of devices, which some file systems do not give to files, and what they may become.
    for device in ["con", "aux", "nul", "com1"] {
        texts.extend([".", "_", "-"].map(|dot| format!("{device}{dot}{base}")));
    }
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

/// Whatever is a key can be used: every character that is allowed, and every length.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn every_key_can_be_used(storage: Arc<dyn TokenStorage>) {
    let rule = Rule::new(
        "every_key_can_be_used",
        "encode keys where a backend takes fewer characters or lengths than StorageKey allows, \
         and hash those that become too long",
    );
    let word = random_word();
    let letters: String = ('a'..='z').chain('A'..='Z').chain('0'..='9').collect();
    let texts = [
        format!("{word}{letters}._:@-"),
        format!("{word}..{word}"),
        format!("{word}:::@@@---___..."),
        format!("{word}."),    // some file systems cut off a dot at the end
        format!("nul.{word}"), // others have names of their own
        format!("con.{word}"),
        format!("aux.{word}.x"),
        format!("COM1.{word}"),
        "0123456789".chars().chain(word.chars()).collect(),
        format!("{word}{}", "@".repeat(200 - word.len())), // three times as long in percent-encoding
        format!("{word}{}", "Z".repeat(200 - word.len())),
    ];

    for text in &texts {
        let (key, record) = (key(text), record(text.as_bytes()));
        rule.ok(&format!("set under the key {text}"), storage.set(&key, &record).await);
        let found = rule.ok(&format!("get of the key {text}"), storage.get(&key).await);
        let found = rule.some(found, &format!("nothing is under the key {text}"));
        rule.same(&found, &record, &format!("under the key {text}"));
        rule.ok(&format!("delete of the key {text}"), storage.delete(&key).await);
    }
}
