//! Answers of real services, and of services that nobody would believe.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use http::StatusCode;
use proptest::prelude::*;
use serde_json::Value;
use tokenkeeper::{AnswerBody, Error, ErrorKind, TokenProvider, TokenRequestKind, TokenSet};
use tokenkeeper_providers::fuzzing::read_answer;
use tokenkeeper_providers::{
    ClientAuth, ClientCredentialsProvider, PasswordProvider, RefreshTokenProvider,
};

use crate::support::{OK, Playback, TOKEN_URL, fetch, printed, refresh};

fn password(playback: &Playback) -> PasswordProvider {
    PasswordProvider::builder("svc", TOKEN_URL)
        .client("id", ClientAuth::none())
        .user("alice", "planted-password")
        .transport(playback.clone())
        .build()
        .unwrap()
}

async fn fetched(body: impl AsRef<[u8]>) -> Result<TokenSet, Error> {
    fetch(&password(&Playback::default().and(200, body))).await
}

#[test]
fn every_answer_of_a_real_service_gives_what_it_says() {
    let text = include_str!("../fixtures/token-responses.json");
    let entries: Vec<Value> = serde_json::from_str(text).unwrap();
    assert_eq!(entries.len(), 47);

    for (at, entry) in entries.iter().enumerate() {
        let name = format!("entry {at}, {}: {}", entry["provider"], entry["case"]);
        let problems = problems_with(entry);
        assert!(problems.is_empty(), "{name}: {problems:?}");
    }
}

