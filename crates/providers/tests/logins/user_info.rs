//! Who a token belongs to (OpenID Connect Core §5.3), and what services have in its place.

#![cfg(feature = "user-info")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::sync::{Arc, Mutex};

use http::{HeaderMap, Method, Uri};
use serde_json::{Value, json};
use tokenkeeper::{AccessToken, Error, ErrorKind};
use tokenkeeper_providers::{ProofOfPossession, UserClaims, UserInfo, UserInfoBuilder};

use crate::support::{Playback, printed};

const URL: &str = "https://as.example.org/userinfo";

fn builder(playback: &Playback) -> UserInfoBuilder {
    UserInfo::builder("svc", URL).transport(playback.clone())
}

fn bearer() -> AccessToken {
    AccessToken::new("planted-token", "Bearer").unwrap()
}

async fn asked(status: u16, body: &str) -> Result<UserClaims, Error> {
    builder(&Playback::default().and(status, body)).build().unwrap().fetch(&bearer()).await
}

async fn claims(members: Value) -> UserClaims {
    asked(200, &members.to_string()).await.unwrap()
}

#[cfg(feature = "reqwest")]
#[tokio::test]
async fn the_token_is_shown_in_the_header_of_a_get() {
    let mock = httpmock::MockServer::start_async().await;
    let endpoint = mock
        .mock_async(|when, then| {
            when.method(httpmock::Method::GET)
                .path("/userinfo")
                .header("authorization", "Bearer planted-token")
                .header("accept", "application/json");
            then.status(200).json_body(json!({ "sub": "248289761001", "email": "j@example.com" }));
        })
        .await;

    let user_info = UserInfo::builder("svc", &mock.url("/userinfo")).build().unwrap();
    let user = user_info.fetch(&bearer()).await.unwrap();

    endpoint.assert_async().await;
    assert_eq!(user.sub(), Some("248289761001"));
    assert_eq!(user.email(), Some("j@example.com"));
}

#[tokio::test]
async fn claims_have_names_and_those_of_another_type_are_absent() {
    let user = claims(json!({
        "sub": "u-1", "email": "a@example.org", "email_verified": true, "name": "Alice", "address": {},
    }))
    .await;
    assert_eq!(user.id().as_deref(), Some("u-1"));
    assert_eq!(user.email_verified(), Some(true));
    assert_eq!(user.get("name"), Some(&json!("Alice")));

    let user = claims(json!({ "sub": 7, "email": null, "email_verified": "soon" })).await;
    assert_eq!((user.sub(), user.email(), user.email_verified()), (None, None, None));
    assert_eq!(user.id(), None);
}

#[tokio::test]
async fn a_service_without_sub_has_an_id_as_a_number_or_a_text() {
    let github =
        claims(json!({ "login": "octocat", "id": 9_007_199_254_740_993_u64, "email": null }));
    assert_eq!(github.await.id().as_deref(), Some("9007199254740993"));

    let discord =
        claims(json!({ "id": "80351110224678912", "email": "n@example.org", "verified": true }));
    let discord = discord.await;
    assert_eq!(discord.id().as_deref(), Some("80351110224678912"));
    assert_eq!(discord.get("verified"), Some(&json!(true)));

    let slack =
        claims(json!({ "ok": true, "user": { "id": "U1", "email": "s@example.org" } })).await;
    assert_eq!(slack.id(), None);
    assert_eq!(slack.pointer("/user/id"), Some(&json!("U1")));
}

#[tokio::test]
async fn an_account_that_is_verified_says_nothing_of_its_address() {
    let user = claims(json!({ "id": "1", "email": "a@example.org", "verified": true })).await;

    assert_eq!(user.email_verified(), None);
}

#[tokio::test]
async fn of_a_list_of_addresses_the_primary_one_counts() {
    let user = claims(json!([
        { "email": "old@example.org", "primary": false, "verified": true },
        { "email": "octocat@example.org", "primary": true, "verified": false },
    ]))
    .await;

    assert_eq!(user.email(), Some("octocat@example.org"));
    assert_eq!(user.email_verified(), Some(false));
    assert_eq!(claims(json!([])).await.email(), None);
}

