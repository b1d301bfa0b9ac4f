//! Names of token types in a token exchange (RFC 8693 §3).

use std::borrow::Cow;
use std::fmt;

use tokenkeeper::Error;
use url::Url;

use crate::client_auth::check_text;
use crate::endpoint_url::config_error;
use crate::grant::Issues;

/// What a token is, by a URI (RFC 8693 §3).
///
/// # Examples
///
/// ```
/// use tokenkeeper_providers::TokenTypeUri;
///
/// assert_eq!(TokenTypeUri::JWT.as_str(), "urn:ietf:params:oauth:token-type:jwt");
/// let of_aws = TokenTypeUri::other("urn:ietf:params:aws:token-type:aws4_request");
/// assert_ne!(of_aws, TokenTypeUri::JWT);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TokenTypeUri(Cow<'static, str>);

impl TokenTypeUri {
    /// An access token, issued by the server that is asked.
    pub const ACCESS_TOKEN: Self = Self::of("urn:ietf:params:oauth:token-type:access_token");
    /// A refresh token, issued by the server that is asked.
    pub const REFRESH_TOKEN: Self = Self::of("urn:ietf:params:oauth:token-type:refresh_token");
    /// An id token (OpenID Connect Core §2).
    pub const ID_TOKEN: Self = Self::of("urn:ietf:params:oauth:token-type:id_token");
    /// A SAML 1.1 assertion, base64url-encoded.
    pub const SAML1: Self = Self::of("urn:ietf:params:oauth:token-type:saml1");
    /// A SAML 2.0 assertion, base64url-encoded.
    pub const SAML2: Self = Self::of("urn:ietf:params:oauth:token-type:saml2");
    /// A JWT, whatever it is for. Tokens of other servers are often handed in as that.
    pub const JWT: Self = Self::of("urn:ietf:params:oauth:token-type:jwt");

    /// A type that the service defines, an absolute URI.
    #[must_use]
    pub fn other(uri: impl Into<String>) -> Self {
        Self(Cow::Owned(uri.into()))
    }

    /// The URI.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    const fn of(uri: &'static str) -> Self {
        Self(Cow::Borrowed(uri))
    }

    pub(crate) fn check(&self, field: &str) -> Result<(), Error> {
        check_text(field, &self.as_str().into())?;
        if self.0.contains(char::is_whitespace) || Url::parse(&self.0).is_err() {
            return Err(config_error(field, "must be an absolute URI (RFC 8693 §3)"));
        }
        Ok(())
    }

    /// Whether a token that is issued as `issued` is what was asked for by this name. An access token
    /// may well be a JWT, and the name of the format say so.
    pub(crate) fn is_met_by(&self, issued: &str) -> bool {
        issued == self.as_str() || (*self == Self::ACCESS_TOKEN && issued == Self::JWT.as_str())
    }

    /// Whether tokens of this type go onto requests.
    pub(crate) fn issues(&self) -> Issues {
        if *self == Self::ACCESS_TOKEN {
            Issues::AccessToken
        } else if NOT_FOR_REQUESTS.contains(self) {
            Issues::AnotherToken
        } else {
            Issues::Any
        }
    }
}

impl fmt::Display for TokenTypeUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const NOT_FOR_REQUESTS: &[TokenTypeUri] = &[
    TokenTypeUri::REFRESH_TOKEN,
    TokenTypeUri::ID_TOKEN,
    TokenTypeUri::SAML1,
    TokenTypeUri::SAML2,
];
