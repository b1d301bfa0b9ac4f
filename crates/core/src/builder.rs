//! Putting a manager together.

use std::sync::Arc;

use tokio::runtime::Handle;

use crate::clock::Clock;
use crate::config::Config;
use crate::driver::Driver;
use crate::error::Error;
use crate::identity::StorageKey;
use crate::manager::TokenManager;
use crate::observer::Observer;
use crate::policy::RefreshPolicy;
use crate::provider::TokenProvider;
use crate::storage::TokenStorage;

/// Builds a [`TokenManager`]; see [`TokenManager::builder`].
#[derive(Debug)]
pub struct TokenManagerBuilder {
    provider: Arc<dyn TokenProvider>,
    key: Option<StorageKey>,
    config: Config,
}

impl TokenManagerBuilder {
    pub(crate) fn new(provider: Arc<dyn TokenProvider>) -> Self {
        Self { provider, key: None, config: Config::default() }
    }

    /// Where the tokens are kept. Default: a [`MemoryStorage`](crate::MemoryStorage) of its own.
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

    /// The clock; a [`ManualClock`](crate::ManualClock) in tests.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.config.clock = Arc::new(clock);
        self
    }

    /// The key of the record. Default: [`ProviderIdentity::storage_key`](crate::ProviderIdentity::storage_key).
    ///
    /// Two providers of different identity must never share a key.
    #[must_use]
    pub fn key(mut self, key: StorageKey) -> Self {
        self.key = Some(key);
        self
    }

    /// The runtime that exchanges, storage calls and timers run on. Default: one thread for the
    /// whole process, started at the first exchange.
    ///
    /// Whoever gives a runtime keeps it alive and driven: shutting it down in the middle of an
    /// exchange can lose a rotated refresh token, and on one that nobody polls callers wait for ever.
    #[must_use]
    pub fn driver(mut self, runtime: Handle) -> Self {
        self.config.driver = Driver::Given(runtime);
        self
    }

    /// Adds somebody who hears of every event.
    #[must_use]
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.config.observers.push(Arc::new(observer));
        self
    }

    /// The manager. Nothing is started or read yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if the policy has a duration that is zero,
    /// absurd, or does not go with the others; the message names it.
    pub fn build(self) -> Result<TokenManager, Error> {
        let service_name = self.provider.identity().service_name();
        self.config.policy.validate().map_err(|error| error.at_service(service_name))?;
        Ok(self.build_valid())
    }

    pub(crate) fn build_valid(self) -> TokenManager {
        let key = self.key.unwrap_or_else(|| self.provider.identity().storage_key());
        self.config.manager(self.provider, key)
    }
}
