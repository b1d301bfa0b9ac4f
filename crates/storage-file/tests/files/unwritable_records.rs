//! Records that can be read and locked and cannot be replaced: no lease is granted, so that no refresh
//! token is spent whose successor would be lost.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tokenkeeper::{
    Error, ErrorKind, Lease, LeaseRequest, SharedTokenStorage, SystemClock, TokenManager,
    TokenStorage,
};
use tokenkeeper_storage_file::FileStorage;
use tokenkeeper_testkit::{ScriptedProvider, contract};

use crate::support::{Fixture, LAYOUTS, key, record};

#[tokio::test]
async fn a_record_that_is_a_mount_of_its_own_gets_no_lease() {
    for layout in LAYOUTS {
        let fixture = Fixture::new(layout);
        fixture.storage().set(&key(), &record("old")).await.unwrap();
        let mount = Obstacle::mounted(fixture.file());
        let restarted = fixture.storage(); // a process that has not written yet

        let error = lease(&restarted).await.unwrap_err();

        check_names(&error, &fixture.file());
        assert!(error.to_string().contains("mount its folder"), "{error}");
        drop(mount);
        check_is_fine(&restarted).await;
    }
}

#[tokio::test]
async fn a_record_that_is_immutable_gets_no_lease() {
    for layout in LAYOUTS {
        let fixture = Fixture::new(layout);
        fixture.storage().set(&key(), &record("old")).await.unwrap();
        let immutable = Obstacle::immutable(fixture.file());
        let restarted = fixture.storage();

        let error = lease(&restarted).await.unwrap_err();

        check_names(&error, &fixture.file());
        assert!(error.to_string().contains("lsattr"), "{error}");
        drop(immutable);
        check_is_fine(&restarted).await;
    }
}

#[tokio::test]
async fn a_record_that_could_not_be_written_is_proven_anew_before_the_next_spend() {
    for layout in LAYOUTS {
        let fixture = Fixture::new(layout);
        let storage = fixture.storage();
        storage.set(&key(), &record("old")).await.unwrap();
        lease(&storage).await.unwrap().release().await.unwrap();
        let immutable = Obstacle::immutable(fixture.file());
        storage.set(&key(), &record("new")).await.unwrap_err();

        lease(&storage).await.unwrap_err();

        drop(immutable);
        check_is_fine(&storage).await;
    }
}

#[tokio::test]
async fn a_lease_leaves_the_record_and_its_version_as_they_were() {
    for layout in LAYOUTS {
        let fixture = Fixture::new(layout);
        fixture.storage().set(&key(), &record("old")).await.unwrap();
        let (before, restarted) = (std::fs::read(fixture.file()).unwrap(), fixture.storage());
        let (version, _) = restarted.load(&key()).await.unwrap().unwrap();

        lease(&restarted).await.unwrap().release().await.unwrap();

        assert_eq!(std::fs::read(fixture.file()).unwrap(), before);
        assert_eq!(restarted.load(&key()).await.unwrap().unwrap().0, version);
    }
}

#[tokio::test]
async fn a_manager_spends_no_refresh_token_whose_successor_it_could_not_store() {
    for layout in LAYOUTS {
        let fixture = Fixture::new(layout);
        let provider = ScriptedProvider::new("svc");
        let manager = || {
            let manager = TokenManager::builder(provider.clone()).storage(fixture.storage());
            manager.build().unwrap()
        };
        manager().token().await.unwrap();
        let mount = Obstacle::mounted(fixture.file());

        manager().force_refresh().await.unwrap_err();

        assert_eq!(provider.refreshes(), 0, "a refresh token was spent");
        drop(mount);
        manager().force_refresh().await.unwrap();
        assert_eq!(provider.refreshes(), 1);
    }
}

#[test]
fn the_rule_of_the_contract_holds_for_mounts() {
    fn open(folder: PathBuf) -> contract::Opening {
        Box::pin(async move {
            let storage = FileStorage::single_file(folder.join("login")).unwrap();
            let storage: contract::OpenedStorage = Arc::new(storage);
            storage
        })
    }
    let backend = contract::SharedBackend::new(open, module_path!());
    let (file, mut mount) = (backend.folder().join("login"), None);
    contract::run(contract::a_lease_shows_that_the_record_can_be_replaced(
        backend,
        async move |_, is_forbidden| mount = is_forbidden.then(|| Obstacle::mounted(file.clone())),
    ));
}

async fn lease(storage: &FileStorage) -> Result<Lease, Error> {
    let ttl = Duration::from_secs(600); // longer than any test takes
    let want = LeaseRequest::new(ttl, Duration::ZERO, Arc::new(SystemClock));
    storage.lease(&key(), &want).await
}

async fn check_is_fine(storage: &FileStorage) {
    assert_eq!(storage.get(&key()).await.unwrap().unwrap().payload(), b"old");
    lease(storage).await.unwrap().release().await.unwrap();
    storage.set(&key(), &record("next")).await.unwrap();
}

#[track_caller]
fn check_names(error: &Error, file: &Path) {
    assert_eq!(error.kind(), ErrorKind::Storage, "{error}");
    assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
}

/// What keeps a file from being replaced, until this is dropped. Only root can put it there: where
/// these tests run as another user, they fail and say so.
struct Obstacle {
    file: PathBuf,
    remove: [&'static str; 2],
}

impl Obstacle {
    fn mounted(file: PathBuf) -> Self {
        let from = file.clone();
        run(Command::new("mount").arg("--bind").arg(from).arg(&file));
        Self { file, remove: ["umount", "--lazy"] }
    }

    fn immutable(file: PathBuf) -> Self {
        run(Command::new("chattr").arg("+i").arg(&file));
        Self { file, remove: ["chattr", "-i"] }
    }
}

impl Drop for Obstacle {
    fn drop(&mut self) {
        let [program, option] = self.remove;
        run(Command::new(program).arg(option).arg(&self.file));
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?} failed, and this test needs it (root, and a file system with attributes): {said}"
    );
}
