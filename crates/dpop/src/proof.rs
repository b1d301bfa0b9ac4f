//! One proof: a JWT that says which request it is for (RFC 9449 §4.2).

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokenkeeper::{AccessToken, Error, ErrorKind};
use tokenkeeper_http::{Origin, Target};
use tokenkeeper_jwt::{PublicJwk, SigningKey};

#[derive(Serialize)]
struct Header<'a> {
    typ: &'static str,
    alg: &'a str,
    jwk: &'a PublicJwk,
}

#[derive(Serialize)]
struct Claims<'a> {
    jti: String,
    htm: &'a str,
    htu: String,
    iat: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ath: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
}

/// A new proof for one request, as its header is to have it.
pub(crate) fn proof(
    key: &SigningKey,
    target: &Target<'_>,
    token: Option<&AccessToken>,
    nonce: Option<&str>,
    now: SystemTime,
) -> Result<HeaderValue, Error> {
    let header = Header { typ: "dpop+jwt", alg: key.algorithm().as_str(), jwk: key.public_jwk() };
    let claims = Claims {
        jti: unique()?,
        htm: target.method().as_str(),
        htu: format!("{}{}", Origin::of(target), target.path()),
        iat: now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        ath: token.map(hash),
        nonce,
    };
    let json = |written: serde_json::Result<Vec<u8>>| written.map_err(|_| cannot("be written"));
    let (header, claims) = (json(serde_json::to_vec(&header))?, json(serde_json::to_vec(&claims))?);
    let proof = key.sign_compact(&header, &claims)?;
    let mut proof = HeaderValue::try_from(proof).map_err(|_| cannot("be sent"))?;
    proof.set_sensitive(true); // good for one request alone, so nothing is to keep it
    Ok(proof)
}

/// `ath`: the token, without showing it.
fn hash(token: &AccessToken) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(token.secret().expose_secret()))
}

/// `jti`: 128 random bits.
fn unique() -> Result<String, Error> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).map_err(|_| cannot("have its random number"))?;
    Ok(URL_SAFE_NO_PAD.encode(bits))
}

fn cannot(what: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("the DPoP proof cannot {what}"))
}
