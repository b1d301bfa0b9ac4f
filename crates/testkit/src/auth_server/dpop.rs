//! Proofs that a client has a key (RFC 9449).

use std::collections::HashSet;

use http::{HeaderName, Uri};
use serde_json::Value;

use super::answer::Answer;
use super::config::Config;
use super::jwt::{Jwt, base64_url, sha256, unix_seconds};
use super::received_request::ReceivedRequest;
use super::signature;
use super::token_book::random_token;

/// Where a proof is shown. Each place has nonces of its own (RFC 9449 §8.2, §9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Server,
    Resource,
}

/// Proofs that came, and nonces that are good.
pub(super) struct Proofs {
    used: HashSet<(String, String)>,
    server: Vec<String>,
    resource: Vec<String>,
}

/// Why a proof is not taken: an error code and what is wrong.
pub(super) struct ProofRefusal {
    pub(super) code: &'static str,
    pub(super) what: &'static str,
}

impl Default for Proofs {
    fn default() -> Self {
        let mut proofs = Self { used: HashSet::new(), server: Vec::new(), resource: Vec::new() };
        proofs.renew();
        proofs
    }
}

impl Proofs {
    /// New nonces are handed out from now on; those of before are still taken.
    pub(super) fn renew(&mut self) {
        self.server.push(random_token("nonce"));
        self.resource.push(random_token("nonce"));
    }

    /// New nonces are handed out from now on, and only they are taken.
    pub(super) fn rotate(&mut self) {
        self.server.clear();
        self.resource.clear();
        self.renew();
    }

    const fn good(&self, place: Place) -> &Vec<String> {
        match place {
            Place::Server => &self.server,
            Place::Resource => &self.resource,
        }
    }

    /// Puts the newest nonce onto an answer, if nonces are in use.
    pub(super) fn with_nonce(&self, config: &Config, place: Place, answer: Answer) -> Answer {
        match self.good(place).last() {
            Some(nonce) if config.dpop.demands_nonces => {
                answer.with(HeaderName::from_static("dpop-nonce"), nonce)
            }
            _ => answer,
        }
    }

    /// The thumbprint of the key that a request proves, if it comes with a proof. `token` is the
    /// access token that comes with it (RFC 9449 §4.3).
    pub(super) fn check(
        &mut self,
        config: &Config,
        place: Place,
        request: &ReceivedRequest,
        token: Option<&str>,
    ) -> Result<Option<String>, ProofRefusal> {
        let mut headers = request.headers().get_all("dpop").iter();
        let (header, another) = (headers.next(), headers.next());
        let Some(header) = header else { return Ok(None) };
        let refuse = |what| ProofRefusal { code: "invalid_dpop_proof", what };
        if another.is_some() {
            return Err(refuse("there is more than one proof"));
        }
        let jwt = header.to_str().ok().and_then(Jwt::parse);
        let jwt = jwt.ok_or_else(|| refuse("the proof is no JWT"))?;
        if jwt.header("typ") != Some("dpop+jwt") {
            return Err(refuse("typ is not dpop+jwt"));
        }
        if jwt.header("alg").is_none_or(|alg| alg == "none" || alg.starts_with("HS")) {
            return Err(refuse("alg is not one of a key pair"));
        }
        let key = jwt.header.get("jwk").ok_or_else(|| refuse("jwk is missing"))?;
        if key.get("d").is_some() {
            return Err(refuse("jwk is a private key"));
        }
        let thumbprint = thumbprint(key).ok_or_else(|| refuse("jwk is no public key"))?;
        if jwt.claim("htm") != Some(request.method().as_str()) {
            return Err(refuse("htm is another method"));
        }
        let here = config.url.clone() + request.path();
        if !jwt.claim("htu").is_some_and(|htu| is_same_url(htu, &here)) {
            return Err(refuse("htu is another URL"));
        }
        let now = unix_seconds(config.clock.now().wall());
        if jwt.time("iat").is_none_or(|iat| now.abs_diff(iat as u64) > WINDOW) {
            return Err(refuse("iat is missing, or too far from now"));
        }
        if token.is_some_and(|token| jwt.claim("ath") != Some(&base64_url(sha256(token)))) {
            return Err(refuse("ath is missing, or of another token"));
        }
        if !signature::is_of(&jwt, key) {
            return Err(refuse("the signature is wrong"));
        }
        if config.dpop.demands_nonces {
            let nonce = jwt.claim("nonce");
            if !nonce.is_some_and(|nonce| self.good(place).iter().any(|good| good == nonce)) {
                let what = "the nonce is missing or old";
                return Err(ProofRefusal { code: "use_dpop_nonce", what });
            }
        }
        let id = jwt.claim("jti").ok_or_else(|| refuse("jti is missing"))?;
        if !self.used.insert((thumbprint.clone(), id.to_owned())) {
            return Err(refuse("the proof was used before"));
        }
        Ok(Some(thumbprint))
    }
}

/// RFC 7638 §3.
fn thumbprint(key: &Value) -> Option<String> {
    let members: &[&str] = match key.get("kty")?.as_str()? {
        "EC" => &["crv", "kty", "x", "y"],
        "OKP" => &["crv", "kty", "x"],
        "RSA" => &["e", "kty", "n"],
        _ => return None,
    };
    let member = |name: &&str| {
        let value = key.get(*name).filter(|value| value.is_string())?;
        Some(format!("\"{name}\":{value}"))
    };
    let members: Option<Vec<String>> = members.iter().map(member).collect();
    Some(base64_url(sha256(&format!("{{{}}}", members?.join(",")))))
}

/// Whether two URLs are the same but for query, fragment and spelling (RFC 9449 §4.3,
/// RFC 3986 §6.2.2 and §6.2.3). `localhost` is 127.0.0.1 here, because that is where this is.
fn is_same_url(one: &str, other: &str) -> bool {
    let parts = |url: &str| {
        let uri: Uri = url.split('#').next().unwrap_or_default().parse().ok()?;
        let scheme = uri.scheme_str()?.to_ascii_lowercase();
        let host = uri.host()?.to_ascii_lowercase();
        let host = if host == "localhost" { "127.0.0.1".to_owned() } else { host };
        let port = uri.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
        Some((scheme, host, port, without_needless_encoding(uri.path())))
    };
    parts(one).is_some_and(|one| Some(one) == parts(other))
}

/// Unreserved characters as they are, and all else in capital letters.
fn without_needless_encoding(path: &str) -> String {
    let mut plain = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        plain.push_str(before);
        let code = after.get(..2).and_then(|code| u8::from_str_radix(code, 16).ok());
        let Some(byte) = code else {
            plain.push('%');
            rest = after;
            continue;
        };
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            plain.push(char::from(byte));
        } else {
            plain.push_str(&format!("%{byte:02X}"));
        }
        rest = after.get(2..).unwrap_or_default();
    }
    plain + rest
}

const WINDOW: u64 = 300; // seconds on either side
