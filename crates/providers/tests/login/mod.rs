//! What the tests of logins share.

#![allow(dead_code, missing_docs, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

use std::collections::BTreeMap;

use tokenkeeper::{Error, ErrorKind, ManualClock, TokenSet};
use tokenkeeper_providers::{
    AuthorizationCodeLogin, AuthorizationCodeLoginBuilder, Callback, ClientAuth, PendingLogin,
};
use url::Url;

use crate::support::{Playback, TOKEN_URL, printed};

pub(crate) const AUTHORIZATION_URL: &str = "https://auth.example.org/authorize";
pub(crate) const REDIRECT_URI: &str = "https://app.example.org/callback";
pub(crate) const ISSUER: &str = "https://auth.example.org";

pub(crate) fn builder(playback: &Playback) -> AuthorizationCodeLoginBuilder {
    AuthorizationCodeLogin::builder("calendar", AUTHORIZATION_URL, TOKEN_URL)
        .client("web", ClientAuth::basic("hunter2"))
        .redirect_uri(REDIRECT_URI)
        .transport(playback.clone())
        .clock(ManualClock::new())
}

pub(crate) fn login(playback: &Playback) -> AuthorizationCodeLogin {
    builder(playback).build().unwrap()
}

/// The parameters of a URL, each of which is there once.
pub(crate) fn parameters(url: &str) -> BTreeMap<String, String> {
    let url = Url::parse(url).unwrap();
    let pairs: Vec<_> = url.query_pairs().into_owned().collect();
    let map: BTreeMap<_, _> = pairs.iter().cloned().collect();
    assert_eq!(map.len(), pairs.len(), "no parameter repeats");
    map
}

/// The parameters that a login sends.
pub(crate) fn asked(pending: &PendingLogin) -> BTreeMap<String, String> {
    parameters(pending.authorization_url())
}

/// The callback of this login with a code.
pub(crate) fn called_back(pending: &PendingLogin) -> Callback {
    called_back_with(pending, "code=c0de")
}

/// The callback of this login with other parameters than a code.
pub(crate) fn called_back_with(pending: &PendingLogin, rest: &str) -> Callback {
    Callback::parse(&format!("{REDIRECT_URI}?state={}&{rest}", pending.state())).unwrap()
}

/// A login that was refused with an error for people, which says this.
#[track_caller]
pub(crate) fn assert_new_login_needed(outcome: Result<TokenSet, Error>, says: &str) -> Error {
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LoginRequired, "{error}");
    assert_eq!(error.service_name(), Some("calendar"));
    let text = error.to_string();
    assert!(text.contains(says) && text.contains("begin a new login"), "{text}");
    assert!(!printed(&error).contains("planted") && !printed(&error).contains("hunter2"));
    error
}
