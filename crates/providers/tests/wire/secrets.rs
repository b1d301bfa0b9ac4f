//! Services that repeat what they were sent.

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::json;
use tokenkeeper::{Error, ErrorKind, TokenSet};
use tokenkeeper_providers::{ClientAuth, PasswordProvider};
use url::form_urlencoded::byte_serialize;

use crate::support::{Playback, TOKEN_URL, fetch, printed, refresh};

const SECRET: &str = "s3cret/of+the client";
const PASSWORD: &str = "pä\"ss\\wörd%&=1";
const SHORT: &str = "a b+c";
const REFRESH: &str = "refresh.tok~en?>>/1";

fn refused(status: u16, code: &str, description: &str, auth: ClientAuth) -> Error {
    let body = json!({ "error": code, "error_description": description }).to_string();
    let playback = Playback::default().and(status, body);
    let provider = PasswordProvider::builder("svc", TOKEN_URL)
        .client("id", auth)
        .user("alice", PASSWORD)
        .transport(playback)
        .build()
        .unwrap();
    pollster::block_on(async {
        match status {
            403 => refresh(&provider, &TokenSet::from_refresh_token(REFRESH)).await,
            _ => fetch(&provider).await,
        }
    })
    .unwrap_err()
}

/// The secret as servers quote it.
fn spellings(secret: &str) -> Vec<String> {
    let form: String = byte_serialize(secret.as_bytes()).collect();
    let percent: String = secret.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let json = serde_json::to_string(secret).unwrap();
    let units: String = secret.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    let mut all = vec![
        secret.to_owned(),
        secret.to_ascii_uppercase(),
        secret.replace(' ', "\r\n"), // shown as one blank
        format!("'{secret}' is wrong"),
        form.clone(),
        form.replace('+', "%20"),
        percent.to_uppercase(),
        percent.clone(),
        format!("password={form}&client_id=id"),
        json.trim_matches('"').to_owned(),
        serde_json::to_string(&json).unwrap(),
        units,
        STANDARD.encode(&percent),
        STANDARD.encode(form.replace('+', "%20")),
        byte_serialize(STANDARD.encode(secret).as_bytes()).collect(),
        format!("Basic {}", STANDARD.encode(format!("id:{secret}"))),
        format!("Basic {}", STANDARD.encode(format!("id:{form}"))),
    ];
    for glue in ["/", "a-", "ab_"] {
        all.push(format!("{glue}{}", STANDARD.encode(secret)));
    }
    for prefix in ["", "x", "xy", "xyz"] {
        for engine in [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD] {
            all.push(engine.encode(format!("{prefix}{secret}{prefix}")));
        }
    }
    all
}

#[test]
fn a_description_that_repeats_a_secret_in_any_spelling_is_withheld() {
    for (status, secret) in
        [(400, SECRET), (400, SHORT), (400, PASSWORD), (403, SECRET), (403, REFRESH)]
    {
        for spelling in spellings(secret) {
            let client_secret = if secret == SHORT { SHORT } else { SECRET };
            for auth in [ClientAuth::basic(client_secret), ClientAuth::post(client_secret)] {
                let text = format!("No luck with {spelling}.");

                let error = refused(status, "invalid_request", &text, auth);

                let oauth = error.oauth().unwrap();
                assert_eq!(oauth.code(), "invalid_request");
                let withheld = Some("[withheld: it may hold a secret]");
                assert_eq!(oauth.description(), withheld, "{text}");
                assert!(!printed(&error).contains(&spelling), "{text}");
            }
        }
    }
}

#[test]
fn a_code_that_repeats_a_secret_is_withheld_and_still_decides() {
    let error = refused(400, &format!("bad {SECRET}"), "fine", ClientAuth::post(SECRET));

    assert_eq!(error.oauth().unwrap().code(), "[withheld]");
    assert_eq!(error.kind(), ErrorKind::RequestRejected);
    assert!(!printed(&error).contains(SECRET));
}

#[test]
fn a_part_of_a_secret_is_a_secret_too() {
    for part in ["s3cret/o", "/of+the ", "e client"] {
        let error =
            refused(400, "invalid_request", &format!("<{part}…>"), ClientAuth::post(SECRET));

        assert!(!printed(&error).contains(part), "{part}");
    }
}

#[test]
fn short_secrets_are_not_repeated_either_and_standard_codes_stay_readable() {
    for secret in ["a", "no", "xyz"] {
        let text = format!("wrong secret {secret}, sorry");

        let error = refused(400, "invalid_client", &text, ClientAuth::basic(secret));

        assert_eq!(error.oauth().unwrap().code(), "invalid_client");
        assert_eq!(error.kind(), ErrorKind::CredentialsRejected);
        assert!(!error.to_string().contains("sorry"), "{error}");
    }
}

#[test]
fn a_description_that_repeats_nothing_is_shown() {
    let text = "AADSTS7000215: Invalid client secret provided. Trace ID: f86ee3a2-1c21-48b0";

    let error = refused(401, "invalid_client", text, ClientAuth::basic(SECRET));

    assert_eq!(error.oauth().unwrap().description(), Some(text));
}

#[test]
fn tokens_that_come_with_a_refusal_are_not_repeated() {
    let body = json!({
        "error": "odd",
        "error_description": "not issuing planted-token",
        "access_token": "planted-token",
    });
    let playback = Playback::default().and(200, body.to_string());
    let provider = PasswordProvider::builder("svc", TOKEN_URL)
        .client("id", ClientAuth::none())
        .user("alice", PASSWORD)
        .transport(playback)
        .build()
        .unwrap();

    let error = pollster::block_on(fetch(&provider)).unwrap_err();

    assert!(!printed(&error).contains("planted-token"), "{error:?}");
}

#[test]
fn a_message_is_one_line_that_names_service_host_status_code_and_next_step() {
    let error = refused(403, "invalid_grant", "Token\r\nis dead", ClientAuth::none());

    assert_eq!(
        error.to_string(),
        "svc: auth.example.org refused the refresh token (HTTP 403, invalid_grant: Token is \
         dead); log in again"
    );
}

#[test]
fn the_query_of_the_token_url_is_in_no_error() {
    let provider = PasswordProvider::builder("svc", "https://auth.example.org/t?key=planted")
        .client("id", ClientAuth::none())
        .user("alice", PASSWORD)
        .transport(Playback::default().and(302, ""))
        .build()
        .unwrap();

    let error = pollster::block_on(fetch(&provider)).unwrap_err();

    assert!(!printed(&error).contains("planted"), "{error:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_secret_in_any_spelling_gets_through(
        secret in "[ -~äöü€]{1,40}",
        before in "[ -~]{0,30}",
        after in "[ -~]{0,30}",
        at in any::<proptest::sample::Index>(),
    ) {
        let all = spellings(&secret);
        let spelling = at.get(&all);
        let text = format!("{before} {spelling} {after}");
        let error = refused(400, "invalid_request", &text, ClientAuth::post(secret.as_str()));
        let description = error.oauth().unwrap().description().unwrap_or_default();
        prop_assert!(
            description.starts_with("[withheld:") || secret.trim().is_empty(),
            "{text:?} gave {description:?}"
        );
    }
}
