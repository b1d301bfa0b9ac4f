//! What has to be true of the id token of a login (OpenID Connect Core §3.1.3.7).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use sha2::{Digest, Sha256, Sha384, Sha512};
use tokenkeeper::Secret;

use crate::id_token::{IdToken, members};

/// What the login knows.
pub(super) struct Expected<'a> {
    pub(super) issuer: Option<&'a str>,
    pub(super) client_id: &'a str,
    /// Absent if no id token was asked for.
    pub(super) nonce: Option<&'a Secret>,
    pub(super) access_token: Option<&'a Secret>,
    pub(super) now: SystemTime,
}

/// Checks all claims; an error ends a sentence that begins with "the id token".
///
/// The signature is not among it. The token came over TLS from the server that it is about, and
/// §3.1.3.7 point 6 lets that count in its place.
pub(super) fn check_id_token(text: &Secret, expected: &Expected<'_>) -> Result<(), &'static str> {
    let Some(token) = IdToken::read(text) else {
        // One that nobody asked for says nothing then, to anybody.
        return expected.nonce.map_or(Ok(()), |_| Err("cannot be read"));
    };
    if expected.issuer.is_some_and(|issuer| token.text("iss") != Some(issuer)) {
        return Err("is of another issuer: `iss` is not the one that was configured");
    }
    if token.text("sub").is_none_or(str::is_empty) {
        return Err("does not say whose it is: there is no `sub`");
    }
    let audience = token.audience();
    if !audience.contains(&expected.client_id) {
        return Err("is for another client: `aud` does not have the client id");
    }
    match token.text("azp") {
        Some(azp) if azp != expected.client_id => {
            return Err("was issued to another client: `azp` is not the client id");
        }
        None if audience.len() > 1 => {
            return Err("is for several clients, and no `azp` says to which it was issued");
        }
        _ => {}
    }
    let end = token.claim("exp").and_then(Value::as_f64).ok_or("has no end: there is no `exp`")?;
    let end =
        Duration::try_from_secs_f64(end.max(0.0)).ok().and_then(|end| UNIX_EPOCH.checked_add(end));
    let now = expected.now.checked_sub(LEEWAY).unwrap_or(UNIX_EPOCH);
    if end.is_some_and(|end| now >= end) {
        return Err("has expired; check the clock of this machine");
    }
    let nonce = token.text("nonce").map(Secret::from);
    let is_of_this_login = |own: &Secret| nonce.is_some_and(|nonce| nonce.ct_eq(own));
    if !expected.nonce.is_none_or(is_of_this_login) {
        return Err("is of another login: it has not the `nonce` of this one");
    }
    match (token.text("at_hash"), expected.access_token) {
        (Some(hash), Some(access_token)) if !is_hash_of(hash, access_token, text) => {
            Err("is for another access token: `at_hash` is not of this one")
        }
        _ => Ok(()),
    }
}

/// The left half of the hash that goes with the algorithm of the signature (§3.1.3.6). Where that is
/// unknown, nothing can be compared, and the claim is optional here.
fn is_hash_of(hash: &str, access_token: &Secret, id_token: &Secret) -> bool {
    let header = id_token.expose_secret().split('.').next().and_then(members);
    let algorithm = header.as_ref().and_then(|header| header.get("alg")?.as_str());
    let text = access_token.expose_secret();
    let digest = match algorithm {
        Some("EdDSA" | "Ed25519") => Sha512::digest(text).to_vec(),
        Some(name) if name.ends_with("256") => Sha256::digest(text).to_vec(),
        Some(name) if name.ends_with("384") => Sha384::digest(text).to_vec(),
        Some(name) if name.ends_with("512") => Sha512::digest(text).to_vec(),
        _ => return true,
    };
    let half = digest.get(..digest.len() / 2).unwrap_or_default();
    hash.trim_end_matches('=') == URL_SAFE_NO_PAD.encode(half)
}

const LEEWAY: Duration = Duration::from_secs(60); // two clocks, and no server's id tokens live shorter
