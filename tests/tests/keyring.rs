//! The keyring storage in GNOME Keyring.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::process::Command;

use tokenkeeper::{
    MemoryStorage, Order, Secret, StorageKey, TokenManager, TokenRecord, TokenStorage,
};
use tokenkeeper_storage_encrypted::{EncryptedStorage, EncryptionKey};
use tokenkeeper_storage_keyring::KeyringStorage;
use tokenkeeper_testkit::ScriptedProvider;
use tokenkeeper_tests::KeyringDaemon;
use tokio::sync::OnceCell;

/// Where all tests of this file keep their records: the daemon ends with the process.
async fn keyring(service: &str) -> KeyringStorage {
    static DAEMON: OnceCell<KeyringDaemon> = OnceCell::const_new();
    DAEMON.get_or_init(|| KeyringDaemon::unlocked("shared")).await;
    KeyringStorage::new(service).unwrap()
}

mod one_entry_each {
    tokenkeeper_testkit::storage_contract!(super::keyring("contract").await);
}

mod in_parts {
    tokenkeeper_testkit::storage_contract!(
        super::keyring("contract-in-parts").await.with_longest_entry(2_560) // as on Windows
    );
}

#[tokio::test]
async fn tokens_that_one_program_stored_serve_the_next_one() {
    let provider = ScriptedProvider::new("svc");
    let first =
        TokenManager::builder(provider.clone()).storage(keyring("tool").await).build().unwrap();
    let token = first.token().await.unwrap();
    first.flush().await.unwrap();
    drop(first);

    let next =
        TokenManager::builder(provider.clone()).storage(keyring("tool").await).build().unwrap();

    assert_eq!(next.token().await.unwrap().authorization(), token.authorization());
    assert_eq!(provider.calls(), 1);
}

#[tokio::test]
async fn logging_out_is_kept_too() {
    let provider = ScriptedProvider::new("svc");
    let manager =
        TokenManager::builder(provider.clone()).storage(keyring("logout").await).build().unwrap();
    manager.token().await.unwrap();
    manager.clear().await.unwrap();

    let key = manager.key();
    let kept = keyring("logout").await.get(key).await.unwrap().unwrap();

    assert!(kept.is_tombstone());
}

#[tokio::test]
async fn a_key_that_the_keyring_keeps_encrypts_what_another_storage_keeps() {
    let shared = MemoryStorage::new();
    let [key, name] = ["key", "file"].map(|text| StorageKey::new(text).unwrap());
    let record = TokenRecord::from_parts(b"tokens".to_vec(), Order::new(1, 1), None, false);
    let opened = async || {
        let random =
            || Secret::from("83f9c776346f9d7e490595821db1f5058815cd83a0c3014db831612d43e35e03");
        let text = keyring("key of a file").await.secret(&name, random).await.unwrap();
        EncryptedStorage::new(shared.clone(), EncryptionKey::from_text(text).unwrap())
    };

    opened().await.set(&key, &record).await.unwrap();

    let found = opened().await.get(&key).await.unwrap().unwrap();
    assert_eq!(found.payload(), b"tokens");
    assert_ne!(shared.get(&key).await.unwrap().unwrap().payload(), b"tokens");
}

#[tokio::test]
async fn services_do_not_see_each_others_records() {
    let key = StorageKey::new("key").unwrap();
    let record = TokenRecord::from_parts(b"one".to_vec(), Order::new(1, 1), None, false);

    keyring("one").await.set(&key, &record).await.unwrap();

    assert!(keyring("one").await.exists(&key).await.unwrap());
    assert!(!keyring("two").await.exists(&key).await.unwrap());
}

#[tokio::test]
async fn people_are_shown_the_service_and_the_key() {
    let storage = keyring("shown to people").await;
    let key = StorageKey::new("Alice").unwrap();
    let record = TokenRecord::from_parts(b"one".to_vec(), Order::new(1, 1), None, false);

    storage.set(&key, &record).await.unwrap();

    let items = dbus(&[
        "/org/freedesktop/secrets",
        "org.freedesktop.Secret.Service.SearchItems",
        "dict:string:string:service,shown to people,username,!alice",
    ]);
    let item = items.split('"').find(|word| word.starts_with('/')).unwrap();
    let label = dbus(&[
        item,
        "org.freedesktop.DBus.Properties.Get",
        "string:org.freedesktop.Secret.Item",
        "string:Label",
    ]);
    assert!(label.contains("\"shown to people: OAuth2 tokens (Alice)\""), "{label}");
}

/// Asks the Secret Service behind the storage's back.
fn dbus(call: &[&str]) -> String {
    let mut send = Command::new("dbus-send");
    send.args(["--session", "--print-reply", "--dest=org.freedesktop.secrets"]).args(call);
    let output = send.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
