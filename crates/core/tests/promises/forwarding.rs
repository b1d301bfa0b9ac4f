//! Pointers forward every method: a forgotten one would answer with the trait's default, and a
//! provider that needs a person would say that it does not.
//!
//! The probes below answer nothing by default; clippy sees to it that they never will.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokenkeeper::{
    AccessToken, CasOutcome, ChangeNotices, Clock, Error, ErrorKind, Event, FetchContext, Lease,
    LeaseRequest, ManualClock, MemoryStorage, Observer, Order, ProviderIdentity,
    SharedTokenStorage, StorageKey, TokenManager, TokenProvider, TokenRecord, TokenSet,
    TokenStorage, Version, async_trait,
};

/// What was called, in order.
#[derive(Clone, Debug, Default)]
struct Calls(Arc<Mutex<Vec<&'static str>>>);

impl Calls {
    fn note(&self, call: &'static str) {
        self.0.lock().push(call);
    }

    fn take(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.0.lock())
    }
}

#[derive(Clone, Debug)]
struct ProviderProbe {
    identity: ProviderIdentity,
    calls: Calls,
}

impl ProviderProbe {
    fn new(calls: &Calls) -> Self {
        Self { identity: ProviderIdentity::new("probe"), calls: calls.clone() }
    }

    fn tokens(&self, cx: &FetchContext<'_>, secret: &str) -> Result<TokenSet, Error> {
        Ok(TokenSet::new(AccessToken::new(secret, "Bearer")?, cx.ready_to_send()?))
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl TokenProvider for ProviderProbe {
    fn identity(&self) -> &ProviderIdentity {
        self.calls.note("identity");
        &self.identity
    }

    async fn fetch_token(&self, cx: &FetchContext<'_>) -> Result<TokenSet, Error> {
        self.calls.note("fetch_token");
        self.tokens(cx, "fetched")
    }

    async fn refresh_token(
        &self,
        _current: &TokenSet,
        cx: &FetchContext<'_>,
    ) -> Result<TokenSet, Error> {
        self.calls.note("refresh_token");
        self.tokens(cx, "refreshed")
    }

    fn non_interactive(&self) -> bool {
        self.calls.note("non_interactive");
        false
    }

    fn refreshes(&self) -> bool {
        self.calls.note("refreshes");
        false
    }

    async fn revoke(&self, _tokens: &TokenSet) -> Result<(), Error> {
        self.calls.note("revoke");
        Ok(())
    }
}

async fn forwards_every_call(provider: impl TokenProvider, calls: &Calls, how: &str) {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new());
    let cx = FetchContext::detached(&clock, Duration::from_secs(15));
    calls.take();

    assert_eq!(provider.identity().service_name(), "probe", "{how}");
    let fetched = provider.fetch_token(&cx).await.unwrap();
    let refreshed = provider.refresh_token(&fetched, &cx).await.unwrap();
    assert!(!provider.non_interactive(), "{how}");
    assert!(!provider.refreshes(), "{how}");
    provider.revoke(&refreshed).await.unwrap();

    let secret = |tokens: &TokenSet| tokens.access_token().unwrap().authorization();
    assert_eq!(
        (secret(&fetched), secret(&refreshed)),
        ("Bearer fetched".parse().unwrap(), "Bearer refreshed".parse().unwrap(),)
    );
    let expected =
        ["identity", "fetch_token", "refresh_token", "non_interactive", "refreshes", "revoke"];
    assert_eq!(calls.take(), expected, "{how}");
}

#[tokio::test]
async fn pointers_to_a_provider_forward_every_method() {
    let calls = Calls::default();
    let probe = || ProviderProbe::new(&calls);

    forwards_every_call(probe(), &calls, "itself").await;
    forwards_every_call(Arc::new(probe()), &calls, "Arc<T>").await;
    forwards_every_call(Box::new(probe()), &calls, "Box<T>").await;
    forwards_every_call(Arc::new(probe()) as Arc<dyn TokenProvider>, &calls, "Arc<dyn>").await;
    forwards_every_call(Box::new(probe()) as Box<dyn TokenProvider>, &calls, "Box<dyn>").await;
    let nested: Arc<dyn TokenProvider> = Arc::new(Box::new(Arc::new(probe())));
    forwards_every_call(nested, &calls, "Arc<Box<Arc<T>>>").await;
}

#[tokio::test]
async fn a_login_provider_behind_pointers_is_never_started_with_nobody_there() {
    let calls = Calls::default();
    let provider: Arc<dyn TokenProvider> = Arc::new(Box::new(ProviderProbe::new(&calls)));
    let manager = TokenManager::new(provider);

    let error = manager.token().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::LoginRequired);
    assert!(!calls.take().contains(&"fetch_token"));
}

