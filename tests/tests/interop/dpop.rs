//! Tokens that are bound to a key (RFC 9449), against real servers: `oidc-provider`, which wants a
//! nonce in every proof, and glewlwyd.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "these are tests")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokenkeeper::{
    ErrorKind, ManualClock, MemoryStorage, Secret, StorageKey, TokenManager, TokenSet,
};
use tokenkeeper_dpop::DpopKey;
use tokenkeeper_http::{Route, TokenRoutes};
use tokenkeeper_providers::{
    AuthorizationCodeLogin, AuthorizationRequest, Callback, ClientAuth, ClientCredentialsProvider,
    UserInfo,
};
use tokenkeeper_reqwest::{SendWithToken, Tokens, without_redirects};
use tokenkeeper_tests::{Glewlwyd, Managed, Person, SPACING, Wire, post_form, server_url};

/// A server, and what is different at it.
struct Server {
    issuer: String,
    user_info: &'static str,
    public_client: &'static str,
    scopes: &'static [&'static str],
    redirect_uri: &'static str,
}

fn oidc_provider() -> Server {
    Server {
        issuer: server_url("TOKENKEEPER_OIDC_PROVIDER_NONCE_URL"),
        user_info: "/me",
        public_client: "public dpop",
        scopes: &["openid", "offline_access"],
        redirect_uri: "http://127.0.0.1/callback",
    }
}

fn glewlwyd() -> Server {
    Server {
        issuer: format!("{}/api/oidc", server_url("TOKENKEEPER_GLEWLWYD_URL")),
        user_info: "/userinfo",
        public_client: "public",
        scopes: &["openid", "read"],
        redirect_uri: "http://127.0.0.1:8400/callback",
    }
}

impl Server {
    fn token_url(&self) -> String {
        format!("{}/token", self.issuer)
    }

    fn login(&self, key: &DpopKey, wire: &Wire) -> AuthorizationCodeLogin {
        let authorization_url = format!("{}/auth", self.issuer);
        AuthorizationCodeLogin::builder("library", &authorization_url, &self.token_url())
            .client(self.public_client, ClientAuth::none())
            .scopes(self.scopes.iter().copied())
            .issuer(&self.issuer)
            .redirect_uri(self.redirect_uri)
            .proof_of_possession(key.clone())
            .transport(wire.clone())
            .build()
            .unwrap()
    }

    /// The status of the answer to a request with a bound token, by way of `reqwest`.
    async fn status_of_user_info(&self, manager: &TokenManager, key: &DpopKey) -> u16 {
        let url: reqwest::Url = format!("{}{}", self.issuer, self.user_info).parse().unwrap();
        let origin = url.origin().ascii_serialization();
        let route = Route::new(manager.clone()).origin(origin).presenter(key.presenter());
        let tokens = Tokens::new(TokenRoutes::new([route]).unwrap());
        let client = without_redirects(reqwest::Client::builder().no_proxy()).build().unwrap();
        client.get(url).send_with_token(&tokens).await.unwrap().status().as_u16()
    }
}

fn place() -> StorageKey {
    StorageKey::new("library-dpop-key").unwrap()
}

