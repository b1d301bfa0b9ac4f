//! Assertions: tokens that a client or another party signed itself (RFC 7523 §3).

use std::collections::HashSet;

use serde_json::Value;

use super::jwt::{Jwt, unix_seconds};
use super::signature;
use super::state::Config;

/// The `jti` of assertions that came, each with its issuer.
#[derive(Default)]
pub(super) struct UsedAssertions(HashSet<(String, String)>);

impl UsedAssertions {
    /// Checks everything about an assertion of this issuer but its subject, and that it is new.
    /// `secret` is that of an issuer who signs with one.
    pub(super) fn take(
        &mut self,
        jwt: &Jwt,
        issuer: &str,
        secret: Option<&str>,
        config: &Config,
        endpoint: &str,
    ) -> Result<(), &'static str> {
        if jwt.claim("iss") != Some(issuer) {
            return Err("the assertion has another iss");
        }
        let here = [config.issuer(), config.token_url(), config.url.clone() + endpoint];
        if !audiences(jwt).iter().any(|audience| here.iter().any(|here| here == audience)) {
            return Err("the assertion is for another aud");
        }
        let now = unix_seconds(config.clock.now().wall());
        let time = |name| jwt.time(name).map(|seconds| seconds as u64);
        if time("exp").is_none_or(|exp| exp <= now) {
            return Err("the assertion has expired, or has no exp");
        }
        if ["iat", "nbf"].into_iter().any(|name| time(name).is_some_and(|at| at > now + SKEW)) {
            return Err("the assertion comes from the future");
        }
        let is_signed = match secret {
            Some(secret) => jwt.is_signed_with(secret),
            None => signature::is_of_one(jwt, config.keys_of(issuer)),
        };
        if !is_signed {
            return Err("the signature of the assertion is wrong");
        }
        let id = jwt.claim("jti").ok_or("the assertion has no jti")?;
        let is_new = self.0.insert((issuer.to_owned(), id.to_owned()));
        if is_new { Ok(()) } else { Err("the assertion was used before") }
    }
}

fn audiences(jwt: &Jwt) -> Vec<&str> {
    match jwt.claims.get("aud") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

const SKEW: u64 = 60; // seconds; clocks differ
