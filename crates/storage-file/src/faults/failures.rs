//! A disk that fails: every step, with every number that people meet.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokenkeeper::{
    ErrorKind, LeaseRequest, ManualClock, SharedTokenStorage, StorageKey, SystemClock, TokenStorage,
};

use super::{Fault, Faults, key, layouts, leftovers, record, storage};
use crate::FileStorage;
use crate::disk::{Disk, Step, Survives};
use crate::lock::Lock;
use crate::ownership::Account;
use crate::place::Layout;

#[tokio::test]
async fn a_failed_write_leaves_what_was_there_and_says_where_and_why() {
    for number in [ENOSPC, EACCES, EROFS, EIO] {
        let why = io::Error::from_raw_os_error(number).to_string();
        for (at, step) in WRITE.into_iter().enumerate() {
            let folder = TempDir::new().unwrap();
            for layout in layouts(folder.path()) {
                let healthy = storage(&layout, &Arc::default());
                healthy.set(&key(), &record("old")).await.unwrap();
                let failing = storage(&layout, &Arc::new(Faults::at(at, Fault::Fails(number))));

                let error = failing.set(&key(), &record("new")).await.unwrap_err();

                let what = format!("{step:?} failed in {failing:?}: {error}");
                assert_eq!(error.kind(), ErrorKind::Storage, "{what}");
                let place = layout.place(&key());
                let named = match step {
                    Step::Lock => place.lock,
                    Step::SyncFolder => place.folder,
                    _ => place.records.path,
                };
                assert!(error.to_string().contains(named.to_str().unwrap()), "{what}");
                assert!(error.to_string().contains(&why), "{what}");
                let expected = if step == Step::SyncFolder { b"new" } else { b"old" };
                let found = healthy.get(&key()).await.unwrap().unwrap();
                assert_eq!(found.payload(), expected, "{what}");
                assert!(leftovers(&layout).is_empty(), "{what}");
                failing.set(&key(), &record("next")).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_file_system_that_cannot_sync_a_folder_is_no_error() {
    let folder = TempDir::new().unwrap();
    for layout in layouts(folder.path()) {
        let faults = Arc::new(Faults::at(WRITE.len() - 1, Fault::Fails(EINVAL)));
        let storage = storage(&layout, &faults);

        storage.set(&key(), &record("new")).await.unwrap();

        assert_eq!(faults.reached(), WRITE);
        assert_eq!(storage.get(&key()).await.unwrap().unwrap().payload(), b"new");
    }
}

#[tokio::test]
async fn a_failed_delete_leaves_the_record_and_says_where_and_why() {
    let folder = TempDir::new().unwrap();
    for layout in layouts(folder.path()) {
        storage(&layout, &Arc::default()).set(&key(), &record("old")).await.unwrap();
        let failing = storage(&layout, &Arc::new(Faults::at(1, Fault::Fails(EROFS))));

        let error = failing.delete(&key()).await.unwrap_err();

        let path = layout.place(&key()).records.path;
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        assert!(failing.exists(&key()).await.unwrap());
        failing.delete(&key()).await.unwrap();
        assert!(!failing.exists(&key()).await.unwrap());
    }
}

#[tokio::test]
async fn a_lease_that_could_not_be_written_is_nobodys() {
    for at in 1..4 {
        let folder = TempDir::new().unwrap();
        for layout in layouts(folder.path()) {
            let failing = storage(&layout, &Arc::new(Faults::at(at, Fault::Fails(ENOSPC))));
            let ttl = Duration::from_secs(600);
            let want = LeaseRequest::new(ttl, Duration::ZERO, Arc::new(SystemClock));

            let error = failing.lease(&key(), &want).await.unwrap_err();

            assert!(error.to_string().contains("os error 28"), "{error}");
            assert!(leftovers(&layout).is_empty());
            failing.lease(&key(), &want).await.unwrap().release().await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_could_not_be_read_again_is_not_written() {
    let folder = TempDir::new().unwrap();
    for layout in layouts(folder.path()) {
        let storage = storage(&layout, &Arc::default());
        storage.set(&key(), &record("old")).await.unwrap();
        let (place, disk) = (layout.place(&key()), Disk::new(Account::current()));
        let too_much = vec![0; (64 << 20) + 1];

        let error = disk
            .replace(&place.records, &place.folder, &too_much, Survives::Process)
            .unwrap_err()
            .to_string();

        let path = place.records.path.to_str().unwrap();
        assert!(error.contains("64 MiB") && error.contains(path), "{error}");
        assert_eq!(storage.get(&key()).await.unwrap().unwrap().payload(), b"old");
    }
}

#[tokio::test]
async fn a_delete_whose_sync_failed_is_synced_when_it_is_repeated() {
    let folder = TempDir::new().unwrap();
    let other = StorageKey::new("svc:bob").unwrap();
    for layout in layouts(folder.path()) {
        for others in [false, true] {
            let healthy = storage(&layout, &Arc::default());
            healthy.set(&key(), &record("old")).await.unwrap();
            if others {
                healthy.set(&other, &record("stays")).await.unwrap();
            }
            let is_replaced = others && matches!(layout, Layout::SingleFile { .. });
            let sync = if is_replaced { WRITE.len() - 1 } else { 2 };
            let faults = Arc::new(Faults::at(sync, Fault::Fails(EIO)));
            let failing = storage(&layout, &faults);
            failing.delete(&key()).await.unwrap_err();
            assert_eq!(faults.reached().last(), Some(&Step::SyncFolder));
            let before = faults.reached().len();

            failing.delete(&key()).await.unwrap();

            assert_eq!(faults.reached().last(), Some(&Step::SyncFolder));
            assert!(faults.reached().len() > before);
        }
    }
}

#[tokio::test]
async fn a_record_is_synced_before_it_has_its_name_and_the_name_after_that() {
    let folder = TempDir::new().unwrap();
    for layout in layouts(folder.path()) {
        let watched = Arc::new(Faults::default());
        let storage = storage(&layout, &watched);

        storage.set(&key(), &record("new")).await.unwrap();
        storage.delete(&key()).await.unwrap();

        let delete = [Step::Lock, Step::Remove, Step::SyncFolder];
        assert_eq!(watched.reached(), [&WRITE[..], &delete].concat());
    }
}

#[test]
fn folders_that_are_created_are_as_durable_as_the_records_in_them() {
    let folder = TempDir::new().unwrap();
    let layout = Layout::Directory(folder.path().join("a/b/c"));
    let watched = Arc::new(Faults::default());

    drop(storage(&layout, &watched));
    assert_eq!(watched.reached(), [Step::SyncFolder; 3]);
    drop(storage(&layout, &watched));

    assert_eq!(watched.reached().len(), 3, "they were there already");
}

#[test]
fn a_folder_that_may_not_be_read_can_have_others_created_in_it() {
    let folder = TempDir::new().unwrap();
    let layout = Layout::Directory(folder.path().join("tokens"));

    drop(storage(&layout, &Arc::new(Faults::at(0, Fault::Fails(EACCES)))));

    assert!(layout.folder().is_dir());
}

#[test]
fn a_folder_whose_name_could_not_be_synced_is_an_error_that_says_where() {
    let folder = TempDir::new().unwrap();
    let layout = Layout::Directory(folder.path().join("tokens"));
    let disk =
        Disk::new(Account::current()).with_faults(Arc::new(Faults::at(0, Fault::Fails(EIO))));

    let error = FileStorage::on_disk(layout, disk, Arc::new(SystemClock)).unwrap_err();

    assert!(error.to_string().contains(folder.path().to_str().unwrap()), "{error}");
}

#[tokio::test]
async fn a_file_of_another_user_is_refused_and_left_alone() {
    let folder = TempDir::new().unwrap();
    for layout in layouts(folder.path()) {
        let ours = storage(&layout, &Arc::default());
        ours.set(&key(), &record("old")).await.unwrap();
        let path = layout.place(&key()).records.path;
        let account = Account::with_uid(4_242);

        let metadata = std::fs::symlink_metadata(&path).unwrap();
        let error = account.check_file(&path, &metadata).unwrap_err().to_string();
        assert!(error.contains(path.to_str().unwrap()) && error.contains("chown 4242"), "{error}");

        if rustix::process::geteuid().is_root() {
            account.check_folder(layout.folder()).unwrap(); // root's is as good as our own
            std::os::unix::fs::chown(layout.folder(), Some(4_243), None).unwrap();
        }
        let error = account.check_folder(layout.folder()).unwrap_err().to_string();
        assert!(error.contains("the folder") && error.contains("user 4242"), "{error}");
        assert!(!error.contains("chown"), "whose folder it is is not ours to change: {error}");
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(layout.folder(), Some(0), None).unwrap();
        }
        assert_eq!(ours.get(&key()).await.unwrap().unwrap().payload(), b"old");
    }
}

#[tokio::test]
async fn a_lock_that_is_not_let_go_is_an_error_that_names_it_and_blocks_nobody() {
    let folder = TempDir::new().unwrap();
    for layout in layouts(folder.path()) {
        let clock = ManualClock::new();
        let disk = Disk::new(Account::current());
        let storage = FileStorage::on_disk(layout.clone(), disk, Arc::new(clock.clone())).unwrap();
        let path = layout.place(&key()).lock;
        let lock = Lock::try_take(&path, Account::current()).unwrap().unwrap();

        // On the one thread of this runtime, so it would never end if the write waited on it.
        let (key, record) = (key(), record("new"));
        let (refused, ()) = tokio::join!(storage.set(&key, &record), lock_patience_ends(&clock));

        let error = refused.unwrap_err();
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        drop(lock);
        storage.set(&key, &record).await.unwrap();
    }
}

#[tokio::test]
async fn those_who_queue_behind_a_write_that_waits_for_the_lock_give_up_with_it() {
    let folder = TempDir::new().unwrap();
    for layout in layouts(folder.path()) {
        let clock = ManualClock::new();
        let disk = Disk::new(Account::current());
        let storage = FileStorage::on_disk(layout.clone(), disk, Arc::new(clock.clone())).unwrap();
        let _lock =
            Lock::try_take(&layout.place(&key()).lock, Account::current()).unwrap().unwrap();
        let (key, record) = (key(), record("new"));

        let queued = storage.set(&key, &record);
        let (first, second, ()) =
            tokio::join!(storage.set(&key, &record), in_time(queued), lock_patience_ends(&clock));

        assert_eq!(first.unwrap_err().to_string(), second.unwrap_err().to_string());
    }
}

/// Moves the clock once a write waits for the lock.
async fn lock_patience_ends(clock: &ManualClock) {
    let waits = async {
        while clock.sleepers() == 0 {
            tokio::task::yield_now().await;
        }
    };
    in_time(waits).await;
    clock.advance(Duration::from_secs(4));
}

async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), work).await.expect("it waits for ever")
}

#[tokio::test]
async fn what_a_live_writer_has_under_way_is_not_cleaned_away() {
    let folder = TempDir::new().unwrap();
    for layout in layouts(folder.path()) {
        let first = storage(&layout, &Arc::default());
        let place = layout.place(&key());
        let writer = Lock::try_take(&place.lock, Account::current()).unwrap().unwrap();
        std::fs::write(&place.records.temporary, "half").unwrap();

        drop(storage(&layout, &Arc::default())); // starts while the other writes
        assert_eq!(leftovers(&layout).len(), 1);
        drop(writer);
        drop(storage(&layout, &Arc::default()));

        assert!(leftovers(&layout).is_empty());
        drop(first);
    }
}

#[tokio::test]
async fn a_record_that_is_missing_while_it_is_replaced_is_waited_for() {
    let folder = TempDir::new().unwrap();
    for layout in layouts(folder.path()) {
        let disk = Disk::new(Account::current()).with_gaps();
        let clock = ManualClock::new();
        let storage = FileStorage::on_disk(layout.clone(), disk, Arc::new(clock.clone())).unwrap();
        storage.set(&key(), &record("old")).await.unwrap();
        let place = layout.place(&key());
        let lock = Lock::try_take(&place.lock, Account::current()).unwrap().unwrap();
        let replaced = std::fs::read(&place.records.path).unwrap();
        std::fs::remove_file(&place.records.path).unwrap();

        let key = key();
        let replaces = async {
            while clock.sleepers() == 0 {
                tokio::task::yield_now().await;
            }
            disk_write(&place.records.path, &replaced);
            drop(lock);
            clock.advance(Duration::from_millis(20)); // the next look at the lock
        };
        let (found, ()) = tokio::join!(storage.get(&key), in_time(replaces));

        assert_eq!(found.unwrap().unwrap().payload(), b"old");
        storage.delete(&key).await.unwrap();
        assert!(storage.get(&key).await.unwrap().is_none(), "what nobody replaces is missing");
    }
}

/// As private as what was there.
fn disk_write(path: &std::path::Path, bytes: &[u8]) {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;

    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    file.unwrap().write_all(bytes).unwrap();
}

const WRITE: [Step; 6] =
    [Step::Lock, Step::Create, Step::Write, Step::Sync, Step::Rename, Step::SyncFolder];
const ENOSPC: i32 = 28;
const EACCES: i32 = 13;
const EROFS: i32 = 30;
const EIO: i32 = 5;
const EINVAL: i32 = 22;
