//! Cells where a login must fail, with an error that says why.

use tokenkeeper::ErrorKind;

use super::logins::copy;
use super::people::{callback, login, refused};
use super::{Client, InteropServer};

/// The callback of another login, of another tab say.
pub async fn refuses_another_state(server: &dyn InteropServer) {
    let login = login(server).await.build().expect("settings");
    let pending = login.begin().await.expect("a login");
    let other = login.begin().await.expect("a login");

    let back = server.consents(other.authorization_url()).await;
    let error = refused(login.finish(pending, &callback(&back)).await);

    assert_eq!(error.kind(), ErrorKind::LoginRequired);
    assert!(error.to_string().contains("`state`"), "{error}");
    login.finish(other, &callback(&back)).await.expect("tokens for the other tab");
}

/// A callback that an attacker's server had a hand in.
pub async fn refuses_another_iss(server: &dyn InteropServer) {
    let login = login(server).await.build().expect("settings");
    let pending = login.begin().await.expect("a login");
    let back = server.consents(pending.authorization_url()).await;
    let iss: String = form_urlencoded::byte_serialize(server.issuer().as_bytes()).collect();
    let mixed_up = back.replace(&iss, "https%3A%2F%2Fattacker.example.test");
    assert_ne!(mixed_up, back);

    let error = refused(login.finish(pending, &callback(&mixed_up)).await);

    assert_eq!(error.kind(), ErrorKind::LoginRequired);
    assert!(error.to_string().contains("`iss`"), "{error}");
}

/// A code that was redeemed already. It is the server that says so.
pub async fn refuses_a_replayed_code(server: &dyn InteropServer) {
    let login = login(server).await.build().expect("settings");
    let pending = login.begin().await.expect("a login");
    let back = server.consents(pending.authorization_url()).await;
    login.finish(copy(&pending), &callback(&back)).await.expect("tokens");

    let error = refused(login.finish(pending, &callback(&back)).await);

    assert!(error.status().is_some_and(|status| status.is_client_error()), "{error}");
    assert!(error.to_string().contains("code"), "{error}");
}

/// A challenge that does not hide the verifier. It is the server that says so.
pub async fn refuses_a_plain_challenge(server: &dyn InteropServer) {
    let login = login(server).await.build().expect("settings");
    let pending = login.begin().await.expect("a login");
    let downgraded = pending.authorization_url().replace("_method=S256", "_method=plain");
    assert_ne!(downgraded, pending.authorization_url());

    let back = server.consents(&downgraded).await;
    let error = refused(login.finish(pending, &callback(&back)).await);

    assert_eq!(error.oauth().map(|oauth| oauth.code()), Some("invalid_request"), "{error}");
}

/// A person who said no.
pub async fn refuses_a_declined_login(server: &dyn InteropServer) {
    let Client { id, auth } = server.declinable_client();
    let login = login(server).await.client(id, auth).build().expect("settings");
    let pending = login.begin().await.expect("a login");

    let back = server.declines(pending.authorization_url()).await;
    let error = refused(login.finish(pending, &callback(&back)).await);

    assert_eq!(error.kind(), ErrorKind::LoginRequired);
    assert!(error.to_string().contains("declined"), "{error}");
}
