//! The ID token (OpenID Connect Core §2).

use serde_json::{Map, Value};
use tokenkeeper::Now;

use super::clients::Client;
use super::jwt::{Jwt, base64_url, sha256, unix_seconds};
use super::state::Config;
use super::token_book::Family;
use super::{metadata, user_info};

/// What an ID token is about.
pub(super) struct IdToken<'a> {
    pub(super) client: &'a Client,
    pub(super) family: &'a Family,
    pub(super) access_token: &'a str,
    pub(super) nonce: Option<&'a str>,
    pub(super) lifetime: std::time::Duration,
    pub(super) now: Now,
}

impl IdToken<'_> {
    /// Signed with the secret of the client (OpenID Connect Core §10.1), or not at all where it has
    /// none. `changes` take the place of claims; null takes a claim away.
    pub(super) fn write(&self, config: &Config, changes: &Map<String, Value>) -> Option<String> {
        let sign_in = self.family.sign_in.as_ref()?;
        let mut claims = user_info::claims(self.family)?;
        let mut put = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        put("iss", config.issuer().into());
        put("aud", self.client.id.as_str().into());
        put("iat", unix_seconds(self.now.wall()).into());
        put("exp", unix_seconds(self.now.after(self.lifetime).wall()).into());
        put("auth_time", unix_seconds(sign_in.at.wall()).into());
        let hash = sha256(self.access_token);
        let (half, _) = hash.split_at(hash.len() / 2);
        put("at_hash", base64_url(half).into());
        if let Some(nonce) = self.nonce {
            put("nonce", nonce.into());
        }
        metadata::change(&mut claims, changes);
        Some(Jwt::write(&claims, self.client.own_secret()))
    }
}
