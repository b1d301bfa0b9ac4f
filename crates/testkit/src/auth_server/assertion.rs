//! Assertions: tokens that a client or another party signed itself (RFC 7523 §3).

use std::collections::HashSet;

use serde_json::Value;

use super::config::Config;
use super::jwt::{Jwt, unix_seconds};
use super::signature;

/// The `jti` of assertions that came, each with its issuer.
#[derive(Default)]
pub(super) struct UsedAssertions(HashSet<(String, String)>);

impl UsedAssertions {
    /// Checks everything about an assertion but its subject, and that it is new.
    pub(super) fn take(
        &mut self,
        jwt: &Jwt,
        expected: &Expected<'_>,
        config: &Config,
    ) -> Result<(), String> {
        let Expected { issuer, secret, keys, endpoint } = expected;
        if jwt.claim("iss") != Some(*issuer) {
            return Err("the assertion has another iss".to_owned());
        }
        let here = [config.issuer(), config.token_url(), config.url.clone() + endpoint];
        if !audiences(jwt).iter().any(|audience| here.iter().any(|here| here == audience)) {
            return Err(format!("the assertion is for another aud than {}", config.issuer()));
        }
        let now = unix_seconds(config.clock.now().wall());
        let time = |name| jwt.time(name).map(|seconds| seconds as u64);
        if time("exp").is_none_or(|exp| exp <= now) {
            return Err("the assertion has expired, or has no exp".to_owned());
        }
        if ["iat", "nbf"].into_iter().any(|name| time(name).is_some_and(|at| at > now + SKEW)) {
            return Err("the assertion comes from the future".to_owned());
        }
        let is_signed = match secret {
            Some(secret) => jwt.is_signed_with(secret),
            None => signature::is_of_one(jwt, keys),
        };
        if !is_signed {
            return Err("the signature of the assertion is wrong".to_owned());
        }
        let id = jwt.claim("jti").ok_or("the assertion has no jti")?;
        let is_new = self.0.insert(((*issuer).to_owned(), id.to_owned()));
        if is_new { Ok(()) } else { Err("the assertion was used before".to_owned()) }
    }
}

/// What an assertion has to be.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    /// That of an issuer that signs with one.
    pub(super) secret: Option<&'a str>,
    /// Those of an issuer that signs with a key pair. Without any, the signature is not checked.
    pub(super) keys: Vec<&'a Value>,
    /// The path that was asked.
    pub(super) endpoint: &'a str,
}

fn audiences(jwt: &Jwt) -> Vec<&str> {
    match jwt.claims.get("aud") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

const SKEW: u64 = 60; // seconds; clocks differ
