//! Logins by code, as the cells begin and end them.

use tokenkeeper::{Error, TokenSet};
use tokenkeeper_providers::{
    AuthorizationCodeLogin, AuthorizationCodeLoginBuilder, AuthorizationServer, Callback,
};

use super::{Client, InteropServer, metadata};

/// A login that asks for nothing special: what else a server offers is for the cells about it.
pub(super) async fn login(server: &dyn InteropServer) -> AuthorizationCodeLoginBuilder {
    login_of(server, &*metadata(&server.issuer()).await)
}

pub(super) fn login_of(
    server: &dyn InteropServer,
    metadata: &AuthorizationServer,
) -> AuthorizationCodeLoginBuilder {
    let authorization_url = metadata.authorization_url().expect("an endpoint");
    let token_url = metadata.token_url().expect("an endpoint");
    let login = AuthorizationCodeLogin::builder("interop", authorization_url, token_url);
    of_client(server, login.issuer(metadata.issuer().expect("an issuer")))
}

/// With the client that people log in to.
pub(super) fn of_client(
    server: &dyn InteropServer,
    login: AuthorizationCodeLoginBuilder,
) -> AuthorizationCodeLoginBuilder {
    let Client { id, auth } = server.login_client();
    login
        .client(id, auth)
        .redirect_uri(REDIRECT_URI)
        .scopes(server.login_scopes().iter().copied())
        // oidc-provider gives refresh tokens to those alone who ask the person for them.
        .authorization_parameter("prompt", "consent")
}

/// From the beginning to the end, with a person who consents.
pub(super) async fn logged_in(
    server: &dyn InteropServer,
    login: &AuthorizationCodeLogin,
) -> TokenSet {
    let pending = login.begin().await.expect("a login");
    let back = server.consents(pending.authorization_url()).await;
    login.finish(pending, &callback(&back)).await.expect("tokens")
}

/// The error of a login that must fail.
pub(super) fn refused(result: Result<TokenSet, Error>) -> Error {
    let error = result.expect_err("a refusal");
    println!("{error}");
    error
}

pub(super) fn callback(url: &str) -> Callback {
    Callback::parse(url).expect("a callback")
}

pub(super) const REDIRECT_URI: &str = "https://app.example.test/callback";
