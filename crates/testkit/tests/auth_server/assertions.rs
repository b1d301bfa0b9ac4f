//! What the server makes of assertions, and of tokens that are exchanged for others.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking, helpers of theirs too")]

use std::time::{Duration, UNIX_EPOCH};

use crate::signed::{ONE, base64_url};
use crate::wire::{self, Reply, get, post};
use serde_json::{Value, json};
use tokenkeeper::{Clock, ManualClock};
use tokenkeeper_testkit::{ClientAuth, FakeAuthServer, FakeAuthServerBuilder};

fn server(clock: &ManualClock) -> FakeAuthServerBuilder {
    FakeAuthServer::builder()
        .client("job", "", ClientAuth::PrivateKeyJwt)
        .client("tool", "hunter2", ClientAuth::ClientSecretJwt)
        .client("client", "secret", ClientAuth::Post)
        .clock(clock.clone())
}

pub(crate) fn claims(
    clock: &ManualClock,
    issuer: &str,
    server: &FakeAuthServer,
    jti: &str,
) -> Value {
    let now = clock.now().wall().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let audience = server.issuer();
    json!({ "iss": issuer, "sub": issuer, "aud": audience, "iat": now, "exp": now + 60, "jti": jti })
}

pub(crate) fn with(claims: &Value, name: &str, value: impl Into<Value>) -> Value {
    let mut claims = claims.clone();
    claims.as_object_mut().unwrap().insert(name.to_owned(), value.into());
    claims
}

pub(crate) fn sign(claims: &Value) -> String {
    ONE.sign(&json!({ "alg": "EdDSA" }), claims)
}

fn sign_with_secret(claims: &Value, secret: &str) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let parts =
        [json!({ "alg": "HS256" }), claims.clone()].map(|part| base64_url(part.to_string()));
    let signed = parts.join(".");
    let mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    let mac = mac.chain_update(&signed).finalize().into_bytes();
    format!("{signed}.{}", base64_url(mac))
}

pub(crate) fn by_client(server: &FakeAuthServer, assertion: &str) -> Reply {
    let body = format!(
        "grant_type=client_credentials&client_assertion={assertion}&client_assertion_type=\
         urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"
    );
    post(&server.token_url(), &[], &body)
}

fn by_bearer(server: &FakeAuthServer, assertion: &str) -> Reply {
    let grant = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer";
    let body = format!("grant_type={grant}&assertion={assertion}&scope=read");
    post(&server.token_url(), &[], &body)
}

pub(crate) fn exchange(server: &FakeAuthServer, rest: &str) -> Reply {
    let grant = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange";
    wire::exchange(&server.token_url(), &format!("grant_type={grant}&{rest}"))
}

#[test]
fn a_client_that_asserts_itself_is_known_by_it_once() {
    let clock = ManualClock::new();
    let server = server(&clock).start();
    let good = claims(&clock, "job", &server, "1");

    assert_eq!(by_client(&server, &sign(&good)).status, 200);
    assert_eq!(by_client(&server, &sign(&good)).text("error"), "invalid_client");
    assert_eq!(by_client(&server, &sign(&with(&good, "jti", "2"))).status, 200);
    let token_url = with(&with(&good, "jti", "3"), "aud", json!(["x", server.token_url()]));
    assert_eq!(by_client(&server, &sign(&token_url)).status, 200);
}

#[test]
fn an_assertion_of_a_client_is_refused_for_whatever_is_wrong_with_it() {
    let clock = ManualClock::new();
    let server = server(&clock).start();
    let good = claims(&clock, "job", &server, "1");

    for (name, value) in [
        ("iss", json!("tool")),
        ("sub", json!("stranger")),
        ("aud", json!("https://elsewhere.example")),
        ("exp", json!(1)),
        ("exp", Value::Null),
        ("iat", json!(99_999_999_999_u64)),
        ("jti", Value::Null),
    ] {
        let refused = by_client(&server, &sign(&with(&good, name, value)));
        assert_eq!(
            (refused.status, refused.text("error")),
            (401, "invalid_client".into()),
            "{name}"
        );
    }
    clock.advance(Duration::from_secs(60));
    assert_eq!(by_client(&server, &sign(&good)).status, 401);
}

#[test]
fn an_assertion_signed_with_the_secret_is_checked() {
    let clock = ManualClock::new();
    let server = server(&clock).start();
    let good = claims(&clock, "tool", &server, "1");

    assert_eq!(by_client(&server, &sign_with_secret(&good, "guess")).status, 401);
    assert_eq!(by_client(&server, &sign(&good)).status, 401);
    assert_eq!(by_client(&server, &sign_with_secret(&good, "hunter2")).status, 200);
}

