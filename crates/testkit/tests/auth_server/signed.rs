//! Tokens that tests sign, with keys that anybody may know.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking, helpers of theirs too")]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// An Ed25519 key pair in hexadecimal.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    seed: &'static str,
    public: &'static str,
}

// Tests 1 and 2 of RFC 8032 §7.1.
pub(crate) const ONE: Key = Key {
    seed: "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    public: "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
};
pub(crate) const TWO: Key = Key {
    seed: "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
    public: "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
};

impl Key {
    pub(crate) fn jwk(self) -> Value {
        json!({ "kty": "OKP", "crv": "Ed25519", "x": base64_url(hex(self.public)) })
    }

    /// RFC 7638 §3.
    pub(crate) fn thumbprint(self) -> String {
        let x = base64_url(hex(self.public));
        hash(&format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#))
    }

    pub(crate) fn sign(self, header: &Value, claims: &Value) -> String {
        let signed =
            format!("{}.{}", base64_url(header.to_string()), base64_url(claims.to_string()));
        let der = [hex("302e020100300506032b657004220420"), hex(self.seed)].concat();
        let key = EncodingKey::from_ed_der(&der);
        let signature = crypto::sign(signed.as_bytes(), &key, Algorithm::EdDSA).unwrap();
        format!("{signed}.{signature}")
    }
}

pub(crate) fn base64_url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// As `ath` is made.
pub(crate) fn hash(text: &str) -> String {
    base64_url(Sha256::digest(text))
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().map(|digit| digit.to_digit(16).unwrap()).collect();
    digits
        .chunks(2)
        .map(|two| u8::try_from(two.iter().fold(0, |n, d| n * 16 + d)).unwrap())
        .collect()
}
