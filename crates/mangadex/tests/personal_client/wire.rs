//! What is sent to the realm, byte by byte, and what is made of its answers.

use crate::setup::{
    self, CLIENT, PASSWORD, SECRET, Setup, USER, keycloak, provider, seconds, with_password,
};
use serde_json::{Value, json};
use tokenkeeper::{Clock, ErrorKind, ManualClock, MemoryStorage, TokenManager};
use tokenkeeper_mangadex::{Credentials, MangadexProvider};
use tokenkeeper_testkit::{EchoForm, FakeAuthServer, Fault, ReceivedRequest};

const TOKEN_PATH: &str = "/realms/mangadex/protocol/openid-connect/token";

fn text(request: &ReceivedRequest) -> String {
    String::from_utf8_lossy(request.body()).into_owned()
}

/// The fields of a form, sorted, because their order means nothing.
fn sorted(request: &ReceivedRequest) -> Vec<(String, String)> {
    let mut form = request.form();
    form.sort();
    form
}

fn fields(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn a_login_is_a_form_of_five_fields_with_the_secret_in_the_body() {
    let Setup { server, manager, .. } = Setup::new(keycloak());

    manager.token().await.unwrap();

    let request = server.last_request().unwrap();
    assert_eq!((request.method().as_str(), request.path()), ("POST", TOKEN_PATH));
    assert_eq!(request.query(), None);
    assert_eq!(
        sorted(&request),
        fields(&[
            ("client_id", CLIENT),
            ("client_secret", SECRET),
            ("grant_type", "password"),
            ("password", PASSWORD),
            ("username", USER),
        ])
    );
    assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(request.header("accept"), Some("application/json"));
    assert!(request.header("user-agent").unwrap().starts_with("tokenkeeper-mangadex/"));
    assert_eq!(request.header("authorization"), None);
    assert_eq!(request.header("via"), None);
    assert_eq!(request.header("cookie"), None);
}

#[tokio::test]
async fn a_refresh_goes_to_the_same_url_with_the_secret_in_the_body_and_no_password() {
    let Setup { server, clock, manager } = Setup::new(keycloak());
    manager.token().await.unwrap();
    let spent = manager.tokens().await.unwrap().unwrap();
    clock.advance(seconds(899));

    manager.token().await.unwrap();

    let request = server.last_request().unwrap();
    assert_eq!((request.method().as_str(), request.path()), ("POST", TOKEN_PATH));
    assert_eq!(
        sorted(&request),
        fields(&[
            ("client_id", CLIENT),
            ("client_secret", SECRET),
            ("grant_type", "refresh_token"),
            ("refresh_token", spent.refresh_token().unwrap().expose_secret()),
        ])
    );
    assert_eq!(request.header("authorization"), None);
}

#[tokio::test]
async fn any_character_of_a_password_arrives_as_it_is() {
    for password in
        ["a+b&c=d%e", "pass:word:", " blank ", "p\u{e4}ss\u{6f2b}\u{753b}\u{1f512}", "%41"]
    {
        let server = keycloak().user(USER, password).start();
        let manager = TokenManager::new(provider(&server, with_password(password)));

        manager.token().await.unwrap();

        let request = server.last_request().unwrap();
        assert_eq!(request.param("password").as_deref(), Some(password));
        assert!(text(&request).is_ascii());
    }
}

#[tokio::test]
async fn a_password_with_reserved_characters_is_form_encoded() {
    let server = keycloak().user(USER, "a+b&c=d%e f\u{e9}").start();
    let manager = TokenManager::new(provider(&server, with_password("a+b&c=d%e f\u{e9}")));

    manager.token().await.unwrap();

    let request = server.last_request().unwrap();
    assert!(text(&request).contains("password=a%2Bb%26c%3Dd%25e+f%C3%A9"), "{}", text(&request));
}

#[tokio::test]
async fn a_revocation_goes_to_the_realm_with_the_secret_in_the_body() {
    let Setup { server, manager, .. } = Setup::new(keycloak());
    manager.token().await.unwrap();
    let refresh_token = manager.tokens().await.unwrap().unwrap();
    let refresh_token = refresh_token.refresh_token().unwrap().expose_secret().to_owned();

    manager.revoke().await.unwrap();

    let revocations: Vec<_> =
        server.received().into_iter().filter(|r| r.path().ends_with("/revoke")).collect();
    assert_eq!(revocations.len(), 2);
    assert_eq!(
        sorted(&revocations[0]),
        fields(&[
            ("client_id", CLIENT),
            ("client_secret", SECRET),
            ("token", &refresh_token),
            ("token_type_hint", "refresh_token"),
        ])
    );
    assert_eq!(revocations[1].param("token_type_hint").as_deref(), Some("access_token"));
}

#[tokio::test]
async fn lifetime_counts_from_the_moment_of_sending() {
    let Setup { server, clock, manager } = Setup::new(keycloak());
    let sent_at = clock.now().wall();
    let held = server.hold();

    let waiting = tokio::spawn(async move { manager.token().await });
    held.arrived(1).await;
    clock.advance(seconds(10));
    held.release();
    let token = waiting.await.unwrap().unwrap();

    assert_eq!(token.expires_at(), Some(sent_at + seconds(900)));
}

#[tokio::test]
async fn a_token_without_expires_in_lives_for_15_minutes_unless_told_otherwise() {
    let clock = ManualClock::new();
    let server = keycloak().without_expires_in().clock(clock.clone()).start();
    let credentials = setup::credentials;
    let told = MangadexProvider::builder(credentials()).realm(setup::realm(&server));
    let told = told.default_lifetime(seconds(60)).build().unwrap();
    let table = [(provider(&server, credentials()), 900), (told, 60)];

    for (provider, lifetime) in table {
        let manager = setup::manager(provider, &clock, MemoryStorage::new());
        let token = manager.token().await.unwrap();
        assert_eq!(token.expires_at(), Some(clock.now().wall() + seconds(lifetime)));
    }
}

#[tokio::test]
async fn a_refresh_answer_without_a_refresh_token_keeps_the_old_one() {
    let Setup { server, clock, manager } = Setup::new(keycloak().without_rotation());
    manager.token().await.unwrap();
    let before = manager.tokens().await.unwrap().unwrap();

    for refreshes in 1..=3 {
        clock.advance(seconds(899));
        manager.token().await.unwrap();
        assert_eq!(server.count("refresh_token", 200), refreshes);
    }

    let after = manager.tokens().await.unwrap().unwrap();
    assert!(after.refresh_token().unwrap().ct_eq(before.refresh_token().unwrap()));
    assert_eq!(server.count("password", 200), 1);
}

#[tokio::test]
async fn an_answer_of_keycloak_is_understood_and_what_is_not_is_kept() {
    let Setup { server, manager, clock } = Setup::new(keycloak());
    let answer = json!({
        "access_token": "at", "expires_in": 900, "refresh_expires_in": 0, "refresh_token": "rt",
        "token_type": "Bearer", "not-before-policy": 0, "session_state": "5a1", "scope": "email profile",
    });
    server.set_next_response(200, &[], &answer.to_string());

    manager.token().await.unwrap();
    let tokens = manager.tokens().await.unwrap().unwrap();

    assert_eq!(tokens.refresh_expires_at(), None, "0 means that no end is known");
    assert_eq!(tokens.extra().get("not-before-policy"), Some(&Value::from(0)));
    assert_eq!(tokens.extra().get("session_state"), Some(&Value::from("5a1")));
    assert_eq!(tokens.scopes().unwrap().to_string(), "email profile");
    clock.advance(seconds(899));
    let _ = manager.token().await;
    assert!(server.received().iter().any(|r| r.param("refresh_token").as_deref() == Some("rt")));
}

#[tokio::test]
async fn the_end_of_a_refresh_token_is_known_if_the_realm_says_so() {
    let Setup { server: _server, manager, clock } =
        Setup::new(keycloak().refresh_lifetime(seconds(1_800)));

    manager.token().await.unwrap();

    let tokens = manager.tokens().await.unwrap().unwrap();
    assert_eq!(tokens.refresh_expires_at(), Some(clock.now().wall() + seconds(1_800)));
}

#[tokio::test]
async fn each_kind_of_answer_has_its_kind_of_error() {
    let code = |code: &str| json!({ "error": code }).to_string();
    let table = [
        (400, code("invalid_grant"), ErrorKind::CredentialsRejected),
        (401, code("invalid_grant"), ErrorKind::CredentialsRejected),
        (401, code("invalid_client"), ErrorKind::CredentialsRejected),
        (400, code("unauthorized_client"), ErrorKind::CredentialsRejected),
        (200, code("invalid_grant"), ErrorKind::CredentialsRejected),
        (400, code("invalid_request"), ErrorKind::RequestRejected),
        (401, String::new(), ErrorKind::RequestRejected),
        (403, "<html>".to_owned(), ErrorKind::RequestRejected),
        (404, "<html>".to_owned(), ErrorKind::RequestRejected),
        (204, String::new(), ErrorKind::InvalidResponse),
        (200, String::new(), ErrorKind::InvalidResponse),
        (200, "<html>".to_owned(), ErrorKind::InvalidResponse),
        (200, "[]".to_owned(), ErrorKind::InvalidResponse),
        (200, "{}".to_owned(), ErrorKind::InvalidResponse),
        (200, json!({ "access_token": "" }).to_string(), ErrorKind::InvalidResponse),
        (
            200,
            json!({ "access_token": 7, "expires_in": "NaN" }).to_string(),
            ErrorKind::InvalidResponse,
        ),
        (429, code("invalid_grant"), ErrorKind::Unavailable),
        (500, String::new(), ErrorKind::Unavailable),
        (503, "<html>".to_owned(), ErrorKind::Unavailable),
    ];
    for (status, body, kind) in table {
        let Setup { server, manager, .. } = Setup::new(keycloak());
        server.set_next_response(status, &[], &body);

        let error = manager.token().await.unwrap_err();

        assert_eq!(error.kind(), kind, "{status} {body}");
        assert_eq!(error.service_name(), Some("MangaDex"));
    }
}

/// Keycloak's answer to a wrong client secret, at every grant.
#[tokio::test]
async fn a_wrong_secret_at_a_refresh_costs_neither_the_refresh_token_nor_a_password() {
    let Setup { server, clock, manager } = Setup::new(keycloak());
    manager.token().await.unwrap();
    clock.advance(seconds(1_000));
    let body = json!({
        "error": "unauthorized_client",
        "error_description": "Invalid client or Invalid client credentials",
    });
    server.set_next_response(401, &[], &body.to_string());

    let error = manager.token().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::CredentialsRejected, "{error}");
    assert!(error.to_string().contains("the client was refused"), "{error}");
    assert!(manager.tokens().await.unwrap().unwrap().refresh_token().is_some());
    assert_eq!(server.count("password", 200), 1);
}

