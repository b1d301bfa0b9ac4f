//! Access tokens that are JWTs (RFC 9068) are for resource servers to read.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use tokenkeeper::{ManualClock, TokenManager};
use tokenkeeper_providers::{ClientAuth, ClientCredentialsProvider};

use crate::support::{Playback, TOKEN_URL, fetch};

/// Claims `exp: 1`, for the client `another`, in the scope `everything`.
const ENDED_IN_1970: &str = "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.\
    eyJleHAiOjEsImNsaWVudF9pZCI6ImFub3RoZXIiLCJzY29wZSI6ImV2ZXJ5dGhpbmcifQ.c2ln";

fn provider(bodies: &[&str]) -> ClientCredentialsProvider {
    ClientCredentialsProvider::builder("svc", TOKEN_URL)
        .client("id", ClientAuth::none())
        .transport(Playback::of(bodies))
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_client_does_not_look_into_an_access_token() {
    let body = format!(r#"{{"access_token":"{ENDED_IN_1970}"}}"#);

    let tokens = fetch(&provider(&[&body])).await.unwrap();

    assert_eq!(tokens.expires_at(), None, "§6: its contents are no business of the client");
    assert_eq!(tokens.scopes(), None);
}

#[tokio::test]
async fn a_token_serves_as_long_as_the_answer_said_whatever_is_in_it() {
    let body = format!(r#"{{"access_token":"{ENDED_IN_1970}","expires_in":900}}"#);
    let manager =
        TokenManager::builder(provider(&[&body])).clock(ManualClock::new()).build().unwrap();

    let token = manager.token().await.unwrap();

    assert_eq!(token.secret().expose_secret(), ENDED_IN_1970);
    assert_eq!(manager.token().await.unwrap().secret().expose_secret(), ENDED_IN_1970);
}
