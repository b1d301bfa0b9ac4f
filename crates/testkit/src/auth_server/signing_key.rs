//! One key pair that the server made for itself.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::config::IdTokenSigning;
use super::jwt::base64_url;
use super::token_book::random_token;

pub(super) struct SigningKey {
    id: String,
    signing: IdTokenSigning,
    pair: Pair,
}

enum Pair {
    Rsa(RsaKeyPair),
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
}

impl SigningKey {
    /// The key that a server begins with; `None` where none is needed.
    ///
    /// The RSA key is a fixed one, because to make one takes a second and more in a debug build, and
    /// every server of every test would wait for it. Its id is of this server alone.
    #[expect(clippy::expect_used, reason = "the key is in the source")]
    pub(super) fn first(signing: IdTokenSigning) -> Option<Self> {
        if signing != IdTokenSigning::Rs256 {
            return Self::generate(signing);
        }
        let lines = TEST_KEY.lines().skip_while(|line| !line.starts_with("-----")).skip(1);
        let base64: String = lines.take_while(|line| !line.starts_with("-----")).collect();
        let der = STANDARD.decode(base64).expect("a PEM file is base64");
        let pair = RsaKeyPair::from_pkcs8(&der).expect("the test key is an RSA key");
        Some(Self { id: random_token("key"), signing, pair: Pair::Rsa(pair) })
    }

    /// A new key; `None` where none is needed.
    #[expect(clippy::expect_used, reason = "a test without its keys cannot go on")]
    pub(super) fn generate(signing: IdTokenSigning) -> Option<Self> {
        let made = match signing {
            IdTokenSigning::Rs256 => RsaKeyPair::generate(KeySize::Rsa2048).map(Pair::Rsa),
            IdTokenSigning::Es256 => {
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map(Pair::Es256)
            }
            IdTokenSigning::EdDsa => Ed25519KeyPair::generate().map(Pair::EdDsa),
            IdTokenSigning::ClientSecret | IdTokenSigning::Unsigned => return None,
        };
        let pair = made.expect("the system has random numbers for a key");
        Some(Self { id: random_token("key"), signing, pair })
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) const fn signing(&self) -> IdTokenSigning {
        self.signing
    }

    #[expect(clippy::expect_used, reason = "a test without its signatures cannot go on")]
    pub(super) fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let signed = pair.sign(&RSA_PKCS1_SHA256, &random, bytes, &mut signature);
                signed.expect("an RSA key signs");
                signature
            }
            Pair::Es256(pair) => {
                pair.sign(&random, bytes).expect("an EC key signs").as_ref().to_vec()
            }
            Pair::EdDsa(pair) => pair.sign(bytes).as_ref().to_vec(),
        }
    }

    /// The public part as a JWK (RFC 7517 §4).
    pub(super) fn public(&self) -> Value {
        let mut key = match &self.pair {
            Pair::Rsa(pair) => {
                let public = pair.public_key();
                let n = base64_url(public.modulus().big_endian_without_leading_zero());
                let e = base64_url(public.exponent().big_endian_without_leading_zero());
                json!({ "kty": "RSA", "n": n, "e": e })
            }
            Pair::Es256(pair) => {
                // 4, then both coordinates (SEC 1 §2.3.3).
                let point = pair.public_key().as_ref().get(1..).unwrap_or_default();
                let (x, y) = point.split_at(point.len() / 2);
                json!({ "kty": "EC", "crv": "P-256", "x": base64_url(x), "y": base64_url(y) })
            }
            Pair::EdDsa(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": base64_url(pair.public_key()) })
            }
        };
        let algorithm = self.signing.algorithm(true);
        if let Value::Object(members) = &mut key {
            members.insert("kid".to_owned(), self.id.as_str().into());
            members.insert("use".to_owned(), "sig".into());
            members.insert("alg".to_owned(), algorithm.into());
        }
        key
    }
}

static TEST_KEY: &str = include_str!("test_rsa_key.pem");
