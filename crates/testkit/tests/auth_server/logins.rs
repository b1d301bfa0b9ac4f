//! What the server makes of people who log in at a browser.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "tests fail by panicking, helpers of theirs too"
)]

use std::collections::HashMap;
use std::time::Duration;

use crate::wire::{Reply, get, post};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use tokenkeeper::ManualClock;
use tokenkeeper_testkit::{
    ClientAuth, Decision, Endpoint, FakeAuthServer, FakeAuthServerBuilder, Fault,
};

pub(crate) const CALLBACK: &str = "https://app.example/callback";
// The pair of RFC 7636 appendix B.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

pub(crate) fn server() -> FakeAuthServerBuilder {
    FakeAuthServer::builder()
        .client("web", "hunter2", ClientAuth::Post)
        .client("app", "", ClientAuth::None)
        .redirect_uri("web", CALLBACK)
        .redirect_uri("app", "http://127.0.0.1/callback")
}

pub(crate) fn request(rest: &str) -> String {
    format!(
        "client_id=web&redirect_uri=https%3A%2F%2Fapp.example%2Fcallback&response_type=code\
         &state=s%26t&code_challenge={CHALLENGE}&code_challenge_method=S256{rest}"
    )
}

pub(crate) fn visit(server: &FakeAuthServer, rest: &str) -> HashMap<String, String> {
    let url = format!("{}?{}", server.authorization_url(), request(rest));
    let callback = server.browser().visit(&url);
    assert!(callback.starts_with(CALLBACK));
    query_of(&callback)
}

