//! The keys that the server signs with, and what it signs.

use serde_json::{Map, Value, json};

use super::config::IdTokenSigning;
use super::jwt::{self, Jwt, base64_url};
#[cfg(feature = "signatures")]
use super::signing_key::SigningKey;

/// The keys that sign, one for each algorithm in use, and the public parts of earlier ones that are
/// still published.
#[derive(Default)]
pub(super) struct SigningKeys {
    #[cfg(feature = "signatures")]
    current: Vec<SigningKey>,
    #[cfg(feature = "signatures")]
    earlier: Vec<Value>,
}

impl SigningKeys {
    /// A signed token of this type. `secret` is that of the client that it is for.
    pub(super) fn write(
        &mut self,
        typ: &str,
        claims: &Map<String, Value>,
        signing: IdTokenSigning,
        secret: Option<&str>,
    ) -> String {
        #[cfg(feature = "signatures")]
        if let Some(key) = self.key(signing) {
            let header = json!({ "alg": signing.algorithm(true), "typ": typ, "kid": key.id() });
            let signed = Jwt::unsigned(&header, claims);
            let signature = base64_url(key.sign(signed.as_bytes()));
            return format!("{signed}.{signature}");
        }
        let secret = secret.filter(|_| signing == IdTokenSigning::ClientSecret);
        let header = json!({ "alg": signing.algorithm(secret.is_some()), "typ": typ });
        let signed = Jwt::unsigned(&header, claims);
        let signature = secret.and_then(|secret| jwt::hs256(secret, &signed)).map(base64_url);
        format!("{signed}.{}", signature.unwrap_or_default())
    }

    /// The public parts of all keys that tokens may be verified with (RFC 7517 §5).
    #[cfg(feature = "signatures")]
    pub(super) fn published(&self) -> Vec<Value> {
        let current = self.current.iter().map(SigningKey::public);
        current.chain(self.earlier.iter().cloned()).collect()
    }

    /// None: without the feature no key signs anything.
    #[cfg(not(feature = "signatures"))]
    pub(super) fn published(&self) -> Vec<Value> {
        Vec::new()
    }

    /// Makes sure that there is a key, so that it is published before it signs.
    pub(super) fn prepare(&mut self, signing: IdTokenSigning) {
        #[cfg(feature = "signatures")]
        let _ = self.key(signing);
        #[cfg(not(feature = "signatures"))]
        let _ = signing;
    }

    /// New keys sign from now on; those of before stay published, or are gone.
    #[cfg(feature = "signatures")]
    pub(super) fn rotate(&mut self, keep_published: bool) {
        let old = std::mem::take(&mut self.current);
        if keep_published {
            self.earlier.extend(old.iter().map(SigningKey::public));
        } else {
            self.earlier.clear();
        }
        self.current = old.iter().filter_map(|key| SigningKey::generate(key.signing())).collect();
    }

    #[cfg(feature = "signatures")]
    fn key(&mut self, signing: IdTokenSigning) -> Option<&SigningKey> {
        if !self.current.iter().any(|key| key.signing() == signing) {
            self.current.push(SigningKey::first(signing)?);
        }
        self.current.iter().find(|key| key.signing() == signing)
    }
}
