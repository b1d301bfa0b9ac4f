//! OpenID Connect Core: the nonce and the id token of a login, and of a refresh.

#![cfg(feature = "authorization-code")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "these are tests")]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest, Sha256, Sha384, Sha512};
use tokenkeeper::{Error, ErrorKind, TokenSet};
use tokenkeeper_providers::fuzzing::accepts_id_token;
use tokenkeeper_providers::{AuthorizationCodeLogin, IdTokenClaims};

use crate::login::{ISSUER, asked, assert_new_login_needed, builder, called_back};
use crate::support::{Playback, printed, refresh};

const NOW: u64 = 1_893_456_000; // where a manual clock stands

fn jwt(algorithm: &str, claims: &Value) -> String {
    let header = json!({ "alg": algorithm, "typ": "JWT" }).to_string();
    let [header, claims] = [header, claims.to_string()].map(|part| URL_SAFE_NO_PAD.encode(part));
    format!("{header}.{claims}.c2lnbmF0dXJl")
}

fn answer(id_token: &str) -> String {
    json!({ "access_token": "at-1", "token_type": "Bearer", "expires_in": 900,
            "refresh_token": "rt-1", "id_token": id_token })
    .to_string()
}

fn login_with(playback: &Playback) -> AuthorizationCodeLogin {
    builder(playback).scopes(["openid"]).issuer(ISSUER).build().unwrap()
}

/// The claims of an id token as they should be.
fn claims(nonce: &str) -> Value {
    json!({ "iss": ISSUER, "sub": "alice", "aud": "web", "exp": NOW + 300, "iat": NOW,
            "nonce": nonce })
}

/// How a login ends whose id token has other claims than it should have.
async fn with_claims(algorithm: &str, change: impl FnOnce(&mut Value)) -> Result<TokenSet, Error> {
    with_answer(|nonce| {
        let mut claims = claims(nonce);
        change(&mut claims);
        answer(&jwt(algorithm, &claims))
    })
    .await
}

/// How a login ends that gets this answer to its code; the closure is told the nonce.
async fn with_answer(body: impl FnOnce(&str) -> String) -> Result<TokenSet, Error> {
    let playback = Playback::default();
    let login = login_with(&playback);
    let pending = login.begin().await.unwrap();
    let _ = playback.and(200, body(&asked(&pending)["nonce"]));
    let callback = called_back(&pending);
    login.finish(pending, &callback).await
}

#[tokio::test]
async fn a_nonce_is_sent_with_openid_and_is_new_for_every_login() {
    let login = login_with(&Playback::default());
    let [one, two] = [login.begin().await.unwrap(), login.begin().await.unwrap()];
    let plain = builder(&Playback::default()).scopes(["read"]).build().unwrap();

    let (one, two) = (asked(&one), asked(&two));

    assert_eq!(one["nonce"].len(), 43); // 256 bits in base64
    assert_ne!(one["nonce"], two["nonce"]);
    assert_ne!(one["nonce"], one["state"]);
    assert!(!asked(&plain.begin().await.unwrap()).contains_key("nonce"));
}

#[tokio::test]
async fn an_id_token_of_this_login_comes_with_the_tokens() {
    let tokens = with_claims("RS256", |claims| claims["email"] = json!("a@b.c")).await.unwrap();

    let claims = IdTokenClaims::of(&tokens).unwrap();
    assert_eq!((claims.subject(), claims.claim("email")), (Some("alice"), Some(&json!("a@b.c"))));
    assert!(!format!("{claims:?}").contains("alice"));
    for audience in [json!(["web"]), json!(["web", "api"])] {
        for azp in [Some(json!("web")), None] {
            with_claims("ES256", |claims| {
                claims["aud"] = audience.clone();
                if let Some(azp) = azp {
                    claims["azp"] = azp;
                }
            })
            .await
            .unwrap();
        }
    }
}

