//! RFC 6749 §4.1.2: what the browser brings back, and when it is believed.

#![cfg(feature = "authorization-code")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::time::Duration;

use proptest::prelude::*;
use tokenkeeper::{ErrorKind, ManualClock};
use tokenkeeper_providers::{AuthorizationCodeLogin, Callback, ClientAuth};
use url::form_urlencoded;

use crate::login::{
    REDIRECT_URI, assert_new_login_needed, builder, called_back, called_back_with, login,
};
use crate::support::{OK, Playback, TOKEN_URL, printed};

#[tokio::test]
async fn every_login_has_a_state_of_its_own_that_nobody_guesses() {
    let login = login(&Playback::default());

    let [one, two] = [login.begin().await.unwrap(), login.begin().await.unwrap()];

    assert_ne!(one.state(), two.state());
    for state in [one.state(), two.state()] {
        assert_eq!(state.len(), 43); // 256 bits in base64
    }
}

#[tokio::test]
async fn a_callback_with_another_state_is_refused_before_the_code_goes_anywhere() {
    let playback = Playback::default();
    let login = login(&playback);
    for state in ["planted", "x"] {
        let pending = login.begin().await.unwrap();
        let forged = Callback::parse(&format!("?state={state}&code=planted")).unwrap();

        let outcome = login.finish(pending, &forged).await;

        assert_new_login_needed(outcome, "another `state`");
    }
    assert_eq!(playback.count(), 0);
}

#[tokio::test]
async fn an_error_with_another_state_is_not_believed() {
    let login = login(&Playback::default());
    let pending = login.begin().await.unwrap();
    let forged = Callback::parse("?state=x&error=access_denied").unwrap();

    let error = assert_new_login_needed(login.finish(pending, &forged).await, "another `state`");

    assert!(error.oauth().is_none());
}

#[tokio::test]
async fn two_tabs_do_not_disturb_each_other() {
    let playback = Playback::of(&[OK, OK]);
    let login = login(&playback);
    let one = login.begin().await.unwrap();
    let two = login.begin().await.unwrap();
    let callbacks = [called_back_with(&two, "code=c2"), called_back_with(&one, "code=c1")];

    login.finish(two, &callbacks[0]).await.unwrap();
    login.finish(one, &callbacks[1]).await.unwrap();

    assert!(playback.body(0).contains("code=c2&") && playback.body(1).contains("code=c1&"));
    assert_ne!(playback.body(0).split('&').nth(2), playback.body(1).split('&').nth(2));
}

#[tokio::test]
async fn the_callback_of_one_tab_does_not_finish_the_login_of_another() {
    let playback = Playback::default();
    let login = login(&playback);
    let one = login.begin().await.unwrap();
    let two = login.begin().await.unwrap();

    let outcome = login.finish(one, &called_back(&two)).await;

    assert_new_login_needed(outcome, "belongs to another login");
    assert_eq!(playback.count(), 0);
}

#[tokio::test]
async fn a_login_that_was_begun_with_another_client_or_server_is_not_finished() {
    let playback = Playback::default();
    let at = |url: &str, token_url: &str, client: &str| {
        AuthorizationCodeLogin::builder("calendar", url, token_url)
            .client(client, ClientAuth::none())
            .redirect_uri(REDIRECT_URI)
            .transport(playback.clone())
            .build()
            .unwrap()
    };
    let login = at("https://as.example.org/", TOKEN_URL, "web");
    let others = [
        at("https://other.example.org/", TOKEN_URL, "web"),
        at("https://as.example.org/", "https://other.example.org/", "web"),
        at("https://as.example.org/", TOKEN_URL, "desktop"),
    ];
    for other in others {
        let pending = other.begin().await.unwrap();
        let callback = called_back(&pending);

        let outcome = login.finish(pending, &callback).await;

        assert_new_login_needed(outcome, "another client or server");
    }
    assert_eq!(playback.count(), 0);
}

#[tokio::test]
async fn a_person_who_declines_is_told_apart_from_a_server_that_fails_and_from_mistakes() {
    for (code, kind, says) in [
        ("access_denied", ErrorKind::LoginRequired, "the login was declined"),
        ("login_required", ErrorKind::LoginRequired, "did not log the person in"),
        ("made_up", ErrorKind::LoginRequired, "did not log the person in"),
        ("server_error", ErrorKind::Unavailable, "cannot log people in now"),
        ("temporarily_unavailable", ErrorKind::Unavailable, "cannot log people in now"),
        ("invalid_scope", ErrorKind::RequestRejected, "refused the authorization request"),
        ("unauthorized_client", ErrorKind::RequestRejected, "refused the authorization request"),
    ] {
        let playback = Playback::default();
        let login = login(&playback);
        let pending = login.begin().await.unwrap();
        let callback = called_back_with(&pending, &format!("error={code}&code=c0de"));

        let error = login.finish(pending, &callback).await.unwrap_err();

        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(says), "{error}");
        assert!(error.to_string().contains("begin a new login"), "{error}");
        assert_eq!(error.oauth().unwrap().code(), code);
        assert_eq!(playback.count(), 0, "a code beside an error is not spent");
    }
}

