//! M9: a refresher does not log in after a logout; that is left to the next call.

use std::sync::Arc;

use tokenkeeper::{
    CasOutcome, Clock, Error, Lease, LeaseRequest, ManualClock, MemoryStorage, RefreshPolicy,
    SharedTokenStorage, StorageKey, TokenManager, TokenRecord, TokenStorage, Version, async_trait,
};
use tokenkeeper_testkit::{PlainStorage, ScriptedProvider};
use tokio::runtime::Handle;

use crate::one_thread::{finish, pass};
use crate::support::rig::seconds;

/// A shared storage that tells of no writes.
#[derive(Clone, Debug, Default)]
struct Silent(MemoryStorage);

#[async_trait]
impl TokenStorage for Silent {
    async fn get(&self, key: &StorageKey) -> Result<Option<TokenRecord>, Error> {
        self.0.get(key).await
    }
    async fn set(&self, key: &StorageKey, record: &TokenRecord) -> Result<(), Error> {
        self.0.set(key, record).await
    }
    async fn delete(&self, key: &StorageKey) -> Result<(), Error> {
        self.0.delete(key).await
    }
    fn shared(&self) -> Option<&dyn SharedTokenStorage> {
        Some(self)
    }
}

#[async_trait]
impl SharedTokenStorage for Silent {
    async fn load(&self, key: &StorageKey) -> Result<Option<(Version, TokenRecord)>, Error> {
        self.0.load(key).await
    }
    async fn compare_and_set(
        &self,
        key: &StorageKey,
        expected: Option<&Version>,
        record: &TokenRecord,
    ) -> Result<CasOutcome, Error> {
        self.0.compare_and_set(key, expected, record).await
    }
    async fn lease(&self, key: &StorageKey, want: &LeaseRequest) -> Result<Lease, Error> {
        self.0.lease(key, want).await
    }
}

fn storages() -> [Arc<dyn TokenStorage>; 3] {
    [
        Arc::new(MemoryStorage::new()),
        Arc::new(Silent::default()),
        Arc::new(PlainStorage::new(MemoryStorage::new())),
    ]
}

fn process(
    provider: &ScriptedProvider,
    storage: &Arc<dyn TokenStorage>,
    clock: &ManualClock,
) -> TokenManager {
    TokenManager::builder(provider.clone())
        .storage(Arc::clone(storage))
        .clock(clock.clone())
        .policy(RefreshPolicy::new().without_jitter())
        .driver(Handle::current())
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_refresher_of_a_process_that_starts_after_a_logout_does_not_log_in() {
    for storage in storages() {
        let (provider, clock) = (ScriptedProvider::new("svc"), ManualClock::new());
        let one = process(&provider, &storage, &clock);
        finish(&clock, one.token()).await.unwrap();
        finish(&clock, one.clear()).await.unwrap();
        drop(one);
        assert_eq!(provider.calls(), 1);

        let newcomer = process(&provider, &storage, &clock);
        let refresher = newcomer.spawn_refresher();
        pass(&clock, seconds(3_600)).await;

        assert_eq!(provider.calls(), 1, "{storage:?}");
        finish(&clock, newcomer.token()).await.unwrap();
        assert_eq!(provider.calls(), 2, "a call ends the logout");
        pass(&clock, seconds(880)).await;
        assert_eq!(provider.calls(), 3, "then it is tended again");
        drop(refresher);
    }
}

#[tokio::test]
async fn a_refresher_of_a_sibling_does_not_log_in_after_a_logout() {
    for storage in &storages()[..2] {
        let (provider, clock) = (ScriptedProvider::new("svc"), ManualClock::new());
        let [one, sibling] = [(); 2].map(|()| process(&provider, storage, &clock));
        finish(&clock, one.token()).await.unwrap();
        let refresher = sibling.spawn_refresher();
        finish(&clock, sibling.token()).await.unwrap();
        pass(&clock, seconds(10)).await;
        finish(&clock, one.clear()).await.unwrap();
        assert_eq!(provider.calls(), 1);

        pass(&clock, seconds(7_200)).await;

        assert_eq!(provider.calls(), 1, "{storage:?}");
        assert!(sibling.peek().is_none());
        drop(refresher);
    }
}

#[tokio::test]
async fn a_refresher_logs_in_where_nobody_has_logged_out() {
    for storage in storages() {
        let (provider, clock) = (ScriptedProvider::new("svc"), ManualClock::new());
        let manager = process(&provider, &storage, &clock);

        let refresher = manager.spawn_refresher();
        pass(&clock, seconds(10)).await;

        assert_eq!(provider.calls(), 1);
        assert!(manager.peek().is_some_and(|t| t.expires_at().unwrap() > clock.now().wall()));
        drop(refresher);
    }
}
