//! RFC 6749 §4.1: what the authorization code grant asks for, and the exchange of the code.

#![cfg(feature = "authorization-code")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use tokenkeeper::{Error, ErrorKind, TokenProvider, TokenSet};
use tokenkeeper_providers::{
    AuthorizationCodeLogin, AuthorizationRequest, ClientAuth, RefreshTokenProvider,
};

use crate::login::{
    AUTHORIZATION_URL, ISSUER, REDIRECT_URI, asked, assert_new_login_needed, builder, called_back,
    login, parameters,
};
use crate::support::{OK, OK_WITH_REFRESH, Playback, TOKEN_URL, printed, refresh};

#[track_caller]
fn assert_refused<T: std::fmt::Debug>(outcome: Result<T, Error>, field: &str) {
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.to_string().starts_with(&format!("calendar: {field}: ")), "{error}");
    assert!(!printed(&error).contains("planted"), "{error:?}");
}

/// The error of a login whose code got this answer.
async fn answered(status: u16, body: &str) -> Result<TokenSet, Error> {
    let playback = Playback::default().and(status, body);
    let login = login(&playback);
    let pending = login.begin().await.unwrap();
    let callback = called_back(&pending);
    let outcome = login.finish(pending, &callback).await;
    assert_eq!(playback.count(), 1);
    outcome
}

#[tokio::test]
async fn a_login_sends_the_browser_with_everything_that_the_code_grant_asks_for() {
    let pending = login(&Playback::default()).begin().await.unwrap();

    let url = pending.authorization_url();
    assert!(url.starts_with(&format!("{AUTHORIZATION_URL}?")), "{url}");
    let sent = parameters(url);
    assert_eq!(sent["response_type"], "code");
    assert_eq!(sent["client_id"], "web");
    assert_eq!(sent["redirect_uri"], REDIRECT_URI);
    assert_eq!(sent["state"], pending.state());
    assert_eq!(sent["code_challenge_method"], "S256");
    assert_eq!(sent["code_challenge"].len(), 43);
    assert_eq!(sent.len(), 6);
}

#[tokio::test]
async fn the_code_is_exchanged_with_redirect_uri_and_verifier() {
    let playback = Playback::of(&[OK_WITH_REFRESH]);
    let login = login(&playback);
    let pending = login.begin().await.unwrap();
    let callback = called_back(&pending);

    let tokens = login.finish(pending, &callback).await.unwrap();

    assert_eq!(tokens.refresh_token().unwrap().expose_secret(), "rt-1");
    let body = playback.body(0);
    assert!(body.starts_with("grant_type=authorization_code&code=c0de&code_verifier="), "{body}");
    assert!(body.ends_with("&redirect_uri=https%3A%2F%2Fapp.example.org%2Fcallback"), "{body}");
    assert_eq!(playback.authorization(0).unwrap(), "Basic d2ViOmh1bnRlcjI=");
}

#[tokio::test]
async fn the_redirect_uri_is_sent_letter_by_letter_as_it_was_given_both_times() {
    for uri in [
        "HTTPS://App.example.org:443/cb/../x?y=%7e&z=a b".replace(' ', "+"),
        "http://127.0.0.1:49152".to_owned(),
        "http://[::1]:49152/cb".to_owned(),
        "org.example.app:/callback".to_owned(),
    ] {
        let playback = Playback::of(&[OK]);
        let login = login(&playback);
        let request = AuthorizationRequest::new().redirect_uri(&uri);

        let pending = login.begin_with(&request).await.unwrap();

        assert_eq!(asked(&pending)["redirect_uri"], uri);
        assert_eq!(pending.redirect_uri(), uri);
        let callback = called_back(&pending);
        login.finish(pending, &callback).await.unwrap();
        let sent = parameters(&format!("https://x/?{}", playback.body(0)));
        assert_eq!(sent["redirect_uri"], uri);
    }
}

