//! What has to be true of the id token of a login (OpenID Connect Core §3.1.3.7).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use sha2::{Digest, Sha256, Sha384, Sha512};
use tokenkeeper::Secret;

use crate::id_token::IdToken;

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
    let token = match IdToken::parse(text) {
        Ok(token) => token,
        // One that was not asked for and cannot be read says nothing, to any reader.
        Err(_) if expected.nonce.is_none() => return Ok(()),
        Err(why) => return Err(why),
    };
    check_names(&token, expected)?;
    check_times(&token, expected.now)?;
    let nonce = token.text("nonce").map(Secret::from);
    let is_of_this_login = |own: &Secret| nonce.is_some_and(|nonce| nonce.ct_eq(own));
    if !expected.nonce.is_none_or(is_of_this_login) {
        return Err("is of another login: it has not the `nonce` of this one");
    }
    match (token.claim("at_hash"), expected.access_token) {
        (None, _) | (_, None) => Ok(()),
        (Some(Value::String(hash)), Some(access_token))
            if is_hash_of(hash, access_token, token.algorithm()) =>
        {
            Ok(())
        }
        _ => Err("is for another access token: `at_hash` is not of this one"),
    }
}

/// Whether a login at a certain moment would accept it; for fuzzing.
pub(crate) fn is_accepted(text: &str) -> bool {
    let (nonce, access_token) = (Secret::from("n"), Secret::from("at"));
    let expected = Expected {
        issuer: Some("https://as"),
        client_id: "web",
        nonce: Some(&nonce),
        access_token: Some(&access_token),
        now: UNIX_EPOCH + Duration::from_secs(1_893_456_000), // 2030
    };
    check_id_token(&Secret::from(text), &expected).is_ok()
}

/// Who issued it, of whom it speaks, and for which client.
fn check_names(token: &IdToken, expected: &Expected<'_>) -> Result<(), &'static str> {
    if expected.issuer.is_some_and(|issuer| token.text("iss") != Some(issuer)) {
        return Err("is of another issuer: `iss` is not the one that was configured");
    }
    match token.text("sub") {
        None | Some("") => return Err("does not say whose it is: there is no `sub`"),
        Some(sub) if sub.len() > LONGEST_SUBJECT => {
            return Err("has a `sub` of more than 255 characters (§2)");
        }
        Some(_) => {}
    }
    let Some(audience) = token.audience() else {
        return Err("is for another client: `aud` is neither a text nor a list of texts");
    };
    if !audience.contains(&expected.client_id) {
        return Err("is for another client: `aud` does not have the client id");
    }
    match token.claim("azp") {
        None => Ok(()),
        Some(Value::String(azp)) if azp == expected.client_id => Ok(()),
        Some(Value::String(_)) => Err("was issued to another client: `azp` is not the client id"),
        Some(_) => Err("was issued to another client: `azp` is no text"),
    }
}

/// From when and until when it counts.
fn check_times(token: &IdToken, now: SystemTime) -> Result<(), &'static str> {
    let end = match token.claim("exp") {
        None | Some(Value::Null) => return Err("has no end: there is no `exp`"),
        Some(exp) => exp.as_f64().ok_or("has an `exp` that is not a number of seconds")?,
    };
    let earlier = now.checked_sub(LEEWAY).unwrap_or(UNIX_EPOCH);
    if point_in_time(end).is_some_and(|end| earlier >= end) {
        return Err("has expired; check the clock of this machine");
    }
    let Some(start) = token.claim("nbf") else { return Ok(()) };
    let start = start.as_f64().ok_or("has an `nbf` that is not a number of seconds")?;
    let later = now.checked_add(LEEWAY).unwrap_or(now);
    if point_in_time(start).is_none_or(|start| start > later) {
        return Err("is not valid yet (`nbf`); check the clock of this machine");
    }
    Ok(())
}

/// `None` beyond the range of the system's clock.
fn point_in_time(seconds: f64) -> Option<SystemTime> {
    let since = Duration::try_from_secs_f64(seconds.max(0.0)).ok()?;
    UNIX_EPOCH.checked_add(since)
}

/// The left half of the hash that goes with the algorithm of the signature (§3.1.3.6). Where the
/// algorithm says nothing of a hash, as `none` does, the length of the half tells which it is.
fn is_hash_of(hash: &str, access_token: &Secret, algorithm: &str) -> bool {
    let text = access_token.expose_secret();
    let hash = hash.trim_end_matches('=');
    let bits = match (algorithm, hash.len()) {
        ("EdDSA" | "Ed25519", _) => 512,
        (name, _) if name.ends_with("256") => 256,
        (name, _) if name.ends_with("384") => 384,
        (name, _) if name.ends_with("512") => 512,
        (_, HALF_OF_384) => 384,
        (_, HALF_OF_512) => 512,
        _ => 256,
    };
    let digest = match bits {
        512 => Sha512::digest(text).to_vec(),
        384 => Sha384::digest(text).to_vec(),
        _ => Sha256::digest(text).to_vec(),
    };
    let half = digest.get(..digest.len() / 2).unwrap_or_default();
    hash == URL_SAFE_NO_PAD.encode(half)
}

const LEEWAY: Duration = Duration::from_secs(60); // two clocks, and no server's id tokens live shorter
const LONGEST_SUBJECT: usize = 255;
const HALF_OF_384: usize = 32; // characters of base64url
const HALF_OF_512: usize = 43;
