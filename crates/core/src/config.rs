//! What a manager lives among, and what all managers of a map have in common.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::clock::{Clock, SystemClock};
use crate::driver::Driver;
use crate::identity::StorageKey;
use crate::manager::TokenManager;
use crate::memory_storage::MemoryStorage;
use crate::observer::Observer;
use crate::policy::RefreshPolicy;
use crate::provider::TokenProvider;
use crate::shared::Core;
use crate::storage::TokenStorage;
use crate::store::lease::KeptLease;
use crate::telemetry::Telemetry;

/// Everything but the provider and the key.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) storage: Arc<dyn TokenStorage>,
    pub(crate) policy: RefreshPolicy,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) driver: Driver,
    pub(crate) observers: Vec<Arc<dyn Observer>>,
    /// Not where there is a manager for each of many users, of whom a gauge could show one.
    pub(crate) has_gauges: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            storage: Arc::new(MemoryStorage::new()),
            policy: RefreshPolicy::new(),
            clock: Arc::new(SystemClock),
            driver: Driver::Process,
            observers: Vec::new(),
            has_gauges: true,
        }
    }
}

impl Config {
    /// A manager among these. The policy must be valid.
    pub(crate) fn manager(self, provider: Arc<dyn TokenProvider>, key: StorageKey) -> TokenManager {
        let service_name = provider.identity().service_name().into();
        let key = Arc::new(key);
        let telemetry = Telemetry::new(&*provider, &service_name, &key, self.has_gauges);
        TokenManager::from_core(Core {
            provider,
            storage: self.storage,
            clock: self.clock,
            policy: self.policy,
            service_name,
            key,
            driver: self.driver,
            observers: self.observers,
            telemetry,
            published: ArcSwapOption::empty(),
            state: Mutex::default(),
            writing: tokio::sync::Mutex::new(()),
            kept_lease: KeptLease::default(),
            used_in: AtomicU32::new(0),
            changes: watch::Sender::new(0),
        })
    }
}