pub(crate) fn query_of(callback: &str) -> HashMap<String, String> {
    let (_, query) = callback.split_once('?').unwrap();
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

fn redeem_with(server: &FakeAuthServer, code: &str, verifier: &str, rest: &str) -> Reply {
    let body = format!(
        "grant_type=authorization_code&code={code}&code_verifier={verifier}&client_id=web\
         &client_secret=hunter2&redirect_uri=https%3A%2F%2Fapp.example%2Fcallback{rest}"
    );
    post(&server.token_url(), &[], &body)
}

pub(crate) fn redeem(server: &FakeAuthServer, code: &str) -> Reply {
    redeem_with(server, code, VERIFIER, "")
}

fn refusal(reply: &Reply) -> (u16, String) {
    (reply.status, reply.text("error"))
}

fn claims(id_token: &str) -> Value {
    let part = id_token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[test]
fn a_login_at_the_browser_buys_tokens_of_the_person() {
    let server = server().person("bob").start();

    let callback = visit(&server, "&scope=calendar.read");
    let tokens = redeem(&server, &callback["code"]);
    let resource = get(&server.resource_url(), &tokens.text("access_token"));

    assert_eq!((callback["state"].as_str(), &callback["iss"]), ("s&t", &server.url()));
    assert_eq!((tokens.status, tokens.text("scope").as_str()), (200, "calendar.read"));
    assert_eq!(
        (resource.text("username"), resource.text("client_id")),
        ("bob".into(), "web".into())
    );
    assert!(!tokens.text("refresh_token").is_empty());
    assert!(tokens.json().get("id_token").is_none(), "nobody asked for one");
    assert_eq!(server.count("authorization_code", 200), 1);
    assert_eq!(server.stats().answers(Endpoint::Authorization, 302), 1);
}

#[test]
fn a_code_that_comes_twice_revokes_what_was_issued_for_it() {
    let server = server().start();
    let code = visit(&server, "")["code"].clone();
    let tokens = redeem(&server, &code);

    let replay = redeem(&server, &code);

    assert_eq!(refusal(&replay), (400, "invalid_grant".into()));
    assert_eq!(get(&server.resource_url(), &tokens.text("access_token")).status, 401);
}

#[test]
fn a_code_ends_by_the_clock_of_the_server() {
    let clock = ManualClock::new();
    let server = server().clock(clock.clone()).code_lifetime(Duration::from_secs(30)).start();
    let [early, late] = ["", ""].map(|rest| visit(&server, rest)["code"].clone());

    clock.advance(Duration::from_secs(29));
    assert_eq!(redeem(&server, &early).status, 200);
    clock.advance(Duration::from_secs(1));
    assert_eq!(refusal(&redeem(&server, &late)), (400, "invalid_grant".into()));
}

#[test]
fn a_code_is_bound_to_client_redirect_uri_and_challenge() {
    let server = server().start();
    let code = visit(&server, "")["code"].clone();
    let elsewhere = format!(
        "grant_type=authorization_code&code={code}&code_verifier={VERIFIER}&client_id=web\
         &client_secret=hunter2&redirect_uri=https%3A%2F%2Fapp.example%2Fother"
    );
    let other_client = format!(
        "grant_type=authorization_code&code={code}&code_verifier={VERIFIER}&client_id=app\
         &redirect_uri=https%3A%2F%2Fapp.example%2Fcallback"
    );

    for refused in [
        redeem_with(&server, &code, &VERIFIER.to_uppercase(), ""),
        redeem_with(&server, &code, "", ""),
        redeem_with(&server, &code, CHALLENGE, ""),
        post(&server.token_url(), &[], &elsewhere),
        post(&server.token_url(), &[], &other_client),
    ] {
        assert_eq!(refusal(&refused), (400, "invalid_grant".into()));
    }
    assert_eq!(redeem(&server, &code).status, 200);
}

#[test]
fn a_browser_is_sent_nowhere_that_is_not_registered() {
    let server = server().start();
    let good = request("");

    for query in [
        good.replace("client_id=web", "client_id=stranger"),
        good.replace("client_id=web", "client_id=app"),
        good.replace("callback&", "callback%2Fmore&"),
    ] {
        let page = server.browser().open(&format!("{}?{query}", server.authorization_url()));
        assert_eq!((page.status(), page.location()), (400, None), "{query}");
    }
}

#[test]
fn a_loopback_redirect_uri_may_have_any_port_and_no_other_difference() {
    let server = server().start();
    let open = |uri: &str| {
        let query = request("").replace("client_id=web", "client_id=app");
        let query = query.replace("https%3A%2F%2Fapp.example%2Fcallback", uri);
        server.browser().open(&format!("{}?{query}", server.authorization_url())).status()
    };

    assert_eq!(open("http://127.0.0.1/callback"), 302);
    assert_eq!(open("http://127.0.0.1:49152/callback"), 302);
    for other in
        ["127.0.0.1:80/other", "127.0.0.12/callback", "localhost:80/callback", "[::1]/callback"]
    {
        assert_eq!(open(&format!("http://{other}")), 400, "{other}");
    }
    assert_eq!(open("http://127.0.0.1:80@evil.example/callback"), 400);
}

#[test]
fn what_is_wrong_with_a_request_is_said_at_the_redirect_uri() {
    let server = server().allowed_scopes("calendar.read openid").start();
    let challenge = format!("&code_challenge={CHALLENGE}");
    let open = |query: &str| {
        let callback = server.browser().visit(&format!("{}?{query}", server.authorization_url()));
        let query = callback.strip_prefix(CALLBACK).unwrap().strip_prefix('?').unwrap().to_owned();
        let fields: HashMap<_, _> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        assert_eq!((fields["state"].as_str(), &fields["iss"]), ("s&t", &server.url()));
        assert!(!fields.contains_key("code"));
        fields["error"].clone()
    };

    let good = request("");
    assert_eq!(open(&good.replace("=S256", "=plain")), "invalid_request");
    assert_eq!(open(&good.replace("&code_challenge_method=S256", "")), "invalid_request");
    assert_eq!(open(&good.replace(&challenge, "")), "invalid_request");
    assert_eq!(open(&good.replace("=code", "=token")), "unsupported_response_type");
    assert_eq!(open(&request("&scope=payments")), "invalid_scope");
    assert_eq!(open(&request("&resource=https%3A%2F%2Fapi%2F%23part")), "invalid_target");
}

#[test]
fn a_person_may_decline_and_a_server_may_answer_wrongly() {
    let server = server().start();
    let answer = |decision| {
        server.decide_next(1, decision);
        visit(&server, "&scope=read+write")
    };

    assert_eq!(answer(Decision::Decline)["error"], "access_denied");
    assert_eq!(answer(Decision::Refuse("login_required".into()))["error"], "login_required");
    assert!(!answer(Decision::NoState).contains_key("state"));
    assert_ne!(answer(Decision::WrongState)["state"], "s&t");
    assert!(!answer(Decision::NoIssuer).contains_key("iss"));
    assert_ne!(answer(Decision::WrongIssuer)["iss"], server.url());
    let less = redeem(&server, &answer(Decision::ApproveOnly("read".into()))["code"]);
    assert_eq!(less.text("scope"), "read");
    assert_eq!(redeem(&server, &visit(&server, "")["code"]).status, 200);
}

#[test]
fn an_id_token_says_who_logged_in_where_and_when() {
    let server = server().clock(ManualClock::new()).start();
    let code = visit(&server, "&scope=openid+email&nonce=n-1")["code"].clone();

    let tokens = redeem(&server, &code);
    let claims = claims(&tokens.text("id_token"));

    assert_eq!(claims["iss"], server.url());
    assert_eq!((&claims["sub"], &claims["aud"]), (&"alice".into(), &"web".into()));
    assert_eq!((&claims["nonce"], &claims["email"]), (&"n-1".into(), &"alice@example.com".into()));
    assert_eq!(claims["exp"].as_u64(), claims["iat"].as_u64().map(|iat| iat + 900));
    assert_eq!(claims["auth_time"], claims["iat"]);
    assert_eq!(claims["at_hash"].as_str().map(str::len), Some(22));
}

#[test]
fn an_id_token_that_comes_with_a_refresh_has_no_nonce() {
    let server = server().start();
    let tokens = redeem(&server, &visit(&server, "&scope=openid&nonce=n-1")["code"]);
    let body = format!(
        "grant_type=refresh_token&client_id=web&client_secret=hunter2&refresh_token={}",
        tokens.text("refresh_token")
    );

    let refreshed = claims(&post(&server.token_url(), &[], &body).text("id_token"));

    assert_eq!((&refreshed["sub"], refreshed.get("nonce")), (&"alice".into(), None));
}

#[test]
fn a_test_can_make_an_id_token_wrong() {
    let server = server().start();
    server.set_id_token_claim("iss", "https://evil.example");
    server.set_id_token_claim("nonce", Value::Null);

    let tokens = redeem(&server, &visit(&server, "&scope=openid&nonce=n-1")["code"]);
    let claims = claims(&tokens.text("id_token"));

    assert_eq!((&claims["iss"], claims.get("nonce")), (&"https://evil.example".into(), None));
}

#[test]
fn the_authorization_endpoint_meets_faults_as_the_others_do() {
    let server = server().start();
    server.fail_next_at(Endpoint::Authorization, 1, Fault::Unavailable(None));

    let url = format!("{}?{}", server.authorization_url(), request(""));

    assert_eq!(server.browser().open(&url).status(), 503);
    assert_eq!(server.browser().open(&url).status(), 302);
}

#[test]
fn a_pushed_request_is_good_for_one_login_of_its_client() {
    let server = server().require_pushed_authorization_requests().start();
    let push = |rest: &str| {
        let body = request(rest) + "&client_secret=hunter2";
        post(&server.pushed_authorization_request_url(), &[], &body)
    };
    let open = |client: &str, uri: &str| {
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("client_id", client), ("request_uri", uri)])
            .finish();
        server.browser().open(&format!("{}?{query}", server.authorization_url()))
    };

    let (first, second) = (push("&scope=read"), push(""));
    let uri = first.text("request_uri");
    assert_eq!((first.status, first.json()["expires_in"].as_u64()), (201, Some(60)));
    let page = open("web", &uri);
    assert!(page.location().unwrap().starts_with(CALLBACK));
    assert_eq!(open("web", &uri).status(), 400);
    assert_eq!(open("app", &second.text("request_uri")).status(), 400);
    assert_eq!(refusal(&push("&request_uri=urn%3Aa")), (400, "invalid_request".into()));
    let unpushed = format!("{}?{}", server.authorization_url(), request(""));
    assert_eq!(server.browser().open(&unpushed).status(), 400);
}

