//! What one login asks for besides what all logins ask for.

use std::fmt;

/// The options of one login, for
/// [`begin_with`](crate::AuthorizationCodeLogin::begin_with). Checked there.
///
/// # Examples
///
/// ```
/// use tokenkeeper_providers::AuthorizationRequest;
///
/// let request = AuthorizationRequest::new()
///     .scopes(["calendar.write"])
///     .login_hint("alice@example.org")
///     .extra_parameter("prompt", "consent");
/// assert!(!format!("{request:?}").contains("alice"));
/// ```
#[derive(Clone, Default)]
pub struct AuthorizationRequest {
    pub(super) redirect_uri: Option<String>,
    pub(super) scopes: Vec<String>,
    pub(super) parameters: Vec<(String, String)>,
}

impl AuthorizationRequest {
    /// Asks for what every login asks for.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Where this login comes back to, in the place of the builder's: the port of a loopback
    /// listener is known late (RFC 8252 §7.3).
    #[must_use]
    pub fn redirect_uri(mut self, uri: impl Into<String>) -> Self {
        self.redirect_uri = Some(uri.into());
        self
    }

    /// Scopes to ask for besides those of the builder, one per item. Called again, it replaces them.
    #[must_use]
    pub fn scopes<I, S>(mut self, scopes: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// `login_hint`: who is expected to log in (OpenID Connect Core §3.1.2.1).
    #[must_use]
    pub fn login_hint(self, hint: impl Into<String>) -> Self {
        self.extra_parameter("login_hint", hint)
    }

    /// A parameter of the authorization request that has no setter, such as `prompt` or
    /// `access_type`. It takes the place of one of the same name in
    /// [`authorization_parameter`](crate::AuthorizationCodeLoginBuilder::authorization_parameter).
    /// Parameters of the protocol are refused.
    ///
    /// Many servers issue a refresh token for the scope `offline_access` only with `prompt=consent`
    /// (OpenID Connect Core §11). It is not sent by itself, because it shows people a page at every
    /// login, and other servers do without.
    #[must_use]
    pub fn extra_parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.parameters.push((name.into(), value.into()));
        self
    }
}

/// Values may name a person, so they are counted.
impl fmt::Debug for AuthorizationRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationRequest")
            .field("redirect_uri", &self.redirect_uri.is_some())
            .field("scopes", &self.scopes)
            .field("parameters", &self.parameters.len())
            .finish()
    }
}
