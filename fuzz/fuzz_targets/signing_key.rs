//! No text that is said to be a key makes the readers of PEM and JWK panic, and whatever they take
//! for a key signs, and can be written and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tokenkeeper_jwt::{Algorithm, SigningKey};

fuzz_target!(|bytes: &[u8]| {
    let algorithms = [Algorithm::Es256, Algorithm::Es512, Algorithm::Ps256, Algorithm::EdDsa];
    let from_pem = algorithms.into_iter().map(|algorithm| SigningKey::from_pem(algorithm, bytes));
    let from_jwk = std::str::from_utf8(bytes).ok().map(SigningKey::from_jwk);
    for key in from_pem.chain(from_jwk).flatten() {
        assert!(key.sign(b"message").is_ok());
        let written = key.to_jwk().expect("a key that was read can be written");
        let again = SigningKey::from_jwk(written.expose_secret()).expect("and read again");
        assert_eq!(again.thumbprint(), key.thumbprint());
    }
});