#[test]
fn a_pushed_request_is_refused_where_it_is_pushed() {
    let server = server().start();
    let push = |body: &str| post(&server.pushed_authorization_request_url(), &[], body);
    let good = request("&client_secret=hunter2");

    assert_eq!(push(&good).status, 201);
    assert_eq!(refusal(&push(&request(""))), (401, "invalid_client".into()));
    let plain = good.replace("=S256", "=plain");
    assert_eq!(refusal(&push(&plain)), (400, "invalid_request".into()));
}

#[test]
fn tokens_are_for_the_resources_that_were_asked_for() {
    let server = server().allowed_resources(["https://a.example/", "https://b.example/"]).start();
    let [a, b, c] =
        ["a", "b", "c"].map(|name| format!("&resource=https%3A%2F%2F{name}.example%2F"));

    let code = visit(&server, &format!("{a}{b}"))["code"].clone();
    let stranger = redeem_with(&server, &code, VERIFIER, &c);
    let tokens = redeem_with(&server, &code, VERIFIER, &a);
    let at_resource = get(&server.resource_url(), &tokens.text("access_token"));

    assert_eq!(visit(&server, &c)["error"], "invalid_target");
    assert_eq!(refusal(&stranger), (400, "invalid_target".into()));
    assert_eq!(at_resource.json()["resource"], serde_json::json!(["https://a.example/"]));
}
