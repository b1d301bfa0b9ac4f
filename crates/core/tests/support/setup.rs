//! One manager on a manual clock, for the tests of the promises.

use std::time::Duration;

use tokenkeeper::{ManualClock, MemoryStorage, RefreshPolicy, TokenManager, TokenStorage};
use tokenkeeper_testkit::ScriptedProvider;

/// A manager without jitter, and the handles that a test moves it by.
pub struct Setup {
    pub manager: TokenManager,
    pub clock: ManualClock,
    pub storage: MemoryStorage,
}

impl Setup {
    pub fn new(provider: &ScriptedProvider) -> Self {
        let (clock, storage) = (ManualClock::new(), MemoryStorage::new());
        let manager = manager(provider, storage.clone(), &clock);
        Self { manager, clock, storage }
    }
}

pub fn manager(
    provider: &ScriptedProvider,
    storage: impl TokenStorage,
    clock: &ManualClock,
) -> TokenManager {
    TokenManager::builder(provider.clone())
        .storage(storage)
        .clock(clock.clone())
        .policy(RefreshPolicy::new().without_jitter())
        .build()
        .unwrap()
}

pub fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}
