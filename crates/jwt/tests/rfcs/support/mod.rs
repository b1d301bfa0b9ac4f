//! What the tests share: keys, a verifier that did not make the signatures, and an endpoint.

#![allow(dead_code, missing_docs, reason = "each test file uses a part of it")]
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use std::collections::VecDeque;
use std::error::Error as StdError;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::signature::{ECDSA_P521_SHA512_FIXED, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Request, Response, StatusCode};
use jsonwebtoken::{Algorithm as Jose, DecodingKey};
use serde_json::Value;
use tokenkeeper::{Clock, Error, FetchContext, ManualClock, TokenProvider, TokenSet, async_trait};
use tokenkeeper_jwt::{Algorithm, PublicJwk};
use tokenkeeper_providers::HttpTransport;

pub(crate) const ALGORITHMS: [Algorithm; 11] = [
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::Es512,
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
    Algorithm::EdDsa,
    Algorithm::Ed25519,
];

pub(crate) const A2: &str = include_str!("../../keys/rfc7515-a2.json"); // RSA
pub(crate) const A3: &str = include_str!("../../keys/rfc7515-a3.json"); // P-256
pub(crate) const A4: &str = include_str!("../../keys/rfc7515-a4.json"); // P-521
pub(crate) const RFC7517_A2: &str = include_str!("../../keys/rfc7517-a2.json"); // RSA
pub(crate) const RFC8037_A1: &str = include_str!("../../keys/rfc8037-a1.json"); // Ed25519

pub(crate) const P256_SEC1: &str = include_str!("../../keys/p256.sec1.pem"); // with its parameters
pub(crate) const P256: &str = include_str!("../../keys/p256.pkcs8.pem"); // the same key
pub(crate) const P384: &str = include_str!("../../keys/p384.sec1.pem");
pub(crate) const P521: &str = include_str!("../../keys/p521.sec1.pem");
pub(crate) const RSA: &str = include_str!("../../keys/rsa.pkcs8.pem");
pub(crate) const RSA_PKCS1: &str = include_str!("../../keys/rsa.pkcs1.pem"); // the same key
pub(crate) const ED25519: &str = include_str!("../../keys/ed25519.pkcs8.pem");
pub(crate) const ED448: &str = include_str!("../../keys/ed448.pkcs8.pem");
pub(crate) const RSA_PSS: &str = include_str!("../../keys/rsa-pss.pkcs8.pem");
pub(crate) const SECP256K1: &str = include_str!("../../keys/secp256k1.pkcs8.pem");
pub(crate) const RSA_1024: &str = include_str!("../../keys/rsa1024.pkcs8.pem");
pub(crate) const ENCRYPTED: &str = include_str!("../../keys/encrypted.pkcs8.pem");
pub(crate) const ENCRYPTED_PKCS1: &str = include_str!("../../keys/encrypted.pkcs1.pem");
pub(crate) const PUBLIC: &str = include_str!("../../keys/public.pem");
pub(crate) const CERTIFICATE: &str = include_str!("../../keys/certificate.pem");

pub(crate) fn pem_for(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Es256 => P256,
        Algorithm::Es384 => P384,
        Algorithm::Es512 => P521,
        Algorithm::EdDsa | Algorithm::Ed25519 => ED25519,
        _ => RSA,
    }
}

/// Whether the signature is that of the message, by the key and the algorithm.
pub(crate) fn is_signature(
    algorithm: Algorithm,
    key: &PublicJwk,
    message: &[u8],
    signature: &[u8],
) -> bool {
    let jwk = key.to_string();
    if algorithm == Algorithm::Es512 {
        let jwk: Value = serde_json::from_str(&jwk).unwrap();
        let half = |name: &str| bytes(jwk[name].as_str().unwrap());
        let point = [vec![4], half("x"), half("y")].concat();
        let key = UnparsedPublicKey::new(&ECDSA_P521_SHA512_FIXED, point);
        return key.verify(message, signature).is_ok();
    }
    let name = if algorithm == Algorithm::Ed25519 { "EdDSA" } else { algorithm.as_str() };
    let key = DecodingKey::from_jwk(&serde_json::from_str(&jwk).unwrap()).unwrap();
    let jose: Jose = name.parse().unwrap();
    jsonwebtoken::crypto::verify(&URL_SAFE_NO_PAD.encode(signature), message, &key, jose).unwrap()
}

/// The parts of a compact JWS: what was signed, and the signature.
pub(crate) fn signed_part(jws: &str) -> (&str, Vec<u8>) {
    let (signed, signature) = jws.rsplit_once('.').unwrap();
    (signed, bytes(signature))
}

/// Header and claims, not verified.
pub(crate) fn read(jwt: &str) -> (Value, Value) {
    let mut parts = jwt.split('.').map(|part| serde_json::from_slice(&bytes(part)));
    (parts.next().unwrap().unwrap(), parts.next().unwrap().unwrap())
}

pub(crate) fn bytes(base64url: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(base64url).unwrap()
}

/// Plays back answers in order and keeps the requests. Clones share both.
#[derive(Clone, Debug, Default)]
pub(crate) struct Endpoint {
    answers: Arc<Mutex<VecDeque<Response<Vec<u8>>>>>,
    requests: Arc<Mutex<Vec<Request<Vec<u8>>>>>,
}

pub(crate) const TOKEN_URL: &str = "https://auth.example.org/token";
pub(crate) const OK: &str = r#"{"access_token":"at-1","token_type":"Bearer","expires_in":900}"#;

impl Endpoint {
    pub(crate) fn answers(self, status: u16, headers: &[(&'static str, &str)], body: &str) -> Self {
        let mut answer = Response::new(body.as_bytes().to_vec());
        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
        for (name, value) in headers {
            answer.headers_mut().append(*name, value.parse().unwrap());
        }
        self.answers.lock().unwrap().push_back(answer);
        self
    }

    pub(crate) fn grants(self, times: usize) -> Self {
        (0..times).fold(self, |endpoint, _| endpoint.answers(200, &[], OK))
    }

    pub(crate) fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    pub(crate) fn has_authorization(&self) -> bool {
        let requests = self.requests.lock().unwrap();
        requests.iter().any(|request| request.headers().contains_key("authorization"))
    }

    /// All values of a field of a form, one for each request that has it.
    pub(crate) fn field(&self, name: &str) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        let forms = requests.iter().map(|request| form(request.body()));
        forms.flatten().filter(|(field, _)| field == name).map(|(_, value)| value).collect()
    }
}

pub(crate) fn form(body: &[u8]) -> Vec<(String, String)> {
    url::form_urlencoded::parse(body).into_owned().collect()
}

#[async_trait]
impl HttpTransport for Endpoint {
    async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Error> {
        self.requests.lock().unwrap().push(request);
        Ok(self.answers.lock().unwrap().pop_front().expect("an answer for every request"))
    }
}

pub(crate) async fn fetch(provider: &impl TokenProvider) -> Result<TokenSet, Error> {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new());
    provider.fetch_token(&FetchContext::detached(&clock, Duration::from_secs(20))).await
}

/// The error in every form in which it could be printed, causes included.
pub(crate) fn printed(error: &Error) -> String {
    let mut all = format!("{error} {error:?} {error:#?}");
    let mut cause = StdError::source(error);
    while let Some(error) = cause {
        all += &format!(" {error} {error:?} {error:#?}");
        cause = error.source();
    }
    all
}
