//! M13: observers, providers and storages are called outside every lock, so they may call back.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::{fmt, mem};

use crate::support::rig::{Rig, finishes, login_elsewhere, seconds, until};
use parking_lot::Mutex;
use tokenkeeper::{
    AccessToken, CasOutcome, ChangeNotices, Error, ErrorKind, Event, EventKind, FetchContext,
    Lease, LeaseRequest, ManualClock, Observer, Order, ProviderIdentity, SharedTokenStorage,
    StorageKey, TokenManager, TokenProvider, TokenRecord, TokenSet, TokenStorage, Version,
    async_trait,
};
use tokenkeeper_testkit::{Gate, ScriptedProvider, Step, StorageFault};

fn provider() -> ScriptedProvider {
    ScriptedProvider::new("svc")
}

/// Every method that does not wait.
fn call_what_does_not_wait(manager: &TokenManager) {
    let stranger = AccessToken::new("stranger", "Bearer").unwrap();
    let _ = manager.peek();
    let _ = manager.status().to_string();
    let _ = manager.subscribe().current();
    let _ = (manager.key(), manager.service_name(), format!("{manager:?}"));
    manager.invalidate(&stranger);
    manager.credentials_changed();
    drop(manager.spawn_refresher());
}

/// Every method that waits, one after the other.
fn call_what_waits(manager: &TokenManager) {
    let tokens = manager.blocking();
    let stranger = AccessToken::new("stranger", "Bearer").unwrap();
    let _ = tokens.token();
    let _ = tokens.token_valid_for(seconds(1));
    let _ = tokens.replace_rejected(&stranger);
    let _ = tokens.force_refresh();
    let _ = tokens.install(login_elsewhere());
    let _ = tokens.login();
    let _ = tokens.clear();
    let _ = tokens.revoke();
    let _ = tokens.flush();
}

/// Calls the manager back: what does not wait at once, what waits on a thread of its own.
#[derive(Clone, Default)]
struct CallsBack {
    manager: Arc<OnceLock<TokenManager>>,
    threads: Arc<Mutex<Vec<JoinHandle<()>>>>,
    seen: Arc<Mutex<HashSet<String>>>,
}

impl fmt::Debug for CallsBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallsBack")
    }
}

impl CallsBack {
    /// Calls what waits only once for every `why`: it leads to events that lead back here.
    fn call(&self, why: String) {
        let Some(manager) = self.manager.get() else { return };
        let is_first = self.seen.lock().insert(why);
        if !is_first {
            let _ = (manager.peek(), manager.status(), manager.subscribe().current());
            return;
        }
        call_what_does_not_wait(manager);
        let manager = manager.clone();
        self.threads.lock().push(std::thread::spawn(move || call_what_waits(&manager)));
    }

    /// Waits until the threads are done, and those that they led to.
    fn join(&self) {
        loop {
            let threads = mem::take(&mut *self.threads.lock());
            if threads.is_empty() {
                return;
            }
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        }
    }

    fn seen(&self) -> Vec<String> {
        let mut seen: Vec<_> = self.seen.lock().iter().cloned().collect();
        seen.sort();
        seen
    }
}

impl Observer for CallsBack {
    fn on_event(&self, event: &Event) {
        let name = format!("{:?}", event.kind());
        self.call(name.split([' ', '{', '(']).next().unwrap_or_default().to_owned());
    }
}

