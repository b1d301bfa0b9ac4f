//! Demonstrating proof of possession (RFC 9449).

use std::collections::HashSet;
use std::sync::Arc;

use crate::support::{
    API, BOUND, Playback, Proof, TOKEN_URL, answered, headers, jkt_of, key, machine, nonce_for,
    presented, proof, token,
};
use http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::json;
use tokenkeeper::{
    AccessToken, ErrorKind, ManualClock, StorageKey, TokenManager, TokenProvider, async_trait,
};
use tokenkeeper_dpop::{Algorithm, DpopKey, SigningKey};
use tokenkeeper_http::{
    Attached, Bearer, CustomHeader, Presenter, Reaction, Route, Target, TokenChoice, TokenRoutes,
};
use tokenkeeper_providers::{ClientAuth, ProofOfPossession, RefreshTokenProvider};

fn desktop(key: &DpopKey) -> RefreshTokenProvider {
    RefreshTokenProvider::builder("svc", TOKEN_URL)
        .client("id", ClientAuth::none())
        .proof_of_possession(key.clone())
        .transport(Playback::default())
        .build()
        .unwrap()
}

#[test]
fn a_proof_has_the_header_and_the_claims_of_section_4_2_and_no_others() {
    let key = key();

    let proof = proof(&key, &Method::POST, TOKEN_URL, None);

    let jwk = &proof.header["jwk"];
    let (x, y) = (jwk["x"].as_str().unwrap(), jwk["y"].as_str().unwrap());
    let public = json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y });
    assert_eq!(proof.header, json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": public }));
    let jti = proof.claim("jti").unwrap();
    assert_eq!(
        proof.claims,
        json!({ "jti": jti, "htm": "POST", "htu": TOKEN_URL, "iat": 1_893_456_000 })
    );
    assert!(jti.len() >= 22, "128 bits: {jti}");
}

#[test]
fn the_url_of_a_proof_is_that_of_the_request_without_query_and_fragment() {
    for (url, htu) in [
        ("https://api.example.com/a?b=c", "https://api.example.com/a"),
        ("https://api.example.com/a%2Fb/?x", "https://api.example.com/a%2Fb/"),
        ("https://api.example.com", "https://api.example.com/"),
        ("https://API.Example.com:443/A", "https://api.example.com/A"),
        ("https://api.example.com:8443/", "https://api.example.com:8443/"),
        ("http://[::1]:80/a", "http://[::1]/a"),
        ("https://user:password@api.example.com/", "https://api.example.com/"),
    ] {
        assert_eq!(proof(&key(), &Method::GET, url, None).claim("htu"), Some(htu), "{url}");
    }
}

#[test]
fn the_method_of_a_proof_is_that_of_the_request() {
    for method in [Method::GET, Method::DELETE, Method::from_bytes(b"PURGE").unwrap()] {
        let proof = proof(&key(), &method, API, None);
        assert_eq!(proof.claim("htm"), Some(method.as_str()));
    }
}

#[test]
fn no_two_proofs_have_the_same_identifier() {
    let key = key();
    let jtis: HashSet<String> = (0..500)
        .map(|_| proof(&key, &Method::POST, TOKEN_URL, None).claim("jti").unwrap().to_owned())
        .collect();

    assert_eq!(jtis.len(), 500);
}

/// The token and the hash of section 7.1.
#[test]
fn a_proof_that_goes_with_a_token_has_the_hash_of_it() {
    let token = token("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU");

    let headers = presented(&key(), API, &token).unwrap();

    let ath = "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo";
    assert_eq!(Proof::of(&headers).claim("ath"), Some(ath));
    assert_eq!(headers["authorization"], "DPoP Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU");
    assert_eq!(headers.len(), 2);
}

/// Section 4.3: a request with more than one is refused.
#[test]
fn a_proof_takes_the_place_of_one_that_is_there() {
    let (key, at) = (key(), token("at"));
    let uri: Uri = API.parse().unwrap();
    let target = Target::of(&Method::GET, &uri).unwrap();
    let mut sent = headers([("dpop", "old"), ("dpop", "older")]);

    key.presenter().present(&at, &target, &mut sent).unwrap();
    let presented = Proof::of(&sent);
    key.prove(&Method::GET, &uri, Some(&at), &mut sent).unwrap();

    assert_ne!(Proof::of(&sent).claim("jti"), presented.claim("jti"));
}

