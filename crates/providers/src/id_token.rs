//! Id tokens (OpenID Connect Core §2), read for a few claims and never verified.
//!
//! They come from a token endpoint, over TLS, so who signed them is no question here
//! (§3.1.3.7, point 6), and a library for JWTs would bring half a dozen algorithms for nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use tokenkeeper::Secret;

/// The claims of an id token.
pub(crate) struct IdToken {
    claims: Map<String, Value>,
}

impl IdToken {
    /// Reads a signed JWT; `None` if it is none, or an encrypted one.
    pub(crate) fn read(text: &Secret) -> Option<Self> {
        let mut parts = text.expose_secret().split('.');
        let (Some(_header), Some(claims), Some(_signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        Some(Self { claims: members(claims)? })
    }

    pub(crate) fn claim(&self, name: &str) -> Option<&Value> {
        self.claims.get(name)
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.claim(name)?.as_str()
    }

    /// `aud`, which is one text or several.
    pub(crate) fn audience(&self) -> Vec<&str> {
        match self.claim("aud") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether this one, which came with a refresh, can be the successor of `first` (§12.2).
    pub(crate) fn continues(&self, first: &Self) -> bool {
        let audience = self.audience();
        self.text("iss") == first.text("iss")
            && self.text("sub") == first.text("sub")
            && first.audience().iter().all(|name| audience.contains(name))
    }
}

/// A part of a JWT that is a JSON object.
pub(crate) fn members(part: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok()?).ok()
}