#[test]
fn an_observer_may_call_back_at_any_event() {
    finishes(|| {
        for is_shared in [true, false] {
            let observer = CallsBack::default();
            let rig = Rig::with(&provider(), is_shared, |b| b.observer(observer.clone()));
            assert!(observer.manager.set(rig.manager.clone()).is_ok());
            let tokens = rig.manager.blocking();
            let settle = || {
                observer.join();
                rig.clock.advance(seconds(3_600));
            };

            tokens.token().unwrap();
            settle();
            let token = tokens.token().unwrap();
            tokens.replace_rejected(&token).unwrap();
            settle();
            rig.provider.on_fetch(Step::panic());
            let _ = tokens.login();
            settle();
            rig.provider.on_fetch(Step::unavailable());
            let _ = tokens.login();
            settle();
            tokens.install(TokenSet::from_refresh_token("to be lost")).unwrap();
            rig.provider.on_refresh(Step::lose_answer());
            let _ = tokens.force_refresh();
            settle();
            tokens.install(TokenSet::from_refresh_token("to be refused")).unwrap();
            rig.provider.on_refresh(Step::refuse_refresh());
            let _ = tokens.force_refresh();
            settle();
            // Twice, because what the first failure leads to overtakes its write.
            for _ in 0..2 {
                rig.storage.fault_next(rig.write(), 1, StorageFault::Fail);
                let _ = tokens.install(login_elsewhere());
                let _ = tokens.flush();
                settle();
            }
            let gate = Gate::closed();
            rig.provider.on_fetch(Step::issue().held(&gate));
            let overtaken = std::thread::spawn({
                let tokens = tokens.clone();
                move || tokens.login()
            });
            pollster::block_on(gate.arrived(1));
            let _ = tokens.clear();
            gate.release();
            let _ = overtaken.join();
            settle();
            tokens.flush().unwrap();

            let expected = [
                "AnswerLost",
                "Cleared",
                "TokenRequestFailed",
                "TokenRequestStarted",
                "TokenRequestSucceeded",
                "Installed",
                "Overtaken",
                "Panicked",
                "RefreshTokenDropped",
                "Rejected",
                "StorageFailed",
                "WriteRecovered",
            ];
            let seen = observer.seen();
            for name in expected {
                assert!(seen.iter().any(|seen| seen == name), "{name} did not happen: {seen:?}");
            }
        }
    });
}

/// Waits inside the callback for a call of the manager, whose storage calls need the write lock.
#[derive(Clone, Debug, Default)]
struct Waits {
    manager: Arc<OnceLock<TokenManager>>,
    waited_in: Arc<Mutex<Vec<String>>>,
}

impl Observer for Waits {
    fn on_event(&self, event: &Event) {
        let is_about_a_write = matches!(
            event.kind(),
            EventKind::StorageFailed { .. }
                | EventKind::WriteRecovered
                | EventKind::RecordUnreadable { .. }
                | EventKind::Panicked { .. }
        );
        let name = format!("{:?}", event.kind());
        let name = name.split(' ').next().unwrap_or_default().to_owned();
        if !is_about_a_write || self.waited_in.lock().contains(&name) {
            return;
        }
        self.waited_in.lock().push(name);
        // From another thread, because what a worker of tokio spawns only that worker may run.
        let tokens = self.manager.get().unwrap().blocking();
        let _ = std::thread::spawn(move || tokens.clear()).join().unwrap();
    }
}

/// Nobody should block in a callback; that it can be done where the driver has other threads
/// shows that no lock is held, not even the one that keeps two writes from crossing.
#[test]
fn events_about_writes_are_told_outside_the_write_lock() {
    finishes(|| {
        for is_shared in [true, false] {
            let driver = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(4)
                .enable_all()
                .build()
                .unwrap();
            let observer = Waits::default();
            let rig = Rig::with(&provider(), is_shared, |b| {
                b.observer(observer.clone()).driver(driver.handle().clone())
            });
            assert!(observer.manager.set(rig.manager.clone()).is_ok());
            let tokens = rig.manager.blocking();

            rig.storage.fault_next(rig.write(), 1, StorageFault::Panic);
            tokens.install(login_elsewhere()).unwrap_err();
            rig.storage.fault_next(rig.write(), 1, StorageFault::Fail);
            tokens.install(login_elsewhere()).unwrap();
            tokens.flush().unwrap();
            let newer = rig.stored().unwrap().order();
            rig.store("{\"v\":2}", newer);
            let _ = tokens.install(login_elsewhere());

            let waited_in = observer.waited_in.lock().clone();
            assert_eq!(
                waited_in,
                ["Panicked", "StorageFailed", "WriteRecovered", "RecordUnreadable"]
            );
        }
    });
}

/// Waits in the caller's own thread, where `invalidate` tells of the rejection.
#[derive(Clone, Debug, Default)]
struct RenewsAtOnce(Arc<OnceLock<TokenManager>>);

