//! The thumbprint of a key (RFC 7638).

use crate::support::{RFC7517_A2, RFC8037_A1};
use tokenkeeper_jwt::{Algorithm, SigningKey};

#[test]
fn the_thumbprint_is_the_one_of_the_rfc() {
    // §3.1; the private half of that key is in RFC 7517 §A.2.
    let key = SigningKey::from_jwk(RFC7517_A2).unwrap();

    assert_eq!(key.thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

#[test]
fn it_is_the_hash_of_the_required_members_in_order_and_nothing_else() {
    // RFC 8037 §A.3.
    let key = SigningKey::from_jwk(RFC8037_A1).unwrap().with_key_id("a name");

    assert_eq!(
        key.public_jwk().to_string(),
        r#"{"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#
    );
    assert_eq!(key.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn a_name_and_an_algorithm_do_not_change_it() {
    let key = SigningKey::from_jwk(RFC7517_A2).unwrap();

    let other = key.clone().with_key_id("another").with_algorithm(Algorithm::Ps512).unwrap();

    assert_eq!(other.thumbprint(), key.thumbprint());
}

#[test]
fn two_keys_have_two_thumbprints() {
    let key = || SigningKey::generate(Algorithm::Es256).unwrap();

    assert_ne!(key().thumbprint(), key().thumbprint());
}
