//! A realm in this process, and logins to it.

#![allow(clippy::unwrap_used, reason = "only what is in a test function counts as a test")]

use std::time::Duration;

use tokenkeeper::{
    AccessToken, Clock, ManualClock, MemoryStorage, RefreshPolicy, TokenManager, TokenSet,
};
use tokenkeeper_mangadex::{Credentials, MangadexProvider, PersonalClient, Realm, Session};
use tokenkeeper_testkit::{ClientAuth, FakeAuthServer, FakeAuthServerBuilder};

pub(crate) const CLIENT: &str = "personal-client-1";
pub(crate) const SECRET: &str = "planted-client-secret";
pub(crate) const USER: &str = "alice";
pub(crate) const PASSWORD: &str = "planted-pass:word";

/// A server with the paths and the client authentication of the realm of MangaDex.
pub(crate) fn keycloak() -> FakeAuthServerBuilder {
    FakeAuthServer::builder()
        .client(CLIENT, SECRET, ClientAuth::Post)
        .user(USER, PASSWORD)
        .token_path("/realms/mangadex/protocol/openid-connect/token")
        .revocation_path("/realms/mangadex/protocol/openid-connect/revoke")
}

pub(crate) fn credentials() -> Credentials {
    with_password(PASSWORD)
}

pub(crate) fn with_password(password: &str) -> Credentials {
    format!("{CLIENT}:{SECRET}:{USER}:{password}").parse().unwrap()
}

pub(crate) fn realm(server: &FakeAuthServer) -> Realm {
    Realm::new(&server.url(), "mangadex").unwrap()
}

pub(crate) fn provider(server: &FakeAuthServer, credentials: Credentials) -> MangadexProvider {
    MangadexProvider::builder(credentials).realm(realm(server)).build().unwrap()
}

pub(crate) fn refresh_only(server: &FakeAuthServer) -> MangadexProvider {
    let client = PersonalClient::new(CLIENT, SECRET).unwrap();
    MangadexProvider::refresh_only(client, USER).realm(realm(server)).build().unwrap()
}

/// A realm and a manager that live by the same manual clock, without jitter.
pub(crate) struct Setup {
    pub(crate) server: FakeAuthServer,
    pub(crate) clock: ManualClock,
    pub(crate) manager: TokenManager,
}

impl Setup {
    pub(crate) fn new(server: FakeAuthServerBuilder) -> Self {
        let clock = ManualClock::new();
        let server = server.clock(clock.clone()).start();
        let manager = manager(provider(&server, credentials()), &clock, MemoryStorage::new());
        Self { server, clock, manager }
    }
}

pub(crate) fn manager(
    provider: MangadexProvider,
    clock: &ManualClock,
    storage: MemoryStorage,
) -> TokenManager {
    TokenManager::builder(provider)
        .clock(clock.clone())
        .policy(RefreshPolicy::new().without_jitter())
        .storage(storage)
        .build()
        .unwrap()
}

pub(crate) fn session(provider: MangadexProvider, clock: &ManualClock) -> Session {
    let policy = RefreshPolicy::new().without_jitter();
    Session::configured(provider, |manager| manager.clock(clock.clone()).policy(policy)).unwrap()
}

/// Tokens that the realm never issued, both of them.
pub(crate) fn both_wrong(clock: &ManualClock) -> TokenSet {
    TokenSet::new(AccessToken::new("blah", "Bearer").unwrap(), clock.now().wall())
        .with_lifetime(seconds(900))
        .with_refresh_token("blah")
}

pub(crate) fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}
