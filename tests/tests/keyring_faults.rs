//! GNOME Keyring on a bad day: locked, restarted, not there.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::env;
use std::process::Command;

use tokenkeeper::{ErrorKind, Order, Recovery, StorageKey, TokenRecord, TokenStorage};
use tokenkeeper_storage_keyring::KeyringStorage;
use tokenkeeper_tests::KeyringDaemon;
use tokio::sync::{Mutex, MutexGuard};

/// The bus has room for one keyring, so one test has it at a time.
async fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    ALONE.lock().await
}

fn storage() -> KeyringStorage {
    KeyringStorage::new("tool").unwrap().with_longest_entry(1_000)
}

fn key() -> StorageKey {
    StorageKey::new("key").unwrap()
}

fn record(length: usize) -> TokenRecord {
    TokenRecord::from_parts(vec![7; length], Order::new(1, 1), None, false)
}

#[tokio::test]
async fn a_record_outlives_the_keyring_that_is_restarted_under_the_storage() {
    let _alone = alone().await;
    let storage = storage();
    for length in [10, 10_000] {
        let keyring = KeyringDaemon::unlocked("restarted").await;
        storage.set(&key(), &record(length)).await.unwrap();

        drop(keyring);
        let _keyring = KeyringDaemon::unlocked("restarted").await;

        let found = storage.get(&key()).await.unwrap().unwrap();
        assert!(found.payload() == record(length).payload());
        storage.set(&key(), &record(length + 1)).await.unwrap();
    }
}

#[tokio::test]
async fn a_locked_keyring_is_an_error_until_it_is_unlocked() {
    let _alone = alone().await;
    let keyring = KeyringDaemon::unlocked("locked").await;
    storage().set(&key(), &record(10)).await.unwrap();
    drop(keyring);

    let keyring = KeyringDaemon::locked("locked").await;
    let reading = storage().get(&key()).await.unwrap_err();
    let writing = storage().set(&key(), &record(20)).await.unwrap_err();
    let removing = storage().delete(&key()).await.unwrap_err();
    drop(keyring);
    let _keyring = KeyringDaemon::unlocked("locked").await;
    let found = storage().get(&key()).await.unwrap().unwrap();

    for error in [reading, writing, removing] {
        let line = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Storage, "{line}");
        assert!(matches!(error.recovery(), Recovery::Retry { .. }));
        assert!(line.contains("it is locked"), "{line}");
    }
    assert_eq!(found.payload(), record(10).payload());
}

#[tokio::test]
async fn a_keyring_that_nobody_ever_set_up_is_an_error_that_says_so() {
    let _alone = alone().await;
    let _keyring = KeyringDaemon::locked("new").await;

    let error = storage().set(&key(), &record(10)).await.unwrap_err();

    assert!(error.to_string().contains("has no default keyring"), "{error}");
    assert!(storage().get(&key()).await.unwrap().is_none());
}

#[tokio::test]
async fn without_a_keyring_the_error_says_what_to_start_and_works_once_it_is() {
    let _alone = alone().await;
    KeyringDaemon::none().await;
    let storage = storage();

    let errors = [storage.get(&key()).await.unwrap_err(), storage.check().await.unwrap_err()];
    let _keyring = KeyringDaemon::unlocked("started").await;
    storage.set(&key(), &record(10)).await.unwrap();

    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Storage);
        assert!(error.to_string().contains("start gnome-keyring or KWallet"), "{error}");
    }
}

/// The address of the bus is the process's, so this test runs once more in a process of its own.
#[tokio::test]
async fn without_a_session_bus_the_error_is_the_same() {
    let name = "without_a_session_bus_the_error_is_the_same";
    if env::var_os(INSIDE).is_none() {
        let mut inside = Command::new(env::current_exe().unwrap());
        inside.args(["--exact", name]).env(INSIDE, "1");
        inside.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere/bus");
        let output = inside.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        return;
    }

    let error = storage().get(&key()).await.unwrap_err();

    assert!(error.to_string().contains("start gnome-keyring or KWallet"), "{error}");
}

const INSIDE: &str = "TOKENKEEPER_TEST_WITHOUT_A_BUS";
