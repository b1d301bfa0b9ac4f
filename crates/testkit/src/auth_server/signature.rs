//! Signatures with public keys. They cost a crypto library, so they are a feature.

use serde_json::Value;

use super::jwt::Jwt;

/// Whether the token is signed with one of these keys, or there is none to check it with.
pub(super) fn is_of_one(jwt: &Jwt, keys: &[&Value]) -> bool {
    keys.is_empty() || keys.iter().any(|key| is_of(jwt, key))
}

/// Whether the token is signed with this JWK, by the algorithm that it names.
#[cfg(feature = "signatures")]
pub(super) fn is_of(jwt: &Jwt, key: &Value) -> bool {
    use jsonwebtoken::{Algorithm, DecodingKey, crypto, jwk::Jwk};

    let algorithm = jwt.header("alg").and_then(|name| name.parse::<Algorithm>().ok());
    let is_asymmetric = |algorithm: &Algorithm| {
        !matches!(algorithm, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512)
    };
    let key = serde_json::from_value::<Jwk>(key.clone()).ok();
    let key = key.and_then(|key| DecodingKey::from_jwk(&key).ok());
    key.zip(algorithm.filter(is_asymmetric)).is_some_and(|(key, algorithm)| {
        crypto::verify(&jwt.signature, jwt.signed.as_bytes(), &key, algorithm).unwrap_or(false)
    })
}

/// Without the feature every signature is fine.
#[cfg(not(feature = "signatures"))]
pub(super) const fn is_of(_: &Jwt, _: &Value) -> bool {
    true
}
