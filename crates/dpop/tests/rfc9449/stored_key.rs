//! The key beside the tokens.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{Playback, TOKEN_URL};
use tokenkeeper::{
    ErrorKind, ManualClock, MemoryStorage, Order, StorageKey, TokenManager, TokenProvider,
    TokenRecord, TokenSet, TokenStorage,
};
use tokenkeeper_dpop::{Algorithm, DpopKey};
use tokenkeeper_providers::{ClientAuth, RefreshTokenProvider};
use tokenkeeper_storage_encrypted::{EncryptedStorage, EncryptionKey};
use tokenkeeper_storage_file::FileStorage;
use tokenkeeper_testkit::{
    FaultyStorage, Gate, PlainStorage, ScriptedProvider, StorageFault, StorageOperation,
};

fn place() -> StorageKey {
    StorageKey::new("calendar-dpop-key").unwrap()
}

async fn key_in(storage: &dyn TokenStorage) -> DpopKey {
    DpopKey::load_or_generate(storage, &place()).await.unwrap()
}

#[tokio::test]
async fn the_key_is_there_again_after_a_restart_in_any_storage() {
    let folder = tempfile::tempdir().unwrap();
    let secret = EncryptionKey::from_text("g/nHdjRvnX5JBZWCHbH1BYgVzYOgwwFNuDFhLUPjXgM=").unwrap();
    let storages: [Arc<dyn TokenStorage>; 4] = [
        Arc::new(MemoryStorage::new()),
        Arc::new(PlainStorage::new(MemoryStorage::new())),
        Arc::new(EncryptedStorage::new(MemoryStorage::new(), secret)),
        Arc::new(FileStorage::directory(folder.path()).unwrap()),
    ];
    for storage in storages {
        let first = key_in(&storage).await;
        let second = key_in(&storage).await;
        assert_eq!(first.thumbprint(), second.thumbprint(), "{storage:?}");
    }
}

#[tokio::test]
async fn a_key_that_is_there_stays_whatever_algorithm_is_asked_for() {
    let storage = MemoryStorage::new();
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256] {
        DpopKey::load_or_generate_with(&storage, &place(), algorithm).await.unwrap();
    }

    let key = key_in(&storage).await;

    let proof = crate::support::proof(&key, &http::Method::POST, TOKEN_URL, None);
    assert_eq!(proof.header["alg"], "EdDSA");
}

#[tokio::test]
async fn processes_that_start_at_once_on_a_shared_storage_have_one_key() {
    let shelf = MemoryStorage::new();
    let secret =
        || EncryptionKey::from_text("g/nHdjRvnX5JBZWCHbH1BYgVzYOgwwFNuDFhLUPjXgM=").unwrap();
    // Both look while nothing is there, and then write.
    let gate = Gate::closed();
    let start = || {
        let storage = FaultyStorage::new(EncryptedStorage::new(shelf.clone(), secret()));
        storage.fault_next(StorageOperation::CompareAndSet, 1, StorageFault::Gate(gate.clone()));
        tokio::spawn(async move { key_in(&storage).await })
    };
    let (one, other) = (start(), start());
    gate.arrived(2).await;
    gate.release();

    let (one, other) = (one.await.unwrap(), other.await.unwrap());

    assert_eq!(one.thumbprint(), other.thumbprint());
    let record = shelf.get(&place()).await.unwrap().unwrap();
    assert!(record.payload().starts_with(TokenRecord::SEALED_PREFIX), "encrypted");
}

#[tokio::test]
async fn a_storage_that_fails_is_asked_again_by_the_next_call() {
    let storage = FaultyStorage::new(MemoryStorage::new());
    let operation = StorageOperation::CompareAndSet;
    storage.fault_next(operation, 1, StorageFault::FailAfterwards);

    let failed = DpopKey::load_or_generate(&storage, &place()).await.unwrap_err();
    let (first, second) = (key_in(&storage).await, key_in(&storage).await);

    assert_eq!(failed.kind(), ErrorKind::Storage);
    assert_eq!(first.thumbprint(), second.thumbprint());
}