/// What an entry expects and does not get.
fn problems_with(entry: &Value) -> Vec<String> {
    let expect = &entry["expect"];
    let status = u16::try_from(entry["status"].as_u64().unwrap()).unwrap();
    let is_refresh = entry["grant"] == "refresh_token";
    let mut playback = Playback::default();
    let headers: Vec<(&'static str, &str)> = entry["headers"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (&*name.clone().leak(), value.as_str().unwrap()))
        .collect();
    playback = playback.and_with(status, &headers, entry["body"].as_str().unwrap());

    if expect["revocation"] == true {
        let provider = ClientCredentialsProvider::builder("svc", TOKEN_URL)
            .client("id", ClientAuth::none())
            .revocation_url("https://auth.example.org/revoke")
            .transport(playback)
            .build()
            .unwrap();
        let outcome = pollster::block_on(provider.revoke(&TokenSet::from_refresh_token("rt")));
        return outcome.err().map(|error| error.to_string()).into_iter().collect();
    }

    let outcome = if is_refresh {
        let provider = RefreshTokenProvider::builder("svc", TOKEN_URL)
            .client("id", ClientAuth::none())
            .transport(playback)
            .build()
            .unwrap();
        pollster::block_on(refresh(&provider, &TokenSet::from_refresh_token("planted-refresh")))
    } else {
        let mut builder = PasswordProvider::builder("svc", TOKEN_URL)
            .client("id", ClientAuth::none())
            .user("alice", "planted-password")
            .transport(playback);
        if entry["provider"] == "github" {
            builder = builder.comma_separated_scopes();
        }
        pollster::block_on(fetch(&builder.build().unwrap()))
    };

    let mut problems = Vec::new();
    let mut compare = |what: &str, got: Value, wanted: &Value| {
        if got != *wanted {
            problems.push(format!("{what} is {got}, not {wanted}"));
        }
    };
    match outcome {
        Ok(tokens) => {
            let access = tokens.access_token().unwrap();
            compare("result", "ok".into(), &expect["result"]);
            compare(
                "access_token",
                access.secret().expose_secret().into(),
                &expect["access_token"],
            );
            let wanted_type = expect["token_type"].as_str().unwrap_or("Bearer");
            assert!(wanted_type.eq_ignore_ascii_case("bearer") && access.is_bearer());
            let lifetime = tokens.lifetime().map(|life| life.as_secs());
            compare("expires_in", lifetime.into(), &expect["expires_in_seconds"]);
            let refresh_token = tokens.refresh_token().map(|token| token.expose_secret());
            compare("refresh_token", refresh_token.into(), &expect["refresh_token"]);
            let mut wanted: Option<Vec<&str>> = expect["scopes"]
                .as_array()
                .map(|words| words.iter().map(|word| word.as_str().unwrap()).collect());
            wanted.iter_mut().for_each(|words| words.sort_unstable());
            let scopes: Option<Vec<&str>> = tokens.scopes().map(|scopes| scopes.iter().collect());
            compare("scopes", scopes.into(), &wanted.into());
        }
        Err(error) => {
            compare("result", "err".into(), &expect["result"]);
            let code = error.oauth().map(|oauth| oauth.code());
            compare("error_code", code.into(), &expect["error_code"]);
            if let Some(wanted) = expect["error_description"].as_str() {
                let description = error.oauth().and_then(|oauth| oauth.description());
                compare("error_description", description.into(), &wanted.into());
            }
            let exchange =
                if is_refresh { TokenRequestKind::Refresh } else { TokenRequestKind::Fetch };
            let status = StatusCode::from_u16(status).unwrap();
            let class = expect["class"].as_str().filter(|class| !class.contains([' ', '?']));
            if class.is_some() || code.is_none() {
                let body = match (class, entry["body"].as_str().unwrap()) {
                    (Some(class), _) => AnswerBody::Coded(class),
                    (None, "") => AnswerBody::Empty,
                    (None, _) => AnswerBody::Uncoded,
                };
                let kind = ErrorKind::of_answer(exchange, status, body);
                let got = format!("{:?}", error.kind());
                compare("kind", got.into(), &format!("{kind:?}").into());
            }
        }
    }
    problems
}

#[tokio::test]
async fn numbers_beyond_two_to_the_53_survive_among_the_other_members() {
    let tokens = fetched(
        r#"{"access_token":"a","athlete":{"id":1234567890987654321},"not-before-policy":0}"#,
    )
    .await
    .unwrap();

    assert_eq!(tokens.extra()["athlete"]["id"], 1_234_567_890_987_654_321_u64);
    assert_eq!(tokens.extra()["not-before-policy"], 0);
    assert!(!tokens.extra().contains_key("access_token"));
}

#[tokio::test]
async fn the_end_of_the_refresh_token_is_known_under_its_three_names_and_zero_is_unknown() {
    for (member, seconds) in [
        (r#""refresh_expires_in":1800"#, Some(1_800)),
        (r#""refresh_token_expires_in":"1800""#, Some(1_800)),
        (r#""x_refresh_token_expires_in":8726400"#, Some(8_726_400)),
        (r#""refresh_expires_in":0"#, None),
        (r#""refresh_expires_in":"never""#, None),
    ] {
        let body = format!(r#"{{"access_token":"a","refresh_token":"r",{member}}}"#);

        let tokens = fetched(body).await.unwrap();

        let life = tokens
            .refresh_expires_at()
            .map(|end| end.duration_since(tokens.requested_at()).unwrap().as_secs());
        assert_eq!(life, seconds, "{member}");
    }
}

#[tokio::test]
async fn a_secondary_member_that_cannot_be_read_never_costs_the_token() {
    for member in [
        r#""expires_in":{"a":1}"#,
        r#""expires_in":1e400"#,
        r#""expires_in":18446744073709551615"#,
        r#""refresh_token":7"#,
        r#""refresh_expires_in":18446744073709551615"#,
        r#""id_token":[]"#,
        r#""scope":{"a":1}"#,
        r#""scope":"good \u0007bad""#,
        r#""token_type":null"#,
        r#""note":"\ud800""#,
        r#""error":"""#,
    ] {
        let body = format!(r#"{{"access_token":"a","refresh_token":"r",{member}}}"#);

        let tokens = fetched(&body).await.unwrap_or_else(|error| panic!("{member}: {error}"));

        assert_eq!(tokens.access_token().unwrap().secret().expose_secret(), "a", "{member}");
    }
}

#[tokio::test]
async fn a_token_of_another_type_is_refused_and_its_type_named() {
    for (kind, named) in
        [("DPoP", "`dpop`"), ("mac", "`mac`"), ("N_A", "`n_a`"), ("a\\nb", "another")]
    {
        let body = format!(r#"{{"access_token":"planted","token_type":"{kind}"}}"#);

        let error = fetched(body).await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::InvalidResponse);
        assert!(error.to_string().contains(named), "{error}");
        assert!(!printed(&error).contains("planted"), "{error:?}");
    }
    let body = r#"{"access_token":"planted","token_type":"planted"}"#;
    assert!(!printed(&fetched(body).await.unwrap_err()).contains("planted"));
}

#[tokio::test]
async fn success_that_is_none_says_so_and_may_have_spent_something() {
    for (body, says) in [
        ("", "is empty"),
        ("<html>planted</html>", "is neither a JSON object nor a form"),
        (r#"[{"access_token":"planted"}]"#, "is neither a JSON object nor a form"),
        (r#"{"access_token":"planted"#, "is neither a JSON object nor a form"),
        (r#"{"token":"planted"}"#, "has no access token"),
        (r#"{"access_token":7,"expires_in":"NaN"}"#, "has no access token"),
    ] {
        let error = fetched(body).await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::InvalidResponse, "{body}");
        assert_eq!(error.status(), Some(StatusCode::OK));
        assert!(error.to_string().contains(says), "{error}");
        assert!(error.answer_lost());
        assert!(!printed(&error).contains("planted"));
    }
}

#[tokio::test]
async fn a_201_and_any_content_type_are_a_success() {
    for kind in ["text/html", "application/x-www-form-urlencoded", "nonsense", "TEXT/JSON"] {
        let playback = Playback::default().and_with(201, &[("content-type", kind)], OK);

        assert!(fetch(&password(&playback)).await.is_ok(), "{kind}");
    }
}

#[tokio::test]
async fn an_answer_beyond_the_limit_is_refused_whatever_the_transport_lets_through() {
    let body = format!(r#"{{"access_token":"a","pad":"{}"}}"#, "x".repeat(1 << 20));

    let error = fetched(body).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::InvalidResponse);
    assert!(error.to_string().contains("longer than 1 MiB"), "{error}");
}

#[tokio::test]
async fn an_answer_without_scopes_grants_what_was_asked_for() {
    let provider = |body: &str| {
        ClientCredentialsProvider::builder("svc", TOKEN_URL)
            .client("id", ClientAuth::none())
            .scopes(["b", "a"])
            .transport(Playback::of(&[body]))
            .build()
            .unwrap()
    };

    let silent = fetch(&provider(OK)).await.unwrap();
    let narrowed = fetch(&provider(r#"{"access_token":"x","scope":"a"}"#)).await.unwrap();

    assert_eq!(silent.scopes().unwrap().to_string(), "a b");
    assert_eq!(narrowed.scopes().unwrap().to_string(), "a");
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        "[0-9]{1,25}".prop_map(Value::from),
        Just(Value::from("invalid_grant")),
        Just(Value::from("planted-password")),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((".{0,8}", inner), 0..4)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

/// Objects whose members have the right names and any values.
fn plausible_answer() -> impl Strategy<Value = String> {
    let name = proptest::sample::select(vec![
        "access_token",
        "token_type",
        "expires_in",
        "refresh_token",
        "scope",
        "id_token",
        "refresh_expires_in",
        "error",
        "error_description",
        "errors",
        "errcode",
        "errmsg",
        "ok",
    ]);
    proptest::collection::vec((name, json_value()), 0..8).prop_map(|pairs| {
        let members = pairs.into_iter().map(|(name, value)| (name.to_owned(), value));
        Value::Object(members.collect()).to_string()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_without_a_panic(
        status in 100_u16..=999,
        body in proptest::collection::vec(any::<u8>(), 0..512),
        commas: bool,
        milliseconds: bool,
    ) {
        let status = StatusCode::from_u16(status).unwrap();
        let has_tokens = read_answer(status, &body, commas, milliseconds);
        prop_assert!(!has_tokens || status.is_success());
    }

    #[test]
    fn any_members_are_read_without_a_panic_and_never_repeat_the_password(
        status in proptest::sample::select(vec![200_u16, 201, 302, 400, 401, 403, 429, 500]),
        body in plausible_answer(),
    ) {
        let playback = Playback::default().and(status, &body);
        match pollster::block_on(fetch(&password(&playback))) {
            Ok(tokens) => prop_assert!(!tokens.access_token().unwrap().secret().is_empty()),
            Err(error) => {
                prop_assert!(!printed(&error).contains("planted-password"), "{}", error)
            }
        }
    }

    #[test]
    fn a_body_cut_anywhere_gives_no_token(at in 0_usize..OK.len() - 1) {
        prop_assert!(!read_answer(StatusCode::OK, &OK.as_bytes()[..at], false, false));
    }
}
