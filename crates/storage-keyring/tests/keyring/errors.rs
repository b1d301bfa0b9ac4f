//! What users are told when the keyring does not do as it should.

use std::sync::Arc;

use crate::fake_keyring::{FakeKeyring, failure, key, record};
use keyring_core::Error as KeyringError;
use tokenkeeper::{ErrorKind, Recovery, StorageKey, TokenStorage};
use tokenkeeper_storage_keyring::{KeyringStorage, keyring_core};

const PLANTED: &str = "planted-secret";

async fn told(error: KeyringError) -> String {
    let keyring = FakeKeyring::new();
    keyring.fail_next(error);
    let error = keyring.storage().get(&key()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(matches!(error.recovery(), Recovery::Retry { .. }));
    let shown = format!("{error}\n{error:?}\n{error:#?}");
    assert!(!shown.contains(PLANTED), "{shown}");
    assert!(!shown.contains("112, 108, 97, 110"), "{shown}"); // as a list of bytes
    error.to_string()
}

#[tokio::test]
async fn every_error_is_one_line_that_says_where_and_what_to_do() {
    let access = KeyringError::NoStorageAccess("prompt dismissed".into());
    let twice = KeyringError::Ambiguous(Vec::new());
    let long = KeyringError::TooLong("secret".to_owned(), 2_560);
    let bytes = PLANTED.as_bytes().to_vec();
    let damaged = KeyringError::BadDataFormat(bytes.clone(), "bad padding".into());
    for (error, says) in [
        (access, "access was denied; unlock it"),
        (twice, "several of that name; remove all but one"),
        (long, "2560 bytes at most; build it with KeyringStorage::with_longest_entry(2560)"),
        (damaged, "damaged; remove the entry"),
        (KeyringError::BadEncoding(bytes), "damaged; remove the entry"),
        (KeyringError::BadStoreFormat(PLANTED.to_owned()), "damaged; remove the entry"),
        (failure("no reply"), "it answered: no reply"),
        (KeyringError::NotSupportedByStore("no secrets".to_owned()), "no secrets"),
    ] {
        let line = told(error).await;

        assert!(line.starts_with("the keyring could not read the entry key of test: "), "{line}");
        assert!(line.contains(says), "{line}");
        assert_eq!(line.lines().count(), 1);
    }
}

#[tokio::test]
async fn an_error_names_the_call_that_failed() {
    let keyring = FakeKeyring::new();
    let storage = keyring.storage();

    keyring.die_after(0);
    let reading = storage.get(&key()).await.unwrap_err();
    keyring.limit(10);
    keyring.revive();
    let writing = storage.set(&key(), &record(1, 10)).await.unwrap_err();

    assert!(reading.to_string().contains("read the entry key"), "{reading}");
    assert!(writing.to_string().contains("write the entry key"), "{writing}");
}

#[tokio::test]
async fn a_record_never_shows_in_errors_or_debug() {
    let keyring = FakeKeyring::new();
    let storage = keyring.storage();
    let secret = record(b'x', 2_000);
    keyring.limit(500);

    let error = storage.set(&key(), &secret).await.unwrap_err();

    let shown = format!("{error} {error:?} {error:#?} {storage:?} {storage:#?}");
    assert!(!shown.contains("xxxx") && !shown.contains("eHh4"), "{shown}");
}

#[tokio::test]
async fn a_call_that_panics_is_an_error_and_the_next_one_works() {
    let keyring = FakeKeyring::new();
    let storage = keyring.storage();
    keyring.panic_next();

    let error = storage.get(&key()).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(storage.get(&key()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_store_that_was_given_is_not_asked_twice() {
    let keyring = FakeKeyring::new();
    keyring.fail_next(failure("first"));
    keyring.fail_next(failure("second"));

    keyring.storage().get(&key()).await.unwrap_err();
    let second = keyring.storage().get(&key()).await;

    assert!(second.is_err());
}

#[tokio::test]
async fn what_a_stranger_put_there_is_a_record_that_cannot_be_read() {
    let keyring = FakeKeyring::new();
    keyring.put("key", b"hunter2");

    let found = keyring.storage().get(&key()).await.unwrap().unwrap();

    assert_eq!(found.payload(), b"hunter2");
}

#[tokio::test]
async fn keys_that_differ_in_letter_case_have_entries_of_their_own() {
    let keyring = FakeKeyring::new();
    let storage = keyring.storage();

    for name in ["Key", "key", "KEY"] {
        storage.set(&StorageKey::new(name).unwrap(), &record(1, 10)).await.unwrap();
    }

    assert_eq!(keyring.names(), ["!k!e!y", "!key", "key"]);
}

#[tokio::test]
async fn check_looks_at_the_keyring_and_changes_nothing() {
    let keyring = FakeKeyring::new();
    keyring.storage().check().await.unwrap();
    keyring.fail_next(failure("no reply"));

    assert!(keyring.storage().check().await.is_err());
    assert_eq!(keyring.names(), [""; 0]);
}

#[test]
fn a_service_without_a_usable_name_is_refused() {
    let longest = "s".repeat(100);
    for bad in ["", " ", "a\nb", "a\0", &format!("{longest}s")] {
        assert_eq!(KeyringStorage::new(bad).unwrap_err().kind(), ErrorKind::Config, "{bad:?}");
        let store = Arc::new(FakeKeyring::new());
        assert!(KeyringStorage::with_store(bad, store).is_err());
    }
    for good in ["mangadex-cli", "Bücher lesen", "org.example/tool", &longest] {
        assert!(KeyringStorage::new(good).is_ok(), "{good:?}");
    }
}

#[test]
fn it_does_not_offer_to_be_shared() {
    assert!(FakeKeyring::new().storage().shared().is_none());
}
