//! What needs no key is handed to the inner storage as it is.

use std::sync::Arc;
use std::time::Duration;

use crate::sealing::{key, named, record};
use tokenkeeper::{ErrorKind, LeaseRequest, ManualClock, MemoryStorage, TokenStorage};
use tokenkeeper_storage_encrypted::EncryptedStorage;
use tokenkeeper_testkit::{FaultyStorage, PlainStorage, StorageFault, StorageOperation};

fn want() -> LeaseRequest {
    LeaseRequest::new(Duration::from_secs(30), Duration::ZERO, Arc::new(ManualClock::new()))
}

#[test]
fn every_call_is_one_call_of_the_same_kind() {
    let inner = FaultyStorage::new(MemoryStorage::new());
    let storage = EncryptedStorage::new(inner.clone(), key(1));
    let alice = named("alice");

    pollster::block_on(async {
        let shared = storage.shared().unwrap();
        storage.set(&alice, &record(b"x")).await.unwrap();
        storage.get(&alice).await.unwrap();
        storage.exists(&alice).await.unwrap();
        storage.delete(&alice).await.unwrap();
        shared.load(&alice).await.unwrap();
        shared.compare_and_set(&alice, None, &record(b"x")).await.unwrap();
        let mut lease = shared.lease(&alice, &want()).await.unwrap();
        lease.renew().await.unwrap();
        lease.release().await.unwrap();
    });

    for operation in StorageOperation::ALL {
        assert_eq!(inner.calls(operation), 1, "{operation:?}");
    }
}

#[test]
fn an_error_of_the_inner_storage_comes_through() {
    let inner = FaultyStorage::new(MemoryStorage::new());
    let storage = EncryptedStorage::new(inner.clone(), key(1));
    inner.fault_everything(StorageFault::Fail);
    let (alice, record) = (named("alice"), record(b"x"));

    let errors = pollster::block_on(async {
        let shared = storage.shared().unwrap();
        [
            storage.set(&alice, &record).await.unwrap_err(),
            storage.get(&alice).await.unwrap_err(),
            storage.exists(&alice).await.unwrap_err(),
            storage.delete(&alice).await.unwrap_err(),
            shared.load(&alice).await.unwrap_err(),
            shared.compare_and_set(&alice, None, &record).await.unwrap_err(),
            shared.lease(&alice, &want()).await.unwrap_err(),
        ]
    });

    for error in errors {
        assert!(error.to_string().starts_with("a fault of FaultyStorage"), "{error}");
    }
}

#[test]
fn notices_are_those_of_the_inner_storage() {
    let inner = MemoryStorage::new();
    let [ours, theirs] = [1, 2].map(|byte| EncryptedStorage::new(inner.clone(), key(byte)));
    let alice = named("alice");

    pollster::block_on(async {
        let mut notices = ours.shared().unwrap().notices(&alice).unwrap();
        theirs.set(&alice, &record(b"x")).await.unwrap();
        assert_eq!(notices.next().await.unwrap(), Some(record(b"x").order()));
    });
}

#[test]
fn around_a_plain_storage_it_is_plain() {
    use tokenkeeper::SharedTokenStorage;

    let storage = EncryptedStorage::new(PlainStorage::new(MemoryStorage::new()), key(1));
    let alice = named("alice");

    assert!(storage.shared().is_none());
    let error = pollster::block_on(storage.lease(&alice, &want())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(storage.notices(&alice).is_none());
    let error = pollster::block_on(storage.load(&alice)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}
