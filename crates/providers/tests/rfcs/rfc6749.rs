//! The rules of RFC 6749 for every grant. What goes onto the wire to the letter is in `wire.rs`, what
//! each error code leads to in `failure_table.rs`.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeSet;
use std::time::Duration;

use http::{Request, Response};
use tokenkeeper::{
    Error, ErrorKind, ManualClock, TokenManager, TokenProvider, TokenSet, async_trait,
};
use tokenkeeper_providers::{
    ClientAuth, ClientCredentialsProvider, HttpTransport, PasswordProvider, RefreshTokenProvider,
};
use url::form_urlencoded;

use crate::support::{OK, OK_WITH_REFRESH, Playback, TOKEN_URL, fetch, refresh};

fn machine(auth: ClientAuth, transport: impl HttpTransport) -> ClientCredentialsProvider {
    let builder = ClientCredentialsProvider::builder("svc", TOKEN_URL).client("id", auth);
    builder.transport(transport).build().unwrap()
}

fn person(auth: ClientAuth, transport: impl HttpTransport) -> PasswordProvider {
    PasswordProvider::builder("svc", TOKEN_URL)
        .client("id", auth)
        .user("alice", "hunter2")
        .scopes(["read"])
        .revocation_url("https://auth.example.org/revoke")
        .transport(transport)
        .build()
        .unwrap()
}

fn lone(transport: impl HttpTransport) -> RefreshTokenProvider {
    let builder = RefreshTokenProvider::builder("svc", TOKEN_URL).client("id", ClientAuth::none());
    builder.transport(transport).build().unwrap()
}

async fn answered(body: &str) -> TokenSet {
    fetch(&person(ClientAuth::none(), Playback::of(&[body]))).await.unwrap()
}

// §2.3, §3.1, §3.2: requests.

#[tokio::test]
async fn credentials_are_in_one_place_and_never_in_the_url() {
    for auth in [ClientAuth::basic("s3cret"), ClientAuth::post("s3cret"), ClientAuth::none()] {
        let playback = Playback::of(&[OK, OK, OK, "", ""]);
        let person = person(auth.clone(), playback.clone());

        fetch(&machine(auth.clone(), playback.clone())).await.unwrap();
        fetch(&person).await.unwrap();
        refresh(&person, &TokenSet::from_refresh_token("rt")).await.unwrap();
        let tokens = answered(OK_WITH_REFRESH).await;
        person.revoke(&tokens).await.unwrap();

        for at in 0..playback.count() {
            let request = playback.request(at);
            assert_eq!(request.method(), "POST");
            assert_eq!(request.uri().query(), None);
            let in_header = playback.authorization(at).is_some();
            let in_body = playback.body(at).contains("client_secret=");
            assert!(!(in_header && in_body), "{auth:?}");
        }
    }
}

#[tokio::test]
async fn no_parameter_repeats_whatever_the_grant() {
    let playback = Playback::of(&[OK, OK, OK]);
    let person = person(ClientAuth::post("s3cret"), playback.clone());

    fetch(&machine(ClientAuth::post("s3cret"), playback.clone())).await.unwrap();
    fetch(&person).await.unwrap();
    refresh(&person, &TokenSet::from_refresh_token("rt")).await.unwrap();

    for at in 0..playback.count() {
        let body = playback.body(at);
        let names: Vec<_> =
            form_urlencoded::parse(body.as_bytes()).map(|(name, _)| name.into_owned()).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
    }
}

#[tokio::test]
async fn no_scope_is_asked_for_that_nobody_wanted() {
    let playback = Playback::of(&[OK]);

    fetch(&machine(ClientAuth::none(), playback.clone())).await.unwrap();

    assert!(!playback.body(0).contains("scope"), "§10.3");
}

// §3.3: scopes.

#[test]
fn scopes_have_letter_case_and_no_order() {
    let identity = |scopes: &[&str]| {
        let builder = ClientCredentialsProvider::builder("svc", TOKEN_URL)
            .client("id", ClientAuth::none())
            .scopes(scopes.to_vec())
            .transport(Playback::default());
        builder.build().unwrap().identity().fingerprint()
    };

    assert_eq!(identity(&["a", "b"]), identity(&["b", "a"]));
    assert_ne!(identity(&["a", "b"]), identity(&["A", "b"]));
}

#[tokio::test]
async fn what_was_granted_counts_and_not_what_was_asked_for() {
    let tokens = answered(r#"{"access_token":"a","token_type":"Bearer","scope":"list"}"#).await;

    assert_eq!(tokens.scopes().unwrap().iter().collect::<Vec<_>>(), ["list"]);
}

// §5.1: answers.

#[tokio::test]
async fn members_without_a_value_are_treated_as_omitted() {
    let body = r#"{"access_token":"a","token_type":"","scope":null,"refresh_token":"",
                   "expires_in":"","id_token":""}"#;

    let tokens = answered(body).await;

    assert!(tokens.access_token().unwrap().is_bearer());
    assert_eq!(tokens.scopes().unwrap().iter().collect::<Vec<_>>(), ["read"], "as asked for");
    assert!(tokens.refresh_token().is_none() && tokens.id_token().is_none());
    assert_eq!(tokens.lifetime(), None);
}