#[tokio::test]
async fn a_realm_that_cannot_be_reached_is_a_transport_error() {
    let server = keycloak().start();
    let manager = TokenManager::new(provider(&server, setup::credentials()));
    drop(server);

    assert_eq!(manager.token().await.unwrap_err().kind(), ErrorKind::Transport);
}

#[tokio::test]
async fn odd_lifetimes_do_not_cost_the_token() {
    for odd in [json!("abc"), json!(-5), json!(null), json!("NaN"), json!([]), json!(1e300)] {
        let Setup { server, manager, .. } = Setup::new(keycloak());
        let answer = json!({ "access_token": "at", "token_type": "Bearer", "expires_in": odd });
        server.set_next_response(201, &[], &answer.to_string());

        let token = manager.token().await.unwrap();

        assert_eq!(token.secret().expose_secret(), "at", "{odd}");
    }
}

#[tokio::test]
async fn a_client_that_is_refused_may_be_pending_approval() {
    for (status, code) in [(401, "invalid_client"), (400, "unauthorized_client")] {
        let Setup { server, manager, .. } = Setup::new(keycloak());
        let body = json!({ "error": code, "error_description": "Invalid client or Invalid client credentials" });
        server.set_next_response(status, &[], &body.to_string());

        let error = manager.token().await.unwrap_err();

        let said = error.to_string();
        assert!(said.contains("pending approval") && said.contains(code), "{said}");
        assert_eq!(error.status().unwrap().as_u16(), status);
        assert_eq!(error.oauth().unwrap().code(), code);
        assert!(error.retry_after().is_some());
    }
}