#[tokio::test]
async fn a_redirect_uri_over_which_a_code_could_get_lost_is_refused() {
    let playback = Playback::default();
    let login = login(&playback);
    for uri in [
        "",
        "planted",
        "/planted",
        "https://x/#planted",
        "https://x/ planted",
        "https://x/\nplanted",
        "http://planted.example.org/cb",
        "https://x/cb?state=planted",
        "https://x/cb?tenant=1&code=planted",
        "https://x/cb?iss=planted",
        "https://x/cb?error=planted",
        "https://x/cb?st%61te=planted",
    ] {
        assert_refused(builder(&playback).redirect_uri(uri).build(), "redirect URI");
        let request = AuthorizationRequest::new().redirect_uri(uri);
        assert_refused(login.begin_with(&request).await, "redirect URI");
    }
    let none = AuthorizationCodeLogin::builder("calendar", AUTHORIZATION_URL, TOKEN_URL)
        .client("web", ClientAuth::none())
        .transport(playback.clone())
        .build()
        .unwrap();
    assert_refused(none.begin().await, "redirect URI");
    let plain = builder(&playback).danger_allow_http().redirect_uri("http://app.example.org/");
    assert!(plain.build().is_ok());
}

#[tokio::test]
async fn base_scopes_are_asked_for_at_every_login_and_others_besides_at_one() {
    let login = builder(&Playback::default()).scopes(["read", "profile"]).build().unwrap();
    let more = AuthorizationRequest::new().scopes(["write", "read"]);

    let usual = login.begin().await.unwrap();
    let special = login.begin_with(&more).await.unwrap();

    assert_eq!(asked(&usual)["scope"], "profile read");
    assert_eq!(asked(&special)["scope"], "profile read write");
    let bad = AuthorizationRequest::new().scopes(["two words"]);
    assert_refused(login.begin_with(&bad).await, "scopes");
}

#[tokio::test]
async fn an_answer_without_scope_grants_what_this_login_asked_for_and_one_with_it_what_it_says() {
    let narrow = r#"{"access_token":"at-1","token_type":"Bearer","scope":"read"}"#;
    for (body, granted) in [(OK, "read write"), (narrow, "read")] {
        let login = builder(&Playback::of(&[body])).scopes(["read"]).build().unwrap();
        let request = AuthorizationRequest::new().scopes(["write"]);
        let pending = login.begin_with(&request).await.unwrap();
        let callback = called_back(&pending);

        let tokens = login.finish(pending, &callback).await.unwrap();

        assert_eq!(tokens.scopes().unwrap().to_string(), granted);
    }
}

#[tokio::test]
async fn extra_parameters_go_along_and_those_of_one_login_come_first() {
    let login = builder(&Playback::default())
        .authorization_parameter("access_type", "offline")
        .authorization_parameter("prompt", "login")
        .audience("https://api.example.org")
        .build()
        .unwrap();
    let request = AuthorizationRequest::new()
        .login_hint("alice@example.org")
        .extra_parameter("prompt", "consent");

    let sent = asked(&login.begin_with(&request).await.unwrap());

    assert_eq!(sent["access_type"], "offline");
    assert_eq!(sent["prompt"], "consent");
    assert_eq!(sent["login_hint"], "alice@example.org");
    assert_eq!(sent["audience"], "https://api.example.org");
}

#[tokio::test]
async fn parameters_of_the_protocol_cannot_be_overridden() {
    let field = "authorization parameter";
    let playback = Playback::default();
    for name in [
        "response_type",
        "client_id",
        "redirect_uri",
        "scope",
        "state",
        "nonce",
        "code_challenge",
        "code_challenge_method",
        "request",
        "request_uri",
        "dpop_jkt",
        "resource",
        "audience",
        "client_secret",
    ] {
        let all = builder(&playback).authorization_parameter(name, "planted");
        assert_refused(all.build(), field);
        let one = AuthorizationRequest::new().extra_parameter(name, "planted");
        assert_refused(login(&playback).begin_with(&one).await, field);
        let url = format!("{AUTHORIZATION_URL}?{name}=planted");
        let url = AuthorizationCodeLogin::builder("calendar", &url, TOKEN_URL);
        assert_refused(url.client("web", ClientAuth::none()).build(), "authorization URL");
    }
    let twice = AuthorizationRequest::new().extra_parameter("a", "1").extra_parameter("a", "2");
    assert_refused(login(&playback).begin_with(&twice).await, field);
}

