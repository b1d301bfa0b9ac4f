//! Tokens for other tokens (RFC 8693).

#![cfg(feature = "token-exchange")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::json;
use tokenkeeper::{
    AccessToken, Error, ErrorKind, Secret, TokenManager, TokenProvider, TokenSet, async_trait,
};
use tokenkeeper_providers::{
    ClientAuth, RefreshTokenProvider, TokenExchangeBuilder, TokenExchangeProvider, TokenSource,
    TokenTypeUri,
};

use crate::support::{OK, Playback, TOKEN_URL, fetch, printed, refresh};

const GRANT: &str = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange";
const TYPE: &str = "urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3A";

fn builder(playback: &Playback) -> TokenExchangeBuilder {
    TokenExchangeProvider::builder("svc", TOKEN_URL)
        .client("gateway", ClientAuth::basic("secret"))
        .subject("alice")
        .subject_token(TokenTypeUri::ACCESS_TOKEN, Secret::from("subject-token"))
        .transport(playback.clone())
}

fn answer(issued: &str, token_type: &str) -> String {
    let issued = format!("urn:ietf:params:oauth:token-type:{issued}");
    json!({
        "access_token": "at-1",
        "issued_token_type": issued,
        "token_type": token_type,
        "expires_in": 900,
    })
    .to_string()
}

/// Asks for this type and gets this answer.
async fn exchange(requested: TokenTypeUri, answer: &str) -> Result<TokenSet, Error> {
    let playback = Playback::of(&[answer]);
    fetch(&builder(&playback).requested_token_type(requested).build().unwrap()).await
}

#[tokio::test]
async fn the_request_has_both_tokens_with_their_types_and_everything_configured() {
    let playback = Playback::of(&[&answer("access_token", "Bearer")]);
    let provider = builder(&playback)
        .actor("robot")
        .actor_token(TokenTypeUri::JWT, Secret::from("actor-token"))
        .scopes(["b", "a"])
        .audience("https://api")
        .resource("urn:r1")
        .resource("urn:r2")
        .build()
        .unwrap();

    let tokens = fetch(&provider).await.unwrap();

    assert_eq!(
        playback.body(0),
        format!(
            "{GRANT}&scope=a+b&requested_token_type={TYPE}access_token&subject_token=subject-token\
             &subject_token_type={TYPE}access_token&actor_token=actor-token\
             &actor_token_type={TYPE}jwt&audience=https%3A%2F%2Fapi&resource=urn%3Ar1\
             &resource=urn%3Ar2"
        )
    );
    assert_eq!(playback.authorization(0).unwrap(), "Basic Z2F0ZXdheTpzZWNyZXQ=");
    assert_eq!(tokens.access_token().unwrap().authorization(), "Bearer at-1");
    assert_eq!(tokens.scopes().unwrap().to_string(), "a b");
}

#[tokio::test]
async fn without_a_client_no_client_is_named() {
    let playback = Playback::of(&[&answer("access_token", "Bearer")]);
    let aws = TokenTypeUri::other("urn:ietf:params:aws:token-type:aws4_request");
    let provider = TokenExchangeProvider::builder("svc", TOKEN_URL)
        .subject("workload")
        .subject_token(aws, Secret::from("st"))
        .transport(playback.clone())
        .build()
        .unwrap();

    fetch(&provider).await.unwrap();

    assert_eq!(
        playback.body(0),
        format!(
            "{GRANT}&requested_token_type={TYPE}access_token&subject_token=st&subject_token_type=\
             urn%3Aietf%3Aparams%3Aaws%3Atoken-type%3Aaws4_request"
        )
    );
    assert_eq!(playback.authorization(0), None);
}

#[tokio::test]
async fn an_answer_that_does_not_say_what_was_issued_is_refused() {
    for body in [OK.to_owned(), OK.replace('}', r#","issued_token_type":7}"#)] {
        let error = exchange(TokenTypeUri::ACCESS_TOKEN, &body).await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::InvalidResponse);
        assert!(error.answer_lost());
        assert!(error.to_string().contains("does not say of which type"), "{error}");
    }
}