#[tokio::test]
async fn an_answer_about_another_user_than_expected_is_not_used() {
    for body in [r#"{"sub":"u-2"}"#, r#"{"id":"u-1"}"#, r#"{"sub":"U-1"}"#] {
        let user_info = builder(&Playback::of(&[body])).build().unwrap();

        let error = user_info.fetch_of("u-1", &bearer()).await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::InvalidResponse, "{body}");
        assert!(!error.to_string().contains("u-"), "{error}");
    }
    let user_info = builder(&Playback::of(&[r#"{"sub":"u-1"}"#])).build().unwrap();
    user_info.fetch_of("u-1", &bearer()).await.unwrap();
}

#[tokio::test]
async fn a_refused_token_is_an_error_that_says_what_to_do() {
    let table = [
        (401, ErrorKind::LoginRequired, "replace_rejected"),
        (403, ErrorKind::RequestRejected, "log in with the scopes"),
        (404, ErrorKind::RequestRejected, "check the userinfo URL"),
    ];
    for (status, kind, advice) in table {
        let error = asked(status, "").await.unwrap_err();

        assert_eq!(error.kind(), kind);
        assert!(error.to_string().contains(advice), "{error}");
        assert!(error.to_string().starts_with("svc: as.example.org refused"), "{error}");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_json_is_refused_and_signed_ones_are_named() {
    for body in ["", "\"x\"", "7", "sub=u-1&error=", "eyJhbGciOiJSUzI1NiJ9.e30.c2ln"] {
        let error = asked(200, body).await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::InvalidResponse, "{body}");
        assert!(error.to_string().contains("application/jwt"), "{error}");
    }
}

#[tokio::test]
async fn the_token_goes_to_no_other_place() {
    let elsewhere = [("location", "https://evil.example.net/userinfo")];
    let playback = Playback::default().and_with(302, &elsewhere, "");

    let error = builder(&playback).build().unwrap().fetch(&bearer()).await.unwrap_err();

    assert!(error.to_string().contains("redirect"), "{error}");
    assert_eq!(playback.count(), 1);
    let clear = UserInfo::builder("svc", "http://as.example.org/u").transport(playback).build();
    assert!(clear.unwrap_err().to_string().starts_with("svc: userinfo URL: must be https"));
}

#[tokio::test]
async fn neither_the_token_nor_a_claim_is_in_an_error_or_debug() {
    let body = r#"{"error":"invalid_token","error_description":"planted-token has ended"}"#;
    let error = asked(401, body).await.unwrap_err();
    assert!(!printed(&error).contains("planted"), "{error:?}");

    let user = claims(json!({ "sub": "planted", "email": "planted@example.org" })).await;
    assert_eq!(format!("{user:?}"), "UserClaims(2 members)");
}

/// Proves with the nonce that it was given last.
#[derive(Clone, Debug, Default)]
struct Key(Arc<Mutex<String>>);

impl ProofOfPossession for Key {
    fn thumbprint(&self) -> &str {
        "thumbprint"
    }

    fn prove(
        &self,
        method: &Method,
        uri: &Uri,
        token: Option<&AccessToken>,
        headers: &mut HeaderMap,
    ) -> Result<(), Error> {
        let token = token.unwrap().secret().expose_secret();
        let proof = format!("{method} {uri} {token} {}", self.0.lock().unwrap());
        headers.insert("dpop", proof.parse().unwrap());
        Ok(())
    }

    fn take_notice(&self, _: &Uri, _: Option<&AccessToken>, headers: &HeaderMap) {
        if let Some(nonce) = headers.get("dpop-nonce") {
            *self.0.lock().unwrap() = nonce.to_str().unwrap().to_owned();
        }
    }
}

fn bound() -> AccessToken {
    AccessToken::new("bound", "DPoP").unwrap()
}

#[tokio::test]
async fn a_bound_token_is_shown_with_a_proof_and_once_more_with_the_nonce_that_is_wanted() {
    let playback =
        Playback::default().and_with(401, &[("dpop-nonce", "n-1")], "").and(200, r#"{"sub":"u"}"#);
    let user_info = builder(&playback).proof_of_possession(Key::default()).build().unwrap();

    user_info.fetch(&bound()).await.unwrap();

    assert_eq!(playback.authorization(0).unwrap(), "DPoP bound");
    assert_eq!(playback.request(0).headers()["dpop"], &*format!("GET {URL} bound "));
    assert_eq!(playback.request(1).headers()["dpop"], &*format!("GET {URL} bound n-1"));
}

#[tokio::test]
async fn a_nonce_that_is_refused_too_ends_it() {
    let playback = Playback::default().and_with(401, &[("dpop-nonce", "n-1")], "").and_with(
        401,
        &[("dpop-nonce", "n-2")],
        "",
    );
    let user_info = builder(&playback).proof_of_possession(Key::default()).build().unwrap();

    user_info.fetch(&bound()).await.unwrap_err();

    assert_eq!(playback.count(), 2);
}

#[tokio::test]
async fn a_bound_token_is_not_shown_without_a_proof_nor_a_bearer_token_with_one() {
    let playback = Playback::of(&[r#"{"sub":"u"}"#]);

    let error = builder(&playback).build().unwrap().fetch(&bound()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(playback.count(), 0);

    let user_info = builder(&playback).proof_of_possession(Key::default()).build().unwrap();
    user_info.fetch(&bearer()).await.unwrap();
    assert_eq!(playback.authorization(0).unwrap(), "Bearer planted-token");
    assert!(!playback.request(0).headers().contains_key("dpop"));
}

#[cfg(feature = "discovery")]
#[test]
fn it_starts_from_what_the_server_says_of_itself() {
    use tokenkeeper_providers::AuthorizationServer;

    let builder = UserInfo::of_server("github", &AuthorizationServer::GITHUB).unwrap();
    builder.transport(Playback::default()).build().unwrap();
    let error = UserInfo::of_server("slack", &AuthorizationServer::SLACK).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}
