//! M2: panics of a stranger's code in odd places, and limits that only just hold.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokenkeeper::{
    CasOutcome, Clock, Error, ErrorKind, Event, FetchContext, Lease, LeaseHandle, LeaseRequest,
    ManualClock, MemoryStorage, Observer, ProviderIdentity, RefreshPolicy, SharedTokenStorage,
    StorageKey, TokenManager, TokenProvider, TokenRecord, TokenSet, TokenStorage, Version,
    async_trait,
};
use tokenkeeper_testkit::{Gate, ScriptedProvider, Step};
use tokio::runtime::Handle;

use crate::one_thread::{finish, pass};
use crate::support::records::tokens_of;
use crate::support::rig::seconds;
use crate::support::waiting::settled;

/// A shared storage with odd leases, whose writes can be made to fail.
#[derive(Clone, Debug, Default)]
struct Odd {
    inner: MemoryStorage,
    refuses_writes: Arc<AtomicBool>,
    /// How long an answer is on its way, in milliseconds; the clock is advanced by it.
    latency: Option<(ManualClock, Duration)>,
    panics_when_abandoned: bool,
}

#[derive(Debug)]
struct OddLease {
    lease: Lease,
    panics: bool,
    latency: Option<(ManualClock, Duration)>,
}

#[async_trait]
impl TokenStorage for Odd {
    async fn get(&self, key: &StorageKey) -> Result<Option<TokenRecord>, Error> {
        self.inner.get(key).await
    }
    async fn set(&self, key: &StorageKey, record: &TokenRecord) -> Result<(), Error> {
        self.inner.set(key, record).await
    }
    async fn delete(&self, key: &StorageKey) -> Result<(), Error> {
        self.inner.delete(key).await
    }
    fn shared(&self) -> Option<&dyn SharedTokenStorage> {
        Some(self)
    }
}

#[async_trait]
impl SharedTokenStorage for Odd {
    async fn load(&self, key: &StorageKey) -> Result<Option<(Version, TokenRecord)>, Error> {
        let loaded = self.inner.load(key).await;
        if let Some((clock, latency)) = &self.latency {
            clock.advance(*latency);
        }
        loaded
    }
    async fn compare_and_set(
        &self,
        key: &StorageKey,
        expected: Option<&Version>,
        record: &TokenRecord,
    ) -> Result<CasOutcome, Error> {
        if self.refuses_writes.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Storage, "it is read-only"));
        }
        self.inner.compare_and_set(key, expected, record).await
    }
    async fn lease(&self, key: &StorageKey, want: &LeaseRequest) -> Result<Lease, Error> {
        let asked_at = want.clock().now();
        let lease = self.inner.lease(key, want).await?;
        if let Some((clock, latency)) = &self.latency {
            clock.advance(*latency);
        }
        let (panics, latency) = (self.panics_when_abandoned, self.latency.clone());
        Ok(want.granted(asked_at, Box::new(OddLease { lease, panics, latency })))
    }
}

#[async_trait]
impl LeaseHandle for OddLease {
    async fn renew(&mut self, _ttl: Duration) -> Result<(), Error> {
        if self.panics {
            return Err(Error::new(ErrorKind::Storage, "it cannot be renewed"));
        }
        self.lease.renew().await?;
        if let Some((clock, latency)) = &self.latency {
            clock.advance(*latency);
        }
        Ok(())
    }
    async fn release(self: Box<Self>) -> Result<(), Error> {
        self.lease.release().await
    }
    fn abandon(self: Box<Self>) {
        assert!(!self.panics, "abandoning panics");
    }
}

