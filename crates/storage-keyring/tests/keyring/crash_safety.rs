//! A program that dies in the middle of a write.

use crate::fake_keyring::{FakeKeyring, key, record};
use tokenkeeper::{ErrorKind, Order, TokenManager, TokenRecord, TokenStorage};
use tokenkeeper_testkit::ScriptedProvider;

/// Lengths of records in a keyring of short entries: in the head, and in several parts.
const LENGTHS: [usize; 4] = [10, 100, 1_000, 3_000];

#[tokio::test]
async fn a_write_that_dies_anywhere_leaves_the_old_record_or_the_new_one() {
    for (old, new) in pairs() {
        let mut deaths = 0;
        loop {
            let keyring = FakeKeyring::new();
            keyring.storage().set(&key(), &record(1, old)).await.unwrap();

            keyring.die_after(deaths);
            let written = keyring.storage().set(&key(), &record(2, new)).await;
            let survived = !keyring.has_died();
            keyring.revive();

            let found = keyring.storage().get(&key()).await.unwrap().unwrap();
            if written.is_ok() {
                assert_same(&found, &record(2, new));
            } else {
                assert_same(&found, &record(1, old));
            }
            if survived {
                break;
            }
            deaths += 1;
        }
        assert!(deaths >= 1, "the write changed nothing");
    }
}

