//! The requests of a login over real HTTP, with the bundled transport.

#![cfg(all(feature = "authorization-code", feature = "reqwest"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use httpmock::Method::POST;
use httpmock::{MockServer, Then, When};
use tokenkeeper::{TokenManager, TokenSet};
use tokenkeeper_providers::{AuthorizationCodeLogin, Callback, ClientAuth};
use url::Url;

use crate::support::OK_WITH_REFRESH;

const REDIRECT_URI: &str = "http://127.0.0.1:49152/callback";
const BASIC: &str = "Basic d2ViOmh1bnRlcjI=";

fn common(when: When, path: &str) -> When {
    when.method(POST)
        .path(path)
        .header("authorization", BASIC)
        .header("accept", "application/json")
        .header("content-type", "application/x-www-form-urlencoded")
}

fn granted(then: Then) {
    then.status(200).header("content-type", "application/json").body(OK_WITH_REFRESH);
}

fn login_at(server: &MockServer) -> AuthorizationCodeLogin {
    AuthorizationCodeLogin::builder("calendar", &server.url("/authorize"), &server.url("/token"))
        .client("web", ClientAuth::basic("hunter2"))
        .pushed_authorization_request_url(server.url("/par"))
        .redirect_uri(REDIRECT_URI)
        .scopes(["read"])
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_login_is_pushed_exchanged_and_kept_fresh() {
    let server = MockServer::start_async().await;
    let pushed = server
        .mock_async(|when, then| {
            common(when, "/par")
                .form_urlencoded_tuple("response_type", "code")
                .form_urlencoded_tuple("client_id", "web")
                .form_urlencoded_tuple("redirect_uri", REDIRECT_URI)
                .form_urlencoded_tuple("scope", "read")
                .form_urlencoded_tuple("code_challenge_method", "S256")
                .form_urlencoded_tuple_exists("code_challenge")
                .form_urlencoded_tuple_exists("state")
                .form_urlencoded_tuple_missing("code_verifier");
            then.status(201).body(r#"{"request_uri":"urn:r","expires_in":60}"#);
        })
        .await;
    let exchanged = server
        .mock_async(|when, then| {
            common(when, "/token")
                .form_urlencoded_tuple("grant_type", "authorization_code")
                .form_urlencoded_tuple("code", "c/0+de")
                .form_urlencoded_tuple("redirect_uri", REDIRECT_URI)
                .form_urlencoded_tuple_exists("code_verifier")
                .form_urlencoded_tuple_missing("client_id");
            granted(then);
        })
        .await;
    let refreshed = server
        .mock_async(|when, then| {
            common(when, "/token")
                .form_urlencoded_tuple("grant_type", "refresh_token")
                .form_urlencoded_tuple("refresh_token", "rt-1");
            granted(then);
        })
        .await;
    let login = login_at(&server);

    let pending = login.begin().await.unwrap();
    let url = Url::parse(pending.authorization_url()).unwrap();
    let callback = format!("/callback?code=c%2F0%2Bde&state={}", pending.state());
    let tokens: TokenSet =
        login.finish(pending, &Callback::parse(&callback).unwrap()).await.unwrap();
    let manager = TokenManager::new(login.provider("alice").unwrap());
    manager.install(tokens).await.unwrap();

    assert_eq!(url.query(), Some("client_id=web&request_uri=urn%3Ar"));
    assert_eq!(manager.token().await.unwrap().authorization(), "Bearer at-1");
    manager.force_refresh().await.unwrap();
    for mock in [pushed, exchanged, refreshed] {
        assert_eq!(mock.calls_async().await, 1);
    }
}