impl Observer for RenewsAtOnce {
    fn on_event(&self, event: &Event) {
        if matches!(event.kind(), EventKind::Rejected { .. }) {
            self.0.get().unwrap().blocking().token().unwrap();
        }
    }
}

#[test]
fn an_observer_of_a_rejection_may_wait_for_the_new_token() {
    finishes(|| {
        let observer = RenewsAtOnce::default();
        let rig = Rig::with(&provider(), true, |b| b.observer(observer.clone()));
        assert!(observer.0.set(rig.manager.clone()).is_ok());
        let old = pollster::block_on(rig.with_token_aged(seconds(100)));

        rig.manager.invalidate(&old);

        assert_eq!(rig.manager.peek().unwrap().authorization(), "Bearer access-2");
    });
}

#[test]
fn a_provider_may_call_back() {
    finishes(|| {
        let rig = Rig::shared(&provider());
        let back = CallsBack::default();
        assert!(back.manager.set(rig.manager.clone()).is_ok());
        let (in_fetch, in_refresh) = (back.clone(), back.clone());
        rig.provider.on_fetch(Step::answer(move |call| {
            in_fetch.call("fetch".to_owned());
            let token = AccessToken::new("called-back", "Bearer")?;
            Ok(TokenSet::new(token, call.sent_at()).with_refresh_token("called-back"))
        }));
        rig.provider.on_refresh(Step::answer(move |call| {
            in_refresh.call("refresh".to_owned());
            Ok(TokenSet::new(AccessToken::new("again", "Bearer")?, call.sent_at()))
        }));

        let _ = rig.manager.blocking().token();
        back.join();
        rig.clock.advance(seconds(3_600));
        let _ = rig.manager.blocking().install(login_elsewhere());
        let _ = rig.manager.blocking().token();
        back.join();
        rig.clock.advance(seconds(3_600));

        assert_eq!(back.seen(), ["fetch", "refresh"]);
        assert!(rig.manager.blocking().token().is_ok());
    });
}

#[test]
fn a_storage_may_call_back() {
    finishes(|| {
        for is_shared in [true, false] {
            let back = CallsBack::default();
            let rig = Rig::with(&provider(), is_shared, |builder| builder);
            let storage = CallingStorage(rig.storage.clone(), back.clone());
            let rig = Rig::with(&rig.provider, is_shared, |builder| builder.storage(storage));
            assert!(back.manager.set(rig.manager.clone()).is_ok());

            let refresher = rig.manager.spawn_refresher();
            let _ = rig.manager.blocking().token();
            back.join();
            rig.clock.advance(seconds(3_600));

            assert!(rig.manager.blocking().token().is_ok());
            drop(refresher);
            rig.manager.blocking().flush().unwrap();
            while is_shared && !back.seen().contains(&"dropped".to_owned()) {
                std::thread::yield_now();
            }
            back.join();
            let expected = if is_shared {
                vec!["compare_and_set", "dropped", "lease", "load", "next", "notices", "shared"]
            } else {
                vec!["get", "set", "shared"]
            };
            assert_eq!(back.seen(), expected);
        }
    });
}

/// Nobody can make that work, but it ends with the deadline of the request.
#[tokio::test]
async fn a_provider_that_waits_for_its_own_exchange_is_ended_by_the_deadline() {
    let (manager, waits) = (Arc::default(), Arc::default());
    let provider = WaitsForItself {
        identity: ProviderIdentity::new("svc"),
        manager: Arc::clone(&manager),
        waits: Arc::clone(&waits),
    };
    let clock = ManualClock::new();
    let built = TokenManager::builder(provider).clock(clock.clone()).build().unwrap();
    assert!(manager.set(built.clone()).is_ok());

    let caller = tokio::spawn(async move { built.token().await });
    let both = || waits.load(Ordering::SeqCst) && clock.sleepers() == 2;
    until("the limits of the wait and of the request run", both).await;
    clock.advance(seconds(15));

    assert_eq!(caller.await.unwrap().unwrap_err().kind(), ErrorKind::Transport);
}

