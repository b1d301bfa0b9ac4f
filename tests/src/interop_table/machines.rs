//! Cells where nobody sits at a browser.

use std::sync::Arc;

use tokenkeeper::{Secret, TokenProvider};
use tokenkeeper_jwt::{Algorithm, HmacKey, JwtAssertion, Signer, SigningKey};
use tokenkeeper_providers::{
    AuthorizationServer, ClientAuth, ClientCredentialsProvider, Discovery, Introspection,
    JwtBearerProvider, PasswordProvider, TokenExchangeProvider, TokenTypeUri,
};

use super::{Client, InteropServer, JWT_ISSUER, access_token, metadata, refresh_token, takes};
use crate::{Managed, OnlyPath, client_key, fetch, refresh};

/// A token for the client itself.
pub async fn client_credentials(server: &dyn InteropServer) {
    let Client { id, auth } = server.client();

    let token = Managed::new(machine(server, id, auth).await).manager.token().await;

    assert!(takes(server, token.expect("a token").secret()).await);
}

/// A token for a name and a password.
pub async fn password(server: &dyn InteropServer) {
    let token = Managed::new(alice(server).await).manager.token().await;

    assert!(takes(server, token.expect("a token").secret()).await);
}

/// A refresh token for a refresh token, and the old one is dead.
pub async fn refresh_with_rotation(server: &dyn InteropServer) {
    let provider = alice(server).await;

    let first = fetch(&provider).await.expect("tokens");
    let second = refresh(&provider, &first).await.expect("tokens");

    assert!(takes(server, access_token(&second)).await);
    assert!(!refresh_token(&first).ct_eq(refresh_token(&second)));
    refresh(&provider, &first).await.expect_err("a refusal");
}

/// A client that signs, with each of the algorithms.
pub async fn private_key_jwt(server: &dyn InteropServer) {
    for (algorithm, key) in [
        (Algorithm::Es256, "ES256"),
        (Algorithm::Rs256, "RS256"),
        (Algorithm::Ps256, "RS256"),
        (Algorithm::EdDsa, "EdDSA"),
    ] {
        let signing_key = SigningKey::from_pem(algorithm, &client_key(key)).expect("a key");
        let auth = by_assertion(server, signing_key);
        let provider = machine(server, server.signing_client(key), auth).await;

        // Twice, because an assertion is good once.
        for _ in 0..2 {
            fetch(&provider).await.unwrap_or_else(|error| panic!("{algorithm:?}: {error}"));
        }
    }
}

/// A client that signs with its secret.
pub async fn client_secret_jwt(server: &dyn InteropServer) {
    let (id, secret) = server.mac_client();
    let key = HmacKey::hs256(secret.expose_secret().as_bytes()).expect("a long secret");
    let provider = machine(server, id, by_assertion(server, key)).await;

    for _ in 0..2 {
        fetch(&provider).await.expect("tokens");
    }
}

/// A token for a signed statement about alice.
pub async fn jwt_bearer_grant(server: &dyn InteropServer) {
    let key = SigningKey::from_pem(Algorithm::Es256, &client_key("ES256")).expect("a key");
    let Client { id, auth } = server.client();
    let provider = JwtBearerProvider::of_server("interop", &*metadata(&server.issuer()).await)
        .expect("an endpoint")
        .client(id, auth)
        .assertion(JwtAssertion::for_subject(JWT_ISSUER, "alice", key))
        .subject("alice")
        .scopes([server.api_scope()])
        .build()
        .expect("settings");

    for _ in 0..2 {
        assert!(takes(server, access_token(&fetch(&provider).await.expect("tokens"))).await);
    }
}

