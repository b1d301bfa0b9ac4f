//! RFC 6749 §4.1: the authorization code grant, both of its ends.

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod login;
mod support;

use login::{AUTHORIZATION_URL, REDIRECT_URI, called_back, login, parameters};
use support::{OK_WITH_REFRESH, Playback};

#[tokio::test]
async fn a_login_sends_the_browser_with_everything_that_the_code_grant_asks_for() {
    let pending = login(&Playback::default()).begin().await.unwrap();

    let url = pending.authorization_url();
    assert!(url.starts_with(&format!("{AUTHORIZATION_URL}?")), "{url}");
    let sent = parameters(url);
    assert_eq!(sent["response_type"], "code");
    assert_eq!(sent["client_id"], "web");
    assert_eq!(sent["redirect_uri"], REDIRECT_URI);
    assert_eq!(sent["state"], pending.state());
    assert_eq!(sent["code_challenge_method"], "S256");
    assert_eq!(sent["code_challenge"].len(), 43);
    assert_eq!(sent.len(), 6);
}

#[tokio::test]
async fn the_code_is_exchanged_with_redirect_uri_and_verifier() {
    let playback = Playback::of(&[OK_WITH_REFRESH]);
    let login = login(&playback);
    let pending = login.begin().await.unwrap();
    let callback = called_back(&pending);

    let tokens = login.finish(pending, &callback).await.unwrap();

    assert_eq!(tokens.refresh_token().unwrap().expose_secret(), "rt-1");
    let body = playback.body(0);
    assert!(body.starts_with("grant_type=authorization_code&code=c0de&code_verifier="), "{body}");
    assert!(body.ends_with("&redirect_uri=https%3A%2F%2Fapp.example.org%2Fcallback"), "{body}");
    assert_eq!(playback.authorization(0).unwrap(), "Basic d2ViOmh1bnRlcjI=");
}
