//! What [`force_refresh`](crate::TokenManager::force_refresh) gives.

use std::ops::Deref;
use std::sync::Arc;

use crate::access_token::AccessToken;

/// The newest token, and whether the service was asked for it.
///
/// It derefs to the token.
#[derive(Clone, Debug)]
pub struct Refreshed {
    token: Arc<AccessToken>,
    is_new: bool,
}

impl Refreshed {
    pub(crate) fn requested(token: Arc<AccessToken>) -> Self {
        Self { token, is_new: true }
    }

    pub(crate) fn unchanged(token: Arc<AccessToken>) -> Self {
        Self { token, is_new: false }
    }

    /// Whether the token came from a token request. `false` within the
    /// [minimum interval](crate#the-minimum-interval), and while requests for rejected tokens are
    /// paused: then it is the one that was there.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// The token.
    #[must_use]
    pub fn token(&self) -> &Arc<AccessToken> {
        &self.token
    }

    /// The token alone.
    #[must_use]
    pub fn into_token(self) -> Arc<AccessToken> {
        self.token
    }
}

impl Deref for Refreshed {
    type Target = Arc<AccessToken>;

    fn deref(&self) -> &Self::Target {
        &self.token
    }
}
