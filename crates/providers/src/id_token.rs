//! Id tokens (OpenID Connect Core §2), read for a few claims and never verified.
//!
//! They come from a token endpoint, over TLS, so who signed them is no question here
//! (§3.1.3.7, point 6), and a library for JWTs would bring half a dozen algorithms for nothing.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Value;
use tokenkeeper::Secret;

/// The header and the claims of an id token.
pub(crate) struct IdToken {
    algorithm: String,
    claims: Unique,
}

impl IdToken {
    /// Reads a signed JWT; `None` if it is none, or an encrypted one.
    pub(crate) fn read(text: &Secret) -> Option<Self> {
        Self::parse(text).ok()
    }

    /// The same, with the end of a sentence that begins with "the id token".
    pub(crate) fn parse(text: &Secret) -> Result<Self, &'static str> {
        let mut parts = text.expose_secret().split('.');
        let (Some(header), Some(claims), Some(_signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(UNREADABLE);
        };
        let claims = members(claims)?;
        let header = members(header)?;
        match header.0.get("alg") {
            Some(Value::String(algorithm)) => Ok(Self { algorithm: algorithm.clone(), claims }),
            _ => Err("has a header whose `alg` is no text"),
        }
    }

    /// `alg` of the header (RFC 7515 §4.1.1).
    #[cfg_attr(not(feature = "authorization-code"), expect(dead_code, reason = "for logins"))]
    pub(crate) fn algorithm(&self) -> &str {
        &self.algorithm
    }

    pub(crate) fn claim(&self, name: &str) -> Option<&Value> {
        self.claims.0.get(name)
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.claim(name)?.as_str()
    }

    /// `aud`, which is one text or several; `None` if there is anything else among them.
    pub(crate) fn audience(&self) -> Option<Vec<&str>> {
        match self.claim("aud")? {
            Value::String(one) => Some(vec![one]),
            Value::Array(several) => several.iter().map(Value::as_str).collect(),
            _ => None,
        }
    }

    /// Whether this one, which came with a refresh, is of the same person as `first` (§12.2).
    pub(crate) fn is_of_the_person_of(&self, first: &Self) -> bool {
        self.text("sub") == first.text("sub")
    }

    /// Whether it can take the place of `first` (§12.2): issuer and audience are the same, too.
    pub(crate) fn continues(&self, first: &Self) -> bool {
        let audience = self.audience().unwrap_or_default();
        self.is_of_the_person_of(first)
            && self.text("iss") == first.text("iss")
            && first
                .audience()
                .is_some_and(|first| first.iter().all(|name| audience.contains(name)))
    }
}

/// A JSON object in which every name is there once: of two, one reader takes the first and another
/// the last (RFC 7519 §4).
struct Unique(BTreeMap<String, Value>);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Unique;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, value)) = map.next_entry()? {
                    if members.insert(name, value).is_some() {
                        return Err(A::Error::custom(REPEATED));
                    }
                }
                Ok(Unique(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// A part of a JWT that is a JSON object.
fn members(part: &str) -> Result<Unique, &'static str> {
    let json = URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).map_err(|_| UNREADABLE)?;
    serde_json::from_slice(&json).map_err(|error| {
        if error.is_data() && error.to_string().starts_with(REPEATED) {
            REPEATED
        } else {
            UNREADABLE
        }
    })
}

const UNREADABLE: &str = "cannot be read";
const REPEATED: &str = "has a member more than once (RFC 7519 §4)";
