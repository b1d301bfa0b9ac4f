//! RFC 9449 §10: codes that are bound to a key.

#![cfg(feature = "authorization-code")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use http::{HeaderMap, Method, Uri};
use tokenkeeper::{AccessToken, Error, ErrorKind, TokenProvider};
use tokenkeeper_providers::ProofOfPossession;

use crate::login::{asked, assert_new_login_needed, builder, called_back, parameters};
use crate::support::{OK, Playback};

#[derive(Debug)]
struct Key;

impl ProofOfPossession for Key {
    fn thumbprint(&self) -> &str {
        "thumbprint-1"
    }

    fn prove(
        &self,
        _method: &Method,
        _uri: &Uri,
        _token: Option<&AccessToken>,
        headers: &mut HeaderMap,
    ) -> Result<(), Error> {
        headers.insert("dpop", "proof".parse().unwrap());
        Ok(())
    }

    fn take_notice(&self, _uri: &Uri, _token: Option<&AccessToken>, _headers: &HeaderMap) {}
}

#[tokio::test]
async fn the_code_is_bound_to_the_key_and_so_are_the_tokens() {
    let dpop = OK.replace("Bearer", "DPoP");
    let playback = Playback::of(&[&dpop]);
    let login = builder(&playback).proof_of_possession(Key).build().unwrap();
    let pending = login.begin().await.unwrap();
    let callback = called_back(&pending);

    let jkt = asked(&pending)["dpop_jkt"].clone();
    let tokens = login.finish(pending, &callback).await.unwrap();

    assert_eq!(jkt, "thumbprint-1");
    assert_eq!(playback.request(0).headers()["dpop"], "proof");
    assert_eq!(tokens.access_token().unwrap().token_type(), "DPoP");
    let bound = login.provider("alice").unwrap();
    let other = builder(&playback).build().unwrap().provider("alice").unwrap();
    assert_ne!(bound.identity(), other.identity());
}

#[tokio::test]
async fn a_pushed_request_binds_the_code_too() {
    let pushed = r#"{"request_uri":"urn:a","expires_in":60}"#;
    let playback = Playback::default().and(201, pushed);
    let login = builder(&playback)
        .pushed_authorization_request_url("https://auth.example.org/par")
        .proof_of_possession(Key)
        .build()
        .unwrap();

    login.begin().await.unwrap();

    let form = parameters(&format!("https://x/?{}", playback.body(0)));
    assert_eq!(form["dpop_jkt"], "thumbprint-1");
}

#[tokio::test]
async fn tokens_of_a_bound_login_that_are_not_bound_are_discarded() {
    let login = builder(&Playback::of(&[OK])).proof_of_possession(Key).build().unwrap();
    let pending = login.begin().await.unwrap();
    let callback = called_back(&pending);

    let error = login.finish(pending, &callback).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::InvalidResponse);
    assert!(error.to_string().contains("`DPoP`"), "{error}");
}

#[tokio::test]
async fn a_refused_nonce_costs_no_code() {
    let refusal = r#"{"error":"use_dpop_nonce"}"#;
    let dpop = OK.replace("Bearer", "DPoP");
    let playback = Playback::default()
        .and_with(400, &[("dpop-nonce", "n1")], refusal)
        .and(200, &dpop)
        .and(400, r#"{"error":"invalid_grant"}"#);
    let login = builder(&playback).proof_of_possession(Key).build().unwrap();
    let [one, two] = [login.begin().await.unwrap(), login.begin().await.unwrap()];
    let [first, second] = [called_back(&one), called_back(&two)];

    login.finish(one, &first).await.unwrap();

    assert_eq!(playback.body(0), playback.body(1));
    assert_new_login_needed(login.finish(two, &second).await, "one use");
}
