//! The newest tokens, and how they stand.

use std::sync::Arc;
use std::time::Duration;

use super::lifetimes::Lifetime;
use crate::access_token::AccessToken;
use crate::clock::Now;
use crate::secret::Secret;
use crate::token_set::TokenSet;

/// The newest tokens of a manager.
#[derive(Clone, Debug)]
pub(crate) struct CurrentTokens {
    pub(super) tokens: Arc<TokenSet>,
    pub(super) life: Lifetime,
    /// They came from a token request of this manager.
    pub(super) is_issued: bool,
    pub(super) published_at: Now,
    pub(super) rejected: Option<Age>,
}

/// How old a token was when a resource server rejected it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    /// Rejected within minutes of being published.
    Young,
    Old,
}

impl CurrentTokens {
    pub(crate) fn tokens(&self) -> &Arc<TokenSet> {
        &self.tokens
    }

    pub(crate) fn token(&self) -> Option<&Arc<AccessToken>> {
        self.tokens.access_token()
    }

    pub(crate) fn refresh_token(&self) -> Option<&Secret> {
        self.tokens.refresh_token()
    }

    pub(crate) fn is_rejected(&self) -> bool {
        self.rejected.is_some()
    }

    /// Whether neither clock has reached the end of the access token.
    pub(crate) fn is_alive(&self, now: Now) -> bool {
        !now.has_reached(&self.life.expiry)
    }

    /// Whether the access token is good for that long; one of unknown life is good for any time.
    pub(crate) fn leaves(&self, now: Now, at_least: Duration) -> bool {
        self.life.is_unknown() || now.until(&self.life.expiry) >= at_least
    }

    pub(crate) fn holds(&self, token: &AccessToken) -> bool {
        self.token().is_some_and(|current| same_token(current, token))
    }
}

/// Whether both are the same secret: pointer first, then without telling where they differ.
pub(crate) fn same_token(a: &AccessToken, b: &AccessToken) -> bool {
    std::ptr::eq(a, b) || a.secret().ct_eq(b.secret())
}
