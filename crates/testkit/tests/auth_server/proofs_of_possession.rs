//! What the server makes of proofs that a client has a key (RFC 9449).
#![allow(clippy::unwrap_used, reason = "tests fail by panicking, helpers of theirs too")]

use std::cell::Cell;
use std::time::{Duration, UNIX_EPOCH};

use crate::signed::{Key, ONE, TWO, hash};
use crate::wire::{self, PASSWORD, Reply, post, send};
use serde_json::{Value, json};
use tokenkeeper::{Clock, ManualClock};
use tokenkeeper_testkit::{ClientAuth, FakeAuthServer, FakeAuthServerBuilder};

/// A client that proves its key, rightly unless `changes` are in the way.
pub(crate) struct Prover {
    clock: ManualClock,
    key: Key,
    proofs: Cell<usize>,
}

impl Prover {
    pub(crate) fn new(clock: &ManualClock, key: Key) -> Self {
        Self { clock: clock.clone(), key, proofs: Cell::new(0) }
    }

    pub(crate) fn proof(&self, method: &str, url: &str, changes: &[(&str, Value)]) -> String {
        self.proofs.set(self.proofs.get() + 1);
        let iat = self.clock.now().wall().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let jti = format!("{}-{}", self.key.jwk(), self.proofs.get());
        let mut header = json!({ "typ": "dpop+jwt", "alg": "EdDSA", "jwk": self.key.jwk() });
        let mut claims = json!({ "jti": jti, "htm": method, "htu": url, "iat": iat });
        for (name, value) in changes {
            let part = if header.get(name).is_some() { &mut header } else { &mut claims };
            part.as_object_mut().unwrap().insert((*name).to_owned(), value.clone());
        }
        self.key.sign(&header, &claims)
    }

    pub(crate) fn exchange(
        &self,
        server: &FakeAuthServer,
        body: &str,
        changes: &[(&str, Value)],
    ) -> Reply {
        let proof = self.proof("POST", &server.token_url(), changes);
        post(&server.token_url(), &[("dpop", &proof)], &format!("client_id=app&{body}"))
    }

    pub(crate) fn get(
        &self,
        server: &FakeAuthServer,
        token: &str,
        changes: &[(&str, Value)],
    ) -> Reply {
        let url = server.resource_url();
        let ath = [("ath", hash(token).into())];
        let proof = self.proof("GET", &url, &[&ath, changes].concat());
        let authorization = format!("DPoP {token}");
        send("GET", &url, &[("authorization", &authorization), ("dpop", &proof)], "").unwrap()
    }
}

fn server(clock: &ManualClock) -> FakeAuthServerBuilder {
    FakeAuthServer::builder().client("app", "", ClientAuth::None).clock(clock.clone())
}

fn challenge(reply: &Reply) -> &str {
    reply.header("www-authenticate").unwrap()
}

#[test]
fn a_token_that_was_bought_with_a_proof_is_good_with_that_key_alone() {
    let clock = ManualClock::new();
    let server = server(&clock).start();
    let (owner, thief) = (Prover::new(&clock, ONE), Prover::new(&clock, TWO));

    let tokens = owner.exchange(&server, PASSWORD, &[]);
    let token = tokens.text("access_token");

    assert_eq!((tokens.status, tokens.text("token_type").as_str()), (200, "DPoP"));
    assert_eq!(owner.get(&server, &token, &[]).status, 200);
    let stolen = thief.get(&server, &token, &[]);
    assert_eq!(stolen.status, 401);
    assert!(
        challenge(&stolen).starts_with("DPoP ") && challenge(&stolen).contains("invalid_token")
    );
    assert_eq!(wire::get(&server.resource_url(), &token).status, 401);
    let bearer = post(&server.token_url(), &[], &format!("client_id=app&{PASSWORD}"));
    assert_eq!(owner.get(&server, &bearer.text("access_token"), &[]).status, 401);
}

#[test]
fn refresh_tokens_of_a_public_client_are_bound_to_its_key() {
    let clock = ManualClock::new();
    let server = server(&clock).start();
    let (owner, thief) = (Prover::new(&clock, ONE), Prover::new(&clock, TWO));
    let tokens = owner.exchange(&server, PASSWORD, &[]);
    let refresh =
        format!("grant_type=refresh_token&refresh_token={}", tokens.text("refresh_token"));

    let stolen = thief.exchange(&server, &refresh, &[]);
    let without = post(&server.token_url(), &[], &format!("client_id=app&{refresh}"));

    assert_eq!(
        (stolen.text("error"), without.text("error")),
        ("invalid_grant".into(), "invalid_grant".into())
    );
    assert_eq!(owner.exchange(&server, &refresh, &[]).status, 200);
}

