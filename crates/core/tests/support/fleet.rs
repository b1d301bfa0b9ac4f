//! Several managers on clones of one storage: several processes, in one test.

use std::sync::Arc;
use std::time::Duration;

use tokenkeeper::{
    AccessToken, Clock, Event, EventKind, ManualClock, MemoryStorage, Observer, Order,
    RefreshPolicy, TokenManager, TokenRecord, TokenSet, TokenStorage,
};
use tokenkeeper_testkit::{FaultyStorage, ScriptedProvider};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinSet;

/// Processes that share a storage, and a service that lets each refresh token be spent once.
pub struct Fleet {
    pub managers: Vec<TokenManager>,
    pub provider: ScriptedProvider,
    pub storage: FaultyStorage<MemoryStorage>,
    pub clock: ManualClock,
    pub diary: Diary,
    driver: Option<Handle>,
}

impl Fleet {
    pub fn new(size: usize, provider: &ScriptedProvider) -> Self {
        let mut fleet = Self {
            managers: Vec::new(),
            provider: provider.clone(),
            storage: FaultyStorage::new(MemoryStorage::new()),
            clock: ManualClock::new(),
            diary: Diary::default(),
            driver: None,
        };
        fleet.managers = (0..size).map(|_| fleet.newcomer()).collect();
        fleet
    }

    /// A fleet in which everybody holds the same fresh tokens: `access-1` and `refresh-1`.
    pub async fn warm(size: usize, provider: &ScriptedProvider) -> Self {
        let fleet = Self::new(size, provider);
        fleet.tokens().await;
        fleet.flush().await;
        assert_eq!(provider.calls(), 1);
        fleet.storage.reset_calls();
        fleet.diary.clear();
        fleet
    }

    /// A fleet in which somebody logged in, and everybody holds these tokens.
    pub async fn logged_in(size: usize, provider: &ScriptedProvider) -> Self {
        let fleet = Self::new(size, provider);
        fleet.managers[0].install(fleet.login("login")).await.unwrap();
        fleet.tokens().await;
        fleet.flush().await;
        assert_eq!(provider.calls(), 0);
        fleet.storage.reset_calls();
        fleet.diary.clear();
        fleet
    }

    /// A fleet of which everything runs on the runtime that this is called on.
    pub fn on_this_runtime(size: usize, provider: &ScriptedProvider) -> Self {
        let mut fleet = Self::new(0, provider);
        fleet.driver = Some(Handle::current());
        fleet.managers = (0..size).map(|_| fleet.newcomer()).collect();
        fleet
    }

    /// One more process that knows nothing yet.
    pub fn newcomer(&self) -> TokenManager {
        let builder = self.builder();
        match &self.driver {
            Some(driver) => builder.driver(driver.clone()).build().unwrap(),
            None => builder.build().unwrap(),
        }
    }

    /// One more process, which runs only while the test lets it.
    pub fn process(&self) -> Process {
        let runtime = Builder::new_current_thread().build().unwrap();
        let manager = self.builder().driver(runtime.handle().clone()).build().unwrap();
        Process { manager, runtime }
    }

    fn builder(&self) -> tokenkeeper::TokenManagerBuilder {
        TokenManager::builder(self.provider.clone())
            .storage(self.storage.clone())
            .clock(self.clock.clone())
            .observer(self.diary.clone())
            .policy(RefreshPolicy::new().without_jitter())
    }

    /// Everybody asks for a token at once.
    pub async fn tokens(&self) -> Vec<Arc<AccessToken>> {
        let mut callers = JoinSet::new();
        for manager in &self.managers {
            let manager = manager.clone();
            callers.spawn(async move { manager.token().await.unwrap() });
        }
        callers.join_all().await
    }

    /// Waits until nobody has anything under way.
    pub async fn flush(&self) {
        for manager in &self.managers {
            manager.flush().await.unwrap();
        }
    }

    pub async fn stored(&self) -> TokenRecord {
        let key = self.managers[0].key();
        self.storage.inner().get(key).await.unwrap().expect("a record")
    }

    pub async fn stored_order(&self) -> Order {
        self.stored().await.order()
    }

    /// Puts a record into the storage as a failover would: behind everybody's back.
    pub async fn put_back(&self, record: &TokenRecord) {
        self.storage.inner().set(self.managers[0].key(), record).await.unwrap();
    }

    /// The tokens of a login elsewhere; the secrets are made of `name`.
    pub fn login(&self, name: &str) -> TokenSet {
        let token = AccessToken::new(format!("access-{name}"), "Bearer").unwrap();
        TokenSet::new(token, self.clock.now().wall())
            .with_lifetime(seconds(900))
            .with_refresh_token(format!("refresh-{name}"))
    }
}

/// A process that is stopped unless it is inside [`run`](Self::run).
pub struct Process {
    pub manager: TokenManager,
    runtime: Runtime,
}

impl Process {
    pub fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Starts something without waiting for its end.
    pub fn start<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        self.runtime.spawn(work)
    }
}

/// Remembers every event.
#[derive(Clone, Debug, Default)]
pub struct Diary(Arc<parking_lot::Mutex<Vec<EventKind>>>);

impl Diary {
    pub fn count(&self, matches: impl Fn(&EventKind) -> bool) -> usize {
        self.0.lock().iter().filter(|kind| matches(kind)).count()
    }

    pub fn clear(&self) {
        self.0.lock().clear();
    }
}

impl Observer for Diary {
    fn on_event(&self, event: &Event) {
        self.0.lock().push(event.kind().clone());
    }
}

pub fn secret(token: &AccessToken) -> &str {
    token.secret().expose_secret()
}

pub fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// At 700 s a token of 900 s is due, and served; at 1000 s it is over.
pub const DUE: Duration = Duration::from_secs(700);
pub const OVER: Duration = Duration::from_secs(1_000);
/// Two exchanges of one manager are at least this far apart.
pub const SPACING: Duration = Duration::from_secs(5);