#[tokio::test]
async fn an_id_token_with_a_wrong_claim_costs_the_login_and_says_which_it_was() {
    for (name, value, says) in [
        ("iss", json!("https://attacker.example"), "of another issuer"),
        ("iss", json!("https://auth.example.org/"), "of another issuer"),
        ("iss", json!(null), "of another issuer"),
        ("sub", json!(null), "no `sub`"),
        ("sub", json!(""), "no `sub`"),
        ("aud", json!("other"), "for another client"),
        ("aud", json!([]), "for another client"),
        ("aud", json!(null), "for another client"),
        ("aud", json!({ "web": 1 }), "neither a text nor a list of texts"),
        ("aud", json!(["web", 1]), "neither a text nor a list of texts"),
        ("azp", json!("other"), "issued to another client"),
        ("azp", json!(["web"]), "`azp` is no text"),
        ("azp", json!(null), "`azp` is no text"),
        ("sub", json!("s".repeat(256)), "more than 255 characters"),
        ("sub", json!(7), "no `sub`"),
        ("nbf", json!(NOW + 61), "is not valid yet"),
        ("nbf", json!("now"), "an `nbf` that is not a number"),
        ("nbf", json!(1e300), "is not valid yet"),
        ("exp", json!(NOW - 61), "has expired"),
        ("exp", json!(null), "no `exp`"),
        ("exp", json!("1893456300"), "has an `exp` that is not a number"),
        ("exp", json!(0), "has expired"),
        ("exp", json!(-1), "has expired"),
        ("nonce", json!("of another login"), "of another login"),
        ("nonce", json!(null), "of another login"),
        ("at_hash", json!("of another token"), "for another access token"),
        ("at_hash", json!(1), "for another access token"),
    ] {
        let outcome = with_claims("RS256", |claims| claims[name] = value.clone()).await;

        let error = assert_new_login_needed(outcome, says);

        assert!(error.to_string().contains("§3.1.3.7"), "{name} {value}: {error}");
        assert!(!printed(&error).contains("attacker"), "{error}");
    }
}

#[tokio::test]
async fn clocks_may_differ_by_less_than_a_minute() {
    with_claims("RS256", |claims| claims["exp"] = json!(NOW - 59)).await.unwrap();
    with_claims("RS256", |claims| claims["nbf"] = json!(NOW + 60)).await.unwrap();
    let outcome = with_claims("RS256", |claims| claims["exp"] = json!(NOW - 60)).await;
    assert_new_login_needed(outcome, "has expired");
}

#[tokio::test]
async fn the_hash_of_the_access_token_goes_with_the_algorithm_of_the_signature() {
    let half = |digest: &[u8]| URL_SAFE_NO_PAD.encode(&digest[..digest.len() / 2]);
    let hashes = [
        (half(&Sha256::digest("at-1")), &["RS256", "ES256", "PS256", "HS256"][..]),
        (half(&Sha384::digest("at-1")), &["RS384", "ES384"]),
        (half(&Sha512::digest("at-1")), &["RS512", "PS512", "EdDSA"]),
    ];
    for (hash, algorithms) in &hashes {
        for algorithm in *algorithms {
            for (other, _) in &hashes {
                let change = |claims: &mut Value| claims["at_hash"] = json!(other);
                let outcome = with_claims(algorithm, change).await;
                assert_eq!(outcome.is_ok(), other == hash, "{algorithm}");
            }
        }
    }
}

#[tokio::test]
async fn an_id_token_that_cannot_be_read_costs_the_login() {
    let encrypted = format!("{}.e30.e30", jwt("RSA-OAEP", &json!({})));
    for text in
        ["planted", "planted.planted.planted", "e30.W10.", "W10.e30.", "e30.e30", &encrypted]
    {
        let outcome = with_answer(|_| answer(text)).await;

        assert_new_login_needed(outcome, "the id token cannot be read");
    }
}

