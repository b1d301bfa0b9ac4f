//! Keys: the texts that they come in, their ids, what shows of them, rotation, and providers that
//! fail.

use std::sync::Arc;
use std::time::Duration;

use crate::sealing::{PAYLOAD, Sealing, key, keys, named, record};
use tokenkeeper::{Error, ErrorKind, MemoryStorage, Recovery, TokenStorage, async_trait};
use tokenkeeper_storage_encrypted::{EncryptedStorage, EncryptionKey, EncryptionKeys, KeyProvider};

const HEX: &str = "fbefbefbefbefbefbefbefbefbefbefbefbefbefbefbefbefbefbefbefbefbef";
const BASE64: &str = "++++++++++++++++++++++++++++++++++++++++++8=";

#[test]
fn a_key_may_be_hexadecimal_or_base64_of_either_alphabet() {
    let id = EncryptionKey::from_text(HEX).unwrap().id().to_owned();
    let url_safe = BASE64.replace('+', "-");
    let unpadded = BASE64.trim_end_matches('=');
    let texts = [
        HEX.to_uppercase(),
        BASE64.to_owned(),
        unpadded.to_owned(),
        url_safe.trim_end_matches('=').to_owned(),
        url_safe,
        format!(" {BASE64}\r\n"),
    ];
    for text in texts {
        assert_eq!(EncryptionKey::from_text(text.as_str()).unwrap().id(), id, "{text}");
    }
}

#[test]
fn text_that_is_no_key_is_refused_and_not_shown() {
    let long = "A".repeat(10_000);
    let short = BASE64.replacen("++++", "", 1);
    let spaced = HEX.replacen("fb", "f ", 1);
    let signed = HEX.replacen("fb", "+b", 1);
    let not_ascii = HEX.replacen("fb", "ü", 1);
    let mixed = BASE64.replacen('+', "-", 1);
    for text in
        ["", " ", "password", &short, &spaced, &signed, &not_ascii, &mixed, &HEX[2..], &long]
    {
        let error = EncryptionKey::from_text(text).unwrap_err();
        assert_eq!(
            error.to_string(),
            "encryption key: must be 32 bytes, as 64 hexadecimal digits or in base64; make one \
             with `openssl rand -base64 32`"
        );
        assert_eq!(error.kind(), ErrorKind::Config);
    }
}

#[test]
fn keys_of_a_file_or_variable_are_separated_by_commas_or_white_space() {
    let (new, old) = (HEX.replace("fb", "aa"), BASE64);
    for border in [",", "\n", ", ", "\r\n\r\n", " "] {
        let keys = EncryptionKeys::from_text(format!("{new}{border}{old}\n")).unwrap();
        let expected = [new.as_str(), old].map(|t| EncryptionKey::from_text(t).unwrap());
        assert!(keys.ids().eq(expected.iter().map(EncryptionKey::id)), "{border:?}");
    }
}

#[test]
fn a_malformed_key_among_several_is_named_by_its_place() {
    let error = EncryptionKeys::from_text(format!("{HEX},hunter2-hunter2")).unwrap_err();

    assert!(error.to_string().starts_with("encryption key 2: must be 32 bytes"), "{error}");
    assert!(!format!("{error} {error:?} {error:#?}").contains("hunter2"));
}

#[test]
fn no_keys_and_two_of_one_id_are_refused() {
    let none = EncryptionKeys::from_text(" ,\n").unwrap_err();
    let twice = EncryptionKeys::from_text(format!("{HEX},{BASE64}")).unwrap_err();
    let named = [1, 2].map(|byte| key(byte).with_id("2026").unwrap());
    let same_name = EncryptionKeys::new(named).unwrap_err();

    for (error, what) in [
        (none, "encryption keys: there must be at least one"),
        (twice, "encryption keys: there are two with the id `"),
        (same_name, "encryption keys: there are two with the id `2026`"),
    ] {
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().starts_with(what), "{error}");
    }
}

