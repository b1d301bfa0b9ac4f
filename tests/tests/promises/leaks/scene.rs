//! A manager and a provider at a server that answers as it is told.

use std::sync::Arc;
use std::time::Duration;

use tokenkeeper::{
    AccessToken, Clock, Error, ManualClock, MemoryStorage, RefreshPolicy, TokenManager,
    TokenProvider, TokenRecord, TokenSet, TokenStorage,
};
use tokenkeeper_providers::{
    BundledTransport, ClientCredentialsProvider, PasswordProvider, RefreshTokenProvider,
    TransportOptions,
};
use tokenkeeper_testkit::{
    Endpoint, FakeAuthServer, Fault, FaultyStorage, StorageFault, StorageOperation,
};

use super::auth::{Auth, Grant};
use super::logs;
use super::plants::{Plants, Shape};
use super::shown::Shown;
use super::spellings::CLIENT_ID;

/// One provider at one server, and everything that they show.
pub(crate) struct Scene {
    pub(crate) server: FakeAuthServer,
    pub(crate) plants: Plants,
    pub(crate) grant: Grant,
    pub(crate) name: String,
    pub(crate) shown: Shown,
    pub(crate) clock: ManualClock,
    pub(crate) storage: FaultyStorage<MemoryStorage>,
    pub(crate) manager: TokenManager,
}

impl Scene {
    pub(crate) fn new(grant: Grant, auth: Auth, shape: Shape, options: TransportOptions) -> Self {
        logs::listen();
        let plants = Plants::of(shape);
        let server = FakeAuthServer::builder()
            .client(CLIENT_ID, &plants.client_secret, auth.of_server())
            .user("alice", &plants.password)
            .extra("id_token", plants.id_token.as_str())
            .extra("session", plants.extra.as_str())
            .start();
        let (shown, clock) = (Shown::default(), ManualClock::new());
        shown.debug(&options);
        let transport = BundledTransport::new(options).unwrap();
        shown.debug(&transport);
        let token_url = plants.with_query(&server.token_url());
        let revocation_url = plants.with_query(&server.revocation_url());
        let auth = auth.of_client(&plants);
        shown.debug(&auth);
        macro_rules! built {
            ($builder:expr) => {{
                let builder = $builder
                    .client(CLIENT_ID, auth)
                    .scopes(["read"])
                    .revocation_url(revocation_url)
                    .transport(transport);
                shown.debug(&builder);
                let provider: Arc<dyn TokenProvider> = Arc::new(builder.build().unwrap());
                provider
            }};
        }
        let provider = match grant {
            Grant::ClientCredentials => {
                built!(ClientCredentialsProvider::builder("svc", &token_url))
            }
            Grant::Password => built!(
                PasswordProvider::builder("svc", &token_url)
                    .user("alice", plants.password.as_str())
            ),
            Grant::RefreshToken => {
                built!(RefreshTokenProvider::builder("svc", &token_url).subject("alice"))
            }
        };
        shown.debug(&provider);
        shown.both(&provider.identity().storage_key());
        let storage = FaultyStorage::new(MemoryStorage::new());
        let builder = TokenManager::builder(provider)
            .storage(storage.clone())
            .clock(clock.clone())
            .policy(RefreshPolicy::new().without_jitter())
            .observer(shown.clone());
        shown.debug(&builder);
        let manager = builder.build().unwrap();
        let name = format!("{grant:?}, {shape:?}");
        Self { server, plants, grant, name, shown, clock, storage, manager }
    }

    pub(crate) fn sent(&self) -> Vec<&str> {
        let Plants { client_secret, password, refresh_token, query, .. } = &self.plants;
        vec![client_secret, password, refresh_token, query, &self.plants.assertion]
    }

    pub(crate) fn planted_tokens(&self) -> TokenSet {
        let plants = &self.plants;
        let mut extra = serde_json::Map::new();
        extra.insert("session".to_owned(), plants.extra.as_str().into());
        let token = AccessToken::new(plants.access_token.as_str(), "Bearer").unwrap();
        TokenSet::new(token, self.clock.now().wall())
            .with_lifetime(LIFETIME)
            .with_refresh_token(plants.refresh_token.as_str())
            .with_id_token(plants.id_token.as_str())
            .with_extra(extra)
    }

    pub(crate) fn show<T: std::fmt::Debug>(&self, result: &Result<T, Error>) {
        self.shown.outcome(&self.manager, result);
    }

    /// Every kind of request meets the fault.
    pub(crate) async fn bad_day(&self, fault: &Fault) {
        let manager = &self.manager;
        let start: String = format!("{fault:?}").chars().take(80).collect();
        self.shown.going_on(format!("{}, {start}", self.name));
        let tokens = self.planted_tokens();
        self.shown.debug(&tokens);
        self.show(&manager.install(tokens).await);
        let before = self.server.requests();
        self.server.fail_next(100, fault.clone());
        self.server.fail_next_at(Endpoint::Revocation, 100, fault.clone());

        self.clock.advance(PAUSE);
        self.show(&manager.token().await);
        self.clock.advance(PAUSE);
        self.show(&manager.force_refresh().await);
        self.clock.advance(PAUSE);
        self.show(&manager.login().await);
        self.show(&manager.install(self.planted_tokens()).await);
        self.show(&manager.revoke().await);

        let least = if self.grant == Grant::RefreshToken { 2 } else { 3 };
        assert!(self.server.requests() >= before + least, "the server was asked");
        self.server.heal();
    }

    /// Every kind of request succeeds; then the storage fails.
    pub(crate) async fn good_day(&self) {
        let manager = &self.manager;
        self.shown.going_on(format!("{}, a good day", self.name));
        self.clock.advance(PAUSE);
        if self.grant == Grant::RefreshToken {
            let issued = self.server.issue_refresh_token(CLIENT_ID, "alice");
            self.show(&manager.install(TokenSet::from_refresh_token(issued)).await);
        }
        let first = manager.token().await;
        self.show(&first);
        self.clock.advance(PAUSE);
        self.show(&manager.force_refresh().await);
        if let Ok(token) = &first {
            self.shown.debug(&token.authorization());
            self.show(&manager.replace_rejected(token).await);
        }
        self.show(&manager.token_valid_for(2 * PAUSE).await);
        self.storage.fault_until_healed(StorageOperation::CompareAndSet, StorageFault::Fail);
        self.clock.advance(PAUSE);
        self.show(&manager.force_refresh().await);
        self.shown.debug(&self.storage);
        self.storage.heal();
        self.show(&manager.flush().await);
        let nonsense = TokenRecord::from_bytes(self.plants.refresh_token.as_bytes());
        self.shown.debug(&nonsense);
        self.storage.inner().set(manager.key(), &nonsense).await.unwrap();
        self.clock.advance(PAUSE);
        self.show(&manager.token().await);
        self.show(&manager.revoke().await);
        self.show(&manager.clear().await);
    }

    pub(crate) fn finish(&self) {
        let requests = self.server.received();
        let sent = |secret: &str| {
            requests.iter().any(|request| request.form().iter().any(|(_, value)| value == secret))
        };
        if self.grant == Grant::Password {
            assert!(sent(&self.plants.password), "the password was sent");
        }
        if self.grant != Grant::ClientCredentials {
            assert!(sent(&self.plants.refresh_token), "the refresh token was sent");
        }
        self.shown.assert_hides(&self.plants);
    }
}

const LIFETIME: Duration = Duration::from_secs(900);
pub(crate) const PAUSE: Duration = Duration::from_secs(2 * 3_600); // longer than any that a manager keeps
