//! The algorithms (RFC 7518).

use crate::support::{ALGORITHMS, is_signature, pem_for};
use tokenkeeper::ErrorKind;
use tokenkeeper_jwt::{Algorithm, HmacKey, SigningKey};

fn key_for(algorithm: Algorithm) -> SigningKey {
    SigningKey::from_pem(algorithm, pem_for(algorithm).as_bytes()).unwrap()
}

#[test]
fn others_verify_what_each_algorithm_signs_and_notice_a_change() {
    for algorithm in ALGORITHMS {
        let key = key_for(algorithm);

        let signature = key.sign(b"message").unwrap();

        let verifies = |message| is_signature(algorithm, key.public_jwk(), message, &signature);
        assert!(verifies(b"message"), "{algorithm}");
        assert!(!verifies(b"massage"), "{algorithm}");
    }
}

#[test]
fn ecdsa_signatures_are_two_numbers_of_full_length() {
    // §3.4. One signature in 256 has a number with a leading zero.
    for (algorithm, length) in
        [(Algorithm::Es256, 64), (Algorithm::Es384, 96), (Algorithm::Es512, 132)]
    {
        let key = key_for(algorithm);
        for _ in 0..600 {
            assert_eq!(key.sign(b"message").unwrap().len(), length);
        }
    }
}

#[test]
fn a_secret_for_hmac_is_at_least_as_long_as_the_hash() {
    // §3.2.
    type New = fn(&[u8]) -> Result<HmacKey, tokenkeeper::Error>;
    for (new, name, least) in [
        (HmacKey::hs256 as New, "HS256", 32),
        (HmacKey::hs384, "HS384", 48),
        (HmacKey::hs512, "HS512", 64),
    ] {
        let key = new(&vec![b's'; least]).unwrap();
        assert_eq!((key.algorithm(), key.sign(b"message").len()), (name, least));

        let error = new(&vec![b's'; least - 1]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(&format!("{least} bytes or more")), "{error}");
    }
}

#[test]
fn a_key_takes_only_the_algorithms_of_its_kind() {
    for of_key in ALGORITHMS {
        for algorithm in ALGORITHMS {
            let same = pem_for(of_key) == pem_for(algorithm);
            match key_for(of_key).with_algorithm(algorithm) {
                Ok(key) => assert!(same && key.algorithm() == algorithm),
                Err(error) => assert!(!same && error.kind() == ErrorKind::Config),
            }
        }
    }
}

#[test]
fn a_generated_key_signs_with_the_algorithm_it_was_made_for() {
    for algorithm in
        [Algorithm::Es256, Algorithm::Es384, Algorithm::Es512, Algorithm::EdDsa, Algorithm::Ps256]
    {
        let key = SigningKey::generate(algorithm).unwrap();

        let signature = key.sign(b"message").unwrap();

        assert_eq!(key.algorithm(), algorithm);
        assert!(is_signature(algorithm, key.public_jwk(), b"message", &signature));
    }
}