/// A token for the token of alice.
pub async fn token_exchange(server: &dyn InteropServer) {
    let Client { id, auth } = server.client();
    let subject = Managed::new(alice(server).await).manager;
    let provider = TokenExchangeProvider::of_server("interop", &*metadata(&server.issuer()).await)
        .expect("an endpoint")
        .client(id, auth)
        .subject_token(TokenTypeUri::ACCESS_TOKEN, subject.clone())
        .subject("alice")
        .scopes([server.api_scope()])
        .build()
        .expect("settings");

    let token = Managed::new(provider).manager.token().await.expect("a token");

    assert!(takes(server, token.secret()).await);
    let original = subject.token().await.expect("a token");
    assert!(!token.secret().ct_eq(original.secret()));
}

/// Tokens that are no longer good.
pub async fn revocation(server: &dyn InteropServer) {
    let managed = Managed::new(alice(server).await);
    let tokens = fetch(&alice(server).await).await.expect("tokens");
    managed.manager.install(tokens.clone()).await.expect("a storage");
    assert!(takes(server, access_token(&tokens)).await);

    managed.manager.revoke().await.expect("a revocation");

    assert!(!takes(server, access_token(&tokens)).await);
    let refused = refresh(&alice(server).await, &tokens).await.expect_err("a dead refresh token");
    assert!(refused.needs_login(), "{refused}");
}

/// What the server says of a token that is good, and of one that it never issued.
pub async fn introspection(server: &dyn InteropServer) {
    let Client { id, auth } = server.client();
    let provider = machine(server, id, auth.clone()).await;
    let tokens = fetch(&provider).await.expect("tokens");
    let introspection = Introspection::of_server("interop", &*metadata(&server.issuer()).await)
        .expect("an endpoint")
        .client(id, auth)
        .build()
        .expect("settings");

    let known = introspection.introspect(access_token(&tokens)).await.expect("an answer");
    let unknown = introspection.introspect(&Secret::from("never-issued")).await;

    assert!(known.active());
    assert_eq!(known.client_id(), Some(id));
    assert!(known.expires_at().is_some());
    assert!(!unknown.expect("an answer").active());
}

/// A provider from the name of the server, which has the document of OAuth2.
pub async fn authorization_server_metadata(server: &dyn InteropServer) {
    discovered_in(server, "/oauth-authorization-server").await;
}

/// A provider from the name of the server, which has the document of OpenID Connect.
pub async fn openid_discovery(server: &dyn InteropServer) {
    discovered_in(server, "/openid-configuration").await;
}

async fn discovered_in(server: &dyn InteropServer, document: &'static str) {
    let Client { id, auth } = server.client();

    let discovery = Discovery::new().with_transport(OnlyPath(document));
    let discovered = discovery.server(&server.issuer()).await.expect("the document");
    let provider = ClientCredentialsProvider::of_server("interop", &discovered);
    let provider = provider.expect("an endpoint").client(id, auth).scopes([server.api_scope()]);
    let tokens = fetch(&provider.build().expect("settings")).await.expect("tokens");

    assert!(takes(server, access_token(&tokens)).await);
    assert_eq!(discovered.issuer(), Some(&*server.issuer()));
}

fn by_assertion(server: &dyn InteropServer, signer: impl Signer) -> ClientAuth {
    let assertion = JwtAssertion::for_client(signer);
    ClientAuth::assertion(match server.assertion_audience() {
        Some(audience) => assertion.audience(audience),
        None => assertion,
    })
}

async fn machine(server: &dyn InteropServer, id: &str, auth: ClientAuth) -> impl TokenProvider {
    ClientCredentialsProvider::of_server("interop", &*metadata(&server.issuer()).await)
        .expect("an endpoint")
        .client(id, auth)
        .scopes([server.api_scope()])
        .build()
        .expect("settings")
}

async fn alice(server: &dyn InteropServer) -> PasswordProvider {
    let Client { id, auth } = server.client();
    let metadata: Arc<AuthorizationServer> = metadata(&server.issuer()).await;
    PasswordProvider::of_server("interop", &metadata)
        .expect("an endpoint")
        .client(id, auth)
        .user("alice", "wonderland")
        .scopes(server.login_scopes().iter().copied().chain([server.api_scope()]))
        .build()
        .expect("settings")
}
