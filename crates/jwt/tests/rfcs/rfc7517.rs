//! Keys as JSON (RFC 7517).

use crate::support::{
    A2, A3, A4, ALGORITHMS, RFC7517_A2, RFC8037_A1, bytes, is_signature, pem_for,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokenkeeper::ErrorKind;
use tokenkeeper_jwt::{Algorithm, SigningKey};

fn with(jwk: &str, member: &str, value: Value) -> String {
    let mut jwk: Value = serde_json::from_str(jwk).unwrap();
    jwk[member] = value;
    jwk.to_string()
}

fn without(jwk: &str, member: &str) -> String {
    let mut jwk: Value = serde_json::from_str(jwk).unwrap();
    jwk.as_object_mut().unwrap().remove(member);
    jwk.to_string()
}

fn refusal(jwk: &str) -> String {
    let error = SigningKey::from_jwk(jwk).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    error.to_string()
}

#[test]
fn name_and_algorithm_of_the_jwk_are_taken_over() {
    let key = SigningKey::from_jwk(RFC7517_A2).unwrap();
    assert_eq!((key.algorithm(), key.key_id()), (Algorithm::Rs256, Some("2011-04-29")));

    let key = SigningKey::from_jwk(&with(A2, "alg", json!("PS512"))).unwrap();
    assert_eq!((key.algorithm(), key.key_id()), (Algorithm::Ps512, None));

    let key = SigningKey::from_jwk(&with(RFC8037_A1, "alg", json!("Ed25519"))).unwrap();
    assert_eq!(key.algorithm(), Algorithm::Ed25519);
}

#[test]
fn without_an_algorithm_the_kind_of_key_decides() {
    for (jwk, algorithm) in [
        (A2, Algorithm::Rs256),
        (A3, Algorithm::Es256),
        (A4, Algorithm::Es512),
        (RFC8037_A1, Algorithm::EdDsa),
    ] {
        assert_eq!(SigningKey::from_jwk(jwk).unwrap().algorithm(), algorithm);
    }
}

#[test]
fn a_key_that_was_written_and_read_is_the_same_key() {
    for algorithm in ALGORITHMS {
        let pem = pem_for(algorithm).as_bytes();
        let key = SigningKey::from_pem(algorithm, pem).unwrap().with_key_id("\"one\"\n\u{7f}ü");

        let stored = key.to_jwk().unwrap();
        let again = SigningKey::from_jwk(stored.expose_secret()).unwrap();

        assert_eq!(again.thumbprint(), key.thumbprint());
        assert_eq!((again.algorithm(), again.key_id()), (algorithm, key.key_id()));
        let signature = again.sign(b"message").unwrap();
        assert!(is_signature(algorithm, key.public_jwk(), b"message", &signature));
    }
}

#[test]
fn a_written_key_has_the_numbers_of_the_one_that_was_read() {
    for jwk in [A2, A3, A4, RFC7517_A2, RFC8037_A1] {
        let key = SigningKey::from_jwk(jwk).unwrap();

        let written: Value = serde_json::from_str(key.to_jwk().unwrap().expose_secret()).unwrap();

        let read: Value = serde_json::from_str(jwk).unwrap();
        for (member, value) in read.as_object().unwrap() {
            assert_eq!(&written[member], value, "{member}");
        }
    }
}

#[test]
fn the_public_half_has_nothing_of_the_private_one() {
    for jwk in [A2, A3, A4, RFC8037_A1] {
        let public = SigningKey::from_jwk(jwk).unwrap().public_jwk().to_string();

        let private: Value = serde_json::from_str(jwk).unwrap();
        for member in ["d", "p", "q", "dp", "dq", "qi"] {
            if let Some(number) = private[member].as_str() {
                assert!(!public.contains(number), "{member}");
            }
        }
    }
}

#[test]
fn what_is_no_private_key_for_signatures_says_why() {
    for (jwk, what) in [
        ("secret".to_owned(), "is not a JWK"),
        ("[]".to_owned(), "is not a JWK"),
        ("{}".to_owned(), "has no `kty`"),
        (json!({ "keys": [] }).to_string(), "is a set of keys"),
        (without(A3, "d"), "is a public key"),
        (json!({ "kty": "oct", "k": "c2VjcmV0" }).to_string(), "is a shared secret"),
        (with(A3, "kty", json!("AKP")), "of a kind that is not supported"),
        (with(A3, "crv", json!("secp256k1")), "on a curve that is not supported"),
        (with(A3, "use", json!("enc")), "its `use` is something else"),
        (with(A3, "key_ops", json!(["verify"])), "its `key_ops` has no `sign`"),
        (with(A3, "alg", json!("RS256")), "an `alg` that such keys do not have"),
        (with(A3, "alg", json!("none")), "an `alg` that such keys do not have"),
        (with(A2, "alg", json!("RSA-OAEP")), "an `alg` that such keys do not have"),
        (without(A3, "x"), "lacks the member `x`"),
        (without(A2, "qi"), "lacks the member `qi`"),
        (with(A3, "d", json!("AA")), "`d` that is not 32 bytes long"),
        (with(A3, "d", json!("+/==")), "`d` that is not base64url"),
        (with(A2, "oth", json!([])), "more than two primes"),
    ] {
        let said = refusal(&jwk);
        assert!(said.contains(what), "{said}");
    }
}

#[test]
fn a_public_half_that_belongs_to_another_key_is_refused() {
    let other_x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    let other_n = serde_json::from_str::<Value>(RFC7517_A2).unwrap()["n"].clone();

    for jwk in [
        with(A3, "x", json!(other_x)),
        with(A2, "n", other_n),
        with(RFC8037_A1, "d", json!("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI")),
    ] {
        assert!(refusal(&jwk).contains("is damaged"));
    }
}

/// RFC 7518 §6.3.1.1 knows of programs that write one.
#[test]
fn a_zero_in_front_of_a_number_of_rsa_does_no_harm() {
    let read: Value = serde_json::from_str(A2).unwrap();
    let padded =
        ["n", "e", "d", "p", "q", "dp", "dq", "qi"].iter().fold(A2.to_owned(), |jwk, member| {
            let number = [vec![0], bytes(read[*member].as_str().unwrap())].concat();
            with(&jwk, member, json!(URL_SAFE_NO_PAD.encode(number)))
        });

    let key = SigningKey::from_jwk(&padded).unwrap();

    assert_eq!(key.public_jwk(), SigningKey::from_jwk(A2).unwrap().public_jwk());
}

#[test]
fn members_that_nobody_asked_for_do_no_harm() {
    let jwk = with(A3, "use", json!("sig"));
    let jwk = with(&jwk, "key_ops", json!(["sign", "verify"]));
    let jwk = with(&jwk, "x5c", json!(["MIIB"]));

    assert!(SigningKey::from_jwk(&jwk).is_ok());
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".{0,200}") {
        prop_assert!(SigningKey::from_jwk(&text).is_err());
    }

    #[test]
    fn no_value_of_a_member_makes_it_panic(
        jwk in prop::sample::select(vec![A2, A3, A4, RFC8037_A1]),
        member in "kty|crv|alg|kid|use|key_ops|n|e|x|y|d|p|q|dp|dq|qi|oth|keys",
        value in prop_oneof![
            Just(json!(null)),
            Just(json!(1)),
            Just(json!([])),
            "[A-Za-z0-9_-]{0,90}".prop_map(Value::from),
            ".{0,20}".prop_map(Value::from),
        ],
    ) {
        if let Ok(key) = SigningKey::from_jwk(&with(jwk, &member, value)) {
            prop_assert!(key.sign(b"message").is_ok() && key.to_jwk().is_ok());
        }
    }
}

#[test]
fn what_is_pem_or_a_service_account_is_named_as_that() {
    let said = refusal(pem_for(Algorithm::Es256));
    assert!(said.contains("is PEM and not a JWK; SigningKey::from_pem reads it"), "{said}");
    let file = json!({ "type": "service_account", "private_key": pem_for(Algorithm::Rs256) });
    let said = refusal(&file.to_string());
    assert!(said.contains("is the JSON file of a service account"), "{said}");
}