#[derive(Clone, Debug)]
struct StorageProbe {
    inner: MemoryStorage,
    calls: Calls,
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl TokenStorage for StorageProbe {
    async fn get(&self, key: &StorageKey) -> Result<Option<TokenRecord>, Error> {
        self.calls.note("get");
        self.inner.get(key).await
    }

    async fn set(&self, key: &StorageKey, record: &TokenRecord) -> Result<(), Error> {
        self.calls.note("set");
        self.inner.set(key, record).await
    }

    async fn delete(&self, key: &StorageKey) -> Result<(), Error> {
        self.calls.note("delete");
        self.inner.delete(key).await
    }

    async fn exists(&self, key: &StorageKey) -> Result<bool, Error> {
        self.calls.note("exists");
        self.inner.exists(key).await
    }

    fn shared(&self) -> Option<&dyn SharedTokenStorage> {
        self.calls.note("shared");
        Some(self)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl SharedTokenStorage for StorageProbe {
    async fn load(&self, key: &StorageKey) -> Result<Option<(Version, TokenRecord)>, Error> {
        self.calls.note("load");
        self.inner.load(key).await
    }

    async fn compare_and_set(
        &self,
        key: &StorageKey,
        expected: Option<&Version>,
        record: &TokenRecord,
    ) -> Result<CasOutcome, Error> {
        self.calls.note("compare_and_set");
        self.inner.compare_and_set(key, expected, record).await
    }

    async fn lease(&self, key: &StorageKey, want: &LeaseRequest) -> Result<Lease, Error> {
        self.calls.note("lease");
        self.inner.lease(key, want).await
    }

    fn notices(&self, key: &StorageKey) -> Option<Box<dyn ChangeNotices>> {
        self.calls.note("notices");
        self.inner.notices(key)
    }
}

async fn keeps_everything(storage: impl TokenStorage, calls: &Calls, how: &str) {
    let key = StorageKey::new("probe").unwrap();
    let record = TokenRecord::from_parts(b"payload".to_vec(), Order::new(1, 0), None, false);
    let want =
        LeaseRequest::new(Duration::from_secs(30), Duration::ZERO, Arc::new(ManualClock::new()));

    storage.set(&key, &record).await.unwrap();
    assert_eq!(storage.get(&key).await.unwrap().unwrap().payload(), b"payload", "{how}");
    assert!(storage.exists(&key).await.unwrap(), "{how}");
    storage.delete(&key).await.unwrap();
    let shared = storage.shared().unwrap();
    let lease = shared.lease(&key, &want).await.unwrap();
    assert!(shared.load(&key).await.unwrap().is_none(), "{how}");
    shared.compare_and_set(&key, None, &record).await.unwrap();
    lease.release().await.unwrap();
    assert!(shared.notices(&key).is_some(), "{how}");

    let expected =
        ["set", "get", "exists", "delete", "shared", "lease", "load", "compare_and_set", "notices"];
    assert_eq!(calls.take(), expected, "{how}");
}

#[tokio::test]
async fn pointers_to_a_storage_forward_every_method() {
    let calls = Calls::default();
    let probe = || StorageProbe { inner: MemoryStorage::new(), calls: calls.clone() };

    keeps_everything(probe(), &calls, "itself").await;
    keeps_everything(Arc::new(probe()), &calls, "Arc<T>").await;
    keeps_everything(Box::new(probe()), &calls, "Box<T>").await;
    keeps_everything(Arc::new(probe()) as Arc<dyn TokenStorage>, &calls, "Arc<dyn>").await;
    keeps_everything(Box::new(probe()) as Box<dyn TokenStorage>, &calls, "Box<dyn>").await;
    let nested: Arc<dyn TokenStorage> = Arc::new(Box::new(Arc::new(probe())));
    keeps_everything(nested, &calls, "Arc<Box<Arc<T>>>").await;
}

#[test]
fn a_pointer_to_a_plain_storage_is_plain() {
    let plain = || tokenkeeper_testkit::PlainStorage::new(MemoryStorage::new());

    assert!(Arc::new(plain()).shared().is_none());
    assert!(Box::new(plain()).shared().is_none());
    assert!((Arc::new(plain()) as Arc<dyn TokenStorage>).shared().is_none());
}

#[derive(Clone, Debug)]
struct ObserverProbe(Calls);

#[deny(clippy::missing_trait_methods)]
impl Observer for ObserverProbe {
    fn on_event(&self, _event: &Event) {
        self.0.note("on_event");
    }
}

async fn hears(observer: impl Observer, calls: &Calls, how: &str) {
    let provider = tokenkeeper_testkit::ScriptedProvider::new("svc");
    let manager = TokenManager::builder(provider).observer(observer).build().unwrap();

    manager.clear().await.unwrap();

    assert_eq!(calls.take(), ["on_event"], "{how}");
}

#[tokio::test]
async fn pointers_to_an_observer_forward_every_event() {
    let calls = Calls::default();
    let probe = || ObserverProbe(calls.clone());

    hears(probe(), &calls, "itself").await;
    hears(Arc::new(probe()), &calls, "Arc<T>").await;
    hears(Box::new(probe()), &calls, "Box<T>").await;
    hears(Arc::new(probe()) as Arc<dyn Observer>, &calls, "Arc<dyn>").await;
    hears(Box::new(probe()) as Box<dyn Observer>, &calls, "Box<dyn>").await;
}