/// Somebody logs in, a second process goes on, and somebody else with the refresh token does not.
async fn a_public_client_logs_in_and_goes_on_in_a_second_process(server: &Server) {
    let (storage, clock) = (MemoryStorage::new(), ManualClock::new());
    let key = DpopKey::load_or_generate(&storage, &place()).await.unwrap();
    let login = server.login(&key, &Wire::new());
    // Without it `oidc-provider` grants no `offline_access`.
    let request = AuthorizationRequest::new().extra_parameter("prompt", "consent");
    let pending = login.begin_with(&request).await.unwrap();
    let back = Person::alice().consents(pending.authorization_url()).await;
    let tokens = login.finish(pending, &Callback::parse(&back).unwrap()).await.unwrap();
    let first = Managed::sharing(login.provider("alice").unwrap(), storage.clone(), clock.clone());
    first.manager.install(tokens).await.unwrap();
    assert_eq!(server.status_of_user_info(&first.manager, &key).await, 200);

    let wire = Wire::new();
    let key = DpopKey::load_or_generate(&storage, &place()).await.unwrap();
    let provider = server.login(&key, &wire).provider("alice").unwrap();
    let second = Managed::sharing(provider, storage.clone(), clock.clone());
    clock.advance(SPACING);
    let token = second.manager.force_refresh().await.unwrap();

    assert!(token.authorization().to_str().unwrap().starts_with("DPoP "));
    assert_eq!(wire.exchanges().last().unwrap(), "refresh_token 200");
    assert_eq!(server.status_of_user_info(&second.manager, &key).await, 200);

    let user_info = UserInfo::builder("library", &format!("{}{}", server.issuer, server.user_info));
    let user_info = user_info.proof_of_possession(key).build().unwrap();
    assert!(user_info.fetch(&token).await.unwrap().id().is_some());

    let other = DpopKey::generate().unwrap();
    let provider = server.login(&other, &Wire::new()).provider("alice").unwrap();
    let lost = Managed::sharing(provider, storage, clock.clone());
    assert_eq!(lost.manager.token().await.unwrap_err().kind(), ErrorKind::LoginRequired);
    let theirs = second.manager.tokens().await.unwrap().unwrap();
    let stolen = TokenSet::from_refresh_token(theirs.refresh_token().unwrap().clone());
    lost.manager.install(stolen).await.unwrap();
    let refused = lost.manager.token().await.unwrap_err();
    let code = refused.oauth().unwrap().code();
    assert!(["invalid_grant", "invalid_dpop_proof"].contains(&code), "{refused}");
    clock.advance(SPACING);
    second.manager.force_refresh().await.unwrap(); // it was the key, not the refresh token
}

#[tokio::test]
async fn at_oidc_provider_a_public_client_logs_in_and_goes_on_in_a_second_process() {
    a_public_client_logs_in_and_goes_on_in_a_second_process(&oidc_provider()).await;
}

#[tokio::test]
async fn at_glewlwyd_a_public_client_logs_in_and_goes_on_in_a_second_process() {
    let _glewlwyd = Glewlwyd::alone().await;
    a_public_client_logs_in_and_goes_on_in_a_second_process(&glewlwyd()).await;
}

fn machine(
    token_url: &str,
    id: &str,
    secret: &str,
    key: &DpopKey,
    wire: &Wire,
) -> ClientCredentialsProvider {
    ClientCredentialsProvider::builder("machine", token_url)
        .client(id, ClientAuth::basic(secret))
        .scopes([if id == "dpop" { "api:read" } else { "read" }])
        .proof_of_possession(key.clone())
        .transport(wire.clone())
        .build()
        .unwrap()
}

#[tokio::test]
async fn at_oidc_provider_the_nonce_is_asked_for_once_and_the_token_is_bound_to_the_key() {
    let (server, wire, key) = (oidc_provider(), Wire::new(), DpopKey::generate().unwrap());
    let provider = machine(&server.token_url(), "dpop", "dpop-secret", &key, &wire);
    let managed = Managed::new(provider);

    let token = managed.manager.token().await.unwrap();
    managed.clock.advance(SPACING);
    managed.manager.force_refresh().await.unwrap();

    let expected = ["client_credentials 400", "client_credentials 200", "client_credentials 200"];
    assert_eq!(wire.exchanges(), expected);
    assert_eq!(introspected(&server, token.secret()).await["cnf"]["jkt"], key.thumbprint());
}

/// The other one of its servers wants nonces, and each of them is good once.
#[tokio::test]
async fn at_glewlwyd_the_nonce_is_asked_for_and_the_token_is_bound_to_the_key() {
    let _glewlwyd = Glewlwyd::alone().await;
    let (wire, key) = (Wire::new(), DpopKey::generate().unwrap());
    let token_url = format!("{}/api/strict/token", server_url("TOKENKEEPER_GLEWLWYD_URL"));
    let managed = Managed::new(machine(&token_url, "basic", "basic-secret", &key, &wire));

    let token = managed.manager.token().await.unwrap();

    assert_eq!(token.token_type(), "DPoP");
    assert_eq!(wire.exchanges(), ["client_credentials 400", "client_credentials 200"]);
}

async fn introspected(server: &Server, token: &Secret) -> Value {
    let basic = format!("Basic {}", STANDARD.encode("basic:basic-secret"));
    let url = format!("{}/token/introspection", server.issuer);
    let answer = post_form(&url, &basic, &[("token", token.expose_secret())]).await;
    serde_json::from_slice(answer.body()).unwrap()
}
