//! RFC 7636: proof keys for codes.

#![cfg(feature = "authorization-code")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "these are tests")]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use tokenkeeper::ErrorKind;

use crate::login::{asked, builder, called_back, login, parameters};
use crate::support::{OK, Playback};

/// Challenge and verifier of a login, as they were sent.
async fn sent() -> (String, String) {
    let playback = Playback::of(&[OK]);
    let login = login(&playback);
    let pending = login.begin().await.unwrap();
    let challenge = asked(&pending)["code_challenge"].clone();
    let callback = called_back(&pending);
    assert_eq!(asked(&pending)["code_challenge_method"], "S256");
    login.finish(pending, &callback).await.unwrap();
    let form = parameters(&format!("https://x/?{}", playback.body(0)));
    (challenge, form["code_verifier"].clone())
}

#[tokio::test]
async fn the_verifier_has_256_bits_in_43_to_128_unreserved_characters() {
    let (_, verifier) = sent().await;

    assert!((43..=128).contains(&verifier.len()));
    assert!(verifier.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b)));
    assert_eq!(URL_SAFE_NO_PAD.decode(&verifier).unwrap().len(), 32);
}

#[tokio::test]
async fn the_challenge_is_the_hash_of_the_verifier_and_never_the_verifier() {
    let (challenge, verifier) = sent().await;

    assert_eq!(challenge, URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier)));
}

#[tokio::test]
async fn every_login_has_a_verifier_of_its_own() {
    let (one, two) = (sent().await, sent().await);

    assert_ne!(one, two);
    assert_ne!(one.1, two.1);
}

#[test]
fn a_server_that_offers_only_a_plain_challenge_is_refused() {
    let offered = |methods: &[&str]| {
        builder(&Playback::default()).code_challenge_methods(methods.iter().copied()).build()
    };

    for methods in [&["plain"][..], &[], &["s256"], &["S512", "plain"]] {
        let error = offered(methods).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("S256 is needed"), "{error}");
    }
    assert!(offered(&["plain", "S256"]).is_ok());
}
