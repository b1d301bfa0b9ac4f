//! Tokens for a signed assertion (RFC 7521 §4.1, RFC 7523 §2.1).

#![cfg(feature = "jwt-bearer")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, Uri};
use tokenkeeper::{
    AccessToken, Error, ErrorKind, ManualClock, Secret, TokenManager, TokenProvider, TokenSet,
    async_trait,
};
use tokenkeeper_providers::{
    AssertionSource, ClientAuth, JwtBearerBuilder, JwtBearerProvider, ProofOfPossession,
};

use crate::support::{Counting, OK, OK_WITH_REFRESH, Playback, TOKEN_URL, fetch, printed, refresh};

const GRANT: &str = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer";
const AUDIENCE: &str = "https%3A%2F%2Fauth.example.org%2Ftoken";

fn builder(playback: &Playback) -> JwtBearerBuilder {
    JwtBearerProvider::builder("svc", TOKEN_URL)
        .assertion(Counting::default())
        .subject("alice")
        .transport(playback.clone())
}

#[tokio::test]
async fn an_assertion_without_a_client_is_sent_alone() {
    let playback = Playback::of(&[OK]);

    fetch(&builder(&playback).scopes(["b", "a"]).build().unwrap()).await.unwrap();

    let body = format!("{GRANT}&scope=a+b&assertion=jwt-0-for-{AUDIENCE}");
    assert_eq!(playback.body(0), body);
    assert_eq!(playback.authorization(0), None);
}

#[tokio::test]
async fn a_client_authenticates_beside_the_assertion_if_there_is_one() {
    for (auth, rest, header) in [
        (ClientAuth::none(), "&client_id=id", None),
        (ClientAuth::post("s"), "&client_id=id&client_secret=s", None),
        (ClientAuth::basic("secret"), "", Some("Basic aWQ6c2VjcmV0")),
    ] {
        let playback = Playback::of(&[OK]);

        fetch(&builder(&playback).client("id", auth).build().unwrap()).await.unwrap();

        let body = format!("{GRANT}{rest}&assertion=jwt-0-for-{AUDIENCE}");
        assert_eq!(playback.body(0), body);
        assert_eq!(playback.authorization(0).as_deref(), header);
    }
}

#[tokio::test]
async fn every_attempt_has_an_assertion_of_its_own_made_for_the_issuer() {
    let playback = Playback::of(&[OK]).and(503, "").and(200, OK);
    let provider = builder(&playback).issuer("https://as").build().unwrap();

    for _ in 0..3 {
        let _ = fetch(&provider).await;
    }

    for at in 0..3 {
        let assertion = format!("{GRANT}&assertion=jwt-{at}-for-https%3A%2F%2Fas");
        assert_eq!(playback.body(at), assertion);
    }
}

/// A key whose proofs say which nonce they have.
#[derive(Debug, Default)]
struct Key(std::sync::Mutex<Option<HeaderValue>>);

impl ProofOfPossession for Key {
    fn thumbprint(&self) -> &str {
        "thumbprint"
    }

    fn prove(
        &self,
        _method: &Method,
        _uri: &Uri,
        _token: Option<&AccessToken>,
        headers: &mut HeaderMap,
    ) -> Result<(), Error> {
        let nonce = self.0.lock().unwrap().clone();
        headers.insert("dpop", nonce.unwrap_or(HeaderValue::from_static("no nonce")));
        Ok(())
    }

    fn take_notice(&self, _uri: &Uri, _token: Option<&AccessToken>, headers: &HeaderMap) {
        *self.0.lock().unwrap() = headers.get("dpop-nonce").cloned();
    }
}