#[test]
fn an_id_is_ascii_without_white_space_and_fits_into_a_record() {
    let longest = "k".repeat(255);
    for good in ["2026-11", "arn:aws:kms:eu-central-1:1:key/0a", "~", &longest] {
        let sealing = Sealing::over(MemoryStorage::new(), key(1).with_id(good).unwrap());
        sealing.put("alice", &record(PAYLOAD));
        assert_eq!(sealing.read("alice").unwrap().payload(), PAYLOAD);
    }
    for bad in ["", " ", "a b", "ä", "a\n", &"k".repeat(256)] {
        assert_eq!(key(1).with_id(bad).unwrap_err().kind(), ErrorKind::Config, "{bad:?}");
    }
}

#[test]
fn nothing_that_is_printed_shows_a_key() {
    let secret = "f1e2d3c4b5a697887766554433221100f1e2d3c4b5a697887766554433221100";
    let one = EncryptionKey::from_text(secret).unwrap();
    let several = EncryptionKeys::from_text(format!("{HEX} {secret}")).unwrap();
    let storage = EncryptedStorage::new(MemoryStorage::new(), several.clone());

    let shown = format!("{one:?} {one:#?} {several:?} {several:#?} {storage:?} {storage:#?}");

    assert!(shown.contains(one.id()));
    for piece in secret.as_bytes().windows(8).chain([&[0xf1, 0xe2][..]]) {
        let piece = String::from_utf8_lossy(piece);
        assert!(!shown.contains(&*piece), "{piece} in {shown}");
    }
    assert!(!shown.contains("241, 226"), "{shown}");
}

#[test]
fn old_records_are_readable_after_a_rotation_and_new_ones_have_the_first_key() {
    let old = Sealing::new();
    old.put("alice", &record(PAYLOAD));
    let storage = EncryptedStorage::new(old.inner.clone(), keys(&[2, 1]));
    let both = Sealing { storage, inner: old.inner.clone() };

    assert_eq!(both.read("alice").unwrap().payload(), PAYLOAD);
    both.put("bob", &record(PAYLOAD));

    let new = Sealing::over(old.inner.clone(), key(2));
    assert_eq!(new.read("bob").unwrap().payload(), PAYLOAD);
    assert!(old.read("bob").unwrap_err().to_string().contains(key(2).id()));
}

#[test]
fn a_record_gets_the_first_key_at_its_next_write() {
    let old = Sealing::new();
    old.put("alice", &record(PAYLOAD));
    let storage = EncryptedStorage::new(old.inner.clone(), keys(&[2, 1]));
    let both = Sealing { storage, inner: old.inner.clone() };
    let new = Sealing::over(old.inner, key(2));
    assert!(new.read("alice").unwrap_err().to_string().contains(key(1).id()));

    both.put("alice", &both.read("alice").unwrap());

    assert_eq!(new.read("alice").unwrap().payload(), PAYLOAD);
}

/// A provider that answers as it is told.
#[derive(Debug)]
struct Told {
    current: Result<EncryptionKey, Error>,
    by_id: Result<Option<EncryptionKey>, Error>,
}

#[async_trait]
impl KeyProvider for Told {
    async fn current_key(&self) -> Result<EncryptionKey, Error> {
        self.current.clone()
    }

    async fn key(&self, _id: &str) -> Result<Option<EncryptionKey>, Error> {
        self.by_id.clone()
    }
}

