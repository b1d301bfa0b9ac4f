//! Cells where alice logs in.

use serde_json::Value;
use tokenkeeper::ErrorKind;
use tokenkeeper_providers::{AuthorizationCodeLogin, Introspection, PendingLogin, UserInfo};

use super::people::{callback, logged_in, login, of_client, refused};
use super::{Client, InteropServer, access_token, metadata, takes};
use crate::refresh;

/// Tokens for a code, and tokens for the refresh token that came with them.
pub async fn authorization_code_with_pkce(server: &dyn InteropServer) {
    let login = login(server).await.build().expect("settings");

    let tokens = logged_in(server, &login).await;
    let provider = login.provider("alice").expect("a provider");
    let fresh = refresh(&provider, &tokens).await.expect("tokens");

    assert!(takes(server, access_token(&fresh)).await);
}

/// A callback that says which server it is of, and nothing else will do.
pub async fn issuer_in_the_callback(server: &dyn InteropServer) {
    let login = login(server).await.iss_parameter_required().build().expect("settings");
    let pending = login.begin().await.expect("a login");
    let unnamed = copy(&pending);
    let back = server.consents(pending.authorization_url()).await;

    let error = refused(login.finish(unnamed, &callback(&without(&back, "iss"))).await);
    let tokens = login.finish(pending, &callback(&back)).await.expect("tokens");

    assert_eq!(error.kind(), ErrorKind::LoginRequired);
    assert!(takes(server, access_token(&tokens)).await);
}

/// A request that the browser never sees, because the server says that it takes such.
pub async fn pushed_authorization_request(server: &dyn InteropServer) {
    let metadata = metadata(&server.issuer()).await;
    let login = AuthorizationCodeLogin::of_server("interop", &metadata).expect("endpoints");
    let login = of_client(server, login).build().expect("settings");

    let pending = login.begin().await.expect("a login");
    let url = pending.authorization_url().to_owned();
    let back = server.consents(&url).await;
    let tokens = login.finish(pending, &callback(&back)).await.expect("tokens");

    assert!(url.contains("request_uri=") && !url.contains("scope="), "{url}");
    assert!(takes(server, access_token(&tokens)).await);
}

/// A token that is for one API.
pub async fn resource_indicator(server: &dyn InteropServer) {
    let scopes = server.login_scopes().iter().copied().chain([server.api_scope()]);
    let login = login(server).await.resource(server.resource()).scopes(scopes);
    let login = login.build().expect("settings");

    let tokens = logged_in(server, &login).await;

    let Client { id, auth } = server.client();
    let introspection = Introspection::of_server("interop", &*metadata(&server.issuer()).await);
    let introspection = introspection.expect("an endpoint").client(id, auth).build();
    let answer = introspection.expect("settings").introspect(access_token(&tokens)).await;
    let audience: Vec<_> = answer.expect("an answer").audience().map(str::to_owned).collect();
    assert_eq!(audience, [server.resource()]);
}

/// Who alice is, and her address.
pub async fn user_info(server: &dyn InteropServer) {
    let login = login(server).await.build().expect("settings");
    let user_info = UserInfo::of_server("interop", &*metadata(&server.issuer()).await);
    let user_info = user_info.expect("an endpoint").build().expect("settings");

    let tokens = logged_in(server, &login).await;
    let claims = user_info.fetch(tokens.access_token().expect("a token")).await.expect("claims");

    assert!(claims.id().is_some());
    assert!(claims.email().is_some_and(|email| email.starts_with("alice@")), "{claims:?}");
}

/// An id token of this login, and none of another one.
pub async fn checks_of_the_id_token(server: &dyn InteropServer) {
    let login = login(server).await.build().expect("settings");

    let tokens = logged_in(server, &login).await;
    let pending = login.begin().await.expect("a login");
    let back = server.consents(pending.authorization_url()).await;
    let other = with_another_nonce(&pending);
    let error = refused(login.finish(other, &callback(&back)).await);

    assert!(tokens.id_token().is_some());
    assert_eq!(error.kind(), ErrorKind::LoginRequired);
    assert!(error.to_string().contains("nonce"), "{error}");
}

/// As another process would read it.
pub(super) fn copy(pending: &PendingLogin) -> PendingLogin {
    let stored = serde_json::to_string(pending).expect("a login that can be stored");
    serde_json::from_str(&stored).expect("the same login")
}

fn with_another_nonce(pending: &PendingLogin) -> PendingLogin {
    let mut stored = serde_json::to_value(pending).expect("a login that can be stored");
    stored["nonce"] = Value::from("that-of-another-login");
    serde_json::from_value(stored).expect("another login")
}

fn without(url: &str, name: &str) -> String {
    let mut url = url::Url::parse(url).expect("a callback");
    let rest: Vec<_> = url.query_pairs().into_owned().filter(|(found, _)| found != name).collect();
    url.query_pairs_mut().clear().extend_pairs(rest);
    url.into()
}