/// The key of figure 2 and its thumbprint in section 6.1 say how ours is made.
#[test]
fn the_thumbprint_is_that_of_the_key_in_the_proofs() {
    let of_the_rfc = concat!(
        r#"{"crv":"P-256","kty":"EC","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","#,
        r#""y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}"#
    );
    assert_eq!(jkt_of(of_the_rfc), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
    let key = key();

    let jwk = proof(&key, &Method::POST, TOKEN_URL, None).header["jwk"].to_string();

    assert_eq!(key.thumbprint(), jkt_of(&jwk)); // serde_json sorts the members
}

#[test]
fn every_asymmetric_algorithm_makes_proofs_that_verify_and_hold_no_private_number() {
    let generate = |algorithm| SigningKey::generate(algorithm).unwrap().with_key_id("mine");
    let rsa = generate(Algorithm::Rs256);
    for (key, name) in [
        (generate(Algorithm::Es256), "ES256"),
        (generate(Algorithm::Es384), "ES384"),
        (generate(Algorithm::EdDsa), "EdDSA"),
        (rsa.clone().with_algorithm(Algorithm::Ps256).unwrap(), "PS256"),
        (rsa, "RS256"),
    ] {
        let key = DpopKey::new(key);

        let proof = proof(&key, &Method::POST, TOKEN_URL, None);

        assert_eq!(proof.header["alg"], name);
        let jwk = proof.header["jwk"].as_object().unwrap();
        let private = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
        assert!(private.iter().all(|member| !jwk.contains_key(*member)), "{name}");
    }
}

#[test]
fn the_newest_nonce_of_an_origin_is_in_its_proofs_and_in_no_others() {
    let key = key();
    assert_eq!(nonce_for(&key, API), None);

    answered(&key, API, 200, &headers([("dpop-nonce", "n-1")]));
    answered(&key, "https://other.example.com", 404, &headers([("dpop-nonce", "o-1")]));
    answered(&key, API, 500, &headers([("dpop-nonce", "n-2")]));
    answered(&key, API, 200, &HeaderMap::new());

    let nonces = [
        (API, Some("n-2")),
        ("https://API.example.com:443/deeper?x", Some("n-2")),
        ("https://other.example.com", Some("o-1")),
        ("https://api.example.com:8443", None),
        ("http://api.example.com", None),
        ("https://auth.example.org", None),
    ];
    for (url, nonce) in nonces {
        assert_eq!(nonce_for(&key, url).as_deref(), nonce, "{url}");
    }
}

#[test]
fn nonces_of_a_token_endpoint_and_of_an_api_on_one_origin_are_kept_apart() {
    let (key, at) = (key(), token("at"));
    let uri: Uri = "https://one.example.com/token".parse().unwrap();

    key.take_notice(&uri, None, &headers([("dpop-nonce", "of-the-server")]));
    key.take_notice(&uri, Some(&at), &headers([("dpop-nonce", "of-the-api")]));

    let nonce = |token| {
        let proof = proof(&key, &Method::POST, "https://one.example.com/x", token);
        proof.nonce().map(str::to_owned)
    };
    assert_eq!(nonce(None).as_deref(), Some("of-the-server"));
    assert_eq!(nonce(Some(&at)).as_deref(), Some("of-the-api"));
}

#[test]
fn clones_share_the_nonces() {
    let key = key();
    let clone = key.clone();

    answered(&clone, API, 200, &headers([("dpop-nonce", "n-1")]));

    assert_eq!(nonce_for(&key, API).as_deref(), Some("n-1"));
}

#[test]
fn what_is_no_nonce_is_not_taken_for_one() {
    let long = "n".repeat(5_000);
    for bad in ["", "a b", "a\"b", "a\\b", "ä", long.as_str()] {
        let key = key();
        answered(&key, API, 200, &headers([("dpop-nonce", bad)]));
        assert_eq!(nonce_for(&key, API), None, "{bad:?}");
    }
    let (key, two) = (key(), headers([("dpop-nonce", "a"), ("dpop-nonce", "b")]));
    answered(&key, API, 200, &two);
    assert_eq!(nonce_for(&key, API), None, "two of them");
}

#[test]
fn a_bearer_token_is_not_presented_as_a_bound_one() {
    let bearer = AccessToken::new("planted-at", "Bearer").unwrap();

    let error = presented(&key(), API, &bearer).unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(!format!("{error} {error:?}").contains("planted"));
}

#[test]
fn a_bound_token_is_not_presented_as_a_bearer_token() {
    let uri: Uri = API.parse().unwrap();
    let target = Target::of(&Method::GET, &uri).unwrap();
    let custom = CustomHeader::new("authorization", "Bearer").unwrap();
    for presenter in [&Bearer::new() as &dyn Presenter, &custom] {
        let mut headers = HeaderMap::new();

        let refused = presenter.present(&token("at"), &target, &mut headers);

        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unsupported);
        assert!(headers.is_empty());
    }
}

