//! Several processes on one storage: this program, started anew.
//!
//! The lease of a process that is killed or stopped ends by the clock of the machine, so two of these
//! tests wait for that.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

#[allow(dead_code, reason = "it is shared with the other test binaries")]
#[path = "files/support.rs"]
mod support;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use support::{Fixture, LAYOUTS, LayoutKind, key, record};
use tokenkeeper::{
    CasOutcome, Clock, Lease, LeaseRequest, SharedTokenStorage, SystemClock, TokenStorage,
};
use tokenkeeper_storage_file::FileStorage;

#[tokio::test]
async fn processes_that_add_to_one_record_lose_nothing() {
    for layout in LAYOUTS {
        let fixture = Fixture::new(layout);
        let storage = fixture.storage();
        storage.set(&key(), &record("")).await.unwrap();

        let adders: Vec<_> = (0..PROCESSES)
            .map(|number| {
                let mut process = process("adds_to_a_record", layout, &fixture.folder());
                process.env(NUMBER, number.to_string()).stdout(Stdio::null()).spawn().unwrap()
            })
            .collect();
        for mut adder in adders {
            assert!(adder.wait().unwrap().success());
        }

        let found = storage.get(&key()).await.unwrap().unwrap();
        let found = String::from_utf8(found.payload().to_vec()).unwrap();
        let mut lines: Vec<_> = found.lines().collect();
        lines.sort_unstable();
        lines.dedup();
        assert_eq!(lines.len(), PROCESSES * ADDITIONS, "{found}");
    }
}

#[tokio::test]
async fn a_lease_whose_holder_was_killed_is_free_after_its_time_and_not_before() {
    for layout in LAYOUTS {
        let fixture = Fixture::new(layout);
        let storage = fixture.storage();
        let started = SystemClock.now();
        let mut holder = holder(layout, &fixture.folder(), SHORT);
        holder.kill();

        let lease = lease(&storage, LONG, PATIENCE).await.unwrap();

        let waited = SystemClock.now().since(&started);
        assert!(waited + TICK >= SHORT, "it was handed over after {waited:?}");
        lease.release().await.unwrap();
    }
}

#[tokio::test]
async fn a_holder_that_is_stopped_loses_the_lease_after_its_time_and_cannot_renew_it() {
    let fixture = Fixture::new(LayoutKind::Directory);
    let storage = fixture.storage();
    let mut holder = holder(LayoutKind::Directory, &fixture.folder(), SHORT);
    let pid = Pid::from_child(&holder.0);
    kill_process(pid, Signal::STOP).unwrap();

    let lease = lease(&storage, LONG, PATIENCE).await.unwrap();
    drop(holder.0.stdin.take()); // when it goes on, it renews
    kill_process(pid, Signal::CONT).unwrap();

    assert_eq!(holder.0.wait().unwrap().code(), Some(LOST));
    assert!(lease.remaining() > Duration::ZERO);
    let refused = self::lease(&storage, LONG, Duration::ZERO).await;
    assert!(refused.is_err(), "its release ended the lease of another");
    lease.release().await.unwrap();
}

#[tokio::test]
async fn writes_go_on_while_another_process_holds_the_lease() {
    for layout in LAYOUTS {
        let fixture = Fixture::new(layout);
        let storage = fixture.storage();
        let mut holder = holder(layout, &fixture.folder(), LONG);

        storage.set(&key(), &record("new")).await.unwrap();
        storage.delete(&key()).await.unwrap();

        assert!(lease(&storage, LONG, Duration::ZERO).await.is_err());
        holder.kill();
    }
}

#[tokio::test]
async fn a_writer_that_was_killed_leaves_no_lock() {
    for layout in LAYOUTS {
        let fixture = Fixture::new(layout);
        let storage = fixture.storage();
        storage.set(&key(), &record("old")).await.unwrap();
        let mut holder = started(&mut process("holds_the_lock", layout, &fixture.folder()));
        holder.kill();

        storage.set(&key(), &record("new")).await.unwrap();
    }
}

