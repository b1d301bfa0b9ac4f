//! The cells of the table in `docs/interop.md`: one function for each row, which proves the feature at
//! any server.
//!
//! A column is a test file with a server and the cells that this server has, each a test of the same
//! name by [`interop_cells!`](crate::interop_cells). What a server does not have is said in
//! `xtask/src/interop_table/rows.rs`, with the reason.

use std::fmt::Debug;
use std::sync::Arc;

use tokenkeeper::{Secret, TokenSet, async_trait};
use tokenkeeper_providers::{AuthorizationServer, ClientAuth, Discovery, Introspection};

mod asking_clock;
mod devices;
mod fake_server;
mod glewlwyd;
mod keycloak;
mod logins;
mod machines;
mod oidc_provider;
mod people;
mod proofs;
mod refusals;

pub use devices::{
    device_login, device_told_to_slow_down, refuses_a_denied_device, refuses_an_expired_device_code,
};
pub use fake_server::FakeServerColumn;
pub use glewlwyd::GlewlwydColumn;
pub use keycloak::KeycloakColumn;
pub use logins::{
    authorization_code_with_pkce, checks_of_the_id_token, issuer_in_the_callback,
    pushed_authorization_request, resource_indicator, user_info,
};
pub use machines::{
    authorization_server_metadata, client_credentials, client_secret_jwt, introspection,
    jwt_bearer_grant, openid_discovery, password, private_key_jwt, refresh_with_rotation,
    revocation, token_exchange,
};
pub use oidc_provider::OidcProviderColumn;
pub use proofs::{dpop, dpop_with_nonces};
pub use refusals::{
    refuses_a_declined_login, refuses_a_plain_challenge, refuses_a_replayed_code,
    refuses_another_iss, refuses_another_state,
};

/// A server as the cells see it: what it is called, who is registered there, and a person who sits
/// before its pages. All else it says of itself.
#[async_trait]
pub trait InteropServer: Debug + Send + Sync {
    /// Its issuer.
    fn issuer(&self) -> String;

    /// The issuer that wants nonces in DPoP proofs. Its clients and users are the same.
    fn issuer_with_nonces(&self) -> String;

    /// The issuer whose device codes do not live long, and a client whose do not.
    fn short_lived(&self) -> (String, Client);

    /// A client with a secret, which may do everything.
    fn client(&self) -> Client;

    /// The client that people log in to by code, if it is not that one.
    fn login_client(&self) -> Client {
        self.client()
    }

    /// A client whose logins people can decline, if that one's cannot be.
    fn declinable_client(&self) -> Client {
        self.login_client()
    }

    /// The client with the key of this algorithm.
    fn signing_client(&self, algorithm: &str) -> &'static str;

    /// What it wants to be called in assertions, if it is not by its issuer.
    fn assertion_audience(&self) -> Option<String> {
        None
    }

    /// A client that signs with its secret.
    fn mac_client(&self) -> (&'static str, Secret);

    /// Something that tokens are for.
    fn api_scope(&self) -> &'static str;

    /// What a login asks for to get an id token, an e-mail address and a refresh token.
    fn login_scopes(&self) -> &'static [&'static str];

    /// An API that a token can be restricted to.
    fn resource(&self) -> &'static str;

    /// Alice opens an authorization URL, logs in and consents. Gives where her browser is sent.
    async fn consents(&self, authorization_url: &str) -> String;

    /// Alice opens an authorization URL and says no. Gives where her browser is sent.
    async fn declines(&self, authorization_url: &str) -> String;

    /// Alice opens the `verification_uri_complete` of a device and lets it in.
    async fn approves(&self, verification_url_complete: &str);

    /// Alice opens the `verification_uri_complete` of a device and turns it away.
    async fn denies(&self, verification_url_complete: &str);
}

/// A client of a server.
#[derive(Clone, Debug)]
pub struct Client {
    /// `client_id`.
    pub id: &'static str,
    /// How it says who it is.
    pub auth: ClientAuth,
}

/// Makes each of these cells a test at this column.
#[macro_export]
macro_rules! interop_cells {
    ($column:ty: $($cell:ident),* $(,)?) => {$(
        #[tokio::test]
        async fn $cell() {
            let server = <$column>::alone().await;
            $crate::interop_table::$cell(&server).await;
        }
    )*};
}

/// What a server says of itself.
async fn metadata(issuer: &str) -> Arc<AuthorizationServer> {
    Discovery::new().server(issuer).await.expect("metadata of the server")
}

/// Whether the server takes a token that it issued.
async fn takes(server: &dyn InteropServer, token: &Secret) -> bool {
    let Client { id, auth } = server.client();
    let introspection = Introspection::of_server("interop", &*metadata(&server.issuer()).await);
    let introspection = introspection.expect("an endpoint").client(id, auth).build();
    let answer = introspection.expect("settings").introspect(token).await;
    answer.expect("an answer").active()
}

fn access_token(tokens: &TokenSet) -> &Secret {
    tokens.access_token().expect("an access token").secret()
}

fn refresh_token(tokens: &TokenSet) -> &Secret {
    tokens.refresh_token().expect("a refresh token")
}

/// Whose statements about alice the servers believe.
const JWT_ISSUER: &str = "https://people.example.test";
