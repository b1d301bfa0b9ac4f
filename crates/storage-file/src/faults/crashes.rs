//! A process that dies at any step of a write: a real one, this program started anew.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokenkeeper::{CasOutcome, LeaseRequest, SharedTokenStorage, SystemClock, TokenStorage};

use super::{Fault, Faults, key, layouts, leftovers, record, storage};
use crate::place::Layout;

/// What the process does that dies.
const DEEDS: [&str; 4] = ["set", "compare_and_set", "delete", "lease"];

#[tokio::test]
async fn a_write_may_stop_at_every_step_and_leaves_the_old_record_or_the_new_one() {
    for (deed, steps) in [("set", 6), ("compare_and_set", 6), ("delete", 3)] {
        for at in 0..steps {
            let folder = TempDir::new().unwrap();
            for (number, layout) in layouts(folder.path()).into_iter().enumerate() {
                healthy(&layout).set(&key(), &record("old")).await.unwrap();

                die(folder.path(), number, deed, at);

                let restarted = healthy(&layout);
                let what = format!("{deed} that died before step {at} in {restarted:?}");
                let found = restarted.get(&key()).await.unwrap();
                let found = found.map(|record| record.payload().to_vec());
                let is_done = at + 1 == steps; // only the sync of the folder is missing
                let new = (deed != "delete").then(|| b"new".to_vec());
                assert_eq!(found, if is_done { new } else { Some(b"old".to_vec()) }, "{what}");
                assert!(leftovers(&layout).is_empty(), "{what}");
                restarted.set(&key(), &record("next")).await.unwrap();
                let next = restarted.get(&key()).await.unwrap().unwrap();
                assert_eq!(next.payload(), b"next", "{what}");
            }
        }
    }
}

#[tokio::test]
async fn the_first_write_may_stop_at_every_step_and_leaves_nothing_or_the_record() {
    for at in 0..6 {
        let folder = TempDir::new().unwrap();
        for (number, layout) in layouts(folder.path()).into_iter().enumerate() {
            die(folder.path(), number, "set", at);

            let restarted = healthy(&layout);
            let what = format!("a first write that died before step {at} in {restarted:?}");
            let found = restarted.get(&key()).await.unwrap();
            let found = found.map(|record| record.payload().to_vec());
            assert_eq!(found, (at == 5).then(|| b"new".to_vec()), "{what}");
            assert!(leftovers(&layout).is_empty(), "{what}");
            restarted.set(&key(), &record("next")).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_writer_that_died_in_the_middle_is_cleaned_up_after_by_the_next_writer() {
    let folder = TempDir::new().unwrap();
    for (number, layout) in layouts(folder.path()).into_iter().enumerate() {
        let survivor = healthy(&layout); // made before, so it is not its start that cleans
        die(folder.path(), number, "set", 3);
        assert_eq!(leftovers(&layout).len(), 1);

        survivor.set(&key(), &record("next")).await.unwrap();

        assert!(leftovers(&layout).is_empty());
    }
}

#[tokio::test]
async fn a_process_that_died_while_it_took_the_lease_left_it_free_or_taken() {
    for at in 0..4 {
        let folder = TempDir::new().unwrap();
        for (number, layout) in layouts(folder.path()).into_iter().enumerate() {
            die(folder.path(), number, "lease", at);

            let want = LeaseRequest::new(TTL, Duration::ZERO, Arc::new(SystemClock));
            let lease = healthy(&layout).lease(&key(), &want).await;

            // It died before the file had its name, so before it could know that it had the lease.
            lease.unwrap().release().await.unwrap();
            assert!(leftovers(&layout).is_empty());
        }
    }
}

/// Not a test: the process that dies.
#[tokio::test]
#[ignore = "started by the tests of this file"]
async fn the_process_that_dies() {
    let variable = |name| std::env::var(name).unwrap();
    let number: usize = variable(LAYOUT).parse().unwrap();
    let layout = &layouts(Path::new(&variable(FOLDER)))[number];
    let faults = Arc::new(Faults::at(variable(STEP).parse().unwrap(), Fault::Dies));
    let storage = storage(layout, &faults);

    let deed = variable(DEED);
    assert!(DEEDS.contains(&deed.as_str()));
    match deed.as_str() {
        "set" => storage.set(&key(), &record("new")).await.unwrap(),
        "delete" => storage.delete(&key()).await.unwrap(),
        "lease" => {
            let want = LeaseRequest::new(TTL, Duration::ZERO, Arc::new(SystemClock));
            std::mem::forget(storage.lease(&key(), &want).await.unwrap());
        }
        _ => {
            let (version, _) = storage.load(&key()).await.unwrap().unwrap();
            let put = storage.compare_and_set(&key(), Some(&version), &record("new")).await;
            assert!(matches!(put.unwrap(), CasOutcome::Stored(_)));
        }
    }
}

/// Starts a process that does this and dies directly before the step.
fn die(folder: &Path, layout: usize, deed: &str, step: usize) {
    let ended = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "faults::crashes::the_process_that_dies", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .env(LAYOUT, layout.to_string())
        .env(DEED, deed)
        .env(STEP, step.to_string())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.signal(), Some(SIGABRT), "{deed} before step {step}: {said}");
}

fn healthy(layout: &Layout) -> crate::FileStorage {
    storage(layout, &Arc::default())
}

const FOLDER: &str = "TOKENKEEPER_TEST_FOLDER";
const LAYOUT: &str = "TOKENKEEPER_TEST_LAYOUT";
const DEED: &str = "TOKENKEEPER_TEST_DEED";
const STEP: &str = "TOKENKEEPER_TEST_STEP";
const TTL: Duration = Duration::from_secs(600); // nobody waits for its end
const SIGABRT: i32 = 6;
