//! Files that are not what was written: an error that names them, and nothing written over.

use std::path::Path;

use crate::support::{Fixture, LAYOUTS, LayoutKind, key, other_key, record};
use tokenkeeper::{ErrorKind, SharedTokenStorage, TokenStorage};
use tokenkeeper_storage_file::FileStorage;

#[tokio::test]
async fn a_file_that_was_cut_off_is_an_error_and_stays() {
    for layout in LAYOUTS {
        let fixture = Fixture::new(layout);
        let storage = fixture.storage();
        storage.set(&key(), &record("old")).await.unwrap();
        let whole = std::fs::read(fixture.file()).unwrap();

        for length in [0, 1, 20, whole.len() / 2, whole.len() - 1] {
            check_refused(&storage, &fixture.file(), &whole[..length], "cut off").await;
        }
    }
}

#[tokio::test]
async fn a_file_that_was_altered_is_an_error_and_stays() {
    for layout in LAYOUTS {
        let fixture = Fixture::new(layout);
        let storage = fixture.storage();
        storage.set(&key(), &record("old")).await.unwrap();
        let whole = std::fs::read(fixture.file()).unwrap();

        for at in [30, 100, whole.len() - 2] {
            let mut altered = whole.clone();
            altered[at] ^= 1;
            check_refused(&storage, &fixture.file(), &altered, "delete it").await;
        }
    }
}

#[tokio::test]
async fn a_file_of_something_else_is_an_error_and_stays() {
    for layout in LAYOUTS {
        let fixture = Fixture::new(layout);
        let storage = fixture.storage();
        storage.set(&key(), &record("old")).await.unwrap();

        let stranger = b"-----BEGIN OPENSSH PRIVATE KEY-----\n";
        check_refused(&storage, &fixture.file(), stranger, "not a file of tokenkeeper").await;
    }
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_an_error_and_stays() {
    for layout in LAYOUTS {
        let fixture = Fixture::new(layout);
        let storage = fixture.storage();
        storage.set(&key(), &record("old")).await.unwrap();

        let newer = b"tokenkeeper-records 7 and what follows\n\0\0";
        check_refused(&storage, &fixture.file(), newer, "newer version of tokenkeeper").await;
    }
}

#[tokio::test]
async fn a_file_that_was_copied_to_the_name_of_another_user_is_not_that_users() {
    let fixture = Fixture::new(LayoutKind::Directory);
    let storage = fixture.storage();
    storage.set(&key(), &record("alice's")).await.unwrap();
    let alices = std::fs::read(fixture.file()).unwrap();
    storage.delete(&key()).await.unwrap();
    storage.set(&other_key(), &record("bob's")).await.unwrap();
    std::fs::write(fixture.file(), &alices).unwrap();

    let error = storage.get(&other_key()).await.unwrap_err();

    assert!(error.to_string().contains("another key"), "{error}");
    storage.set(&other_key(), &record("bob's")).await.unwrap_err();
    assert_eq!(std::fs::read(fixture.file()).unwrap(), alices);
}

#[tokio::test]
async fn a_damaged_file_goes_by_delete_where_it_is_the_records_own() {
    let fixture = Fixture::new(LayoutKind::Directory);
    let storage = fixture.storage();
    storage.set(&key(), &record("old")).await.unwrap();
    std::fs::write(fixture.file(), "damaged").unwrap();

    storage.delete(&key()).await.unwrap();

    assert!(storage.get(&key()).await.unwrap().is_none());
    storage.set(&key(), &record("new")).await.unwrap();
}

#[tokio::test]
async fn a_damaged_file_stays_on_delete_where_it_may_hold_other_logins() {
    let fixture = Fixture::new(LayoutKind::SingleFile);
    let storage = fixture.storage();
    storage.set(&key(), &record("old")).await.unwrap();
    std::fs::write(fixture.file(), "damaged").unwrap();

    let error = storage.delete(&key()).await.unwrap_err();

    assert!(error.to_string().contains(fixture.file().to_str().unwrap()), "{error}");
    assert_eq!(std::fs::read(fixture.file()).unwrap(), b"damaged");
}

#[tokio::test]
async fn a_file_that_was_restored_is_used_again() {
    for layout in LAYOUTS {
        let fixture = Fixture::new(layout);
        let storage = fixture.storage();
        storage.set(&key(), &record("old")).await.unwrap();
        let whole = std::fs::read(fixture.file()).unwrap();
        std::fs::write(fixture.file(), &whole[..10]).unwrap();
        storage.get(&key()).await.unwrap_err();

        std::fs::write(fixture.file(), &whole).unwrap();

        assert_eq!(storage.get(&key()).await.unwrap().unwrap().payload(), b"old");
        storage.set(&key(), &record("new")).await.unwrap();
    }
}

#[tokio::test]
async fn an_error_about_a_file_shows_nothing_of_what_is_in_it() {
    let fixture = Fixture::new(LayoutKind::SingleFile);
    let storage = fixture.storage();
    storage.set(&key(), &record("planted-secret")).await.unwrap();
    let mut altered = std::fs::read(fixture.file()).unwrap();
    let last = altered.len() - 1;
    altered[last] = b'x';
    std::fs::write(fixture.file(), &altered).unwrap();

    let error = storage.get(&key()).await.unwrap_err();

    assert!(!format!("{error} {error:?} {error:#?} {storage:?}").contains("planted"), "{error:#?}");
}

async fn check_refused(storage: &FileStorage, file: &Path, damaged: &[u8], why: &str) {
    std::fs::write(file, damaged).unwrap();
    let (key, new) = (key(), record("new"));

    let errors = [
        storage.get(&key).await.map(drop).unwrap_err(),
        storage.load(&key).await.map(drop).unwrap_err(),
        storage.set(&key, &new).await.unwrap_err(),
        storage.compare_and_set(&key, None, &new).await.map(drop).unwrap_err(),
    ];

    for error in errors {
        let shown = error.to_string();
        assert_eq!(error.kind(), ErrorKind::RecordUnreadable, "{shown}");
        assert!(shown.contains(file.to_str().unwrap()) && shown.contains(why), "{shown}");
        assert!(!shown.contains("ask again"), "two pieces of advice: {shown}");
    }
    assert_eq!(std::fs::read(file).unwrap(), damaged);
}