#[tokio::test]
async fn what_a_callback_says_is_cleaned_before_anybody_prints_it() {
    let login = login(&Playback::default());
    let pending = login.begin().await.unwrap();
    let state = pending.state().to_owned();
    let lines = "error=access_denied&error_description=no%0d%0aERROR+root%1b%5b31m";
    let callback = called_back_with(&pending, lines);
    let error = login.finish(pending, &callback).await.unwrap_err();
    assert!(error.to_string().contains("no ERROR root [31m"), "{error}");

    let pending = login.begin().await.unwrap();
    let own = pending.state().to_owned();
    let callback = called_back_with(&pending, &format!("error=x&error_description={own}+{state}"));
    let error = login.finish(pending, &callback).await.unwrap_err();
    assert!(!printed(&error).contains(&own), "{error}");
}

#[tokio::test]
async fn a_login_is_over_after_ten_minutes_unless_told_otherwise() {
    for (lifetime, passes) in [(None, 600), (Some(60), 60)] {
        for (seconds, is_over) in [(passes - 1, false), (passes, true)] {
            let clock = ManualClock::new();
            let mut builder = builder(&Playback::of(&[OK])).clock(clock.clone());
            if let Some(lifetime) = lifetime {
                builder = builder.login_lifetime(Duration::from_secs(lifetime));
            }
            let login = builder.build().unwrap();
            let pending = login.begin().await.unwrap();
            let callback = called_back(&pending);

            clock.advance(Duration::from_secs(seconds));
            let outcome = login.finish(pending, &callback).await;

            if is_over {
                assert_new_login_needed(outcome, "the login took longer than its");
            } else {
                outcome.unwrap();
            }
        }
    }
}

#[test]
fn a_callback_is_read_from_a_url_a_path_a_query_or_a_form() {
    for text in [
        "https://app.example.org/callback?code=c%2F1&state=s&session_state=x#_=_",
        "http://127.0.0.1:49152/?state=s&code=c%2F1",
        "org.example.app:/callback?state=s&code=c%2F1",
        "/callback;v=1?state=s&code=c%2F1",
        "?state=s&code=c%2F1",
        "state=s&code=c%2F1&unknown=1&unknown=2",
        "code=c/1&state=s&x=a://b?c",
        " code=c/1&state=s&error= \r\n",
    ] {
        let callback = Callback::parse(text).unwrap();
        assert_eq!(callback.state(), "s", "{text}");
        assert_eq!(format!("{callback:?}"), "Callback { outcome: \"code\", .. }", "{text}");
    }
}

#[test]
fn a_callback_that_repeats_or_lacks_what_it_needs_is_refused() {
    for (text, says) in [
        ("/cb?code=planted&state=a&state=a", "`state` more than once"),
        ("/cb?code=a&code=planted&state=a", "`code` more than once"),
        ("/cb?code=a&state=a&iss=planted&iss=", "`iss` more than once"),
        ("/cb?error=a&state=a&error=planted", "`error` more than once"),
        ("/cb?code=planted", "no `state`"),
        ("/cb?code=planted&state=", "no `state`"),
        ("/cb?state=planted", "neither `code` nor `error`"),
        ("/cb?state=planted&code=&error=", "neither `code` nor `error`"),
        ("https://app.example.org/cb#state=planted&code=c", "no `state`"),
        ("/callback", "no `state`"),
        ("", "no `state`"),
    ] {
        let error = Callback::parse(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LoginRequired);
        assert!(error.to_string().contains(says), "{text}: {error}");
        assert!(!printed(&error).contains("planted"), "{error}");
    }
}

proptest! {
    #[test]
    fn any_text_is_a_callback_or_an_error_that_repeats_nothing_of_it(text in ".*") {
        if let Err(error) = Callback::parse(&text) {
            prop_assert_eq!(error.kind(), ErrorKind::LoginRequired);
            prop_assert!(text.chars().count() < 12 || !printed(&error).contains(&text));
        }
    }

    #[test]
    fn what_a_server_encodes_is_what_is_read(
        state in "[ -~ä€]{1,60}",
        code in "[ -~ä€]{1,60}",
        prefix in prop::sample::select(vec!["", "?", "/cb?", "https://x/cb?", "app:/cb?"]),
    ) {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("code", &code)
            .append_pair("state", &state)
            .finish();

        let callback = Callback::parse(&format!("{prefix}{query}")).unwrap();

        prop_assert_eq!(callback.state(), state);
    }
}