#[tokio::test]
async fn a_query_of_the_authorization_url_is_kept() {
    let url = format!("{AUTHORIZATION_URL}?p=B2C_1%20x");
    let login = AuthorizationCodeLogin::builder("calendar", &url, TOKEN_URL)
        .client("web", ClientAuth::none())
        .redirect_uri(REDIRECT_URI)
        .transport(Playback::default())
        .build()
        .unwrap();

    let pending = login.begin().await.unwrap();

    assert!(pending.authorization_url().starts_with(&format!("{url}&response_type=code&")));
}

#[tokio::test]
async fn no_parameter_is_in_the_authorization_url_twice() {
    let at = |query: &str| {
        AuthorizationCodeLogin::builder(
            "calendar",
            &format!("{AUTHORIZATION_URL}?{query}"),
            TOKEN_URL,
        )
        .client("web", ClientAuth::none())
        .redirect_uri(REDIRECT_URI)
        .transport(Playback::default())
    };

    let always = at("prompt=planted").authorization_parameter("prompt", "consent");
    assert_refused(always.build(), "authorization parameter");
    let login = at("prompt=planted").build().unwrap();
    let once = AuthorizationRequest::new().extra_parameter("prompt", "consent");
    assert_refused(login.begin_with(&once).await, "authorization parameter");
}

