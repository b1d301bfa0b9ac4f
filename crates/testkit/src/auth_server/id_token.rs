//! The ID token (OpenID Connect Core §2).

use serde_json::{Map, Value};
use tokenkeeper::Now;

use super::claims;
use super::client::Client;
use super::config::Config;
use super::jwt::{self, half_hash, unix_seconds};
use super::signing::SigningKeys;
use super::token_book::Family;

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
    /// `changes` take the place of claims; null takes a claim away.
    pub(super) fn write(
        &self,
        config: &Config,
        changes: &Map<String, Value>,
        keys: &mut SigningKeys,
    ) -> Option<String> {
        let sign_in = self.family.sign_in.as_ref()?;
        let mut claims = claims::of_person(self.family)?;
        let mut put = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        put("iss", config.issuer().into());
        put("aud", self.client.id.as_str().into());
        put("iat", unix_seconds(self.now.wall()).into());
        put("exp", unix_seconds(self.now.after(self.lifetime).wall()).into());
        put("auth_time", unix_seconds(sign_in.at.wall()).into());
        let (signing, secret) = (self.client.signing(config), self.client.own_secret());
        let by_sha512 = signing.algorithm(secret.is_some()) == "EdDSA";
        put("at_hash", half_hash(self.access_token, by_sha512).into());
        if let Some(nonce) = self.nonce {
            put("nonce", nonce.into());
        }
        jwt::change(&mut claims, changes);
        Some(keys.write("JWT", &claims, signing, secret))
    }
}
