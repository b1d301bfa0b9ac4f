//! RFC 8707: resource indicators.

#![cfg(feature = "authorization-code")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use tokenkeeper::{ErrorKind, TokenProvider};
use url::{Url, form_urlencoded};

use crate::login::{builder, called_back, called_back_with};
use crate::support::{OK, Playback};

const RESOURCES: [&str; 2] = ["https://api.example.org/?a=1", "urn:example:mail"];

#[tokio::test]
async fn every_resource_is_in_the_authorization_request_and_in_the_token_request() {
    let playback = Playback::of(&[OK]);
    let builder = builder(&playback).resource(RESOURCES[1]).resource(RESOURCES[0]);
    let login = builder.resource(RESOURCES[1]).build().unwrap();
    let pending = login.begin().await.unwrap();

    let url = Url::parse(pending.authorization_url()).unwrap();
    let asked: Vec<_> = url.query_pairs().filter(|(name, _)| name == "resource").collect();
    let asked: Vec<_> = asked.iter().map(|(_, value)| value.as_ref()).collect();
    assert_eq!(asked, RESOURCES);

    let callback = called_back(&pending);
    login.finish(pending, &callback).await.unwrap();
    let body = playback.body(0);
    let form = form_urlencoded::parse(body.as_bytes()).filter(|(name, _)| name == "resource");
    assert_eq!(form.map(|(_, value)| value.into_owned()).collect::<Vec<_>>(), RESOURCES);
}

#[test]
fn tokens_for_different_resources_are_stored_apart() {
    let identity = |resources: &[&str]| {
        let builder = builder(&Playback::default());
        let builder = resources.iter().fold(builder, |builder, uri| builder.resource(*uri));
        let provider = builder.build().unwrap().provider("alice").unwrap();
        provider.identity().fingerprint()
    };

    assert_ne!(identity(&[]), identity(&RESOURCES[..1]));
    assert_ne!(identity(&RESOURCES[..1]), identity(&RESOURCES));
    assert_eq!(identity(&RESOURCES), identity(&[RESOURCES[1], RESOURCES[0]]));
}

#[test]
fn a_resource_is_an_absolute_uri_without_a_fragment() {
    for uri in ["", "planted", "/planted", "https://x/#planted", "https://x/ planted"] {
        let error = builder(&Playback::default()).resource(uri).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{uri}");
        assert!(!error.to_string().contains("planted"), "{error}");
    }
}

#[tokio::test]
async fn a_resource_that_the_server_does_not_know_is_a_mistake_in_the_authorization_request() {
    let refusal = r#"{"error":"invalid_target"}"#;
    let login = builder(&Playback::default().and(400, refusal)).build().unwrap();
    let [one, two] = [login.begin().await.unwrap(), login.begin().await.unwrap()];
    let in_browser = called_back_with(&one, "error=invalid_target");
    let with_code = called_back(&two);

    // With a code, the server took the resource at first: the next login says what is the matter.
    for (outcome, kind) in [
        (login.finish(one, &in_browser).await, ErrorKind::RequestRejected),
        (login.finish(two, &with_code).await, ErrorKind::LoginRequired),
    ] {
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), kind);
        assert_eq!(error.oauth().unwrap().code(), "invalid_target");
    }
}
