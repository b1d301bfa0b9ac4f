//! JSON web tokens, as far as this server reads and writes them (RFC 7515, RFC 7519).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256, Sha512};

/// A token that was taken apart. Nothing about it is checked yet.
pub(super) struct Jwt {
    pub(super) header: Map<String, Value>,
    pub(super) claims: Map<String, Value>,
    /// Header and claims as they came.
    pub(super) signed: String,
    /// In base64url.
    pub(super) signature: String,
}

impl Jwt {
    /// `None` for what is no token of three parts with JSON in the first two.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        Some(Self {
            header: object(header)?,
            claims: object(claims)?,
            signed: signed.to_owned(),
            signature: signature.to_owned(),
        })
    }

    /// Header and claims as they are signed: the token without its signature.
    pub(super) fn unsigned(header: &Value, claims: &Map<String, Value>) -> String {
        let claims = Value::Object(claims.clone());
        format!("{}.{}", base64_url(header.to_string()), base64_url(claims.to_string()))
    }

    /// Whether it is signed with HS256 and this secret.
    pub(super) fn is_signed_with(&self, secret: &str) -> bool {
        let signature = URL_SAFE_NO_PAD.decode(&self.signature);
        let mac = mac(secret, &self.signed).zip(signature.ok());
        self.header("alg") == Some("HS256")
            && mac.is_some_and(|(mac, signature)| mac.verify_slice(&signature).is_ok())
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.header.get(name)?.as_str()
    }

    pub(super) fn claim(&self, name: &str) -> Option<&str> {
        self.claims.get(name)?.as_str()
    }

    /// A point in time, in seconds since 1970, fractions included.
    pub(super) fn time(&self, name: &str) -> Option<f64> {
        self.claims.get(name)?.as_f64()
    }
}

/// A signature by HS256.
pub(super) fn hs256(secret: &str, signed: &str) -> Option<Vec<u8>> {
    Some(mac(secret, signed)?.finalize().into_bytes().to_vec())
}

fn mac(secret: &str, signed: &str) -> Option<Hmac<Sha256>> {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    Some(mac.chain_update(signed))
}

fn object(part: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

pub(super) fn base64_url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) fn sha256(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// The left half of a hash of this token, as `at_hash` has it: by SHA-512 for `EdDSA`, by SHA-256
/// for all others here (OpenID Connect Core §3.1.3.6).
pub(super) fn half_hash(token: &str, by_sha512: bool) -> String {
    let hash =
        if by_sha512 { Sha512::digest(token).to_vec() } else { Sha256::digest(token).to_vec() };
    let (half, _) = hash.split_at(hash.len() / 2);
    base64_url(half)
}

/// Puts members in, or takes those away that are null.
pub(super) fn change(members: &mut Map<String, Value>, changes: &Map<String, Value>) {
    for (name, value) in changes {
        match value {
            Value::Null => members.remove(name),
            value => members.insert(name.clone(), value.clone()),
        };
    }
}

/// Seconds since 1970.
pub(super) fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since: Duration| since.as_secs())
}
