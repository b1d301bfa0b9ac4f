//! M2: constructing a manager starts nothing. In a process of its own, because the others start
//! the driver's thread.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod rig;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rig::Rig;
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
    let provider = ScriptedProvider::new("svc");
    let clock = CountingClock::default();

    let rig = Rig::with(&provider, true, |builder| builder.clock(clock.clone()));
    let clones: Vec<_> = (0..100).map(|_| rig.manager.clone().blocking()).collect();

    assert_eq!(clock.1.load(Ordering::Relaxed), 0);
    assert_eq!(rig.storage.total_calls(), 0);
    assert!(rig.manager.peek().is_none());
    assert_eq!(provider.calls(), 0);
    assert_eq!(driver_threads(), 0);

    for tokens in clones {
        tokens.token().unwrap();
    }
    assert_eq!(driver_threads(), if cfg!(target_os = "linux") { 1 } else { 0 });
}

/// The threads that are called as the driver's is; none where that cannot be found out.
fn driver_threads() -> usize {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return 0 };
    let names =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim() == "tokenkeeper").count()
}