#[test]
#[cfg(feature = "signatures")]
fn with_a_public_key_the_signature_is_checked() {
    let clock = ManualClock::new();
    let one_key = || server(&clock).public_key("job", &crate::signed::TWO.jwk().to_string());
    let (strict, both) = (one_key().start(), one_key().public_key("job", &ONE.jwk().to_string()));
    let both = both.start();

    let forged = claims(&clock, "job", &strict, "1");
    assert_eq!(by_client(&strict, &sign(&forged)).status, 401);
    assert_eq!(by_client(&strict, &sign_with_secret(&forged, "")).status, 401);
    assert_eq!(
        by_client(&strict, &crate::signed::TWO.sign(&json!({ "alg": "EdDSA" }), &forged)).status,
        200
    );
    assert_eq!(by_client(&both, &sign(&claims(&clock, "job", &both, "1"))).status, 200);
}

#[test]
fn an_assertion_of_a_trusted_issuer_buys_a_token_of_its_subject() {
    let clock = ManualClock::new();
    let server = server(&clock).trust_issuer("https://idp.example").start();
    let good = claims(&clock, "https://idp.example", &server, "1");
    let good = with(&good, "sub", "alice");

    let tokens = by_bearer(&server, &sign(&good));
    let resource = get(&server.resource_url(), &tokens.text("access_token"));

    assert_eq!((tokens.status, resource.text("username")), (200, "alice".into()));
    assert!(tokens.json().get("refresh_token").is_none());
    for refused in [good.clone(), with(&good, "iss", "https://other.example")] {
        assert_eq!(by_bearer(&server, &sign(&refused)).text("error"), "invalid_grant");
    }
    let late = with(&with(&good, "jti", "2"), "exp", 1);
    assert_eq!(by_bearer(&server, &sign(&late)).text("error"), "invalid_grant");
}

#[test]
fn a_token_is_exchanged_for_one_that_another_acts_with() {
    let server = server(&ManualClock::new()).start();
    let subject =
        wire::exchange(&server.token_url(), &format!("{}&scope=read+write", wire::PASSWORD));
    let actor = wire::exchange(&server.token_url(), "grant_type=client_credentials");
    let access = "urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token";

    let tokens = exchange(
        &server,
        &format!(
            "subject_token={}&subject_token_type={access}&actor_token={}&actor_token_type={access}\
             &scope=read&audience=billing&audience=stock",
            subject.text("access_token"),
            actor.text("access_token")
        ),
    );
    let resource = get(&server.resource_url(), &tokens.text("access_token")).json();

    assert_eq!(tokens.text("issued_token_type"), "urn:ietf:params:oauth:token-type:access_token");
    assert_eq!((tokens.text("token_type"), tokens.text("scope")), ("Bearer".into(), "read".into()));
    assert_eq!((&resource["username"], &resource["actor"]), (&"alice".into(), &"client".into()));
    assert_eq!(resource["resource"], json!(["billing", "stock"]));
}

#[test]
fn an_exchange_is_refused_for_whatever_is_wrong_with_it() {
    let server = server(&ManualClock::new()).allowed_resources(["https://a.example/"]).start();
    let subject = wire::exchange(&server.token_url(), &format!("{}&scope=read", wire::PASSWORD));
    let access = "urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token";
    let token = subject.text("access_token");
    let refused = |rest: &str| exchange(&server, rest).text("error");
    let good = format!("subject_token={token}&subject_token_type={access}");

    assert_eq!(refused(&good), "");
    assert_eq!(refused(&format!("subject_token={token}")), "invalid_request");
    assert_eq!(refused(&good.replace(&token, "stranger")), "invalid_request");
    assert_eq!(refused(&format!("{good}&actor_token_type={access}")), "invalid_request");
    assert_eq!(refused(&format!("{good}&requested_token_type=x")), "invalid_request");
    assert_eq!(refused(&format!("{good}&scope=write")), "invalid_scope");
    assert_eq!(refused(&format!("{good}&audience=b")), "invalid_target");
    assert_eq!(refused(&format!("{good}&resource=https%3A%2F%2Fb.example%2F")), "invalid_target");
}

#[test]
fn a_refresh_token_may_be_asked_for_and_is_no_access_token() {
    let server = server(&ManualClock::new()).start();
    let subject = wire::exchange(&server.token_url(), wire::PASSWORD);
    let kind = "urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3A";

    let issued = exchange(
        &server,
        &format!(
            "subject_token={}&subject_token_type={kind}refresh_token\
             &requested_token_type={kind}refresh_token",
            subject.text("refresh_token")
        ),
    );

    let token = issued.text("access_token");
    assert_eq!((issued.text("token_type").as_str(), server.is_live(&token)), ("N_A", false));
    let refresh = format!("grant_type=refresh_token&refresh_token={token}");
    assert_eq!(wire::exchange(&server.token_url(), &refresh).status, 200);
}