#[tokio::test]
async fn what_is_no_key_is_refused_and_left_alone() {
    let manager_of = ScriptedProvider::new("svc");
    let storage = MemoryStorage::new();
    let manager =
        TokenManager::builder(manager_of).storage(storage.clone()).key(place()).build().unwrap();
    manager.token().await.unwrap();
    let of_a_manager = storage.get(&place()).await.unwrap().unwrap();
    let of = |payload: &str, tombstone| {
        TokenRecord::from_parts(payload.as_bytes().to_vec(), Order::default(), None, tombstone)
    };
    let damaged = r#"{"v":4294967295,"dpop_key":{"kty":"EC","d":"planted"}}"#;
    for record in [of_a_manager, of("", true), of("planted", false), of(damaged, false)] {
        storage.set(&place(), &record).await.unwrap();

        let error = DpopKey::load_or_generate(&storage, &place()).await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::RecordUnreadable);
        assert!(error.to_string().contains("calendar-dpop-key"), "{error}");
        assert!(!format!("{error} {error:?} {error:#?}").contains("planted"), "{error:?}");
        let there = storage.get(&place()).await.unwrap().unwrap();
        assert_eq!(there.payload(), record.payload());
    }
}

/// Under another key of the encryption, or without it: the key of the tokens stays where it is.
#[tokio::test]
async fn a_key_that_cannot_be_decrypted_is_left_alone_and_says_so() {
    let shelf = MemoryStorage::new();
    let under = |text| {
        let secret = EncryptionKey::from_text(text).unwrap();
        EncryptedStorage::new(shelf.clone(), secret)
    };
    let right = under("g/nHdjRvnX5JBZWCHbH1BYgVzYOgwwFNuDFhLUPjXgM=");
    let key = key_in(&right).await;
    let wrong = under("AAAAdjRvnX5JBZWCHbH1BYgVzYOgwwFNuDFhLUPjXgM=");

    for (storage, said) in [
        (&shelf as &dyn TokenStorage, "is encrypted, and this process does not decrypt; wrap"),
        (&wrong, "calendar-dpop-key"),
    ] {
        let error = DpopKey::load_or_generate(storage, &place()).await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::RecordUnreadable);
        assert!(error.to_string().contains(said), "{error}");
    }
    assert_eq!(key_in(&right).await.thumbprint(), key.thumbprint());
}

/// Also one that gets its tokens by itself, and would write over nonsense.
#[tokio::test]
async fn a_manager_that_is_pointed_at_the_key_neither_takes_it_for_tokens_nor_writes_over_it() {
    for provider in [ScriptedProvider::new("svc"), ScriptedProvider::new("svc").attended()] {
        let storage = MemoryStorage::new();
        let key = key_in(&storage).await;
        let manager =
            TokenManager::builder(provider).storage(storage.clone()).key(place()).build().unwrap();

        // Whether these succeed in memory is the manager's to say.
        let _ = manager.token().await;
        let _ = manager.login().await;
        let _ = manager.install(TokenSet::from_refresh_token("rt")).await;
        let _ = manager.clear().await;
        let _ = manager.flush().await;

        assert_eq!(key_in(&storage).await.thumbprint(), key.thumbprint());
    }
}

#[tokio::test]
async fn the_record_never_ends() {
    let storage = MemoryStorage::new();
    key_in(&storage).await;

    let record = storage.get(&place()).await.unwrap().unwrap();

    assert_eq!((record.keep_until(), record.is_tombstone()), (None, false));
}

#[tokio::test]
async fn tokens_and_key_lie_side_by_side_and_a_second_process_uses_both() {
    let storage = MemoryStorage::new();
    let clock = ManualClock::new();
    let issued =
        r#"{"access_token":"at-1","token_type":"DPoP","expires_in":900,"refresh_token":"rt-1"}"#;
    let process = |key: DpopKey, endpoint: &Playback| {
        let provider = RefreshTokenProvider::builder("svc", TOKEN_URL)
            .client("id", ClientAuth::none())
            .proof_of_possession(key)
            .transport(endpoint.clone())
            .build()
            .unwrap();
        assert_ne!(provider.identity().storage_key(), place());
        let manager = TokenManager::builder(provider).storage(storage.clone());
        manager.clock(clock.clone()).build().unwrap()
    };
    let endpoint = Playback::default().and(200, None, issued);
    let first = key_in(&storage).await;
    let manager = process(first.clone(), &endpoint);
    manager.install(TokenSet::from_refresh_token("rt-0")).await.unwrap();
    manager.token().await.unwrap();
    clock.advance(Duration::from_secs(1_000));

    let endpoint = Playback::default().and(200, None, issued);
    let second = key_in(&storage).await;
    process(second, &endpoint).token().await.unwrap();

    let request = endpoint.requests().remove(0);
    let body = String::from_utf8(request.body().clone()).unwrap();
    assert!(body.contains("grant_type=refresh_token&refresh_token=rt-1"), "{body}");
    let again = crate::support::proof(&first, &http::Method::POST, TOKEN_URL, None);
    assert_eq!(endpoint.proofs().remove(0).header, again.header);
}
