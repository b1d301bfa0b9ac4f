//! What the server must not accept, what it must not refuse, and that it says why.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "tests fail by panicking, helpers of theirs too"
)]

use serde_json::{Value, json};
use tokenkeeper::ManualClock;
use tokenkeeper_testkit::{ClientAuth, FakeAuthServer};

use crate::assertions::{by_client, claims, exchange, sign, with};
use crate::logins::{CALLBACK, CHALLENGE, VERIFIER, query_of, redeem, request, server, visit};
use crate::proofs_of_possession::Prover;
use crate::signed::{ONE, TWO, base64_url};
use crate::wire::{self, PASSWORD, Reply, post, send};

const KIND: &str = "urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3A";

fn subject(token: &str, kind: &str) -> String {
    format!("subject_token={token}&subject_token_type={KIND}{kind}")
}

fn refused(reply: &Reply, code: &str, why: &str) {
    assert_eq!(reply.text("error"), code, "{}", reply.json());
    let said = reply.text("error_description");
    assert!(said.contains(why), "{said:?} does not say {why:?}");
}

#[test]
fn a_refresh_token_that_is_bound_to_a_key_is_not_exchanged_without_a_proof_of_it() {
    let clock = ManualClock::new();
    let server =
        FakeAuthServer::builder().client("app", "", ClientAuth::None).clock(clock.clone()).start();
    let (owner, thief) = (Prover::new(&clock, ONE), Prover::new(&clock, TWO));
    let token = owner.exchange(&server, PASSWORD, &[]).text("refresh_token");
    let grant = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange";
    let body = format!("{grant}&{}", subject(&token, "refresh_token"));

    let unproven = post(&server.token_url(), &[], &format!("client_id=app&{body}"));
    refused(&unproven, "invalid_request", "bound to another key");
    let stolen = thief.exchange(&server, &body, &[]);
    refused(&stolen, "invalid_request", "bound to another key");
    assert_eq!(owner.exchange(&server, &body, &[]).status, 200);
}

#[test]
fn a_refresh_token_that_was_exchanged_for_stays_bound_to_the_key_of_the_first() {
    let clock = ManualClock::new();
    let server =
        FakeAuthServer::builder().client("app", "", ClientAuth::None).clock(clock.clone()).start();
    let owner = Prover::new(&clock, ONE);
    let token = owner.exchange(&server, PASSWORD, &[]).text("refresh_token");
    let grant = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange";
    let wanted = format!("&requested_token_type={KIND}refresh_token");
    let body = format!("{grant}&{}{wanted}", subject(&token, "refresh_token"));
    let second = owner.exchange(&server, &body, &[]).text("access_token");

    let refresh = format!("client_id=app&grant_type=refresh_token&refresh_token={second}");
    refused(&post(&server.token_url(), &[], &refresh), "invalid_grant", "bound to another key");
}

#[test]
fn a_refresh_token_of_another_client_is_neither_subject_nor_actor() {
    let server = FakeAuthServer::builder()
        .client("client", "secret", ClientAuth::Post)
        .client("victim", "hunter2", ClientAuth::Post)
        .start();
    let body = format!("client_id=victim&client_secret=hunter2&{PASSWORD}");
    let stolen = post(&server.token_url(), &[], &body).text("refresh_token");
    let own = wire::exchange(&server.token_url(), PASSWORD).text("access_token");

    let reply = exchange(&server, &subject(&stolen, "refresh_token"));
    refused(&reply, "invalid_request", "subject_token belongs to another client");
    let actor = format!("&actor_token={stolen}&actor_token_type={KIND}refresh_token");
    let reply = exchange(&server, &(subject(&own, "access_token") + &actor));
    refused(&reply, "invalid_request", "actor_token belongs to another client");
}

#[test]
fn an_unsigned_id_token_is_a_subject_only_if_this_server_issued_it() {
    let server = FakeAuthServer::builder()
        .client("client", "secret", ClientAuth::Post)
        .client("app", "", ClientAuth::None)
        .redirect_uri("app", "http://127.0.0.1/")
        .start();
    let claims = json!({
        "iss": server.issuer(), "aud": "app", "sub": "admin", "exp": 99_999_999_999_u64,
    });
    let parts = [json!({ "alg": "none" }), claims].map(|part| base64_url(part.to_string()));
    let forged = format!("{}.", parts.join("."));
    let real = login_of_public_client(&server).text("id_token");

    let reply = exchange(&server, &subject(&forged, "id_token"));
    refused(&reply, "invalid_request", "subject_token was not issued by this server");
    assert_eq!(exchange(&server, &subject(&real, "id_token")).status, 200);
}

