//! What the tests share: keys at a fixed time, proofs read as a server reads them, and a token
//! endpoint that plays back answers.

#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test file uses its share")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use jsonwebtoken::{DecodingKey, Validation};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokenkeeper::{
    AccessToken, Clock, Error, FetchContext, ManualClock, TokenProvider, TokenSet, async_trait,
};
use tokenkeeper_dpop::DpopKey;
use tokenkeeper_http::{Presenter, Reaction, Target};
use tokenkeeper_providers::{
    ClientAuth, ClientCredentialsProvider, HttpTransport, ProofOfPossession,
};

pub const TOKEN_URL: &str = "https://auth.example.org/token";
pub const API: &str = "https://api.example.com";
pub const BOUND: &str = r#"{"access_token":"at-1","token_type":"DPoP","expires_in":900}"#;

/// A key whose proofs are of 2030-01-01.
pub fn key() -> DpopKey {
    DpopKey::generate().unwrap().with_clock(ManualClock::new())
}

pub fn token(secret: &str) -> AccessToken {
    AccessToken::new(secret, "DPoP").unwrap()
}

/// A client whose tokens are bound to the key.
pub fn machine(key: &DpopKey, endpoint: &Playback) -> ClientCredentialsProvider {
    ClientCredentialsProvider::builder("svc", TOKEN_URL)
        .client("id", ClientAuth::basic("secret"))
        .proof_of_possession(key.clone())
        .transport(endpoint.clone())
        .build()
        .unwrap()
}

/// The thumbprint of a public key (RFC 7638).
pub fn jkt_of(jwk: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(jwk))
}

/// A proof, as a server reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct Proof {
    pub header: Value,
    pub claims: Value,
}

impl Proof {
    /// The one proof of a request, its signature checked with the key that it names.
    pub fn of(headers: &HeaderMap) -> Self {
        let all: Vec<_> = headers.get_all("dpop").iter().collect();
        assert_eq!(all.len(), 1, "one proof");
        let text = all.first().unwrap().to_str().unwrap();
        let header = jsonwebtoken::decode_header(text).unwrap();
        let key = DecodingKey::from_jwk(header.jwk.as_ref().unwrap()).unwrap();
        let mut validation = Validation::new(header.alg);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        let claims = jsonwebtoken::decode::<Value>(text, &key, &validation).unwrap().claims;
        let raw = URL_SAFE_NO_PAD.decode(text.split('.').next().unwrap()).unwrap();
        Self { header: serde_json::from_slice(&raw).unwrap(), claims }
    }

    pub fn claim(&self, name: &str) -> Option<&str> {
        self.claims.get(name).map(|value| value.as_str().unwrap())
    }

    pub fn nonce(&self) -> Option<&str> {
        self.claim("nonce")
    }
}

/// A proof for a request to a token endpoint, or with a token.
pub fn proof(key: &DpopKey, method: &Method, url: &str, token: Option<&AccessToken>) -> Proof {
    let mut headers = HeaderMap::new();
    key.prove(method, &url.parse::<Uri>().unwrap(), token, &mut headers).unwrap();
    Proof::of(&headers)
}

/// The headers of a GET with this token.
pub fn presented(key: &DpopKey, url: &str, token: &AccessToken) -> Result<HeaderMap, Error> {
    let uri: Uri = url.parse().unwrap();
    let mut headers = HeaderMap::new();
    key.presenter().present(token, &Target::of(&Method::GET, &uri)?, &mut headers)?;
    Ok(headers)
}

/// The nonce of the next proof to an API.
pub fn nonce_for(key: &DpopKey, url: &str) -> Option<String> {
    let headers = presented(key, url, &token("at")).unwrap();
    Proof::of(&headers).nonce().map(str::to_owned)
}

/// Lets a presenter hear of an answer, and asks what follows from it.
pub fn answered(key: &DpopKey, url: &str, status: u16, headers: &HeaderMap) -> Reaction {
    let uri: Uri = url.parse().unwrap();
    let target = Target::of(&Method::GET, &uri).unwrap();
    let status = StatusCode::from_u16(status).unwrap();
    key.presenter().on_answer(&target, status, headers);
    key.presenter().on_challenge(&target, status, headers)
}

pub fn headers<const N: usize>(pairs: [(&'static str, &str); N]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(name, value.parse().unwrap());
    }
    headers
}

/// A token endpoint that plays back answers in order and keeps the requests. Clones share both.
#[derive(Clone, Debug, Default)]
pub struct Playback {
    answers: Arc<Mutex<VecDeque<Response<Vec<u8>>>>>,
    requests: Arc<Mutex<Vec<Request<Vec<u8>>>>>,
}

impl Playback {
    pub fn and(self, status: u16, nonce: Option<&str>, body: &str) -> Self {
        let mut answer = Response::new(body.as_bytes().to_vec());
        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
        if let Some(nonce) = nonce {
            answer.headers_mut().insert("dpop-nonce", nonce.parse().unwrap());
        }
        self.answers.lock().unwrap().push_back(answer);
        self
    }

    pub fn requests(&self) -> Vec<Request<Vec<u8>>> {
        self.requests.lock().unwrap().clone()
    }

    pub fn proofs(&self) -> Vec<Proof> {
        self.requests().iter().map(|request| Proof::of(request.headers())).collect()
    }

    /// The nonce of each proof.
    pub fn nonces(&self) -> Vec<Option<String>> {
        self.proofs().iter().map(|proof| proof.nonce().map(str::to_owned)).collect()
    }
}

#[async_trait]
impl HttpTransport for Playback {
    async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Error> {
        self.requests.lock().unwrap().push(request);
        Ok(self.answers.lock().unwrap().pop_front().expect("an answer for every request"))
    }
}

pub async fn fetch(provider: &impl TokenProvider) -> Result<TokenSet, Error> {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new());
    provider.fetch_token(&FetchContext::detached(&clock, Duration::from_secs(20))).await
}

pub async fn refresh(provider: &impl TokenProvider, current: &TokenSet) -> Result<TokenSet, Error> {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new());
    let cx = FetchContext::detached(&clock, Duration::from_secs(20));
    provider.refresh_token(current, &cx).await
}
