//! The rules about several processes: this program, started anew. What is kept in the memory of a
//! process, in a static too, is not in the next one.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use tokenkeeper::{CasOutcome, Clock, StorageKey, SystemClock, Version};

use super::backend::{Opening, SharedBackend};
use super::patience::within;
use super::rule::{LONG, PATIENCE, Rule, TICK, Wait, fresh_key, key, lease_request, record};

/// What one process wrote, another finds and can replace.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn processes_see_each_others_records(backend: SharedBackend) {
    let rule = Rule::new(
        "processes_see_each_others_records",
        "keep records and versions where every process finds them",
    );
    let (storage, key) = (backend.open().await, fresh_key());
    let version = rule.cas(&storage, &key, None, &record(b"parent")).await;
    let version = rule.stored(version, "where nothing was");

    let child = Process::start(rule, &backend, Deed::Replace, &key);
    child.check_done(rule);

    let outcome = rule.cas(&storage, &key, Some(&version), &record(b"too late")).await;
    let there = rule.conflict(outcome, "with a version that another process has replaced");
    let (_, found) = rule.some(there, "the record of another process is not given");
    rule.same(&found, &record(b"parent, child"), "after another process replaced it");
}

/// No process gives a version that another one gave, also after a delete.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn no_two_processes_give_the_same_version(backend: SharedBackend) {
    let rule = Rule::new(
        "no_two_processes_give_the_same_version",
        "take versions from a counter in the backend, or make them random: a counter in memory \
         starts anew with every process",
    );
    let key = fresh_key();
    let mut seen = Vec::new();
    for _ in 0..2 {
        let child = Process::start(rule, &backend, Deed::AddAndDelete, &key);
        let version = child.said(rule);
        child.check_done(rule);
        rule.check(!seen.contains(&version), "two processes gave the same version");
        seen.push(version);
    }
}

/// Processes that add to one record, and repeat on a conflict, lose nothing.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn processes_lose_no_update_of_each_other(backend: SharedBackend) {
    let rule = Rule::new(
        "processes_lose_no_update_of_each_other",
        "compare and write in one step of the backend: a lock in memory keeps out no other process",
    );
    let (storage, key) = (backend.open().await, fresh_key());
    let version = rule.cas(&storage, &key, None, &record(b"")).await;
    rule.stored(version, "where nothing was");

    let mut adders: Vec<_> =
        (0..ADDERS).map(|_| Process::start(rule, &backend, Deed::Append, &key)).collect();
    adders.iter().for_each(|adder| drop(adder.said(rule))); // all of them are there
    adders.iter_mut().for_each(Process::go_on);
    adders.into_iter().for_each(|adder| adder.check_done(rule));

    let (_, found) = rule.some(rule.load(&storage, &key).await, "load found nothing");
    let (expected, there) = (ADDERS * ADDITIONS, found.payload().len());
    rule.check(there == expected, &format!("of {expected} updates {there} are there"));
}

/// A lease keeps out other processes, and ends by its time and not with its process: the request of a
/// process that was killed may still be on its way.
///
/// # Panics
///
/// If the storage breaks the rule.
pub async fn a_lease_outlives_its_process(backend: SharedBackend) {
    let rule = Rule::new(
        "a_lease_outlives_its_process",
        "keep leases in the backend with an end of their own: not in memory, and not in a lock or a \
         connection that goes when its process is killed",
    );
    let (storage, key) = (backend.open().await, fresh_key());

    let mut holder = Process::start(rule, &backend, Deed::HoldFor(LONG), &key);
    holder.said(rule);
    rule.check(rule.is_leased(&storage, &key).await, "another process got a lease that is held");
    holder.kill();
    let found = "the lease of a process that was killed was free at once";
    rule.check(rule.is_leased(&storage, &key).await, found);

    let (key, started) = (fresh_key(), SystemClock.now());
    let mut holder = Process::start(rule, &backend, Deed::HoldFor(SHORT), &key);
    holder.said(rule);
    holder.kill();
    let next =
        within(PATIENCE, rule.shared(&storage).lease(&key, &lease_request(LONG, LONG))).await;
    let next = rule.some(next, "the lease of a process that was killed does not end");
    let waited = SystemClock.now().since(&started);
    rule.check(waited + TICK >= SHORT, "it was given away before its time was up");
    rule.ok("release", rule.ok("lease", next).release().await);
}

