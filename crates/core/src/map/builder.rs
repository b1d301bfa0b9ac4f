//! Putting a map of managers together.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::runtime::Handle;

use super::once::Once;
use super::owners::Owners;
use super::slots::Slots;
use super::{ProviderOf, Shared, TokenManagerMap};
use crate::clock::Clock;
use crate::config::Config;
use crate::driver::Driver;
use crate::error::{Error, ErrorKind};
use crate::observer::Observer;
use crate::policy::RefreshPolicy;
use crate::provider::TokenProvider;
use crate::storage::TokenStorage;

/// Builds a [`TokenManagerMap`]; see [`TokenManagerMap::builder`].
pub struct TokenManagerMapBuilder<K> {
    provider_of: Box<ProviderOf<K>>,
    config: Config,
    bound: usize,
    idle_after: Duration,
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static> TokenManagerMapBuilder<K> {
    pub(super) fn new<P: TokenProvider>(
        provider_of: impl Fn(&K) -> Result<P, Error> + Send + Sync + 'static,
    ) -> Self {
        Self {
            provider_of: Box::new(move |key| Ok(Arc::new(provider_of(key)?))),
            config: Config { has_gauges: false, ..Config::default() },
            bound: DEFAULT_BOUND,
            idle_after: DEFAULT_IDLE_TIME,
        }
    }

    /// Where the tokens of all keys are kept. Default: one [`MemoryStorage`](crate::MemoryStorage)
    /// for all, which lives as long as the map and keeps a record for every user that ever had
    /// tokens: eviction bounds managers, not records.
    #[must_use]
    pub fn storage(mut self, storage: impl TokenStorage) -> Self {
        self.config.storage = Arc::new(storage);
        self
    }

    /// When tokens are renewed, and how long anything may take.
    #[must_use]
    pub fn policy(mut self, policy: RefreshPolicy) -> Self {
        self.config.policy = policy;
        self
    }

    /// The clock, by which idle time is measured too; a [`ManualClock`](crate::ManualClock) in
    /// tests.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.config.clock = Arc::new(clock);
        self
    }

    /// The runtime for exchanges; see
    /// [`TokenManagerBuilder::driver`](crate::TokenManagerBuilder::driver).
    #[must_use]
    pub fn driver(mut self, runtime: Handle) -> Self {
        self.config.driver = Driver::Given(runtime);
        self
    }

    /// Adds somebody who hears of every event of every manager.
    #[must_use]
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.config.observers.push(Arc::new(observer));
        self
    }

    /// How many managers are kept, if enough of them [may go](TokenManagerMap#eviction). When there
    /// is one more, those go that have been idle the longest, an eighth of the bound at once, so
    /// that making a manager is cheap on average.
    ///
    /// # Default
    ///
    /// 10,000: with a token of 1 KB each takes some 6 KB beside what its provider takes, so that
    /// they stay within 60 MB.
    #[must_use]
    pub fn bound(mut self, managers: usize) -> Self {
        self.bound = managers;
        self
    }

    /// After how long without a `get` a manager goes, whatever the bound: tokens of people who left
    /// need not stay in memory. It goes when the next manager is made, a quarter of this time later
    /// at most, or by [`evict_idle`](TokenManagerMap::evict_idle). `Duration::MAX` for never.
    ///
    /// # Default
    ///
    /// One hour: few access tokens live longer, so whoever comes back later needs an exchange
    /// anyway.
    #[must_use]
    pub fn idle_after(mut self, idle: Duration) -> Self {
        self.idle_after = idle;
        self
    }

    /// The map. Nothing is started or read, and no provider is made yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the bound or the idle time is zero, or the policy has a duration
    /// that is zero, absurd, or does not go with the others; the message names it.
    pub fn build(self) -> Result<TokenManagerMap<K>, Error> {
        self.config.policy.validate()?;
        if self.bound == 0 {
            return Err(Error::new(ErrorKind::Config, "bound: must not be zero"));
        }
        if self.idle_after.is_zero() {
            return Err(Error::new(ErrorKind::Config, "idle time: must not be zero"));
        }
        Ok(self.build_valid())
    }

    pub(super) fn build_valid(self) -> TokenManagerMap<K> {
        TokenManagerMap {
            shared: Arc::new(Shared {
                provider_of: self.provider_of,
                config: self.config,
                bound: self.bound,
                idle_after: self.idle_after,
                slots: RwLock::new(Slots::default()),
                once: Once::default(),
                owners: Owners::default(),
            }),
        }
    }
}

impl<K> fmt::Debug for TokenManagerMapBuilder<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenManagerMapBuilder")
            .field("config", &self.config)
            .field("bound", &self.bound)
            .field("idle_after", &self.idle_after)
            .finish_non_exhaustive()
    }
}

const DEFAULT_BOUND: usize = 10_000; // some 60 MB
const DEFAULT_IDLE_TIME: Duration = Duration::from_secs(3_600); // few access tokens live longer