#[test]
fn a_key_provider_that_fails_leaves_the_storage_untouched() {
    let old = Sealing::new();
    old.put("alice", &record(PAYLOAD));
    let before = old.at_rest("alice");
    let down = Error::new(ErrorKind::Transport, "the key service does not answer")
        .with_retry_after(Duration::from_secs(7));
    let told = Told { current: Err(down.clone()), by_id: Err(down) };
    let storage = EncryptedStorage::new(old.inner.clone(), Arc::new(told));
    let (alice, bob, other) = (named("alice"), named("bob"), record(b"other"));

    let errors = pollster::block_on(async {
        let shared = storage.shared().unwrap();
        let (version, _) = old.storage.shared().unwrap().load(&alice).await.unwrap().unwrap();
        [
            storage.get(&alice).await.unwrap_err(),
            shared.load(&alice).await.unwrap_err(),
            storage.set(&alice, &other).await.unwrap_err(),
            storage.set(&bob, &other).await.unwrap_err(),
            shared.compare_and_set(&alice, Some(&version), &other).await.unwrap_err(),
        ]
    });

    for (error, to_do) in errors.iter().zip(["read", "read", "write", "write", "write"]) {
        let what = format!("the key provider gave no key to {to_do} the record ");
        assert!(error.to_string().starts_with(&what), "{error}");
        assert_eq!(error.kind(), ErrorKind::Storage);
        assert_eq!(error.recovery(), Recovery::Retry { after: Some(Duration::from_secs(7)) });
        assert!(format!("{error:?}").contains("the key service does not answer"), "{error:?}");
    }
    assert_eq!(old.at_rest("alice").payload(), before.payload());
    assert!(!pollster::block_on(old.inner.exists(&bob)).unwrap());
}

/// A manager must not take it for a verdict on somebody's login.
#[test]
fn a_key_provider_cannot_make_a_manager_ask_for_a_login() {
    for (theirs, ours) in [
        (ErrorKind::LoginRequired, ErrorKind::Storage),
        (ErrorKind::CredentialsRejected, ErrorKind::Storage),
        (ErrorKind::Config, ErrorKind::Config),
    ] {
        let failed = Error::new(theirs, "told");
        let told = Told { current: Err(failed.clone()), by_id: Err(failed) };
        let storage = EncryptedStorage::new(MemoryStorage::new(), told);

        let error = pollster::block_on(storage.set(&named("alice"), &record(b"x"))).unwrap_err();

        assert_eq!(error.kind(), ours);
    }
}

#[test]
fn a_key_provider_that_gives_another_key_than_it_was_asked_for_is_found_out() {
    let old = Sealing::new();
    old.put("alice", &record(PAYLOAD));
    let told = Told { current: Ok(key(1)), by_id: Ok(Some(key(2))) };
    let storage = EncryptedStorage::new(old.inner, told);

    let error = pollster::block_on(storage.get(&named("alice"))).unwrap_err();

    let (asked, given) = (key(1), key(2));
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(
        error.to_string(),
        format!(
            "the key provider gave the key `{}` when it was asked for `{}`; give each key its id \
             by with_id()",
            given.id(),
            asked.id()
        )
    );
}

/// A key service that never answers.
#[derive(Debug)]
struct Hangs;

#[async_trait]
impl KeyProvider for Hangs {
    async fn current_key(&self) -> Result<EncryptionKey, Error> {
        std::future::pending().await
    }

    async fn key(&self, _: &str) -> Result<Option<EncryptionKey>, Error> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_key_provider_that_hangs_is_named_and_not_the_storage() {
    let inner = MemoryStorage::new();
    let healthy = EncryptedStorage::new(inner.clone(), key(1));
    healthy.set(&named("alice"), &record(PAYLOAD)).await.unwrap();
    let hangs = EncryptedStorage::new(inner, Hangs).key_timeout(Duration::from_millis(20));

    let read = hangs.get(&named("alice")).await.unwrap_err();
    let write = hangs.set(&named("alice"), &record(PAYLOAD)).await.unwrap_err();

    for error in [read, write] {
        assert_eq!(error.kind(), ErrorKind::Storage);
        assert!(error.to_string().contains("the key provider gave no key"), "{error}");
        assert!(error.to_string().contains("20ms"), "{error}");
    }
    assert!(hangs.exists(&named("alice")).await.unwrap(), "what needs no key goes on");
}
