//! What an id token says, for those who want to know who logged in.

use std::fmt;

use serde_json::Value;
use tokenkeeper::TokenSet;

use crate::id_token::IdToken;

/// The claims of the id token of a login (OpenID Connect Core §2).
///
/// They are read here, and checked by [`finish`](crate::AuthorizationCodeLogin::finish): take them
/// from the tokens that it returned, and from no others.
pub struct IdTokenClaims(IdToken);

impl IdTokenClaims {
    /// Those of these tokens; `None` if there is no id token, or none that can be read.
    #[must_use]
    pub fn of(tokens: &TokenSet) -> Option<Self> {
        tokens.id_token().and_then(IdToken::read).map(Self)
    }

    /// `sub`: who logged in, by a name that the server gives to nobody else. Names and addresses
    /// change; this does not.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.0.text("sub")
    }

    /// Any claim, such as `email` or `name`.
    #[must_use]
    pub fn claim(&self, name: &str) -> Option<&Value> {
        self.0.claim(name)
    }
}

/// They are about a person, so nothing is shown.
impl fmt::Debug for IdTokenClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdTokenClaims(…)")
    }
}