#[tokio::test]
async fn members_that_nobody_knows_are_ignored() {
    let body = r#"{"access_token":"a","token_type":"Bearer","x":{"access_token":"b"},"y":null}"#;

    let tokens = answered(body).await;

    assert_eq!(tokens.access_token().unwrap().secret().expose_secret(), "a");
}

#[tokio::test]
async fn a_token_may_be_as_long_as_it_likes() {
    let long = "x".repeat(100_000);
    let body = format!(r#"{{"access_token":"{long}","refresh_token":"{long}"}}"#);

    let tokens = answered(&body).await;

    assert_eq!(tokens.access_token().unwrap().secret().expose_secret(), long);
    assert_eq!(tokens.refresh_token().unwrap().expose_secret(), long);
}

// §6: refreshing.

/// What two exchanges in a row send as the refresh token, when the first brings this answer.
async fn two_refreshes(first: &str) -> [String; 2] {
    let clock = ManualClock::new();
    let playback = Playback::of(&[first, OK]);
    let manager =
        TokenManager::builder(lone(playback.clone())).clock(clock.clone()).build().unwrap();
    manager.install(TokenSet::from_refresh_token("rt-0")).await.unwrap();

    manager.token().await.unwrap();
    clock.advance(Duration::from_secs(900));
    manager.token().await.unwrap();

    [playback.body(0), playback.body(1)].map(|body| {
        let mut pairs = form_urlencoded::parse(body.as_bytes());
        pairs.find(|(name, _)| name == "refresh_token").unwrap().1.into_owned()
    })
}

#[tokio::test]
async fn a_new_refresh_token_takes_the_place_of_the_old_one() {
    assert_eq!(two_refreshes(OK_WITH_REFRESH).await, ["rt-0", "rt-1"]);
}

#[tokio::test]
async fn without_a_new_refresh_token_the_old_one_stays() {
    assert_eq!(two_refreshes(OK).await, ["rt-0", "rt-0"]);
}

// §7.1: types.

#[tokio::test]
async fn a_type_is_understood_in_any_letter_case_and_others_are_not_used() {
    for (name, is_bearer) in [("BEARER", true), ("bearer", true), ("mac", false), ("DPoP", false)] {
        let body = format!(r#"{{"access_token":"a","token_type":"{name}"}}"#);

        let outcome = fetch(&machine(ClientAuth::none(), Playback::of(&[&body]))).await;

        match outcome {
            Ok(tokens) => {
                assert!(is_bearer);
                assert_eq!(tokens.access_token().unwrap().authorization(), "Bearer a");
            }
            Err(error) => {
                assert!(!is_bearer);
                assert_eq!(error.kind(), ErrorKind::InvalidResponse);
            }
        }
    }
}

// Every request of a client fails in the same ways, and says in which.

#[derive(Clone, Debug)]
struct Unplugged;

#[async_trait]
impl HttpTransport for Unplugged {
    async fn send(&self, _: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Error> {
        Err(Error::new(ErrorKind::Transport, "the cable is out"))
    }
}

/// The errors of a fetch without and with a user, and of a refresh.
async fn exchanges(auth: ClientAuth, transport: impl HttpTransport + Clone) -> Vec<Error> {
    let person = person(auth.clone(), transport.clone());
    vec![
        fetch(&machine(auth, transport)).await.unwrap_err(),
        fetch(&person).await.unwrap_err(),
        refresh(&person, &TokenSet::from_refresh_token("rt")).await.unwrap_err(),
    ]
}

async fn revocation(auth: ClientAuth, transport: impl HttpTransport) -> Error {
    let tokens = TokenSet::from_refresh_token("rt");
    person(auth, transport).revoke(&tokens).await.unwrap_err()
}

#[tokio::test]
async fn an_error_has_the_answer_if_there_was_one_and_nothing_of_it_otherwise() {
    for auth in [ClientAuth::basic("s3cret"), ClientAuth::post("s3cret")] {
        let mut errors = exchanges(auth.clone(), Unplugged).await;
        errors.push(revocation(auth.clone(), Unplugged).await);
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::Transport);
            assert_eq!((error.status(), error.oauth()), (None, None));
        }

        let refused = r#"{"error":"invalid_request"}"#;
        let playback = (0..4).fold(Playback::default(), |all, _| all.and(400, refused));
        let mut errors = exchanges(auth.clone(), playback.clone()).await;
        errors.push(revocation(auth.clone(), playback).await);
        let kinds: Vec<_> = errors.iter().map(Error::kind).collect();
        let (refused, doubtful) = (ErrorKind::RequestRejected, ErrorKind::RefreshDoubtful);
        assert_eq!(kinds, [refused, refused, doubtful, refused]);
        for error in errors {
            assert_eq!(error.status().unwrap(), 400);
            assert_eq!(error.oauth().unwrap().code(), "invalid_request");
        }

        let playback = Playback::of(&["<html>", "<html>", "<html>"]);
        for error in exchanges(auth, playback).await {
            assert_eq!(error.kind(), ErrorKind::InvalidResponse);
            assert_eq!(error.status().unwrap(), 200);
        }
    }
}