/// What a test of the name `a_process_of_the_contract` does: the part of the process that a rule has
/// started. It does nothing where no rule did.
///
/// # Panics
///
/// If the storage fails.
pub async fn run_process(open: fn(PathBuf) -> Opening) {
    let Some((deed, folder, key)) = Deed::ordered() else { return };
    let rule = Rule::new("a_process_of_the_contract", "see the rule that started it");
    let storage = open(folder).await;
    match deed {
        Deed::Replace => {
            let (version, found) = rule.some(rule.load(&storage, &key).await, "nothing is there");
            let longer = record(&[found.payload(), b", child"].concat());
            let outcome = rule.cas(&storage, &key, Some(&version), &longer).await;
            rule.stored(outcome, "with the version that is there");
        }
        Deed::AddAndDelete => {
            let outcome = rule.cas(&storage, &key, None, &record(b"the same bytes")).await;
            say(&shown(&rule.stored(outcome, "where nothing was")));
            rule.ok("delete", storage.delete(&key).await);
        }
        Deed::Append => {
            say("ready");
            wait_to_go_on();
            let mut added = 0;
            while added < ADDITIONS {
                let (version, found) = rule.some(rule.load(&storage, &key).await, "it vanished");
                let longer = record(&[found.payload(), b"+"].concat());
                let outcome = rule.cas(&storage, &key, Some(&version), &longer).await;
                added += usize::from(matches!(outcome, CasOutcome::Stored(_)));
            }
        }
        Deed::HoldFor(ttl) => {
            let lease = rule.lease(&storage, &key, ttl, Wait::Not).await;
            say("ready");
            wait_to_go_on(); // it is killed before that
            drop(lease);
        }
    }
}

/// What a process is started for.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Replace,
    AddAndDelete,
    Append,
    HoldFor(Duration),
}

impl Deed {
    fn order(self, command: &mut Command) {
        let (name, ttl) = match self {
            Self::Replace => ("replace", Duration::ZERO),
            Self::AddAndDelete => ("add and delete", Duration::ZERO),
            Self::Append => ("append", Duration::ZERO),
            Self::HoldFor(ttl) => ("hold", ttl),
        };
        command.env(DEED, name).env(TTL_MILLIS, ttl.as_millis().to_string());
    }

    fn ordered() -> Option<(Self, PathBuf, StorageKey)> {
        let deed = match std::env::var(DEED).ok()?.as_str() {
            "replace" => Self::Replace,
            "add and delete" => Self::AddAndDelete,
            "append" => Self::Append,
            _ => {
                Self::HoldFor(Duration::from_millis(std::env::var(TTL_MILLIS).ok()?.parse().ok()?))
            }
        };
        Some((deed, std::env::var_os(FOLDER)?.into(), key(&std::env::var(KEY).ok()?)))
    }
}

/// A process that does not outlive its rule.
struct Process {
    child: Child,
    output: std::cell::RefCell<BufReader<ChildStdout>>,
}

impl Process {
    fn start(rule: Rule, backend: &SharedBackend, deed: Deed, key: &StorageKey) -> Self {
        let program = rule.some(std::env::current_exe().ok(), "this program cannot be found");
        let mut command = Command::new(program);
        command.args(["--exact", backend.process(), "--ignored", "--nocapture"]);
        command.env(FOLDER, backend.folder()).env(KEY, key.as_str());
        deed.order(&mut command);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = rule.some(child.ok(), "this program cannot be started anew");
        let output = rule.some(child.stdout.take(), "a process without output");
        Self { child, output: std::cell::RefCell::new(BufReader::new(output)) }
    }

    /// The next thing that it says.
    fn said(&self, rule: Rule) -> String {
        let mut output = self.output.borrow_mut();
        let mut lines = output.by_ref().lines().map_while(Result::ok);
        let said = lines.find_map(|line| line.strip_prefix(SAYS).map(str::to_owned));
        rule.some(said, "another process failed; its output says why")
    }

    fn go_on(&mut self) {
        drop(self.child.stdin.take());
    }

    fn check_done(mut self, rule: Rule) {
        self.go_on();
        let mut rest = String::new();
        let _ = self.output.get_mut().read_to_string(&mut rest);
        let ended = self.child.wait();
        rule.check(
            ended.is_ok_and(|ended| ended.success()),
            "another process failed; its output says why",
        );
        // Where the runner knows no test of the name, it runs none and is content.
        rule.check(
            rest.contains("1 passed"),
            "another process has no test `a_process_of_the_contract`",
        );
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

#[expect(clippy::print_stdout, reason = "that is how a process tells the one that started it")]
fn say(what: &str) {
    println!("\n{SAYS}{what}");
}

fn wait_to_go_on() {
    let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
}

fn shown(version: &Version) -> String {
    version.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

const DEED: &str = "TOKENKEEPER_CONTRACT_DEED";
const FOLDER: &str = "TOKENKEEPER_CONTRACT_FOLDER";
const KEY: &str = "TOKENKEEPER_CONTRACT_KEY";
const TTL_MILLIS: &str = "TOKENKEEPER_CONTRACT_TTL_MILLIS";
const SAYS: &str = "a process of the contract says: ";
const ADDERS: usize = 3;
const ADDITIONS: usize = 10;
const SHORT: Duration = Duration::from_secs(2); // is waited for