#[tokio::test]
async fn a_code_that_was_used_before_is_refused_with_the_advice_to_begin_anew() {
    for (status, code) in [(400, "invalid_grant"), (200, "bad_verification_code")] {
        let outcome = answered(status, &format!(r#"{{"error":"{code}"}}"#)).await;

        let error = assert_new_login_needed(outcome, "codes are good for one use");

        assert_eq!(error.oauth().unwrap().code(), code);
        assert_eq!(error.status().unwrap(), status);
    }
}

/// A page that was reloaded, in the words of various servers.
#[tokio::test]
async fn any_coded_refusal_of_a_code_that_does_not_name_the_client_asks_for_a_new_login() {
    for (status, body) in [
        (400, r#"{"error":"invalid_request"}"#),
        (400, r#"{"error":"invalid_request","error_description":"code_challenge required"}"#),
        (400, r#"{"error":"invalid_request","error_description":"Authorization code is revoked"}"#),
        (400, r#"{"error":"unauthorized_client"}"#),
        (400, r#"{"error":"unsupported_grant_type"}"#),
        (401, r#"{"error":"invalid_token"}"#),
        (403, r#"{"error":"access_denied"}"#),
        (400, r#"{"error":"code_already_used"}"#),
        (200, r#"{"error":"made_up"}"#),
    ] {
        let outcome = answered(status, body).await;

        let error = assert_new_login_needed(outcome, "codes are good for one use");
        assert!(error.to_string().contains("begin a new login"), "{error}");
        assert_eq!(error.status().unwrap(), status, "{body}");
        assert!(error.oauth().is_some());
    }
}

#[tokio::test]
async fn a_code_of_a_login_that_was_begun_elsewhere_is_exchanged_with_its_verifier() {
    let playback = Playback::of(&[OK_WITH_REFRESH]);
    let verifier = "v".repeat(43);

    let tokens = login(&playback)
        .exchange_code("c0de", "app.example:/callback", verifier.as_str())
        .await
        .unwrap();

    assert_eq!(tokens.refresh_token().unwrap().expose_secret(), "rt-1");
    let body = playback.body(0);
    assert!(body.contains("code=c0de&"), "{body}");
    assert!(body.contains(&format!("code_verifier={verifier}")), "{body}");
    assert!(body.contains("redirect_uri=app.example%3A%2Fcallback"), "{body}");
}

#[tokio::test]
async fn what_a_login_elsewhere_cannot_have_is_refused_and_nothing_is_sent() {
    let playback = Playback::default();
    let login = login(&playback);
    let verifier = "v".repeat(43);
    for (code, uri, verifier, field) in [
        ("", REDIRECT_URI, verifier.as_str(), "code"),
        ("c0de", "planted", &verifier, "redirect URI"),
        ("c0de", REDIRECT_URI, "planted", "code verifier"),
        ("c0de", REDIRECT_URI, &"planted ".repeat(8), "code verifier"),
        ("c0de", REDIRECT_URI, &"v".repeat(129), "code verifier"),
    ] {
        assert_refused(login.exchange_code(code, uri, verifier).await, field);
    }
    assert_eq!(playback.count(), 0);
}

#[tokio::test]
async fn whatever_else_the_token_endpoint_says_the_code_is_gone_and_the_error_says_so() {
    for (status, body, kind) in [
        (503, "", ErrorKind::Unavailable),
        (200, "<html>", ErrorKind::InvalidResponse),
        (401, r#"{"error":"invalid_client"}"#, ErrorKind::CredentialsRejected),
    ] {
        let error = answered(status, body).await.unwrap_err();

        assert_eq!(error.kind(), kind);
        assert!(error.to_string().contains("begin a new login"), "{error}");
    }
}

#[tokio::test]
async fn a_code_or_verifier_that_the_server_repeats_is_withheld() {
    let playback = Playback::default()
        .and(400, r#"{"error":"invalid_grant","error_description":"bad code planted-c0de"}"#);
    let login = login(&playback);
    let pending = login.begin().await.unwrap();
    let callback = crate::login::called_back_with(&pending, "code=planted-c0de");

    let outcome = login.finish(pending, &callback).await;

    assert_new_login_needed(outcome, "withheld");
}

#[tokio::test]
async fn the_tokens_of_a_person_are_kept_fresh_by_a_provider_with_everything_the_login_was_told() {
    let playback = Playback::of(&[OK]);
    let login = builder(&playback)
        .scopes(["read"])
        .resource("https://api.example.org")
        .extra_parameter("organization", "o1")
        .build()
        .unwrap();
    let by_hand = RefreshTokenProvider::builder("calendar", TOKEN_URL)
        .client("web", ClientAuth::basic("hunter2"))
        .scopes(["read"])
        .resource("https://api.example.org")
        .extra_parameter("organization", "o1")
        .subject("alice")
        .transport(Playback::default())
        .build()
        .unwrap();

    let alice = login.provider("alice").unwrap();

    assert_eq!(alice.identity(), by_hand.identity());
    assert_ne!(alice.identity(), login.provider("bob").unwrap().identity());
    refresh(&alice, &TokenSet::from_refresh_token("rt-1")).await.unwrap();
    assert_eq!(
        playback.body(0),
        "grant_type=refresh_token&refresh_token=rt-1&resource=https%3A%2F%2Fapi.example.org&\
         organization=o1"
    );
    assert_eq!(playback.authorization(0).unwrap(), "Basic d2ViOmh1bnRlcjI=");
    assert_refused(login.provider(""), "subject");
}

#[tokio::test]
async fn nothing_of_a_login_shows_in_debug() {
    let playback = Playback::default();
    let builder = builder(&playback)
        .scopes(["openid"])
        .issuer(ISSUER)
        .authorization_parameter("tenant", "planted")
        .client("web", ClientAuth::basic("planted"));
    let request =
        AuthorizationRequest::new().redirect_uri("https://x/?key=planted").login_hint("planted");
    let login = builder.clone().build().unwrap();
    let pending = login.begin_with(&request).await.unwrap();
    let callback = crate::login::called_back_with(&pending, "code=planted&iss=planted");

    let shown = format!("{builder:?} {login:?} {request:?} {pending:?} {callback:?} {pending:#?}");

    let sent = asked(&pending);
    for secret in ["planted", &sent["state"], &sent["nonce"], &sent["code_challenge"]] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
