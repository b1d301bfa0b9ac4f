//! Disks that really refuse: a limit on the size of files, which stands for a full disk, and a folder
//! that cannot be written. This program is started anew, because limits and users are of processes.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

#[allow(dead_code, reason = "it is shared with the other test binaries")]
#[path = "files/support.rs"]
mod support;

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};

use support::{Fixture, LAYOUTS, LayoutKind, files, key, record};
use tokenkeeper::{ErrorKind, TokenStorage};
use tokio::sync::Mutex;

#[tokio::test]
async fn a_disk_that_is_full_costs_the_new_record_and_nothing_else() {
    let _alone = ALONE.lock().await;
    for layout in LAYOUTS {
        let fixture = Fixture::new(layout);
        let storage = fixture.storage();
        storage.set(&key(), &record("old")).await.unwrap();

        // Without the signal, a write beyond the limit is an error, like that of a full disk.
        let program = std::env::current_exe().unwrap();
        let limited = "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\"";
        let mut shell = Command::new("sh");
        shell.args(["-c", limited]).arg(program);
        let ended = run(&mut shell, "writes_more_than_fits", layout, &fixture.folder());

        assert!(ended.status.success(), "{ended:?}");
        assert_eq!(storage.get(&key()).await.unwrap().unwrap().payload(), b"old");
        assert_eq!(files(&fixture.folder()).len(), 2, "{:?}", files(&fixture.folder()));
        storage.set(&key(), &record("new")).await.unwrap();
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_read_and_says_so_on_a_write() {
    let _alone = ALONE.lock().await;
    let is_root = rustix::process::geteuid().is_root();
    for layout in LAYOUTS {
        let fixture = Fixture::new(layout);
        fixture.storage().set(&key(), &record("old")).await.unwrap();
        // Root may write everywhere, so it does it as somebody else.
        if is_root {
            let nobody = Some(NOBODY);
            std::fs::set_permissions(fixture.scratch.path(), Permissions::from_mode(0o755))
                .unwrap();
            chown(fixture.folder(), nobody, nobody).unwrap();
            files(&fixture.folder()).iter().for_each(|file| chown(file, nobody, nobody).unwrap());
        }
        std::fs::set_permissions(fixture.folder(), Permissions::from_mode(0o500)).unwrap();

        let mut command = Command::new(std::env::current_exe().unwrap());
        if is_root {
            // Where this program is, nobody else may be let in.
            let copy = fixture.scratch.path().join("program");
            std::fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
            command = Command::new(copy);
            command.uid(NOBODY).gid(NOBODY).current_dir(fixture.scratch.path());
        }
        let ended = run(&mut command, "reads_and_cannot_write", layout, &fixture.folder());

        assert!(ended.status.success(), "{ended:?}");
        assert_eq!(files(&fixture.folder()).len(), 2);
        std::fs::set_permissions(fixture.folder(), Permissions::from_mode(0o700)).unwrap();
    }
}

/// Not a test: writes a large record where files must be small.
#[tokio::test]
#[ignore = "started by the tests of this file"]
async fn writes_more_than_fits() {
    let (storage, folder) = storage_of_process();

    let error = storage.set(&key(), &record(&"x".repeat(64 * 1024))).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(error.to_string().contains(&folder), "{error}");
    assert!(error.to_string().contains("File too large"), "{error}");
    storage.set(&key(), &record("old")).await.unwrap(); // there is room for this
}

/// Not a test: uses a folder that it cannot write to.
#[tokio::test]
#[ignore = "started by the tests of this file"]
async fn reads_and_cannot_write() {
    let (storage, folder) = storage_of_process();

    assert_eq!(storage.get(&key()).await.unwrap().unwrap().payload(), b"old");
    for refused in [storage.set(&key(), &record("new")).await, storage.delete(&key()).await] {
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Storage);
        assert!(error.to_string().contains(&folder), "{error}");
        assert!(error.to_string().contains("ermission denied"), "{error}");
    }
    assert_eq!(storage.get(&key()).await.unwrap().unwrap().payload(), b"old");
}

fn run(command: &mut Command, name: &str, layout: LayoutKind, folder: &Path) -> Output {
    command
        .args(["--exact", name, "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .env(LAYOUT, format!("{layout:?}"))
        .output()
        .unwrap()
}

fn storage_of_process() -> (tokenkeeper_storage_file::FileStorage, String) {
    let (layout, folder) = (std::env::var(LAYOUT).unwrap(), std::env::var(FOLDER).unwrap());
    let layout = LAYOUTS.into_iter().find(|l| format!("{l:?}") == layout).unwrap();
    (support::open(layout, Path::new(&folder)).unwrap(), folder)
}

const FOLDER: &str = "TOKENKEEPER_TEST_FOLDER";
const LAYOUT: &str = "TOKENKEEPER_TEST_LAYOUT";
const NOBODY: u32 = 65_534;

/// One test at a time starts programs: a child that is born while the other test copies its program
/// inherits the open file for a moment, and a file that is open for writing cannot be run.
static ALONE: Mutex<()> = Mutex::const_new(());
