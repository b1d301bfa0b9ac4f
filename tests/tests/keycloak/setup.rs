//! A user of MangaDex with a personal client, as its documentation has them.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokenkeeper::{AccessToken, Clock as _, ManualClock, RefreshPolicy, SystemClock};
use tokenkeeper_mangadex::{
    Credentials, MangadexProvider, MangadexProviderBuilder, PersonalClient, Realm, Session,
};
use tokenkeeper_tests::{Keycloak, Wire};

/// A user, their personal client, and what went over the wire.
pub(crate) struct Account {
    pub(crate) keycloak: Keycloak,
    pub(crate) wire: Wire,
    pub(crate) clock: ManualClock,
    name: &'static str,
    user: String,
    client: String,
}

impl Account {
    /// In the realm where a refresh token may be used again and again. The name is the test's own.
    pub(crate) async fn new(name: &'static str) -> Self {
        Self::in_realm("mangadex", name).await
    }

    pub(crate) async fn in_realm(realm: &'static str, name: &'static str) -> Self {
        let keycloak = Keycloak::realm(realm).await;
        let user = keycloak.add_user(name, PASSWORD).await;
        let client = keycloak.add_client(&personal_client(name)).await;
        let clock = ManualClock::starting_at(SystemClock.now().wall());
        Self { keycloak, wire: Wire::new(), clock, name, user, client }
    }

    /// Logs in by the password when it has to.
    pub(crate) fn session(&self) -> Session {
        self.session_with(SECRET, PASSWORD)
    }

    pub(crate) fn session_with(&self, secret: &str, password: &str) -> Session {
        let quad = format!("{}:{secret}:{}:{password}", client_id(self.name), self.name);
        let credentials: Credentials = quad.parse().unwrap();
        self.configured(MangadexProvider::builder(credentials))
    }

    /// Lives on a refresh token alone.
    pub(crate) fn without_password(&self) -> Session {
        let client = PersonalClient::new(client_id(self.name), SECRET).unwrap();
        self.configured(MangadexProvider::refresh_only(client, self.name))
    }

    fn configured(&self, provider: MangadexProviderBuilder) -> Session {
        let realm = self.keycloak.issuer();
        let (_, realm) = realm.rsplit_once('/').unwrap();
        let realm = Realm::new(self.keycloak.url(), realm).unwrap();
        let provider = provider.realm(realm).transport(self.wire.clone()).build().unwrap();
        let policy = RefreshPolicy::new().without_jitter();
        let clock = self.clock.clone();
        Session::configured(provider, |manager| manager.clock(clock).policy(policy)).unwrap()
    }

    pub(crate) async fn change_user(&self, members: Value) {
        self.keycloak.change(&self.user, &members).await;
    }

    pub(crate) async fn change_client(&self, members: Value) {
        self.keycloak.change(&self.client, &members).await;
    }

    pub(crate) async fn change_password(&self, password: &str) {
        let path = format!("{}/reset-password", self.user);
        self.keycloak.change(&path, &json!({ "type": "password", "value": password })).await;
    }

    /// The administrator ends all sessions of the user.
    pub(crate) async fn end_sessions(&self) {
        self.keycloak.act(&format!("{}/logout", self.user), &json!({})).await;
    }

    /// Whether the realm still stands by an access token.
    pub(crate) async fn stands_by(&self, token: &AccessToken) -> bool {
        self.keycloak.introspect(token.secret().expose_secret()).await["active"] == true
    }

    /// Lets a refusal be old enough for the next attempt.
    pub(crate) fn pass_the_spacing(&self) {
        self.clock.advance(Duration::from_secs(5));
    }

    /// Lets the access token end by the client's clock.
    pub(crate) fn pass_fifteen_minutes(&self) {
        self.clock.advance(Duration::from_secs(15 * 60));
    }
}

/// As MangaDex registers it: confidential, with the password grant and no other.
fn personal_client(name: &str) -> Value {
    json!({
        "clientId": client_id(name),
        "secret": SECRET,
        "publicClient": false,
        "standardFlowEnabled": false,
        "directAccessGrantsEnabled": true,
        "protocolMappers": [{
            "name": "who may ask about its tokens",
            "protocol": "openid-connect",
            "protocolMapper": "oidc-audience-mapper",
            "config": {
                "included.client.audience": "administrator",
                "access.token.claim": "true",
            },
        }],
    })
}

pub(crate) fn client_id(name: &str) -> String {
    format!("personal-client-{name}")
}

pub(crate) async fn token(session: &Session) -> Arc<AccessToken> {
    session.token().await.unwrap().unwrap()
}

pub(crate) fn minutes_later(minutes: i64) -> SystemTime {
    let now = SystemClock.now().wall();
    let by = Duration::from_secs(minutes.unsigned_abs() * 60);
    if minutes < 0 { now - by } else { now + by }
}

pub(crate) const SECRET: &str = "planted-client-secret";
pub(crate) const PASSWORD: &str = "planted-pass:word";