#[test]
fn a_proof_is_refused_for_whatever_is_wrong_with_it() {
    let clock = ManualClock::new();
    let server = server(&clock).start();
    let client = Prover::new(&clock, ONE);
    let token = client.exchange(&server, PASSWORD, &[]).text("access_token");

    for change in [
        ("typ", "JWT".into()),
        ("alg", "HS256".into()),
        ("jwk", json!({ "kty": "oct", "k": "AA" })),
        ("htm", "GET".into()),
        ("htu", server.resource_url().into()),
        ("iat", 0.into()),
        ("jti", Value::Null),
    ] {
        let refused = client.exchange(&server, PASSWORD, std::slice::from_ref(&change));
        assert_eq!(refused.text("error"), "invalid_dpop_proof", "{change:?}");
    }
    let wrong_token = client.get(&server, &token, &[("ath", hash("another").into())]);
    assert!(challenge(&wrong_token).contains("invalid_dpop_proof"));
}

#[test]
fn a_proof_is_good_once_and_not_for_long() {
    let clock = ManualClock::new();
    let server = server(&clock).start();
    let client = Prover::new(&clock, ONE);
    let send = |proof: &str| {
        let body = format!("client_id=app&{PASSWORD}");
        post(&server.token_url(), &[("dpop", proof)], &body).text("error")
    };

    let (now, late) = [(); 2].map(|()| client.proof("POST", &server.token_url(), &[])).into();
    assert_eq!(send(&now), "");
    assert_eq!(send(&now), "invalid_dpop_proof");
    clock.advance(Duration::from_secs(301));
    assert_eq!(send(&late), "invalid_dpop_proof");
}

#[test]
fn a_server_that_requires_proofs_issues_nothing_without() {
    let clock = ManualClock::new();
    let server = server(&clock).dpop_required().start();

    let refused = post(&server.token_url(), &[], &format!("client_id=app&{PASSWORD}"));

    assert_eq!((refused.status, refused.text("error")), (400, "invalid_dpop_proof".into()));
    assert_eq!(Prover::new(&clock, ONE).exchange(&server, PASSWORD, &[]).status, 200);
}

#[test]
fn nonces_are_demanded_handed_out_and_rotated_at_either_place() {
    let clock = ManualClock::new();
    let server = server(&clock).dpop_nonces().start();
    let client = Prover::new(&clock, ONE);
    let nonce_of = |reply: &Reply| [("nonce", Value::from(reply.header("dpop-nonce").unwrap()))];

    let first = client.exchange(&server, PASSWORD, &[]);
    let nonce = nonce_of(&first);
    let tokens = client.exchange(&server, PASSWORD, &nonce);
    let token = tokens.text("access_token");
    let refused = client.get(&server, &token, &nonce);

    assert_eq!((first.status, first.text("error")), (400, "use_dpop_nonce".into()));
    assert_eq!((tokens.status, nonce_of(&tokens)), (200, nonce.clone()));
    assert_eq!(refused.status, 401);
    assert!(challenge(&refused).contains("use_dpop_nonce"), "the resource has its own");
    assert_eq!(client.get(&server, &token, &nonce_of(&refused)).status, 200);

    server.renew_dpop_nonces();
    let renewed = client.exchange(&server, PASSWORD, &nonce);
    assert_eq!(renewed.status, 200);
    assert_ne!(nonce_of(&renewed), nonce);
    server.rotate_dpop_nonces();
    let rotated = client.exchange(&server, PASSWORD, &nonce_of(&renewed));
    assert_eq!(rotated.text("error"), "use_dpop_nonce");
    assert_eq!(client.exchange(&server, PASSWORD, &nonce_of(&rotated)).status, 200);
}

#[test]
fn a_code_may_be_bound_to_a_key_before_it_is_issued() {
    let clock = ManualClock::new();
    let server = server(&clock).redirect_uri("app", "http://127.0.0.1/").start();
    let (owner, thief) = (Prover::new(&clock, ONE), Prover::new(&clock, TWO));
    let login = "client_id=app&redirect_uri=http%3A%2F%2F127.0.0.1%2F&response_type=code\
                 &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM\
                 &code_challenge_method=S256";
    let proof = owner.proof("POST", &server.pushed_authorization_request_url(), &[]);
    let pushed = post(&server.pushed_authorization_request_url(), &[("dpop", &proof)], login);
    let uri = pushed.text("request_uri");

    let page = format!("{}?client_id=app&request_uri={uri}", server.authorization_url());
    let callback = server.browser().visit(&page);
    let code = callback.split(['=', '&']).nth(1).unwrap();
    let body = format!(
        "grant_type=authorization_code&code={code}&redirect_uri=http%3A%2F%2F127.0.0.1%2F\
         &code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    );

    assert_eq!(thief.exchange(&server, &body, &[]).text("error"), "invalid_grant");
    assert_eq!(owner.exchange(&server, &body, &[]).status, 200);
}

#[test]
#[cfg(feature = "signatures")]
fn a_proof_with_the_public_key_of_another_is_refused() {
    let clock = ManualClock::new();
    let server = server(&clock).start();
    let thief = Prover::new(&clock, TWO);

    let refused = thief.exchange(&server, PASSWORD, &[("jwk", ONE.jwk())]);

    assert_eq!(refused.text("error"), "invalid_dpop_proof");
}
