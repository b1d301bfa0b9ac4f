//! Secrets of the program itself, beside its records.

use crate::fake_keyring::{FakeKeyring, key, record};
use tokenkeeper::{ErrorKind, Secret, TokenStorage};

#[tokio::test]
async fn a_secret_is_made_once_and_is_the_same_ever_after() {
    let keyring = FakeKeyring::new();

    let made = keyring.storage().secret(&key(), || Secret::from("first")).await.unwrap();
    let found = keyring.storage().secret(&key(), || panic!("there is one")).await.unwrap();

    assert_eq!((made.expose_secret(), found.expose_secret()), ("first", "first"));
    assert_eq!(keyring.text("key#secret"), "first");
}

#[tokio::test]
async fn of_many_who_make_a_secret_at_once_all_get_the_same() {
    let keyring = FakeKeyring::new();
    let storage = keyring.storage();

    let makers: tokio::task::JoinSet<String> = (0..20)
        .map(|number| {
            let storage = storage.clone();
            async move {
                let make = || Secret::from(format!("secret {number}"));
                storage.secret(&key(), make).await.unwrap().expose_secret().to_owned()
            }
        })
        .collect();
    let secrets = makers.join_all().await;

    assert!(secrets.iter().all(|secret| *secret == keyring.text("key#secret")), "{secrets:?}");
}

#[tokio::test]
async fn a_secret_and_a_record_of_the_same_name_do_not_meet() {
    let keyring = FakeKeyring::new();
    let storage = keyring.storage();
    storage.secret(&key(), || Secret::from("secret")).await.unwrap();

    storage.set(&key(), &record(1, 2_000)).await.unwrap();
    storage.delete(&key()).await.unwrap();

    assert_eq!(keyring.names(), ["key#secret"]);
}

#[tokio::test]
async fn a_secret_that_is_no_text_is_an_error_without_its_bytes() {
    let keyring = FakeKeyring::new();
    keyring.put("key#secret", b"planted\xff");

    let error = keyring.storage().secret(&key(), || Secret::from("new")).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(!format!("{error:?} {error:#?}").contains("planted"));
    assert_eq!(keyring.names(), ["key#secret"]);
}