#[tokio::test]
async fn a_login_with_openid_needs_an_id_token_unless_openid_was_not_granted() {
    let without =
        |scope: &str| format!(r#"{{"access_token":"at-1","token_type":"Bearer"{scope}}}"#);

    for scope in ["", r#","scope":"openid email""#] {
        let outcome = with_answer(|_| without(scope)).await;
        assert_new_login_needed(outcome, "has no id token");
    }
    with_answer(|_| without(r#","scope":"email""#)).await.unwrap();
}

#[tokio::test]
async fn an_id_token_that_nobody_asked_for_is_checked_too() {
    for (name, value, says) in [
        ("iss", json!("https://attacker.example"), "of another issuer"),
        ("aud", json!("other"), "for another client"),
        ("exp", json!(NOW - 61), "has expired"),
        ("at_hash", json!("of another token"), "for another access token"),
        ("nonce", json!(null), ""),
    ] {
        let mut claims = claims("of nobody");
        claims[name] = value;
        let playback = Playback::of(&[&answer(&jwt("RS256", &claims))]);
        let login = builder(&playback).scopes(["email"]).issuer(ISSUER).build().unwrap();
        let pending = login.begin().await.unwrap();
        let callback = called_back(&pending);

        let outcome = login.finish(pending, &callback).await;

        if says.is_empty() {
            let claims = IdTokenClaims::of(&outcome.unwrap()).unwrap();
            assert_eq!(claims.subject(), Some("alice"));
        } else {
            assert_new_login_needed(outcome, says);
        }
    }
}

#[tokio::test]
async fn an_id_token_that_nobody_asked_for_and_nobody_can_read_costs_nothing() {
    let playback = Playback::of(&[&answer("nonsense")]);
    let login = builder(&playback).scopes(["email"]).issuer(ISSUER).build().unwrap();
    let pending = login.begin().await.unwrap();
    let callback = called_back(&pending);

    let tokens = login.finish(pending, &callback).await.unwrap();

    assert!(IdTokenClaims::of(&tokens).is_none());
}

/// How a refresh ends whose answer has this id token, after a login with the other one.
async fn refreshed(first: &Value, next: &str) -> (Result<TokenSet, Error>, usize) {
    let playback = Playback::of(&[&answer(next)]);
    let provider = login_with(&playback).provider("alice").unwrap();
    let current = TokenSet::from_refresh_token("rt-0").with_id_token(jwt("RS256", first));
    (refresh(&provider, &current).await, playback.count())
}

#[tokio::test]
async fn a_refreshed_id_token_keeps_issuer_subject_and_audience() {
    let first = claims("n");
    let mut next = first.clone();
    next["exp"] = json!(NOW + 900);
    next["aud"] = json!(["web", "api"]);
    next.as_object_mut().unwrap().remove("nonce");

    let (outcome, _) = refreshed(&first, &jwt("ES256", &next)).await;

    assert_eq!(outcome.unwrap().refresh_token().unwrap().expose_secret(), "rt-1");
}

#[tokio::test]
async fn a_refresh_that_brings_the_tokens_of_another_person_is_refused() {
    let first = claims("n");
    for (name, value) in [("sub", json!("planted")), ("sub", json!(null))] {
        let mut next = first.clone();
        next[name] = value;

        let (outcome, requests) = refreshed(&first, &jwt("RS256", &next)).await;

        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RefreshRejected, "{name}");
        assert!(error.to_string().contains("§12.2"), "{error}");
        assert!(!printed(&error).contains("planted"), "{error:?}");
        assert_eq!(requests, 1);
    }
}

#[tokio::test]
async fn an_id_token_that_cannot_be_read_does_not_cost_a_refresh() {
    let (outcome, _) = refreshed(&claims("n"), "nonsense").await;

    assert_eq!(outcome.unwrap().refresh_token().unwrap().expose_secret(), "rt-1");
}

#[tokio::test]
async fn whose_tokens_they_are_is_not_forgotten_when_an_id_token_cannot_be_read() {
    let (first, mut other) = (claims("n"), claims("n"));
    other["sub"] = json!("bob");
    let playback = Playback::of(&[&answer("nonsense"), &answer(&jwt("RS256", &other))]);
    let provider = login_with(&playback).provider("alice").unwrap();
    let alice = TokenSet::from_refresh_token("rt-0").with_id_token(jwt("RS256", &first));

    let next = refresh(&provider, &alice).await.unwrap();
    let error = refresh(&provider, &next).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::RefreshRejected);
}

#[tokio::test]
async fn an_issuer_or_audience_spelled_otherwise_at_a_refresh_costs_the_id_token_alone() {
    let first = claims("n");
    for (name, value) in [
        ("iss", json!("auth.example.org")),
        ("iss", json!("http://auth.example.org")),
        ("iss", json!("https://auth.example.org/")),
        ("iss", json!(null)),
        ("aud", json!("other")),
    ] {
        let mut next = first.clone();
        next[name] = value.clone();

        let (outcome, _) = refreshed(&first, &jwt("RS256", &next)).await;

        let tokens = outcome.unwrap();
        assert_eq!(tokens.refresh_token().unwrap().expose_secret(), "rt-1", "{value}");
        let kept = IdTokenClaims::of(&tokens).unwrap();
        assert_eq!(kept.claim(name), first.get(name), "the id token of the login stays");
    }
}

#[tokio::test]
async fn an_id_token_that_says_a_thing_twice_is_refused() {
    let header = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let plain = header(r#"{"alg":"RS256"}"#);
    let outcome = with_answer(|nonce| {
        let claims = claims(nonce).to_string().replacen('{', r#"{"sub":"planted","#, 1);
        answer(&format!("{plain}.{}.c2ln", header(&claims)))
    })
    .await;
    let error = assert_new_login_needed(outcome, "has a member more than once");
    assert!(!printed(&error).contains("planted"), "{error:?}");

    let twice = header(r#"{"alg":"RS256","alg":"none"}"#);
    let outcome = with_answer(|nonce| {
        answer(&format!("{twice}.{}.c2ln", header(&claims(nonce).to_string())))
    })
    .await;
    assert_new_login_needed(outcome, "has a member more than once");
}

#[tokio::test]
async fn an_algorithm_that_is_no_text_is_refused() {
    for head in [r#"{"alg":7}"#, r#"{"alg":null}"#, "{}", r#"{"alg":["RS256"]}"#] {
        let outcome = with_answer(|nonce| {
            let [head, claims] = [head.to_owned(), claims(nonce).to_string()]
                .map(|part| URL_SAFE_NO_PAD.encode(part));
            answer(&format!("{head}.{claims}.c2ln"))
        })
        .await;
        assert_new_login_needed(outcome, "has a header whose `alg` is no text");
    }
}

#[tokio::test]
async fn an_algorithm_without_a_hash_does_not_switch_off_the_hash_of_the_access_token() {
    let half = |digest: &[u8]| URL_SAFE_NO_PAD.encode(&digest[..digest.len() / 2]);
    for algorithm in ["none", "None", "made-up", ""] {
        for wrong in ["of another token", ""] {
            let outcome = with_claims(algorithm, |claims| claims["at_hash"] = json!(wrong)).await;
            assert_new_login_needed(outcome, "for another access token");
        }
        for hash in [
            half(&Sha256::digest("at-1")),
            half(&Sha384::digest("at-1")),
            half(&Sha512::digest("at-1")),
        ] {
            with_claims(algorithm, |claims| claims["at_hash"] = json!(hash)).await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_scope_openid_needs_the_issuer_wherever_it_is_asked_for() {
    let playback = Playback::default();
    let at_build = builder(&playback).scopes(["openid"]).build().unwrap_err();
    let login = builder(&playback).scopes(["read"]).build().unwrap();
    let request = tokenkeeper_providers::AuthorizationRequest::new().scopes(["openid"]);
    let at_begin = login.begin_with(&request).await.unwrap_err();

    for error in [at_build, at_begin] {
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(
            error.to_string().contains("issuer: must be given with the scope `openid`"),
            "{error}"
        );
    }
}

/// RP-Initiated Logout 1.0 §2.
#[tokio::test]
async fn a_browser_is_sent_to_log_out_with_the_id_token_and_a_way_back() {
    let login = builder(&Playback::default())
        .end_session_url("https://auth.example.org/logout?tenant=1")
        .build()
        .unwrap();
    let tokens = TokenSet::from_refresh_token("rt").with_id_token("h.c.s");
    let state = tokenkeeper::Secret::from("s t");

    let whole =
        login.logout_url(&tokens, Some("https://app.example.org/bye"), Some(&state)).unwrap();
    let bare = login.logout_url(&TokenSet::from_refresh_token("rt"), None, None).unwrap();

    assert_eq!(
        whole.expose_secret(),
        "https://auth.example.org/logout?tenant=1&client_id=web&id_token_hint=h.c.s\
         &post_logout_redirect_uri=https%3A%2F%2Fapp.example.org%2Fbye&state=s+t"
    );
    assert_eq!(bare.expose_secret(), "https://auth.example.org/logout?tenant=1&client_id=web");
}

#[tokio::test]
async fn a_logout_that_cannot_work_says_why_and_shows_no_id_token() {
    let tokens = TokenSet::from_refresh_token("rt").with_id_token("planted");
    let none = login_with(&Playback::default());
    let login = builder(&Playback::default()).end_session_url("https://as/logout").build().unwrap();
    let state = tokenkeeper::Secret::from("s");

    let unsupported = none.logout_url(&tokens, None, None).unwrap_err();
    assert_eq!(unsupported.kind(), ErrorKind::Unsupported);
    assert!(unsupported.to_string().contains("end_session_url(..)"), "{unsupported}");
    for error in [
        login.logout_url(&tokens, Some("http://app.example.org/bye"), None).unwrap_err(),
        login.logout_url(&tokens, None, Some(&state)).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(!printed(&error).contains("planted"), "{error:?}");
    }
    let clear = builder(&Playback::default()).end_session_url("http://as.example.org/logout");
    assert!(clear.build().unwrap_err().to_string().contains("end session URL"));
}

#[cfg(feature = "discovery")]
#[tokio::test]
async fn the_end_session_endpoint_comes_from_the_document() {
    use tokenkeeper_providers::AuthorizationServer;

    let server = |end: &str| {
        let document = json!({
            "issuer": ISSUER, "authorization_endpoint": "https://auth.example.org/a",
            "token_endpoint": "https://auth.example.org/t", "end_session_endpoint": end,
        });
        AuthorizationServer::from_json(ISSUER, document.to_string().as_bytes()).unwrap()
    };
    let login = AuthorizationCodeLogin::of_server("svc", &server("https://auth.example.org/end"))
        .unwrap()
        .client("web", tokenkeeper_providers::ClientAuth::none())
        .transport(Playback::default())
        .build()
        .unwrap();

    let url = login.logout_url(&TokenSet::from_refresh_token("rt"), None, None).unwrap();

    assert_eq!(url.expose_secret(), "https://auth.example.org/end?client_id=web");
    for odd in ["http://127.0.0.1/end", "javascript:alert(1)", ""] {
        assert_eq!(server(odd).end_session_url(), None, "{odd}");
    }
}

proptest! {
    /// What the fuzz targets do for hours, for a moment.
    #[test]
    fn no_header_or_claims_of_an_id_token_make_it_panic(
        header in proptest::collection::vec(any::<u8>(), 0..60),
        name in "iss|sub|aud|azp|exp|nbf|nonce|at_hash",
        value in prop_oneof![
            Just(json!(null)), Just(json!([])), Just(json!({})), Just(json!([1])),
            any::<f64>().prop_map(|number| json!(number)),
            any::<i64>().prop_map(|number| json!(number)),
            ".{0,40}".prop_map(Value::from),
        ],
    ) {
        let mut claims = claims("n");
        claims["iss"] = json!("https://as");
        prop_assert!(accepts_id_token(&jwt("RS256", &claims)));
        claims[&name] = value;
        let _ = accepts_id_token(&jwt("RS256", &claims));
        let header = URL_SAFE_NO_PAD.encode(header);
        let text = format!("{header}.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()));
        prop_assert!(!accepts_id_token(&text));
    }
}