#[tokio::test]
async fn an_observer_that_always_panics_changes_nothing() {
    for is_shared in [true, false] {
        let rig = Rig::with(&provider(), is_shared, |builder| builder.observer(Panics));
        let old = rig.with_token_aged(seconds(100)).await;

        rig.manager.replace_rejected(&old).await.unwrap().unwrap();
        rig.clock.advance(seconds(6));
        rig.storage.fault_next(rig.write(), 1, StorageFault::Fail);
        rig.manager.force_refresh().await.unwrap();
        rig.manager.flush().await.unwrap();
        rig.manager.install(login_elsewhere()).await.unwrap();
        rig.provider.on_refresh(Step::panic());
        rig.manager.force_refresh().await.unwrap_err();
        rig.clock.advance(seconds(60));

        rig.assert_lives_on("installed").await;
        rig.manager.revoke().await.unwrap();
        rig.manager.clear().await.unwrap();
    }
}

#[derive(Debug)]
struct Panics;

impl Observer for Panics {
    fn on_event(&self, _: &Event) {
        panic!("an observer panics");
    }
}

/// A provider whose fetch asks the manager for a token.
#[derive(Debug)]
struct WaitsForItself {
    identity: ProviderIdentity,
    manager: Arc<OnceLock<TokenManager>>,
    waits: Arc<AtomicBool>,
}

#[async_trait]
impl TokenProvider for WaitsForItself {
    fn identity(&self) -> &ProviderIdentity {
        &self.identity
    }

    async fn fetch_token(&self, cx: &FetchContext<'_>) -> Result<TokenSet, Error> {
        cx.ready_to_send()?;
        self.waits.store(true, Ordering::SeqCst);
        let token = self.manager.get().unwrap().token().await?;
        Ok(TokenSet::new(AccessToken::clone(&token), cx.ready_to_send()?))
    }
}

/// Calls back at every call, then forwards it.
#[derive(Debug)]
struct CallingStorage<S>(S, CallsBack);

#[async_trait]
impl<S: TokenStorage> TokenStorage for CallingStorage<S> {
    async fn get(&self, key: &StorageKey) -> Result<Option<TokenRecord>, Error> {
        self.1.call("get".to_owned());
        self.0.get(key).await
    }

    async fn set(&self, key: &StorageKey, record: &TokenRecord) -> Result<(), Error> {
        self.1.call("set".to_owned());
        self.0.set(key, record).await
    }

    async fn delete(&self, key: &StorageKey) -> Result<(), Error> {
        self.0.delete(key).await
    }

    fn shared(&self) -> Option<&dyn SharedTokenStorage> {
        self.1.call("shared".to_owned());
        self.0.shared().is_some().then_some(self as &dyn SharedTokenStorage)
    }
}

#[async_trait]
impl<S: TokenStorage> SharedTokenStorage for CallingStorage<S> {
    async fn load(&self, key: &StorageKey) -> Result<Option<(Version, TokenRecord)>, Error> {
        self.1.call("load".to_owned());
        self.0.shared().unwrap().load(key).await
    }

    async fn compare_and_set(
        &self,
        key: &StorageKey,
        expected: Option<&Version>,
        record: &TokenRecord,
    ) -> Result<CasOutcome, Error> {
        self.1.call("compare_and_set".to_owned());
        self.0.shared().unwrap().compare_and_set(key, expected, record).await
    }

    async fn lease(&self, key: &StorageKey, want: &LeaseRequest) -> Result<Lease, Error> {
        self.1.call("lease".to_owned());
        self.0.shared().unwrap().lease(key, want).await
    }

    fn notices(&self, key: &StorageKey) -> Option<Box<dyn ChangeNotices>> {
        self.1.call("notices".to_owned());
        let inner = self.0.shared()?.notices(key)?;
        Some(Box::new(CallingNotices(inner, self.1.clone())))
    }
}

#[derive(Debug)]
struct CallingNotices(Box<dyn ChangeNotices>, CallsBack);

#[async_trait]
impl ChangeNotices for CallingNotices {
    async fn next(&mut self) -> Result<Option<Order>, Error> {
        self.1.call("next".to_owned());
        self.0.next().await
    }
}

impl Drop for CallingNotices {
    fn drop(&mut self) {
        self.1.call("dropped".to_owned());
    }
}