#[tokio::test]
async fn what_was_not_asked_for_is_refused() {
    let table = [
        (TokenTypeUri::ACCESS_TOKEN, "id_token", "Bearer"),
        (TokenTypeUri::ACCESS_TOKEN, "ACCESS_TOKEN", "Bearer"),
        (TokenTypeUri::JWT, "access_token", "Bearer"),
        (TokenTypeUri::ID_TOKEN, "access_token", "N_A"),
        (TokenTypeUri::SAML2, "saml1", "N_A"),
        (TokenTypeUri::other("urn:ietf:params:oauth:token-type:x"), "of_a_stranger", "Bearer"),
    ];
    for (requested, issued, token_type) in table {
        let error = exchange(requested.clone(), &answer(issued, token_type)).await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::InvalidResponse, "{requested} {issued}");
        assert!(error.to_string().contains("another type than was asked for"), "{error}");
        assert!(!error.to_string().contains(issued), "{error}"); // it comes from a stranger
    }
}

#[tokio::test]
async fn an_access_token_may_be_a_jwt() {
    for issued in ["access_token", "jwt"] {
        let tokens = exchange(TokenTypeUri::ACCESS_TOKEN, &answer(issued, "bearer")).await.unwrap();

        assert!(tokens.access_token().unwrap().is_bearer());
    }
}

#[tokio::test]
async fn an_access_token_that_is_not_usable_as_one_is_refused() {
    for token_type in ["N_A", "n_a"] {
        let error = exchange(TokenTypeUri::ACCESS_TOKEN, &answer("access_token", token_type)).await;

        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidResponse);
        assert!(error.to_string().contains("only bearer tokens can be used"), "{error}");
    }
}

#[tokio::test]
async fn what_is_no_access_token_must_say_so_and_is_no_bearer_token() {
    let others = [
        (TokenTypeUri::ID_TOKEN, "id_token"),
        (TokenTypeUri::SAML1, "saml1"),
        (TokenTypeUri::SAML2, "saml2"),
        (TokenTypeUri::REFRESH_TOKEN, "refresh_token"),
    ];
    for (requested, issued) in others {
        let tokens = exchange(requested.clone(), &answer(issued, "N_A")).await.unwrap();
        let token = tokens.access_token().unwrap();
        assert_eq!((token.token_type(), token.is_bearer()), ("N_A", false));
        assert_eq!(token.secret().expose_secret(), "at-1");

        let error = exchange(requested, &answer(issued, "Bearer")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidResponse);
        assert!(error.to_string().contains("only tokens of the type `N_A`"), "{error}");
    }
}

#[tokio::test]
async fn a_format_says_nothing_of_the_use() {
    for (token_type, is_bearer) in [("Bearer", true), ("N_A", false)] {
        let tokens = exchange(TokenTypeUri::JWT, &answer("jwt", token_type)).await.unwrap();

        assert_eq!(tokens.access_token().unwrap().is_bearer(), is_bearer);
    }
    assert!(exchange(TokenTypeUri::JWT, &answer("jwt", "mac")).await.is_err());
}