fn manager(provider: impl TokenProvider, storage: &Odd, clock: &ManualClock) -> TokenManager {
    TokenManager::builder(provider)
        .storage(storage.clone())
        .clock(clock.clone())
        .policy(RefreshPolicy::new().without_jitter())
        .driver(Handle::current())
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_panic_when_a_lease_is_abandoned_does_not_end_the_retry_of_a_write() {
    let (provider, clock) = (ScriptedProvider::new("svc"), ManualClock::new());
    let storage = Odd { panics_when_abandoned: true, ..Odd::default() };
    let manager = manager(provider, &storage, &clock);
    finish(&clock, manager.token()).await.unwrap();
    pass(&clock, seconds(60)).await;
    storage.refuses_writes.store(true, Ordering::Relaxed);
    finish(&clock, manager.force_refresh()).await.unwrap();
    pass(&clock, seconds(300)).await;

    storage.refuses_writes.store(false, Ordering::Relaxed);
    pass(&clock, seconds(300)).await;

    assert!(manager.status().unpersisted().is_none());
    let record = storage.inner.get(manager.key()).await.unwrap().unwrap();
    assert!(String::from_utf8(record.payload().to_vec()).unwrap().contains("refresh-2"));
    finish(&clock, manager.flush()).await.unwrap();
}

/// Says whether it needs a person only when it does not panic.
#[derive(Debug)]
struct Moody {
    inner: ScriptedProvider,
    panics: Arc<AtomicBool>,
}

#[async_trait]
impl TokenProvider for Moody {
    fn identity(&self) -> &ProviderIdentity {
        self.inner.identity()
    }
    async fn fetch_token(&self, cx: &FetchContext<'_>) -> Result<TokenSet, Error> {
        self.inner.fetch_token(cx).await
    }
    async fn refresh_token(
        &self,
        current: &TokenSet,
        cx: &FetchContext<'_>,
    ) -> Result<TokenSet, Error> {
        self.inner.refresh_token(current, cx).await
    }
    fn non_interactive(&self) -> bool {
        assert!(!self.panics.load(Ordering::Relaxed), "it panics");
        self.inner.non_interactive()
    }
}

#[tokio::test]
async fn a_provider_that_panicked_when_asked_for_its_kind_does_not_end_the_refresher() {
    let (provider, clock) = (ScriptedProvider::new("svc"), ManualClock::new());
    let panics = Arc::new(AtomicBool::new(false));
    let moody = Moody { inner: provider.clone(), panics: Arc::clone(&panics) };
    let manager = manager(moody, &Odd::default(), &clock);
    let refresher = manager.spawn_refresher();
    pass(&clock, seconds(10)).await;
    assert_eq!(provider.calls(), 1);

    panics.store(true, Ordering::Relaxed);
    pass(&clock, seconds(800)).await;
    panics.store(false, Ordering::Relaxed);
    pass(&clock, seconds(1_200)).await;

    assert!(provider.calls() >= 3, "{}", provider.calls());
    assert!(manager.peek().is_some());
    drop(refresher);
}

/// Panics with something that panics when it is dropped.
#[derive(Debug)]
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            std::panic::panic_any("the payload of a panic panics when it is dropped");
        }
    }
}

#[derive(Debug)]
struct Bomber;

impl Observer for Bomber {
    fn on_event(&self, _event: &Event) {
        std::panic::panic_any(Bomb);
    }
}

#[tokio::test]
async fn an_observer_whose_panic_panics_when_it_is_dropped_costs_nobody_a_token() {
    let (provider, clock) = (ScriptedProvider::new("svc"), ManualClock::new());
    let manager = TokenManager::builder(provider)
        .clock(clock.clone())
        .driver(Handle::current())
        .observer(Bomber)
        .build()
        .unwrap();

    let token = finish(&clock, manager.token()).await.unwrap();
    assert!(manager.invalidate(&token));
    finish(&clock, manager.token()).await.unwrap();
    finish(&clock, manager.clear()).await.unwrap();
    finish(&clock, manager.flush()).await.unwrap();
}

/// Panics where the manager drops it.
struct PanicsWhenDropped(Arc<AtomicBool>);

impl fmt::Debug for PanicsWhenDropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a cause")
    }
}

impl fmt::Display for PanicsWhenDropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a cause")
    }
}

impl std::error::Error for PanicsWhenDropped {}

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        assert!(self.0.load(Ordering::Relaxed) || std::thread::panicking(), "it panics");
    }
}

#[tokio::test]
async fn what_becomes_of_a_request_that_a_login_overtook_does_not_pause_the_login() {
    let (provider, clock) = (ScriptedProvider::new("svc"), ManualClock::new());
    let manager = manager(provider.clone(), &Odd::default(), &clock);
    let (gate, is_over) = (Gate::closed(), Arc::new(AtomicBool::new(false)));
    let cause = Arc::clone(&is_over);
    provider.on_fetch(
        Step::answer(move |_| {
            let source = PanicsWhenDropped(Arc::clone(&cause));
            Err(Error::new(ErrorKind::Transport, "no route").with_source(source))
        })
        .held(&gate),
    );
    let asked = tokio::spawn({
        let manager = manager.clone();
        async move { manager.token().await }
    });
    gate.arrived(1).await;
    manager.install(tokens_of("person", clock.now().wall())).await.unwrap();
    gate.release();
    settled().await;
    let _ = asked.await;
    is_over.store(true, Ordering::Relaxed);

    let status = manager.status();

    assert!(status.last_error().is_none() && status.paused_for().is_none(), "{status}");
    clock.advance(seconds(890));
    manager.token().await.unwrap();
    assert_eq!(provider.calls(), 2);
}

#[tokio::test]
async fn a_lease_that_the_policy_allows_can_be_used_at_a_storage_with_some_latency() {
    let (provider, clock) = (ScriptedProvider::new("svc"), ManualClock::new());
    let latency = Some((clock.clone(), Duration::from_millis(20)));
    let storage = Odd { latency, ..Odd::default() };
    for more in [1, 5, 20, 50, 100, 1_000] {
        let lease = seconds(20) + Duration::from_millis(more);
        let built = TokenManager::builder(provider.clone())
            .storage(storage.clone())
            .clock(clock.clone())
            .policy(RefreshPolicy::new().without_jitter().with_lease_ttl(lease))
            .driver(Handle::current())
            .build();
        match built {
            Err(error) => assert_eq!(error.kind(), ErrorKind::Config),
            Ok(manager) => {
                clock.advance(seconds(10));
                finish(&clock, manager.force_refresh()).await.unwrap();
                finish(&clock, manager.flush()).await.unwrap();
            }
        }
    }
}
