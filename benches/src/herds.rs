//! Ten thousand tasks that want a token at the same moment: one that comes, and one that does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use huskarl::cache::TokenSource;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use crate::subjects;
use crate::table::{Row, Table};

const TASKS: usize = 10_000;
const ROUNDS: usize = 15;

pub fn cold() -> Table {
    measure(format!("Cold herd: {TASKS} tasks, no token yet"), false)
}

pub fn failing() -> Table {
    measure(format!("Failing herd: {TASKS} tasks, and the service is down"), true)
}

fn measure(title: String, fails: bool) -> Table {
    let runtime = Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    let mut ours = row("tokenkeeper token()");
    let mut theirs = row("huskarl InMemoryTokenCache::token()");
    for _ in 0..ROUNDS {
        let (manager, calls) = subjects::tokenkeeper(fails);
        ours.add(
            &calls,
            herd(&runtime, || {
                let manager = manager.clone();
                async move { manager.token().await.is_ok() }
            }),
        );
        let (cache, calls) = subjects::huskarl(fails);
        theirs.add(
            &calls,
            herd(&runtime, || {
                let cache = Arc::clone(&cache);
                async move { cache.token().await.is_ok() }
            }),
        );
    }
    Table { title, rows: vec![ours, theirs] }
}

fn herd<F>(runtime: &Runtime, call: impl Fn() -> F) -> Duration
where
    F: Future<Output = bool> + Send + 'static,
{
    runtime.block_on(async {
        let start = Instant::now();
        let mut tasks = JoinSet::new();
        for _ in 0..TASKS {
            tasks.spawn(call());
        }
        let answers = tasks.join_all().await;
        let took = start.elapsed();
        assert!(answers.iter().all(|ok| *ok == answers[0]), "all callers share one answer");
        took
    })
}

fn row(subject: &'static str) -> Row {
    Row { subject, times: vec![], operations: 1, exchanges: None }
}

impl Row {
    fn add(&mut self, calls: &AtomicUsize, took: Duration) {
        self.times.push(took);
        self.exchanges = Some(calls.load(Ordering::Relaxed));
    }
}