/// Not a test: adds lines to the record.
#[tokio::test]
#[ignore = "started by the tests of this file"]
async fn adds_to_a_record() {
    let storage = storage_of_process();
    let number = std::env::var(NUMBER).unwrap();
    for addition in 0..ADDITIONS {
        let line = format!("{number}-{addition}\n");
        loop {
            let (version, found) = storage.load(&key()).await.unwrap().unwrap();
            let text = String::from_utf8(found.payload().to_vec()).unwrap();
            let longer = record(&format!("{text}{line}"));
            // An error is a lock that was not to be had on a busy machine: nothing was written.
            if let Ok(CasOutcome::Stored(_)) =
                storage.compare_and_set(&key(), Some(&version), &longer).await
            {
                break;
            }
        }
    }
}

/// Not a test: takes the lease and holds it until its standard input is closed, then renews it.
#[tokio::test]
#[ignore = "started by the tests of this file"]
async fn holds_the_lease() {
    let storage = storage_of_process();
    let ttl = Duration::from_millis(std::env::var(TTL_MILLIS).unwrap().parse().unwrap());
    let mut lease = lease(&storage, ttl, Duration::ZERO).await.unwrap();
    println!("\n{READY}");
    wait_for_the_end_of_input();
    let renewed = lease.renew().await;
    lease.release().await.unwrap();
    std::process::exit(if renewed.is_err() { LOST } else { 0 });
}

/// Not a test: holds the lock until it is killed.
#[tokio::test]
#[ignore = "started by the tests of this file"]
async fn holds_the_lock() {
    let folder = std::env::var(FOLDER).unwrap();
    let files = support::files(Path::new(&folder));
    let lock = files.iter().find(|path| path.to_str().unwrap().contains("lock")).unwrap();
    let lock = std::fs::File::open(lock).unwrap();
    lock.lock().unwrap();
    println!("\n{READY}");
    wait_for_the_end_of_input();
}

fn process(name: &str, layout: LayoutKind, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", name, "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .env(LAYOUT, format!("{layout:?}"));
    command
}

/// A process that says that it is where its name says.
fn started(process: &mut Command) -> Started {
    let mut process = process.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let output = BufReader::new(process.stdout.take().unwrap());
    // What it says later goes nowhere, but it must be able to say it.
    let mut lines = output.lines();
    assert!(lines.by_ref().any(|line| line.unwrap() == READY), "it did not get there");
    std::thread::spawn(move || lines.for_each(drop));
    Started(process)
}

/// A process that does not outlive its test.
struct Started(Child);

impl Started {
    fn kill(&mut self) {
        self.0.kill().unwrap(); // SIGKILL
        self.0.wait().unwrap();
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn holder(layout: LayoutKind, folder: &Path, ttl: Duration) -> Started {
    let mut process = process("holds_the_lease", layout, folder);
    started(process.env(TTL_MILLIS, ttl.as_millis().to_string()))
}

fn storage_of_process() -> FileStorage {
    let layout = std::env::var(LAYOUT).unwrap();
    let layout = LAYOUTS.into_iter().find(|l| format!("{l:?}") == layout).unwrap();
    support::open(layout, Path::new(&std::env::var(FOLDER).unwrap())).unwrap()
}

async fn lease(
    storage: &FileStorage,
    ttl: Duration,
    wait: Duration,
) -> Result<Lease, tokenkeeper::Error> {
    storage.lease(&key(), &LeaseRequest::new(ttl, wait, Arc::new(SystemClock))).await
}

fn wait_for_the_end_of_input() {
    while std::io::stdin().lock().read_line(&mut String::new()).unwrap() > 0 {}
}

const FOLDER: &str = "TOKENKEEPER_TEST_FOLDER";
const LAYOUT: &str = "TOKENKEEPER_TEST_LAYOUT";
const NUMBER: &str = "TOKENKEEPER_TEST_NUMBER";
const READY: &str = "it is where its name says";
const LOST: i32 = 7;
const PROCESSES: usize = 4;
const ADDITIONS: usize = 25;
const TTL_MILLIS: &str = "TOKENKEEPER_TEST_TTL";
const SHORT: Duration = Duration::from_secs(2); // is waited for
const LONG: Duration = Duration::from_secs(600);
const TICK: Duration = Duration::from_millis(30); // coarse clocks
const PATIENCE: Duration = Duration::from_secs(60);