fn login_of_public_client(server: &FakeAuthServer) -> Reply {
    let uri = "http%3A%2F%2F127.0.0.1%2F";
    let query = format!(
        "client_id=app&redirect_uri={uri}&response_type=code&scope=openid\
         &code_challenge={CHALLENGE}&code_challenge_method=S256"
    );
    let callback = server.browser().visit(&format!("{}?{query}", server.authorization_url()));
    let code = query_of(&callback)["code"].clone();
    let body = format!(
        "grant_type=authorization_code&client_id=app&code={code}&redirect_uri={uri}\
         &code_verifier={VERIFIER}"
    );
    post(&server.token_url(), &[], &body)
}

#[test]
fn an_assertion_of_one_client_does_not_serve_another_client_id() {
    let clock = ManualClock::new();
    let server = FakeAuthServer::builder()
        .client("job", "", ClientAuth::PrivateKeyJwt)
        .client("loose", "", ClientAuth::Assertion)
        .clock(clock.clone())
        .start();
    for (id, jti) in [("job", "1"), ("loose", "2")] {
        let assertion = sign(&claims(&clock, id, &server, jti));
        let reply = by_client(&server, &format!("{assertion}&client_id=other"));
        assert_eq!(reply.status, 401);
        refused(&reply, "invalid_client", "client_id is not the sub of the assertion");
    }
    let assertion = sign(&claims(&clock, "job", &server, "3"));
    assert_eq!(by_client(&server, &format!("{assertion}&client_id=job")).status, 200);
}

#[test]
fn a_failed_assertion_says_why() {
    let clock = ManualClock::new();
    let server = FakeAuthServer::builder()
        .client("job", "", ClientAuth::PrivateKeyJwt)
        .client("loose", "", ClientAuth::Assertion)
        .client("post", "secret", ClientAuth::Post)
        .clock(clock.clone())
        .start();
    let good = claims(&clock, "job", &server, "1");
    let why = |assertion: &str, why| refused(&by_client(&server, assertion), "invalid_client", why);

    why(&sign(&with(&good, "aud", "https://elsewhere.example")), "another aud");
    why(&sign(&with(&good, "exp", 1)), "has expired");
    why(&sign(&with(&good, "iss", "other")), "another iss");
    why(&sign(&with(&good, "sub", Value::Null)), "has no sub");
    why(&sign(&with(&good, "sub", "stranger")), "no client `stranger`");
    why(&sign(&with(&good, "sub", "post")), "`post` does not authenticate by assertion");
    why("no.jwt", "is no JWT");
    let loose = sign(&claims(&clock, "loose", &server, "2"));
    assert_eq!(by_client(&server, &loose).status, 200);
    why(&loose, "used before");
    let untyped = format!("grant_type=client_credentials&client_assertion={}", sign(&good));
    let reply = post(&server.token_url(), &[], &untyped);
    refused(&reply, "invalid_client", "client_assertion_type");
}

#[test]
fn a_client_that_fails_learns_what_was_expected_of_it_and_no_secret() {
    let server = FakeAuthServer::builder()
        .client("post", "s3cret", ClientAuth::Post)
        .client("app", "", ClientAuth::None)
        .start();
    let send = |body: &str| post(&server.token_url(), &[], &format!("{PASSWORD}&{body}"));

    refused(&send("client_id=ghost&client_secret=x"), "invalid_client", "no client `ghost`");
    refused(&send("client_id=post&client_secret=x"), "invalid_client", "client_secret is wrong");
    refused(&send("client_id=post"), "invalid_client", "client_secret_post");
    refused(&send("client_id=app&client_secret=x"), "invalid_client", "`none`");
    refused(&send("scope=x"), "invalid_client", "no client authentication");
    let basic = [("authorization", "Basic cG9zdDpzM2NyZXQ=")];
    let reply = post(&server.token_url(), &basic, PASSWORD);
    refused(&reply, "invalid_client", "client_secret_post");
    assert!(!reply.text("error_description").contains("s3cret"));
}