#[tokio::test]
async fn an_attempt_that_is_repeated_for_a_nonce_has_another_assertion() {
    let playback = Playback::default()
        .and_with(400, &[("dpop-nonce", "n-1")], r#"{"error":"use_dpop_nonce"}"#)
        .and(200, r#"{"access_token":"at-1","token_type":"DPoP"}"#);
    let provider = builder(&playback).proof_of_possession(Key::default()).build().unwrap();

    fetch(&provider).await.unwrap();

    assert_eq!(playback.body(0), format!("{GRANT}&assertion=jwt-0-for-{AUDIENCE}"));
    assert_eq!(playback.body(1), format!("{GRANT}&assertion=jwt-1-for-{AUDIENCE}"));
    assert_eq!(playback.request(1).headers()["dpop"], "n-1");
}

#[tokio::test]
async fn a_refresh_token_is_used_where_there_is_one() {
    let playback = Playback::of(&[OK_WITH_REFRESH, OK, OK]);
    let provider = builder(&playback).build().unwrap();

    let tokens = fetch(&provider).await.unwrap();
    refresh(&provider, &tokens).await.unwrap();
    let bare = TokenSet::new(AccessToken::new("at", "Bearer").unwrap(), tokens.requested_at());
    refresh(&provider, &bare).await.unwrap();

    assert_eq!(playback.body(1), "grant_type=refresh_token&refresh_token=rt-1");
    assert!(playback.body(2).starts_with(GRANT));
    assert!(provider.non_interactive() && provider.refreshes());
}

#[tokio::test]
async fn invalid_grant_is_a_verdict_on_the_assertion() {
    let playback = Playback::default()
        .and(400, r#"{"error":"invalid_grant","error_description":"Audience validation failed"}"#);

    let error = fetch(&builder(&playback).build().unwrap()).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::CredentialsRejected);
    assert_eq!(
        error.to_string(),
        "svc: auth.example.org refused the assertion (HTTP 400, invalid_grant: Audience validation \
         failed); correct its issuer, subject, audience or key, or the clock, then call \
         credentials_changed() or restart"
    );
}

#[tokio::test]
async fn invalid_grant_on_a_refresh_leads_to_a_new_assertion() {
    let refused = r#"{"error":"invalid_grant"}"#;
    let playback = Playback::of(&[OK_WITH_REFRESH]).and(400, refused).and(200, OK);
    let clock = ManualClock::new();
    let provider = builder(&playback).build().unwrap();
    let manager = TokenManager::builder(provider).clock(clock.clone()).build().unwrap();

    manager.token().await.unwrap();
    clock.advance(Duration::from_secs(900));
    manager.token().await.unwrap();

    assert!(playback.body(0).contains("assertion=jwt-0"));
    assert!(playback.body(1).contains("refresh_token=rt-1"));
    assert!(playback.body(2).contains("assertion=jwt-1"));
}

#[test]
fn the_subject_is_part_of_the_identity() {
    let of = |subject: &str| {
        let builder = builder(&Playback::default()).subject(subject);
        builder.build().unwrap().identity().storage_key()
    };

    assert_eq!(of("alice"), of("alice"));
    assert_ne!(of("alice"), of("bob"));
}

#[test]
fn what_is_missing_is_named_when_the_provider_is_built() {
    let new = || JwtBearerProvider::builder("svc", TOKEN_URL).transport(Playback::default());
    for (builder, field) in [
        (new().subject("alice"), "assertion"),
        (new().assertion(Counting::default()), "subject"),
        (builder(&Playback::default()).subject(""), "subject"),
        (builder(&Playback::default()).client("", ClientAuth::none()), "client id"),
        (builder(&Playback::default()).extra_parameter("assertion", "x"), "extra parameter"),
    ] {
        let error = builder.build().unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().starts_with(&format!("svc: {field}: ")), "{error}");
    }
}

/// An assertion that can be looked for.
#[derive(Debug)]
struct Planted(&'static str);

#[async_trait]
impl AssertionSource for Planted {
    async fn assertion(&self, _audience: &str) -> Result<Secret, Error> {
        Ok(Secret::from(self.0))
    }
}

#[tokio::test]
async fn the_assertion_is_in_no_error_and_no_debug() {
    let refused = r#"{"error":"bad planted.as.sertion",
        "error_description":"cannot read planted.as.sertion"}"#;
    let playback = Playback::default().and(400, refused).and(400, refused);
    for (assertion, kind) in [
        ("planted.as.sertion", ErrorKind::RequestRejected),
        ("planted.as\n.sertion", ErrorKind::Config), // cannot be sent
    ] {
        let provider = builder(&playback).assertion(Planted(assertion)).build().unwrap();

        let error = fetch(&provider).await.unwrap_err();

        assert_eq!(error.kind(), kind);
        assert!(!printed(&error).contains("planted"), "{error:?}");
    }
    assert_eq!(playback.count(), 1);
}

#[tokio::test]
async fn a_revocation_without_a_client_names_none() {
    let playback = Playback::of(&[OK, ""]);
    let provider =
        builder(&playback).revocation_url("https://auth.example.org/revoke").build().unwrap();

    let tokens = fetch(&provider).await.unwrap();
    provider.revoke(&tokens).await.unwrap();

    assert_eq!(playback.body(1), "token=at-1&token_type_hint=access_token");
}

#[cfg(feature = "reqwest")]
#[tokio::test]
async fn an_assertion_is_exchanged_over_http() {
    let server = httpmock::MockServer::start_async().await;
    let token = server
        .mock_async(|when, then| {
            when.method(httpmock::Method::POST)
                .path("/token")
                .header("content-type", "application/x-www-form-urlencoded")
                .header("accept", "application/json")
                .header_missing("authorization")
                .body(format!("{GRANT}&scope=a&assertion=header.claims.signature"));
            then.status(200).header("content-type", "application/json").body(OK);
        })
        .await;
    let provider = JwtBearerProvider::builder("svc", &server.url("/token"))
        .assertion(Planted("header.claims.signature"))
        .subject("alice")
        .scopes(["a"])
        .build()
        .unwrap();

    let tokens = fetch(&provider).await.unwrap();

    assert_eq!(tokens.access_token().unwrap().authorization(), "Bearer at-1");
    assert_eq!(token.calls_async().await, 1);
}

/// Hands on a token of somewhere else, which it can read anew.
#[derive(Debug, Default)]
struct Projected(std::sync::atomic::AtomicU32);

#[async_trait]
impl AssertionSource for Projected {
    async fn assertion(&self, _audience: &str) -> Result<Secret, Error> {
        Ok(Secret::from(format!("jwt-{}", self.0.load(std::sync::atomic::Ordering::Relaxed))))
    }

    async fn replace_refused(&self) -> Result<bool, Error> {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(true)
    }
}

#[tokio::test]
async fn a_source_whose_assertion_was_refused_is_asked_for_another_one_once() {
    let refused = r#"{"error":"invalid_grant"}"#;
    let playback = Playback::default().and(400, refused).and(200, OK);
    let provider = builder(&playback).assertion(Projected::default()).build().unwrap();
    fetch(&provider).await.unwrap();
    assert!(playback.body(0).ends_with("assertion=jwt-0"));
    assert!(playback.body(1).ends_with("assertion=jwt-1"));

    let playback = Playback::default().and(400, refused).and(400, refused);
    let provider = builder(&playback).assertion(Projected::default()).build().unwrap();
    assert!(fetch(&provider).await.is_err());
    assert_eq!(playback.count(), 2);
}
