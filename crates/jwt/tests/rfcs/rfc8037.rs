//! Ed25519 (RFC 8037): the example of its appendix A.

use crate::support::RFC8037_A1;
use tokenkeeper_jwt::{Algorithm, SigningKey};

#[test]
fn a4_the_signature_is_the_one_of_the_rfc() {
    let key = SigningKey::from_jwk(RFC8037_A1).unwrap();

    let jws = key.sign_compact(br#"{"alg":"EdDSA"}"#, b"Example of Ed25519 signing").unwrap();

    assert_eq!(
        jws,
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    );
}

#[test]
fn both_names_of_the_algorithm_make_the_same_signature() {
    let key = SigningKey::from_jwk(RFC8037_A1).unwrap();

    let renamed = key.clone().with_algorithm(Algorithm::Ed25519).unwrap();

    assert_eq!(key.algorithm().as_str(), "EdDSA");
    assert_eq!(renamed.algorithm().as_str(), "Ed25519"); // RFC 9864 §2.2
    assert_eq!(renamed.sign(b"message").unwrap(), key.sign(b"message").unwrap());
}