#[tokio::test]
async fn a_token_without_a_refresh_token_is_exchanged_anew() {
    let playback = Playback::of(&[
        &answer("access_token", "Bearer"),
        &answer("access_token", "Bearer").replace('}', r#","refresh_token":"rt-1"}"#),
        OK,
    ]);
    let provider = builder(&playback).build().unwrap();

    let first = fetch(&provider).await.unwrap();
    let second = refresh(&provider, &first).await.unwrap();
    refresh(&provider, &second).await.unwrap(); // the answer to a refresh names no issued type

    assert!(playback.body(1).starts_with(GRANT));
    assert_eq!(playback.body(2), "grant_type=refresh_token&refresh_token=rt-1");
    assert!(provider.non_interactive() && provider.refreshes());
}

#[tokio::test]
async fn what_is_no_access_token_is_never_refreshed() {
    let id_token = answer("id_token", "N_A").replace('}', r#","refresh_token":"rt-1"}"#);
    let playback = Playback::of(&[&id_token, &id_token]);
    let provider = builder(&playback).requested_token_type(TokenTypeUri::ID_TOKEN).build().unwrap();

    let tokens = fetch(&provider).await.unwrap();
    refresh(&provider, &tokens).await.unwrap();

    assert!(playback.body(1).starts_with(GRANT));
    assert!(!provider.refreshes());
}

#[tokio::test]
async fn a_refusal_says_that_it_may_be_about_what_was_handed_in() {
    let table = [
        ("invalid_grant", ErrorKind::CredentialsRejected, "refused the subject token"),
        ("invalid_request", ErrorKind::RequestRejected, "perhaps the subject token"),
        ("invalid_target", ErrorKind::RequestRejected, "no token for this audience or resource"),
        ("invalid_scope", ErrorKind::RequestRejected, "refused the request"),
        ("invalid_client", ErrorKind::CredentialsRejected, "refused the credentials"),
    ];
    for (code, kind, sentence) in table {
        let body = json!({ "error": code, "error_description": "as it is" }).to_string();

        let error = fetch(&builder(&Playback::default().and(400, body)).build().unwrap())
            .await
            .unwrap_err();

        assert_eq!(error.kind(), kind, "{code}");
        assert!(error.to_string().contains(sentence), "{error}");
        assert_eq!(error.oauth().unwrap().description(), Some("as it is"));
        assert_eq!((error.service_name(), error.status().unwrap().as_u16()), (Some("svc"), 400));
    }
    let playback = Playback::default().and(400, r#"{"error":"invalid_request"}"#);
    let with_actor = builder(&playback).actor("robot").actor_token(TokenTypeUri::JWT, Planted);
    let error = fetch(&with_actor.build().unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("the subject token or the actor token"), "{error}");
}

/// Another token every time.
#[derive(Debug, Default)]
struct Numbered(AtomicU32);

#[async_trait]
impl TokenSource for Numbered {
    async fn token(&self) -> Result<Secret, Error> {
        Ok(Secret::from(format!("st-{}", self.0.fetch_add(1, Ordering::Relaxed))))
    }
}

#[tokio::test]
async fn every_exchange_asks_for_the_subject_token_anew() {
    let ok = answer("access_token", "Bearer");
    let playback = Playback::of(&[&ok, &ok]);
    let provider =
        builder(&playback).subject_token(TokenTypeUri::JWT, Numbered::default()).build().unwrap();

    fetch(&provider).await.unwrap();
    fetch(&provider).await.unwrap();

    for at in 0..2 {
        assert!(playback.body(at).contains(&format!("subject_token=st-{at}&")));
    }
}

/// The manager of a login whose tokens last no longer than they are asked for.
async fn login(playback: &Playback) -> TokenManager {
    let provider = RefreshTokenProvider::builder("login", TOKEN_URL)
        .client("gateway", ClientAuth::none())
        .subject("alice")
        .transport(playback.clone())
        .build()
        .unwrap();
    let manager = TokenManager::new(provider);
    manager.install(TokenSet::from_refresh_token("rt-0")).await.unwrap();
    manager
}

#[tokio::test]
async fn the_token_of_a_manager_is_fresh_when_it_is_exchanged() {
    let at_login = Playback::of(&[OK]);
    let playback = Playback::of(&[&answer("access_token", "Bearer")]);
    let login = login(&at_login).await;
    let provider =
        builder(&playback).subject_token(TokenTypeUri::ACCESS_TOKEN, login).build().unwrap();

    fetch(&provider).await.unwrap();

    assert_eq!(at_login.count(), 1);
    assert!(playback.body(0).contains("&subject_token=at-1&"));
}

#[tokio::test]
async fn a_login_that_has_ended_is_named_and_nothing_is_sent() {
    let at_login = Playback::default().and(400, r#"{"error":"invalid_grant"}"#);
    let playback = Playback::default();
    let login = login(&at_login).await;
    let provider =
        builder(&playback).subject_token(TokenTypeUri::ACCESS_TOKEN, login).build().unwrap();

    let error = fetch(&provider).await.unwrap_err();

    assert_eq!(error.service_name(), Some("login"));
    assert_eq!(error.kind(), ErrorKind::RefreshRejected);
    assert_eq!(playback.count(), 0);
}

#[test]
fn whatever_tells_two_tokens_apart_is_in_the_identity() {
    let key = |change: &dyn Fn(TokenExchangeBuilder) -> TokenExchangeBuilder| {
        let builder = change(builder(&Playback::default()));
        builder.build().unwrap().identity().storage_key().to_string()
    };
    let secret = || Secret::from("x");
    let mut keys = vec![
        key(&|b| b),
        key(&|b| b.subject("bob")),
        key(&|b| b.subject_token(TokenTypeUri::JWT, secret())),
        key(&|b| b.requested_token_type(TokenTypeUri::JWT)),
        key(&|b| b.actor("robot").actor_token(TokenTypeUri::JWT, secret())),
        key(&|b| b.actor("other").actor_token(TokenTypeUri::JWT, secret())),
        key(&|b| b.actor("robot").actor_token(TokenTypeUri::SAML2, secret())),
        key(&|b| b.audience("https://api")),
        key(&|b| b.resource("urn:r1")),
    ];
    assert_eq!(key(&|b| b.subject_token(TokenTypeUri::ACCESS_TOKEN, secret())), keys[0]);

    keys.sort_unstable();
    keys.dedup();

    assert_eq!(keys.len(), 9);
}

#[test]
fn what_is_missing_or_wrong_is_named_when_the_provider_is_built() {
    let playback = Playback::default();
    let new = || TokenExchangeProvider::builder("svc", TOKEN_URL).transport(playback.clone());
    let secret = || Secret::from("planted");
    for (builder, field) in [
        (new().subject("alice"), "subject token"),
        (new().subject_token(TokenTypeUri::JWT, secret()), "subject"),
        (builder(&playback).actor("robot"), "actor"),
        (builder(&playback).actor_token(TokenTypeUri::JWT, secret()), "actor"),
        (
            builder(&playback).subject_token(TokenTypeUri::other("planted"), secret()),
            "subject token type",
        ),
        (
            builder(&playback).requested_token_type(TokenTypeUri::other("urn:a planted")),
            "requested token type",
        ),
        (
            builder(&playback).actor("a").actor_token(TokenTypeUri::other(""), secret()),
            "actor token type",
        ),
        (builder(&playback).extra_parameter("subject_token", "planted"), "extra parameter"),
    ] {
        let error = builder.build().unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().starts_with(&format!("svc: {field}: ")), "{error}");
        assert!(!printed(&error).contains("planted"), "{error:?}");
    }
}

#[derive(Debug)]
struct Planted;

#[async_trait]
impl TokenSource for Planted {
    async fn token(&self) -> Result<Secret, Error> {
        Ok(Secret::from("planted-token"))
    }
}

#[tokio::test]
async fn what_is_handed_in_and_what_comes_back_is_in_no_error_and_no_debug() {
    let refused = r#"{"error":"bad planted-token","error_description":"not planted-token"}"#;
    let other = answer("planted", "Bearer").replace("at-1", "planted-token");
    let playback = Playback::default().and(400, refused).and(200, other);
    let provider = builder(&playback)
        .subject_token(TokenTypeUri::JWT, Secret::from("planted-token"))
        .actor("robot")
        .actor_token(TokenTypeUri::JWT, Planted)
        .build()
        .unwrap();
    let unsendable = builder(&playback)
        .subject_token(TokenTypeUri::JWT, Secret::from("planted\ntoken"))
        .build()
        .unwrap();

    for error in [
        fetch(&provider).await.unwrap_err(),
        fetch(&provider).await.unwrap_err(),
        fetch(&unsendable).await.unwrap_err(),
    ] {
        assert!(!printed(&error).contains("planted"), "{error:?}");
    }
    let shown = format!("{provider:?} {provider:#?}");
    assert!(!shown.contains("planted"), "{shown}");
    assert_eq!(playback.count(), 2);
}

#[tokio::test]
async fn a_token_that_is_not_for_requests_lives_in_a_manager_like_any_other() {
    let playback = Playback::of(&[&answer("id_token", "N_A")]);
    let provider = builder(&playback).requested_token_type(TokenTypeUri::ID_TOKEN).build().unwrap();

    let token: std::sync::Arc<AccessToken> = TokenManager::new(provider).token().await.unwrap();

    assert_eq!(token.secret().expose_secret(), "at-1");
}

#[cfg(feature = "reqwest")]
#[tokio::test]
async fn a_token_is_exchanged_over_http() {
    let server = httpmock::MockServer::start_async().await;
    let token = server
        .mock_async(|when, then| {
            when.method(httpmock::Method::POST)
                .path("/token")
                .header("content-type", "application/x-www-form-urlencoded")
                .header("accept", "application/json")
                .header("authorization", "Basic Z2F0ZXdheTpzZWNyZXQ=")
                .body(format!(
                    "{GRANT}&requested_token_type={TYPE}access_token&subject_token=st%2F%2B\
                     &subject_token_type={TYPE}jwt&audience=api"
                ));
            then.status(200)
                .header("content-type", "application/json")
                .body(answer("access_token", "Bearer"));
        })
        .await;
    let provider = TokenExchangeProvider::builder("svc", &server.url("/token"))
        .client("gateway", ClientAuth::basic("secret"))
        .subject("alice")
        .subject_token(TokenTypeUri::JWT, Secret::from("st/+"))
        .audience("api")
        .build()
        .unwrap();

    let tokens = fetch(&provider).await.unwrap();

    assert_eq!(tokens.access_token().unwrap().authorization(), "Bearer at-1");
    assert_eq!(token.calls_async().await, 1);
}

/// A source that has another token for each one that is refused.
#[derive(Debug, Default)]
struct Replaceable {
    current: AtomicU32,
    refusals: AtomicU32,
}

#[async_trait]
impl TokenSource for Replaceable {
    async fn token(&self) -> Result<Secret, Error> {
        Ok(Secret::from(format!("st-{}", self.current.load(Ordering::Relaxed))))
    }

    async fn replace_refused(&self, refused: &Secret) -> Result<Option<Secret>, Error> {
        assert!(refused.ct_eq(&self.token().await?));
        self.refusals.fetch_add(1, Ordering::Relaxed);
        self.current.fetch_add(1, Ordering::Relaxed);
        self.token().await.map(Some)
    }
}

#[tokio::test]
async fn a_source_whose_token_was_refused_is_asked_for_another_one_once() {
    let ok = answer("access_token", "Bearer");
    for code in ["invalid_grant", "invalid_request"] {
        let refused = format!(r#"{{"error":"{code}"}}"#);
        let source = std::sync::Arc::new(Replaceable::default());
        let playback = Playback::default().and(400, &refused).and(200, &ok);
        let provider =
            builder(&playback).subject_token(TokenTypeUri::JWT, source.clone()).build().unwrap();
        fetch(&provider).await.unwrap();
        assert!(playback.body(0).contains("&subject_token=st-0&"));
        assert!(playback.body(1).contains("&subject_token=st-1&"));

        let playback = Playback::default().and(400, &refused).and(400, &refused);
        let provider =
            builder(&playback).subject_token(TokenTypeUri::JWT, source.clone()).build().unwrap();
        assert!(fetch(&provider).await.is_err());
        assert_eq!((playback.count(), source.refusals.load(Ordering::Relaxed)), (2, 2));
    }
}

#[tokio::test]
async fn a_refusal_that_is_not_about_the_token_replaces_none() {
    for code in ["invalid_client", "invalid_target", "invalid_scope"] {
        let source = std::sync::Arc::new(Replaceable::default());
        let playback = Playback::default().and(400, format!(r#"{{"error":"{code}"}}"#));
        let provider =
            builder(&playback).subject_token(TokenTypeUri::JWT, source.clone()).build().unwrap();

        assert!(fetch(&provider).await.is_err());

        assert_eq!(source.refusals.load(Ordering::Relaxed), 0, "{code}");
    }
}

#[tokio::test]
async fn the_actors_source_is_asked_too() {
    let ok = answer("access_token", "Bearer");
    let playback = Playback::default().and(400, r#"{"error":"invalid_request"}"#).and(200, &ok);
    let provider = builder(&playback)
        .actor("robot")
        .actor_token(TokenTypeUri::JWT, Replaceable::default())
        .build()
        .unwrap();

    fetch(&provider).await.unwrap();

    assert!(playback.body(1).contains("&subject_token=subject-token&"));
    assert!(playback.body(1).contains("&actor_token=st-1&"));
}

#[tokio::test]
async fn a_manager_whose_token_was_refused_gets_another_one_for_the_exchange() {
    let at_login = Playback::of(&[
        r#"{"access_token":"at-1","token_type":"Bearer","expires_in":900,"refresh_token":"rt-1"}"#,
        r#"{"access_token":"at-2","token_type":"Bearer","expires_in":900,"refresh_token":"rt-2"}"#,
    ]);
    let playback = Playback::default()
        .and(400, r#"{"error":"invalid_grant"}"#)
        .and(200, answer("access_token", "Bearer"));
    let login = login(&at_login).await;
    let provider =
        builder(&playback).subject_token(TokenTypeUri::ACCESS_TOKEN, login).build().unwrap();

    fetch(&provider).await.unwrap();

    assert!(playback.body(0).contains("&subject_token=at-1&"));
    assert!(playback.body(1).contains("&subject_token=at-2&"));
    assert_eq!(at_login.count(), 2);
}