#[test]
fn a_bearer_or_dpop_token_that_fails_says_why() {
    let clock = ManualClock::new();
    let server =
        FakeAuthServer::builder().client("app", "", ClientAuth::None).clock(clock.clone()).start();
    let owner = Prover::new(&clock, ONE);
    let bound = owner.exchange(&server, PASSWORD, &[]).text("access_token");
    let plain = post(&server.token_url(), &[], &format!("client_id=app&{PASSWORD}"));
    let plain = plain.text("access_token");
    let why = |reply: Reply, why: &str| {
        let challenge = reply.header("www-authenticate").unwrap().to_owned();
        let expected = format!("error_description=\"{why}\"");
        assert!(challenge.contains(&expected), "{challenge}");
    };

    why(wire::get(&server.resource_url(), "stranger"), "this token was never issued");
    why(wire::get(&server.resource_url(), &bound), "the token is bound to a key");
    why(owner.get(&server, &plain, &[]), "the token is bound to no key");
    let other_url = [("htu", json!("https://other.example/"))];
    why(owner.get(&server, &bound, &other_url), "htu is another URL");
    server.revoke_access(&plain);
    why(wire::get(&server.resource_url(), &plain), "the token was revoked");
    clock.advance(std::time::Duration::from_secs(900));
    why(owner.get(&server, &bound, &[]), "the token has expired");
}

#[test]
fn what_the_authorization_endpoint_does_not_offer_it_refuses() {
    let server = server().start();
    let error = |rest: &str| visit(&server, rest)["error"].clone();

    assert_eq!(error("&request=a.b.c"), "request_not_supported");
    assert_eq!(error("&registration=%7B%7D"), "registration_not_supported");
    assert_eq!(error("&prompt=none+consent"), "invalid_request");
    assert_eq!(error("&prompt=sometimes"), "invalid_request");
    assert_eq!(error("&max_age=soon"), "invalid_request");
    assert_eq!(error("&response_mode=form_post"), "invalid_request");
    let by_reference = "&request_uri=https%3A%2F%2Fapp.example%2Frequest";
    assert_eq!(error(by_reference), "request_uri_not_supported");
    for fine in ["&prompt=none", "&prompt=login+consent", "&max_age=60", "&display=page"] {
        assert!(visit(&server, fine).contains_key("code"), "{fine}");
    }
}

#[test]
fn a_pushed_request_names_its_client_and_the_key_that_it_proves() {
    let clock = ManualClock::new();
    let server = server().clock(clock.clone()).start();
    let url = server.pushed_authorization_request_url();
    let basic = format!("Basic {}", "d2ViOmh1bnRlcjI=");
    let web = FakeAuthServer::builder()
        .client("web", "hunter2", ClientAuth::Basic)
        .redirect_uri("web", CALLBACK)
        .start();
    let nameless = request("").replace("client_id=web&", "");
    let reply =
        post(&web.pushed_authorization_request_url(), &[("authorization", &basic)], &nameless);
    refused(&reply, "invalid_request", "client_id is missing");

    let owner = Prover::new(&clock, ONE);
    let push = |key: &str| {
        let proof = owner.proof("POST", &url, &[]);
        let body = request("&client_secret=hunter2") + &format!("&dpop_jkt={key}");
        post(&url, &[("dpop", &proof)], &body)
    };
    refused(&push(&TWO.thumbprint()), "invalid_dpop_proof", "dpop_jkt");
    assert_eq!(push(&ONE.thumbprint()).status, 201);
    let body = request("&client_secret=hunter2&dpop_jkt=short");
    refused(&post(&url, &[], &body), "invalid_request", "dpop_jkt");
    let body = request("&client_secret=hunter2&request=a.b.c");
    refused(&post(&url, &[], &body), "request_not_supported", "request");
}

#[test]
fn a_login_may_begin_with_a_post() {
    let server = server().start();

    let reply = post(&server.authorization_url(), &[], &request("&scope=read"));

    assert_eq!(reply.status, 302);
    let callback = query_of(reply.header("location").unwrap());
    assert_eq!(redeem(&server, &callback["code"]).text("scope"), "read");
    let put = send("PUT", &server.authorization_url(), &[], "").unwrap();
    assert_eq!((put.status, put.header("allow")), (405, Some("GET, POST")));
}

