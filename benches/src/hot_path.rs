//! A token that is there and fresh: what every request pays.

use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use huskarl::cache::TokenSource;

use crate::subjects::{self, Plain};
use crate::table::{Row, Table};

const ROUNDS: usize = 51;
const OPERATIONS: u32 = 200_000;

type Operation<'a> = (&'static str, Box<dyn Fn() + Sync + 'a>);

pub fn one_thread() -> Table {
    measure("Hot path, one thread", 1)
}

pub fn two_threads() -> Table {
    measure("Hot path, two threads on one manager", 2)
}

fn measure(title: &str, threads: usize) -> Table {
    let (manager, _) = subjects::tokenkeeper(false);
    let (cache, _) = subjects::huskarl(false);
    let plain = Plain::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        manager.token().await.expect("a token");
        cache.token().await.expect("a token");
    });

    let operations: Vec<Operation<'_>> = vec![
        ("tokenkeeper token()", Box::new(|| ready(manager.token()).map(drop).expect("fresh"))),
        ("tokenkeeper peek()", Box::new(|| drop(black_box(manager.peek())))),
        ("ArcSwap::load_full and Instant::now", Box::new(|| drop(black_box(plain.token())))),
        (
            "huskarl InMemoryTokenCache::token()",
            Box::new(|| ready(cache.token()).map(drop).expect("fresh")),
        ),
    ];

    let mut rows: Vec<Row> = operations
        .iter()
        .map(|(subject, _)| Row { subject, times: vec![], operations: OPERATIONS, exchanges: None })
        .collect();
    for _ in 0..ROUNDS {
        for (row, (_, operation)) in rows.iter_mut().zip(&operations) {
            row.times.push(time(operation.as_ref(), threads));
        }
    }
    Table { title: title.to_owned(), rows }
}

fn time(operation: &(dyn Fn() + Sync), threads: usize) -> Duration {
    let run = || {
        let start = Instant::now();
        for _ in 0..OPERATIONS {
            operation();
        }
        start.elapsed()
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(run)).collect();
        let own = run();
        others.into_iter().map(|other| other.join().expect("no panic")).fold(own, Duration::max)
    })
}

/// Polls once: a fresh token never waits.
fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        std::task::Poll::Ready(value) => black_box(value),
        std::task::Poll::Pending => panic!("a fresh token made its caller wait"),
    }
}
