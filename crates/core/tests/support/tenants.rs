//! A map of managers whose providers, clock and storage are all in a test's hands.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokenkeeper::{
    Error, FetchContext, ManualClock, MemoryStorage, ProviderIdentity, RefreshPolicy, TokenManager,
    TokenManagerMap, TokenManagerMapBuilder, TokenProvider, TokenSet, TokenStorage, async_trait,
};
use tokenkeeper_testkit::{FaultyStorage, PlainStorage, ScriptedProvider};
use tokio::runtime::Handle;

/// A map of numbered users, and what a test moves them by.
pub struct Tenants {
    pub map: TokenManagerMap<u32>,
    pub clock: ManualClock,
    pub storage: FaultyStorage<Arc<dyn TokenStorage>>,
    pub accounts: Accounts,
}

/// The accounts of the users at the service. They outlive every manager.
#[derive(Clone)]
pub struct Accounts {
    template: Arc<dyn Fn() -> ScriptedProvider + Send + Sync>,
    by_user: Arc<Mutex<HashMap<u32, Arc<Account>>>>,
}

pub struct Account {
    pub service: ScriptedProvider,
    made: AtomicUsize,
    alive: AtomicUsize,
    most_alive: AtomicUsize,
}

impl Tenants {
    /// On the runtime of the test, so that what is under way gets its turn when the test waits.
    pub fn new(
        more: impl FnOnce(TokenManagerMapBuilder<u32>) -> TokenManagerMapBuilder<u32>,
    ) -> Self {
        Self::with(Accounts::new(|| ScriptedProvider::new("svc")), false, |builder| {
            more(builder.driver(Handle::current()))
        })
    }

    pub fn with(
        accounts: Accounts,
        is_shared: bool,
        more: impl FnOnce(TokenManagerMapBuilder<u32>) -> TokenManagerMapBuilder<u32>,
    ) -> Self {
        let clock = ManualClock::new();
        let inner: Arc<dyn TokenStorage> = match is_shared {
            true => Arc::new(MemoryStorage::new()),
            false => Arc::new(PlainStorage::new(MemoryStorage::new())),
        };
        let storage = FaultyStorage::new(inner);
        let makes = accounts.clone();
        let builder =
            TokenManagerMap::builder(move |user: &u32| Ok(makes.of(*user).provider(*user)))
                .storage(storage.clone())
                .clock(clock.clone())
                .policy(RefreshPolicy::new().without_jitter());
        let map = more(builder).build().unwrap();
        Self { map, clock, storage, accounts }
    }

    pub fn get(&self, user: u32) -> TokenManager {
        self.map.get(&user).unwrap()
    }

    pub fn account(&self, user: u32) -> Arc<Account> {
        self.accounts.of(user)
    }

    pub async fn token(&self, user: u32) -> String {
        secret(&self.get(user)).await.unwrap()
    }

    /// Gives the user a token, and lets the time pass in which another exchange is too early.
    pub async fn settle(&self, user: u32) -> String {
        let token = self.token(user).await;
        self.map.flush().await.unwrap();
        self.clock.advance(seconds(6));
        token
    }

    pub fn is_kept(&self, user: u32) -> bool {
        self.map.statuses().iter().any(|(key, _)| *key == user)
    }
}

pub async fn secret(manager: &TokenManager) -> Result<String, Error> {
    manager.token().await.map(|token| token.secret().expose_secret().to_owned())
}

impl Accounts {
    pub fn new(template: impl Fn() -> ScriptedProvider + Send + Sync + 'static) -> Self {
        Self { template: Arc::new(template), by_user: Arc::default() }
    }

    pub fn of(&self, user: u32) -> Arc<Account> {
        let mut accounts = self.by_user.lock();
        let new = || Account {
            service: (self.template)(),
            made: AtomicUsize::new(0),
            alive: AtomicUsize::new(0),
            most_alive: AtomicUsize::new(0),
        };
        Arc::clone(accounts.entry(user).or_insert_with(|| Arc::new(new())))
    }
}

impl Account {
    /// A provider for one manager of this account.
    pub fn provider(self: Arc<Self>, user: u32) -> Tracked {
        let number = self.made.fetch_add(1, Ordering::SeqCst) + 1;
        let alive = self.alive.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_alive.fetch_max(alive, Ordering::SeqCst);
        let identity = ProviderIdentity::new("svc").with("subject", &user.to_string());
        let service = self.service.clone().with_identity(identity);
        Tracked { account: self, service, number }
    }

    /// How many managers were made so far.
    pub fn made(&self) -> usize {
        self.made.load(Ordering::SeqCst)
    }

    /// How many managers there were at one time, at most.
    pub fn most_alive(&self) -> usize {
        self.most_alive.load(Ordering::SeqCst)
    }
}

/// The provider of one manager. Its `Debug`, and so that of the manager, tells it from all others.
pub struct Tracked {
    account: Arc<Account>,
    service: ScriptedProvider,
    number: usize,
}

impl fmt::Debug for Tracked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "number {}", self.number)
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.account.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl TokenProvider for Tracked {
    fn identity(&self) -> &ProviderIdentity {
        self.service.identity()
    }

    async fn fetch_token(&self, cx: &FetchContext<'_>) -> Result<TokenSet, Error> {
        self.service.fetch_token(cx).await
    }

    async fn refresh_token(
        &self,
        current: &TokenSet,
        cx: &FetchContext<'_>,
    ) -> Result<TokenSet, Error> {
        self.service.refresh_token(current, cx).await
    }

    fn non_interactive(&self) -> bool {
        self.service.non_interactive()
    }

    fn refreshes(&self) -> bool {
        TokenProvider::refreshes(&self.service)
    }

    async fn revoke(&self, tokens: &TokenSet) -> Result<(), Error> {
        self.service.revoke(tokens).await
    }
}

pub fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}
