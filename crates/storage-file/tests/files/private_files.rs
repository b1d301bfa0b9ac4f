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
        for (bad, fix) in
            [(0o777, "chmod o-w "), (0o702, "chmod o-w "), (0o1777, "name a folder in")]
        {
            let fixture = Fixture::new(layout);
            let storage = fixture.storage();
            storage.set(&key(), &record("old")).await.unwrap();
            std::fs::set_permissions(fixture.folder(), Permissions::from_mode(bad)).unwrap();

            check_refused(&storage, &key(), fix).await;
            let error = fixture.open().unwrap_err().to_string();

            assert!(error.contains(fix), "{error}");
            assert_eq!(error.contains("chmod"), bad != 0o1777, "{error}");
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

#[test]
fn a_folder_that_all_users_share_is_never_to_be_closed_to_them() {
    for shared in ["/tmp", "/var/tmp", "/dev/shm"] {
        let error = FileStorage::directory(shared).unwrap_err().to_string();

        assert!(error.contains(&format!("name a folder in {shared}")), "{error}");
        assert!(!error.contains("chmod") && !error.contains("chown"), "{error}");
    }
}

#[tokio::test]
async fn a_folder_above_in_which_everybody_can_replace_ours_is_refused() {
    for layout in LAYOUTS {
        let fixture = Fixture::new(layout);
        let storage = fixture.storage();
        storage.set(&key(), &record("old")).await.unwrap();
        let above = fixture.scratch.path();
        std::fs::set_permissions(above, Permissions::from_mode(0o777)).unwrap();

        check_refused(&storage, &key(), "can be replaced by every user").await;
        let error = fixture.open().unwrap_err().to_string();

        assert!(error.contains(above.to_str().unwrap()), "{error}");
        std::fs::set_permissions(above, Permissions::from_mode(0o1777)).unwrap();
        assert_eq!(storage.get(&key()).await.unwrap().unwrap().payload(), b"old");
    }
}

#[tokio::test]
async fn the_folders_above_count_where_a_link_leads_too() {
    let fixture = Fixture::new(LayoutKind::Directory);
    let open = fixture.scratch.path().join("open");
    std::fs::create_dir(&open).unwrap();
    std::fs::create_dir(open.join("tokens")).unwrap();
    std::fs::set_permissions(open.join("tokens"), Permissions::from_mode(0o700)).unwrap();
    symlink(open.join("tokens"), fixture.folder()).unwrap();
    fixture.open().unwrap();
    std::fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();

    let error = fixture.open().unwrap_err().to_string();

    assert!(error.contains("can be replaced by every user"), "{error}");
}

#[tokio::test]
async fn a_lock_that_others_can_take_or_that_is_a_link_is_refused() {
    for layout in LAYOUTS {
        let fixture = Fixture::new(layout);
        let storage = fixture.storage();
        storage.set(&key(), &record("old")).await.unwrap();
        let is_lock = |path: &std::path::PathBuf| path.to_str().unwrap().contains("lock");
        let lock = files(&fixture.folder()).into_iter().find(is_lock).unwrap();
        std::fs::set_permissions(&lock, Permissions::from_mode(0o644)).unwrap();

        let error = storage.set(&key(), &record("new")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Storage, "{error}");
        assert!(error.to_string().contains(&format!("chmod 600 {}", lock.display())), "{error}");

        let away = fixture.scratch.path().join("away");
        std::fs::rename(&lock, &away).unwrap();
        symlink(&away, &lock).unwrap();
        let error = storage.set(&key(), &record("new")).await.unwrap_err();
        assert!(error.to_string().contains("is a symbolic link"), "{error}");
        std::fs::remove_file(&lock).unwrap();
        storage.set(&key(), &record("new")).await.unwrap();
    }
}

#[test]
fn what_a_shell_would_have_replaced_is_no_name_of_a_folder() {
    for path in ["~", "~/tokens", "$HOME/tokens", "${XDG_DATA_HOME}/tokens", "%APPDATA%/tokens"] {
        let as_directory = FileStorage::directory(path).unwrap_err();
        let as_file = FileStorage::single_file(format!("{path}/login")).unwrap_err();

        for error in [as_directory, as_file] {
            assert_eq!(error.kind(), ErrorKind::Config, "{path}: {error}");
            assert!(error.to_string().contains("home_dir()"), "{error}");
        }
        assert!(!Path::new(path).exists());
    }
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
        let is_about_a_folder =
            ["chmod o-w", "name a folder", "is gone", "can be replaced", "lock"]
                .iter()
                .any(|part| why.contains(part));
        let kind = if is_about_a_folder { ErrorKind::Storage } else { ErrorKind::RecordUnreadable };
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(why), "{error}");
        assert!(!error.to_string().contains("ask again"), "two pieces of advice: {error}");
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}
