//! Files and folders are ours alone, or they are not used.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::support::{Fixture, LAYOUTS, LayoutKind, files, key, other_key, record};
use tokenkeeper::{
    Error, ErrorKind, LeaseRequest, SharedTokenStorage, StorageKey, SystemClock, TokenStorage,
};
use tokenkeeper_storage_file::FileStorage;

#[tokio::test]
async fn everything_that_is_created_is_for_this_user_alone() {
    for layout in LAYOUTS {
        let fixture = Fixture::new(layout);
        let storage = fixture.storage();
        storage.set(&key(), &record("secret")).await.unwrap();
        let want =
            LeaseRequest::new(Duration::from_secs(60), Duration::ZERO, Arc::new(SystemClock));
        let lease = storage.lease(&key(), &want).await.unwrap();

        assert_eq!(mode(&fixture.folder()), 0o700);
        let files = files(&fixture.folder());
        assert_eq!(files.len(), 3, "a record, a lease and a lock: {files:?}");
        for file in files {
            assert_eq!(mode(&file), 0o600, "{file:?}");
        }
        lease.release().await.unwrap();
    }
}

#[tokio::test]
async fn a_file_that_others_can_open_is_refused_and_left_alone() {
    for layout in LAYOUTS {
        for bad in [0o640, 0o604, 0o660, 0o601] {
            let fixture = Fixture::new(layout);
            let storage = fixture.storage();
            storage.set(&key(), &record("old")).await.unwrap();
            let file = fixture.file();
            std::fs::set_permissions(&file, Permissions::from_mode(bad)).unwrap();

            let fix = format!("chmod 600 {}", file.display());
            check_refused(&storage, &key(), &fix).await;

            assert_eq!(mode(&file), bad);
            std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
            assert_eq!(storage.get(&key()).await.unwrap().unwrap().payload(), b"old");
        }
    }
}

#[tokio::test]
async fn a_symbolic_link_is_refused_and_what_it_leads_to_is_left_alone() {
    for layout in LAYOUTS {
        for dangling in [false, true] {
            let fixture = Fixture::new(layout);
            let storage = fixture.storage();
            storage.set(&key(), &record("old")).await.unwrap();
            let (file, away) = (fixture.file(), fixture.scratch.path().join("away"));
            std::fs::rename(&file, &away).unwrap();
            if dangling {
                std::fs::remove_file(&away).unwrap();
            }
            symlink(&away, &file).unwrap();

            check_refused(&storage, &key(), "is a symbolic link").await;

            assert!(std::fs::symlink_metadata(&file).unwrap().is_symlink());
            assert_eq!(away.exists(), !dangling);
        }
    }
}

#[tokio::test]
async fn what_is_no_file_is_refused() {
    for layout in LAYOUTS {
        let fixture = Fixture::new(layout);
        let storage = fixture.storage();
        storage.set(&key(), &record("old")).await.unwrap();
        let file = fixture.file();
        std::fs::remove_file(&file).unwrap();
        std::fs::create_dir(&file).unwrap();

        check_refused(&storage, &key(), "is not a file").await;
    }
}

#[tokio::test]
async fn a_folder_that_everybody_can_write_to_is_refused() {
    for layout in LAYOUTS {
        for bad in [0o777, 0o1777, 0o702] {
            let fixture = Fixture::new(layout);
            let storage = fixture.storage();
            storage.set(&key(), &record("old")).await.unwrap();
            std::fs::set_permissions(fixture.folder(), Permissions::from_mode(bad)).unwrap();

            let fix = format!("chmod o-w {}", fixture.folder().display());
            check_refused(&storage, &key(), &fix).await;
            let error = fixture.open().unwrap_err();

            assert!(error.to_string().contains(&fix), "{error}");
        }
    }
}

#[test]
fn a_single_file_that_is_unsafe_is_refused_at_once() {
    let fixture = Fixture::new(LayoutKind::SingleFile);
    drop(fixture.storage());
    let file = fixture.folder().join("login");
    std::fs::write(&file, "open to all").unwrap();
    std::fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();

    let error = fixture.open().unwrap_err();

    assert!(error.to_string().contains("chmod 600"), "{error}");
}

#[tokio::test]
async fn a_folder_that_is_gone_is_an_error_and_not_an_empty_storage() {
    for layout in LAYOUTS {
        let fixture = Fixture::new(layout);
        let storage = fixture.storage();
        std::fs::remove_dir_all(fixture.folder()).unwrap();

        check_refused(&storage, &key(), "is gone").await;
    }
}

#[test]
fn a_path_without_a_name_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = format!("{}/tokens/", scratch.path().display());
    for path in ["", "/", &folder] {
        let error = FileStorage::single_file(path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{path}: {error}");
    }
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
    assert_eq!(FileStorage::directory("").unwrap_err().kind(), ErrorKind::Config);
}

#[tokio::test]
async fn one_record_that_is_unsafe_is_not_in_the_way_of_others_in_a_directory() {
    let fixture = Fixture::new(LayoutKind::Directory);
    let storage = fixture.storage();
    storage.set(&key(), &record("old")).await.unwrap();
    std::fs::set_permissions(fixture.file(), Permissions::from_mode(0o644)).unwrap();

    storage.set(&other_key(), &record("fine")).await.unwrap();

    assert_eq!(storage.get(&other_key()).await.unwrap().unwrap().payload(), b"fine");
    storage.get(&key()).await.unwrap_err();
}

async fn check_refused(storage: &FileStorage, key: &StorageKey, why: &str) {
    let new = record("new");
    let errors: [Error; 4] = [
        storage.get(key).await.map(drop).unwrap_err(),
        storage.set(key, &new).await.unwrap_err(),
        storage.compare_and_set(key, None, &new).await.map(drop).unwrap_err(),
        storage.delete(key).await.unwrap_err(),
    ];
    for error in errors {
        let is_about_a_folder = why.contains("chmod o-w") || why == "is gone";
        let kind = if is_about_a_folder { ErrorKind::Storage } else { ErrorKind::RecordUnreadable };
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(why), "{error}");
        assert!(!error.to_string().contains("ask again"), "two pieces of advice: {error}");
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}
