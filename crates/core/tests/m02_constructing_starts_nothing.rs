//! M2: constructing a manager starts nothing. In a process of its own, because the others start
//! the driver's thread.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use support::rig::Rig;
use tokenkeeper::{Clock, ManualClock, Now, async_trait};
use tokenkeeper_testkit::ScriptedProvider;

/// Counts how often it is read or slept on.
#[derive(Clone, Debug, Default)]
struct CountingClock(ManualClock, Arc<AtomicUsize>);

#[async_trait]
impl Clock for CountingClock {
    fn now(&self) -> Now {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.now()
    }

    async fn sleep(&self, duration: Duration) {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.sleep(duration).await;
    }
}

#[test]
fn constructing_a_manager_starts_and_reads_nothing() {
    let threads_before = threads();
    let provider = ScriptedProvider::new("svc");
    let clock = CountingClock::default();

    let rig = Rig::with(&provider, true, |builder| builder.clock(clock.clone()));
    let clones: Vec<_> = (0..100).map(|_| rig.manager.clone().blocking()).collect();

    assert_eq!(clock.1.load(Ordering::Relaxed), 0);
    assert_eq!(rig.storage.total_calls(), 0);
    assert!(rig.manager.peek().is_none());
    assert_eq!(provider.calls(), 0);
    assert_eq!(threads(), threads_before);

    for tokens in clones {
        tokens.token().unwrap();
    }
    assert_eq!(threads(), threads_before + usize::from(cfg!(target_os = "linux")));
}

/// How many threads the process has; always none where that cannot be found out.
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}
