//! The thumbprint of a key (RFC 7638).
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use tokenkeeper_jwt::{Algorithm, SigningKey};

#[test]
fn the_thumbprint_is_the_hash_of_the_required_members_in_order() {
    // RFC 8037 §A.1 and §A.3.
    let key = SigningKey::from_jwk(
        r#"{"kty":"OKP","kid":"some name","alg":"EdDSA","crv":"Ed25519",
            "d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
            "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
    )
    .unwrap();

    assert_eq!(
        key.public_jwk().to_string(),
        r#"{"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#
    );
    assert_eq!(key.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn a_key_has_the_same_thumbprint_after_it_was_stored() {
    for algorithm in
        [Algorithm::Es256, Algorithm::Es384, Algorithm::Es512, Algorithm::Rs256, Algorithm::EdDsa]
    {
        let key = SigningKey::generate(algorithm).unwrap().with_key_id("one");

        let again = SigningKey::from_jwk(key.to_jwk().unwrap().expose_secret()).unwrap();

        assert_eq!(again.thumbprint(), key.thumbprint());
        assert_eq!((again.algorithm(), again.key_id()), (algorithm, Some("one")));
    }
}
