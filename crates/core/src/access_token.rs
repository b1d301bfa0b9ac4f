//! What callers get: one access token, its header and its expiry. Never the refresh token.

use std::fmt;
use std::time::SystemTime;

use bytes::Bytes;
use http::HeaderValue;
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind};
use crate::scopes::Scopes;
use crate::secret::Secret;

/// An access token that a service issued, ready to be attached to requests.
///
/// The manager hands it out as `Arc<AccessToken>`. It is opaque (RFC 9068 §6): nothing here looks
/// into it.
#[derive(Clone)]
pub struct AccessToken {
    secret: Secret,
    authorization: HeaderValue,
    token_type: Box<str>,
    expires_at: Option<SystemTime>,
    scopes: Scopes,
}

impl AccessToken {
    /// A token of the given type (RFC 6749 §7.1); bearer tokens (RFC 6750) are `Bearer`, in any
    /// letter case.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidResponse`] if the secret is empty or has control characters, or if the
    /// type is not an RFC 7230 token: neither could be sent in a header.
    pub fn new(secret: impl Into<Secret>, token_type: &str) -> Result<Self, Error> {
        let secret = secret.into();
        if secret.is_empty() {
            return Err(Error::new(ErrorKind::InvalidResponse, "the access token is empty"));
        }
        if !is_http_token(token_type) {
            let what = "the token type is not a word that fits into a header";
            return Err(Error::new(ErrorKind::InvalidResponse, what));
        }
        let is_bearer = token_type.eq_ignore_ascii_case(BEARER);
        let token_type = if is_bearer { BEARER } else { token_type };
        let authorization = authorization(token_type, &secret)?;
        let token_type = token_type.into();
        Ok(Self { secret, authorization, token_type, expires_at: None, scopes: Scopes::default() })
    }

    pub(crate) fn expiring(mut self, expires_at: Option<SystemTime>) -> Self {
        self.expires_at = expires_at;
        self
    }

    pub(crate) fn scoped(mut self, scopes: Scopes) -> Self {
        self.scopes = scopes;
        self
    }

    /// The token itself.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// The value of the `Authorization` header: type, space, token (RFC 6750 §2.1).
    ///
    /// Built once and marked sensitive; a clone shares the bytes and does not allocate. They are
    /// overwritten when the last clone is dropped.
    #[must_use]
    pub fn authorization(&self) -> HeaderValue {
        self.authorization.clone()
    }

    /// The type as it goes onto the wire; `Bearer` however the service spelled it.
    #[must_use]
    pub fn token_type(&self) -> &str {
        &self.token_type
    }

    /// Whether this is a bearer token (RFC 6750).
    #[must_use]
    pub fn is_bearer(&self) -> bool {
        &*self.token_type == BEARER
    }

    /// When the service said that the token ends, counted from the moment the request was sent.
    ///
    /// `None` when the service gave no lifetime.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.expires_at
    }

    /// What was granted (RFC 6749 §3.3). Empty when neither the request nor the answer named any.
    #[must_use]
    pub fn scopes(&self) -> &Scopes {
        &self.scopes
    }
}

/// Scopes are counted: they are what a service wrote, and some repeat what they were sent.
impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken")
            .field("secret", &self.secret)
            .field("token_type", &self.token_type)
            .field("expires_at", &self.expires_at)
            .field("scopes", &self.scopes.iter().len())
            .finish_non_exhaustive()
    }
}

fn authorization(token_type: &str, secret: &Secret) -> Result<HeaderValue, Error> {
    let mut line =
        Zeroizing::new(Vec::with_capacity(token_type.len() + 1 + secret.expose_secret().len()));
    line.extend_from_slice(token_type.as_bytes());
    line.push(b' ');
    line.extend_from_slice(secret.expose_secret().as_bytes());
    // `from_owner` keeps the zeroizing vector, so the last clone of the header overwrites it.
    let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(line)).map_err(|_| {
        Error::new(ErrorKind::InvalidResponse, "the access token has control characters in it")
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// RFC 7230 §3.2.6.
fn is_http_token(text: &str) -> bool {
    const MARKS: &[u8] = b"!#$%&'*+-.^_`|~";
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || MARKS.contains(&b))
}

const BEARER: &str = "Bearer";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bearer_is_spelled_as_the_standard_does_whatever_the_service_says() {
        let token = AccessToken::new("abc", "bEARER").unwrap();

        assert_eq!(token.authorization(), "Bearer abc");
        assert!(token.is_bearer());
    }

    #[test]
    fn a_token_of_another_type_is_never_presented_as_bearer() {
        let token = AccessToken::new("abc", "DPoP").unwrap();

        assert_eq!(token.authorization(), "DPoP abc");
        assert!(!token.is_bearer());
    }

    #[test]
    fn what_does_not_fit_into_a_header_is_refused_and_not_shown() {
        for secret in ["", "a\nb", "a\r\nX-Evil: 1", "a\0b"] {
            let error = AccessToken::new(secret, "Bearer").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidResponse);
            assert!(!format!("{error} {error:?}").contains("Evil"));
        }
        assert!(AccessToken::new("abc", "Bea rer").is_err());
        assert!(AccessToken::new("abc", "").is_err());
    }

    #[test]
    fn debug_and_the_header_hide_the_token() {
        let token = AccessToken::new("hunter2", "Bearer").unwrap();

        let shown = format!("{token:?} {:?}", token.authorization());

        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