#[test]
fn what_a_refusal_of_the_api_asks_for() {
    let nonce = ("dpop-nonce", "n");
    let says = |challenge| headers([("www-authenticate", challenge)]);
    let with_nonce = |challenge| headers([("www-authenticate", challenge), nonce]);
    let wants =
        r#"DPoP error="use_dpop_nonce", error_description="Resource server requires nonce""#;
    let both = r#"Bearer realm="a", DPoP algs="ES256", error="use_dpop_nonce""#;
    let late = headers([("www-authenticate", wants), nonce, ("retry-after", "7")]);
    for (status, headers, expected) in [
        (401, with_nonce(wants), Reaction::Represent),
        (401, with_nonce(both), Reaction::Represent),
        (401, says(wants), Reaction::GiveUp),
        (400, with_nonce(wants), Reaction::GiveUp),
        (401, late, Reaction::GiveUp),
        (401, with_nonce(r#"DPoP error="invalid_dpop_proof""#), Reaction::GiveUp),
        (401, with_nonce(r#"DPoP error="insufficient_scope""#), Reaction::GiveUp),
        (401, with_nonce(r#"DPoP error="invalid_token", algs="ES256""#), Reaction::ReplaceToken),
        (401, says("DPoP"), Reaction::ReplaceToken),
        (401, HeaderMap::new(), Reaction::ReplaceToken),
        (403, says(r#"DPoP error="insufficient_scope""#), Reaction::GiveUp),
        (200, headers([nonce]), Reaction::GiveUp),
    ] {
        assert_eq!(answered(&key(), API, status, &headers), expected, "{status} {headers:?}");
    }
}

/// A request to the API, as far as its first attempt.
async fn first_attempt(key: &DpopKey) -> (Attached, HeaderMap, Playback) {
    let endpoint = Playback::default().and(200, None, BOUND);
    let endpoint = endpoint.and(200, None, &BOUND.replace("at-1", "at-2"));
    let manager = TokenManager::new(machine(key, &endpoint));
    let route = Route::new(manager).origin(API).presenter(key.presenter());
    let routes = TokenRoutes::new([route]).unwrap();
    let uri: Uri = API.parse().unwrap();
    let target = Target::of(&Method::GET, &uri).unwrap();
    let mut headers = HeaderMap::new();
    let attached = routes.attach(&target, &mut headers, TokenChoice::OfRoute).await;
    (attached.unwrap().unwrap(), headers, endpoint)
}

#[tokio::test]
async fn an_api_that_wants_a_nonce_gets_the_same_token_once_more_with_a_new_proof() {
    let key = key();
    let (attached, first, endpoint) = first_attempt(&key).await;
    let uri: Uri = API.parse().unwrap();
    let target = Target::of(&Method::GET, &uri).unwrap();
    let wants =
        headers([("www-authenticate", r#"DPoP error="use_dpop_nonce""#), ("dpop-nonce", "n-1")]);

    let reaction = attached.reaction(&target, StatusCode::UNAUTHORIZED, &wants);
    let again = attached.renew(reaction).await.unwrap();
    let mut second = HeaderMap::new();
    again.present(&target, &mut second).unwrap();

    assert_eq!(first["authorization"], second["authorization"]);
    let (one, two) = (Proof::of(&first), Proof::of(&second));
    assert_eq!((one.nonce(), two.nonce()), (None, Some("n-1")));
    assert_ne!(one.claim("jti"), two.claim("jti"));
    assert_eq!(endpoint.requests().len(), 1, "the token is good");
    let third = again.reaction(&target, StatusCode::UNAUTHORIZED, &wants);
    assert_eq!(third, Reaction::GiveUp, "the caller gets the answer");
    assert!(again.renew(Reaction::Represent).await.is_none());
}

#[tokio::test]
async fn a_token_that_the_api_rejects_is_replaced_and_proven_anew() {
    let key = key();
    let (attached, first, endpoint) = first_attempt(&key).await;
    let uri: Uri = API.parse().unwrap();
    let target = Target::of(&Method::GET, &uri).unwrap();
    let rejected = headers([("www-authenticate", r#"DPoP error="invalid_token""#)]);

    let reaction = attached.reaction(&target, StatusCode::UNAUTHORIZED, &rejected);
    let again = attached.renew(reaction).await.unwrap();
    let mut second = HeaderMap::new();
    again.present(&target, &mut second).unwrap();

    assert_eq!(
        (&first["authorization"], &second["authorization"]),
        (&"DPoP at-1".parse().unwrap(), &"DPoP at-2".parse().unwrap())
    );
    assert_ne!(Proof::of(&first).claim("ath"), Proof::of(&second).claim("ath"));
    assert_eq!(endpoint.requests().len(), 2);
}

#[test]
fn tokens_that_are_bound_to_different_keys_are_stored_under_different_names() {
    let (one, other) = (key(), key());
    let place = |key: &DpopKey| -> StorageKey { desktop(key).identity().storage_key() };

    assert_ne!(place(&one), place(&other));
    assert_eq!(place(&one), place(&one.clone()));
}

#[tokio::test]
async fn who_has_lost_the_key_is_told_to_log_in_again() {
    let key = key();
    let manager = TokenManager::new(desktop(&key));

    let on_use = manager.token().await.unwrap_err();
    let on_login = manager.login().await.unwrap_err();

    assert_eq!(on_use.kind(), ErrorKind::LoginRequired);
    assert_eq!(on_login.kind(), ErrorKind::LoginRequired);
    let said = on_login.to_string();
    assert!(said.contains(key.thumbprint()) && said.contains("lost"), "{said}");
}

/// A lock that is held while somebody else is called, or while a proof is signed, stops them all.
#[test]
fn no_lock_is_held_while_the_clock_is_read_and_a_proof_is_signed() {
    #[derive(Debug)]
    struct Asking(DpopKey);
    #[async_trait]
    impl tokenkeeper::Clock for Asking {
        fn now(&self) -> tokenkeeper::Now {
            answered(&self.0, API, 200, &headers([("dpop-nonce", "n-2")]));
            tokenkeeper::Clock::now(&ManualClock::new())
        }
        async fn sleep(&self, _: std::time::Duration) {}
    }
    let key = key();
    answered(&key, API, 200, &headers([("dpop-nonce", "n-1")]));

    assert_eq!(nonce_for(&key.clone().with_clock(Asking(key.clone())), API).unwrap(), "n-1");

    assert_eq!(nonce_for(&key, API).unwrap(), "n-2");
}

#[test]
fn nothing_that_is_shown_holds_the_private_key() {
    let signing = SigningKey::generate(Algorithm::Es256).unwrap();
    let jwk: serde_json::Value =
        serde_json::from_str(signing.to_jwk().unwrap().expose_secret()).unwrap();
    let key = DpopKey::new(signing);
    answered(&key, API, 200, &headers([("dpop-nonce", "n-1")]));
    let at = token("planted-at");
    let sent = presented(&key, API, &at).unwrap();

    let shown = format!(
        "{key:?} {:#?} {sent:?} {:?}",
        key.presenter(),
        machine(&key, &Playback::default())
    );

    assert!(shown.contains(key.thumbprint()));
    for secret in [jwk["d"].as_str().unwrap(), "planted-at", sent["dpop"].to_str().unwrap()] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn a_pointer_to_a_key_is_one() {
    let key = key();
    let pointer: Arc<dyn ProofOfPossession> = Arc::new(key.clone());
    let uri: Uri = API.parse().unwrap();

    pointer.take_notice(&uri, None, &headers([("dpop-nonce", "n-1")]));

    assert_eq!(pointer.thumbprint(), key.thumbprint());
    assert_eq!(proof(&key, &Method::GET, API, None).nonce(), Some("n-1"));
}