#[test]
fn htu_is_compared_as_a_url_and_not_letter_by_letter() {
    let clock = ManualClock::new();
    let server =
        FakeAuthServer::builder().client("app", "", ClientAuth::None).clock(clock.clone()).start();
    let client = Prover::new(&clock, ONE);
    let url = server.token_url();
    let sent = |htu: String| client.exchange(&server, PASSWORD, &[("htu", htu.into())]).status;

    assert_eq!(sent(url.replace("http:", "HTTP:")), 200);
    assert_eq!(sent(url.replace("127.0.0.1", "localhost")), 200);
    assert_eq!(sent(url.replace("127.0.0.1", "LocalHost")), 200);
    assert_eq!(sent(url.replace("/token", "/%74oken")), 200);
    assert_eq!(sent(format!("{url}?query=1#part")), 200);
    assert_eq!(sent(url.replace("/token", "/Token")), 400);
    assert_eq!(sent(url.replace("127.0.0.1", "evil.example")), 400);
    assert_eq!(sent(url.replace("http:", "https:")), 400);
    assert_eq!(sent("/token".to_owned()), 400);
}

#[test]
fn a_single_registered_redirect_uri_may_be_left_out() {
    let one = server().start();
    let two = server().redirect_uri("web", "https://app.example/other").start();
    let uri = "redirect_uri=https%3A%2F%2Fapp.example%2Fcallback";
    let silent = request("").replace(&format!("{uri}&"), "");
    let open = |server: &FakeAuthServer, query: &str| {
        server.browser().open(&format!("{}?{query}", server.authorization_url()))
    };

    let page = open(&one, &silent);
    let code = query_of(page.location().unwrap())["code"].clone();
    let body = format!(
        "grant_type=authorization_code&code={code}&code_verifier={VERIFIER}&client_id=web\
         &client_secret=hunter2"
    );
    assert_eq!(post(&one.token_url(), &[], &body).status, 200);
    assert_eq!(open(&two, &silent).status(), 400);
    let openid = open(&one, &format!("{silent}&scope=openid"));
    assert_eq!(openid.status(), 400, "OpenID Connect wants it always");
    let named = visit(&one, "")["code"].clone();
    refused(
        &post(&one.token_url(), &[], &body.replace(&code, &named)),
        "invalid_grant",
        "redirect",
    );
}

#[test]
fn user_info_is_told_to_a_post_too() {
    let server = FakeAuthServer::start();
    let tokens = wire::exchange(&server.token_url(), &format!("{PASSWORD}&scope=openid"));
    let authorization = format!("Bearer {}", tokens.text("access_token"));

    let reply = post(&server.user_info_url(), &[("authorization", &authorization)], "");

    assert_eq!((reply.status, reply.text("sub")), (200, "alice".into()));
}

#[test]
fn the_documents_say_what_is_true() {
    let document =
        |server: &FakeAuthServer| send("GET", &server.metadata_url(), &[], "").unwrap().json();
    let plain = document(&FakeAuthServer::start());
    let strict = FakeAuthServer::builder()
        .client("job", "", ClientAuth::PrivateKeyJwt)
        .client("tool", "hunter2", ClientAuth::ClientSecretJwt)
        .client("app", "", ClientAuth::None)
        .trust_issuer("https://idp.example")
        .start();
    let strict = document(&strict);

    for member in [
        "request_parameter_supported",
        "request_uri_parameter_supported",
        "claims_parameter_supported",
    ] {
        assert_eq!(plain[member], false, "{member}");
    }
    for endpoint in ["token", "revocation", "introspection"] {
        let methods = format!("{endpoint}_endpoint_auth_methods_supported");
        let algorithms = format!("{endpoint}_endpoint_auth_signing_alg_values_supported");
        assert_eq!(plain[&methods], json!(["client_secret_basic", "client_secret_post"]));
        assert!(plain.get(&algorithms).is_none(), "nothing is signed with {algorithms}");
        let signed = strict[&algorithms].as_array().unwrap();
        for algorithm in ["HS256", "ES256", "RS256", "PS256", "EdDSA"] {
            assert!(signed.contains(&algorithm.into()), "{algorithm} at the {endpoint} endpoint");
        }
        let methods = strict[&methods].as_array().unwrap();
        assert_eq!(methods.contains(&"none".into()), endpoint != "introspection");
    }
    let jwt_bearer = json!("urn:ietf:params:oauth:grant-type:jwt-bearer");
    let offers = |document: &Value| {
        document["grant_types_supported"].as_array().unwrap().contains(&jwt_bearer)
    };
    assert!(!offers(&plain) && offers(&strict));
}