#[tokio::test]
async fn what_a_write_left_behind_is_gone_once_the_record_is_removed() {
    for (old, new) in pairs() {
        for deaths in 0.. {
            let keyring = FakeKeyring::new();
            keyring.storage().set(&key(), &record(1, old)).await.unwrap();
            keyring.die_after(deaths);
            let _ = keyring.storage().set(&key(), &record(2, new)).await;
            let survived = !keyring.has_died();
            keyring.revive();

            keyring.storage().delete(&key()).await.unwrap();

            assert_eq!(keyring.names(), [""; 0], "{old} then {new}, died after {deaths}");
            if survived {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_removal_that_dies_anywhere_can_be_repeated_and_leaves_nothing() {
    for length in LENGTHS {
        for deaths in 0.. {
            let keyring = FakeKeyring::new();
            keyring.storage().set(&key(), &record(1, length)).await.unwrap();
            keyring.die_after(deaths);
            let removed = keyring.storage().delete(&key()).await;
            let survived = !keyring.has_died();
            keyring.revive();

            if let Some(found) = keyring.storage().get(&key()).await.unwrap() {
                assert!(removed.is_err());
                assert_same(&found, &record(1, length));
            }
            keyring.storage().delete(&key()).await.unwrap();

            assert_eq!(keyring.names(), [""; 0], "{length}, died after {deaths}");
            if survived {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_record_that_is_replaced_takes_its_parts_with_it() {
    let keyring = FakeKeyring::new();
    let storage = keyring.storage();

    storage.set(&key(), &record(1, 3_000)).await.unwrap();
    let in_parts = keyring.names();
    storage.set(&key(), &record(2, 3_000)).await.unwrap();
    let in_other_parts = keyring.names();
    storage.set(&key(), &record(3, 10)).await.unwrap();

    assert!(in_parts.len() > 5, "{in_parts:?}");
    assert_eq!(in_other_parts.len(), in_parts.len());
    assert_eq!(keyring.names(), ["key"]);
}

#[tokio::test]
async fn parts_that_died_long_ago_are_removed_by_the_next_write() {
    let keyring = FakeKeyring::new();
    let dead = "00000000000000aa 2 1000\n"; // begun in 1970
    keyring.put("key#parts", dead.as_bytes());
    keyring.put("key#00000000000000aa.0", b"a");
    keyring.put("key#00000000000000aa.1", b"b");

    keyring.storage().set(&key(), &record(1, 10)).await.unwrap();

    assert_eq!(keyring.names(), ["key"]);
}

#[tokio::test]
async fn parts_of_another_process_that_is_about_to_name_them_stay() {
    let keyring = FakeKeyring::new();
    keyring.storage().set(&key(), &record(1, 10)).await.unwrap();
    let parts_and_head = 1 + parts_of(1_000);
    keyring.die_after(parts_and_head); // all but the head
    keyring.storage().set(&key(), &record(2, 1_000)).await.unwrap_err();
    keyring.revive();
    let theirs = keyring.names();
    assert!(theirs.len() > parts_of(1_000), "{theirs:?}");

    keyring.storage().set(&key(), &record(3, 10)).await.unwrap();

    assert_eq!(keyring.names(), theirs);
}

#[tokio::test]
async fn a_write_that_fails_at_a_part_leaves_the_old_record_and_no_part() {
    let keyring = FakeKeyring::new();
    let storage = keyring.storage();
    storage.set(&key(), &record(1, 10)).await.unwrap();
    keyring.fail_change_after(3); // the list, two parts

    let error = storage.set(&key(), &record(2, 3_000)).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Storage);
    assert_eq!(keyring.names(), ["key", "key#parts"]);
    assert_same(&storage.get(&key()).await.unwrap().unwrap(), &record(1, 10));
}

#[tokio::test]
async fn a_record_without_its_parts_cannot_be_read_and_can_be_written_over() {
    for torn in ["taken", "changed"] {
        let keyring = FakeKeyring::new();
        let storage = keyring.storage();
        storage.set(&key(), &record(1, 1_000)).await.unwrap();
        let name = keyring.names().into_iter().find(|name| name.ends_with(".1")).unwrap();
        match torn {
            "taken" => keyring.take(&name),
            _ => keyring.put(&name, b"AAAA"),
        }

        let found = storage.get(&key()).await.unwrap().unwrap();
        let there = storage.exists(&key()).await.unwrap();
        storage.set(&key(), &record(2, 1_000)).await.unwrap();

        assert!(there);
        assert!(found.payload().starts_with(b"tokenkeeper 1 split"), "{torn}");
        assert_eq!(found.order(), Order::default());
        assert_same(&storage.get(&key()).await.unwrap().unwrap(), &record(2, 1_000));
    }
}

#[tokio::test]
async fn what_a_stranger_put_there_is_a_record_that_cannot_be_read() {
    let keyring = FakeKeyring::new();
    keyring.put("key", b"hunter2");

    let found = keyring.storage().get(&key()).await.unwrap().unwrap();

    assert_eq!(found.payload(), b"hunter2");
}

#[tokio::test]
async fn what_a_newer_version_wrote_is_never_written_over() {
    let keyring = FakeKeyring::new();
    let provider = ScriptedProvider::new("svc");
    let manager =
        TokenManager::builder(provider).storage(keyring.storage()).key(key()).build().unwrap();
    keyring.put("key", b"tokenkeeper 2 in-the-cloud");

    let found = keyring.storage().get(&key()).await.unwrap().unwrap();
    let error = manager.clear().await.unwrap_err();

    assert!(found.is_newer());
    assert_eq!(error.kind(), ErrorKind::RecordUnreadable);
    assert_eq!(keyring.text("key"), "tokenkeeper 2 in-the-cloud");
}

/// A storage that does not take turns with another is that of another process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_that_write_at_once_never_mix_their_records() {
    let keyring = FakeKeyring::new();
    keyring.storage().set(&key(), &record(0, 2_000)).await.unwrap();
    let writers = [0, 100].map(|first| {
        let storage = keyring.storage();
        tokio::spawn(async move {
            for byte in first..first + 50 {
                storage.set(&key(), &record(byte, 2_000)).await.unwrap();
            }
        })
    });

    let reader = keyring.storage();
    while !writers.iter().all(|writer| writer.is_finished()) {
        match reader.get(&key()).await {
            Ok(found) => assert_whole(&found.unwrap()),
            Err(error) => assert!(error.to_string().contains("replaced all the time"), "{error}"),
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }

    assert_whole(&reader.get(&key()).await.unwrap().unwrap());
    reader.delete(&key()).await.unwrap();
    assert!(!keyring.names().contains(&"key".to_owned()));
}

fn assert_whole(found: &TokenRecord) {
    let byte = found.payload().first().copied().unwrap();
    assert_same(found, &record(byte, 2_000));
}

fn pairs() -> impl Iterator<Item = (usize, usize)> {
    LENGTHS.into_iter().flat_map(|old| LENGTHS.into_iter().map(move |new| (old, new)))
}

fn parts_of(length: usize) -> usize {
    (record(1, length).to_bytes().len() * 4).div_ceil(3).div_ceil(512)
}

fn assert_same(found: &TokenRecord, expected: &TokenRecord) {
    assert_eq!(found.order(), expected.order());
    assert!(found.payload() == expected.payload(), "the payload differs");
}