#[tokio::test]
async fn a_wrong_password_is_not_blamed_on_the_client() {
    let server = keycloak().start();
    let manager = TokenManager::new(provider(&server, with_password("wrong")));

    let error = manager.token().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::CredentialsRejected);
    assert!(!error.to_string().contains("approval"), "{error}");
}

#[tokio::test]
async fn no_secret_is_in_anything_that_is_shown() {
    let planted = "planted: s+%\u{e9}";
    let echoes = EchoForm::ALL.into_iter().map(Fault::Echo);
    for fault in echoes.chain([Fault::HtmlWith200, Fault::TruncatedBody, Fault::LostResponse]) {
        let server = FakeAuthServer::builder()
            .client("planted-client", planted, tokenkeeper_testkit::ClientAuth::Post)
            .user(USER, planted)
            .token_path(TOKEN_PATH)
            .start();
        let credentials = Credentials::builder().client_id("the-client").client_secret(planted);
        let credentials = credentials.username(USER).password(planted).build().unwrap();
        let manager = TokenManager::new(provider(&server, credentials));
        server.fail_next(1, fault.clone());

        let error = manager.token().await.unwrap_err();

        let mut shown = format!("{manager:?} {manager:#?} {} {error:#?}", manager.status());
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        while let Some(error) = cause {
            shown.push_str(&format!("{error} {error:?}"));
            cause = error.source();
        }
        for form in [planted, "planted", "cGxhbnRlZ", "Basic ", "s%2B%25", "s+%", "s\\u002b"] {
            assert!(!shown.contains(form), "{fault:?} {form}: {shown}");
        }
    }
}
