//! Keys in PEM (RFC 7468): what openssl writes, and what is no private key.

use crate::support::{
    A3, ALGORITHMS, CERTIFICATE, ED448, ENCRYPTED, ENCRYPTED_PKCS1, P256, P256_SEC1, P384, PUBLIC,
    RSA, RSA_1024, RSA_PKCS1, RSA_PSS, SECP256K1, pem_for,
};
use proptest::prelude::*;
use tokenkeeper::ErrorKind;
use tokenkeeper_jwt::{Algorithm, SigningKey};

fn refusal(algorithm: Algorithm, pem: &str) -> String {
    let error = SigningKey::from_pem(algorithm, pem.as_bytes()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    error.to_string()
}

#[test]
fn a_key_is_the_same_in_every_format() {
    let key = |algorithm, pem: &str| SigningKey::from_pem(algorithm, pem.as_bytes()).unwrap();

    assert_eq!(
        key(Algorithm::Es256, P256_SEC1).thumbprint(),
        key(Algorithm::Es256, P256).thumbprint()
    );
    assert_eq!(
        key(Algorithm::Rs256, RSA_PKCS1).thumbprint(),
        key(Algorithm::Rs256, RSA).thumbprint()
    );
}

#[test]
fn text_around_the_key_and_line_ends_of_windows_do_not_matter() {
    let pem = format!("# key of the billing job\n{P256}\n{CERTIFICATE}").replace('\n', "\r\n");

    let key = SigningKey::from_pem(Algorithm::Es256, pem.as_bytes()).unwrap();

    assert!(key.sign(b"message").is_ok());
}

#[test]
fn an_encrypted_key_is_named_as_such_in_both_formats() {
    for pem in
        [ENCRYPTED.to_owned(), ENCRYPTED_PKCS1.to_owned(), ENCRYPTED_PKCS1.replace('\n', "\r\n")]
    {
        assert!(refusal(Algorithm::Rs256, &pem).contains("is encrypted; decrypt it first"));
    }
}

#[test]
fn what_is_no_private_key_is_named() {
    for (pem, what) in [
        (PUBLIC, "is a public key"),
        (CERTIFICATE, "is a certificate"),
        ("", "has no private key in PEM"),
        ("-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----", "not well-formed PEM"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "is damaged"),
        (ED448, "is an Ed448 key, which is not supported"),
        (SECP256K1, "is on a curve that is not supported; P-256, P-384 and P-521 are"),
    ] {
        let said = refusal(Algorithm::Es256, pem);
        assert!(said.contains(what), "{said}");
    }
}

#[test]
fn a_key_for_rsa_pss_alone_is_not_called_damaged() {
    for algorithm in [Algorithm::Ps256, Algorithm::Rs256, Algorithm::Es256] {
        let said = refusal(algorithm, RSA_PSS);
        assert!(said.contains("is an RSA key for RSASSA-PSS alone"), "{said}");
        assert!(said.contains("signs with PS256 too") && !said.contains("damaged"), "{said}");
    }
}

#[test]
fn the_json_file_of_a_service_account_is_named_and_so_is_what_to_give_of_it() {
    let file = serde_json::json!({ "type": "service_account", "private_key": RSA }).to_string();

    for text in [file.clone(), format!("\u{feff}\n{file}")] {
        let said = refusal(Algorithm::Rs256, &text);
        assert!(said.contains("is the JSON file of a service account"), "{said}");
        assert!(said.contains("its member `private_key` to SigningKey::from_pem"), "{said}");
    }
}

#[test]
fn a_jwk_and_other_json_is_not_called_pem() {
    let said = refusal(Algorithm::Es256, A3);
    assert!(said.contains("is a JWK; SigningKey::from_jwk reads it"), "{said}");
    let said = refusal(Algorithm::Es256, "{}");
    assert!(said.contains("is JSON and not PEM"), "{said}");
}

#[test]
fn a_key_whose_lines_were_changed_on_the_way_says_so() {
    for pem in [
        P256.replace('\n', "\\n"), // a variable of the environment
        P256.replace('\n', " "),
        P256.lines().map(|line| format!("  {line}\n")).collect(), // a block of YAML
        format!("\u{feff}{P256}"),                                // a file from Windows
    ] {
        let said = refusal(Algorithm::Es256, &pem);
        assert!(said.contains("each of its lines must be a line of its own"), "{said}");
    }
}

#[test]
fn a_key_of_ssh_says_how_to_convert_it() {
    let of_ssh = P256.replace("PRIVATE KEY", "OPENSSH PRIVATE KEY");

    assert!(refusal(Algorithm::Es256, &of_ssh).contains("ssh-keygen -p -m PKCS8"));
}

#[test]
fn a_key_for_another_algorithm_says_what_it_is() {
    for (algorithm, pem, what) in [
        (Algorithm::Es256, P384, "is a P-384 key, and the algorithm asks for a P-256 key"),
        (Algorithm::Es256, RSA, "is an RSA key, and the algorithm asks for a P-256 key"),
        (Algorithm::Es256, RSA_PKCS1, "is an RSA key, and the algorithm asks for a P-256 key"),
        (Algorithm::Rs256, P256_SEC1, "is a P-256 key, and the algorithm asks for an RSA key"),
        (Algorithm::EdDsa, P256, "is a P-256 key, and the algorithm asks for an Ed25519 key"),
    ] {
        let said = refusal(algorithm, pem);
        assert!(said.contains(what), "{said}");
    }
}

#[test]
fn an_rsa_key_that_is_too_short_is_refused() {
    assert!(refusal(Algorithm::Rs256, RSA_1024).contains("at least 2048 bits"));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(pem in prop::collection::vec(any::<u8>(), 0..400)) {
        for algorithm in ALGORITHMS {
            prop_assert!(SigningKey::from_pem(algorithm, &pem).is_err());
        }
    }

    #[test]
    fn a_damaged_key_is_an_error_or_a_key_and_no_panic(
        algorithm in prop::sample::select(&ALGORITHMS[..]),
        at in any::<prop::sample::Index>(),
        to in any::<u8>(),
    ) {
        let mut pem = pem_for(algorithm).as_bytes().to_vec();
        let at = at.index(pem.len());
        pem[at] = to;

        if let Ok(key) = SigningKey::from_pem(algorithm, &pem) {
            prop_assert!(key.sign(b"message").is_ok() && key.to_jwk().is_ok());
        }
    }
}
