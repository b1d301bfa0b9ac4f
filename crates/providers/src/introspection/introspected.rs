//! What a server says of a token (RFC 7662 §2.2).

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};
use tokenkeeper::{Error, ErrorKind, Scopes};

use crate::members::Members;

/// The answer to a question about a token. One that is not [`active`](Self::active) says nothing
/// else, whatever was in the answer (RFC 7662 §2.2).
#[derive(Clone, Default)]
pub struct Introspected {
    active: bool,
    scopes: Scopes,
    client_id: Option<String>,
    username: Option<String>,
    token_type: Option<String>,
    expires_at: Option<SystemTime>,
    issued_at: Option<SystemTime>,
    not_before: Option<SystemTime>,
    subject: Option<String>,
    audience: Vec<String>,
    issuer: Option<String>,
    id: Option<String>,
    extra: Map<String, Value>,
}

impl Introspected {
    /// Reads an answer. Only `active` has to be there; a member of another type than it should have
    /// counts as absent. But an end or a beginning that cannot be read is refused: without it the
    /// answer would be taken for one that holds for ever.
    pub(crate) fn read(body: &[u8]) -> Result<Self, Error> {
        let wrong = |what: &str| {
            Error::new(ErrorKind::InvalidResponse, format!("the answer {what}"))
                .with_advice("check that the URL is that of an introspection endpoint")
        };
        let Some(mut members) = Members::from_json(body) else {
            return Err(wrong("about a token is no JSON object (RFC 7662 §2.2)"));
        };
        match members.take("active") {
            Some(Value::Bool(true)) => {}
            Some(Value::Bool(false)) => return Ok(Self::default()),
            _ => return Err(wrong("does not say whether the token is active (RFC 7662 §2.2)")),
        }
        let words = members.take_text("scope").unwrap_or_default();
        Ok(Self {
            active: true,
            scopes: Scopes::from_response(words.split_whitespace()),
            client_id: members.take_text("client_id"),
            username: members.take_text("username"),
            token_type: members.take_text("token_type"),
            expires_at: limit(&mut members, "exp").map_err(wrong)?,
            issued_at: members.take("iat").as_ref().and_then(point_in_time),
            not_before: limit(&mut members, "nbf").map_err(wrong)?,
            subject: members.take_text("sub"),
            audience: members.take("aud").map(texts).unwrap_or_default(),
            issuer: members.take_text("iss"),
            id: members.take_text("jti"),
            extra: members.into_rest(),
        })
    }

    /// Whether the token is good now, for the server: issued by it, not expired, not revoked.
    #[must_use]
    pub fn active(&self) -> bool {
        self.active
    }

    /// `scope`: what the token allows. Empty if the answer does not say.
    #[must_use]
    pub fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    /// `client_id`: the client that the token was issued to.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    /// `username`: a name for people. To tell users apart, take [`subject`](Self::subject).
    #[must_use]
    pub fn username(&self) -> Option<&str> {
        self.username.as_deref()
    }

    /// `token_type` (RFC 6749 §7.1).
    #[must_use]
    pub fn token_type(&self) -> Option<&str> {
        self.token_type.as_deref()
    }

    /// `exp`: when the token ends, and with it whatever was kept of this answer.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.expires_at
    }

    /// `iat`: when the token was issued.
    #[must_use]
    pub fn issued_at(&self) -> Option<SystemTime> {
        self.issued_at
    }

    /// `nbf`: before when the token must not be used.
    #[must_use]
    pub fn not_before(&self) -> Option<SystemTime> {
        self.not_before
    }

    /// `sub`: on whose behalf the token was issued.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// `aud`: for whom the token is. An API checks that it is one of them. Empty if the answer does
    /// not say.
    pub fn audience(&self) -> impl ExactSizeIterator<Item = &str> {
        self.audience.iter().map(String::as_str)
    }

    /// `iss`: who issued the token.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// `jti`: the name of the token.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Members that have no method here, such as `cnf` (RFC 8705 §3.2).
    #[must_use]
    pub fn extra(&self) -> &Map<String, Value> {
        &self.extra
    }
}

/// Only what tells nothing about a person.
impl fmt::Debug for Introspected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Introspected")
            .field("active", &self.active)
            .field("client_id", &self.client_id)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// A point in time that must not be missed if it is there.
fn limit(members: &mut Members, name: &str) -> Result<Option<SystemTime>, &'static str> {
    match members.take(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => point_in_time(&value).map(Some).ok_or(if name == "exp" {
            "about a token has an `exp` that is not a number of seconds since 1970 (RFC 7662 §2.2)"
        } else {
            "about a token has an `nbf` that is not a number of seconds since 1970 (RFC 7662 §2.2)"
        }),
    }
}

/// Seconds since 1970, as a number or as text, with or without a fraction, which is cut off. What is
/// before 1970 is as good as 1970. Nothing for what is beyond the system's range.
fn point_in_time(value: &Value) -> Option<SystemTime> {
    let seconds = value.as_u64().or_else(|| {
        let seconds = match value {
            Value::String(text) => text.trim().parse().ok()?,
            number => number.as_f64()?,
        };
        // The conversion stops at the ends of its range; what is no number is none.
        (!f64::is_nan(seconds)).then_some(seconds.max(0.0) as u64)
    })?;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// One text, or those in a list.
fn texts(value: Value) -> Vec<String> {
    let text = |value| match value {
        Value::String(text) => Some(text),
        _ => None,
    };
    match value {
        Value::Array(items) => items.into_iter().filter_map(text).collect(),
        one => text(one).into_iter().collect(),
    }
}
