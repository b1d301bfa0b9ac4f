//! Bearer tokens in the `Authorization` header (RFC 6750 §2.1).

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, StatusCode};
use tokenkeeper::{AccessToken, Error, ErrorKind};

use crate::presenter::{Presenter, Reaction};
use crate::target::Target;

/// `Authorization: Bearer …` (RFC 6750 §2.1). A 401 means that the token was rejected, unless its
/// challenge says otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bearer(());

impl Bearer {
    /// The usual way.
    #[must_use]
    pub const fn new() -> Self {
        Self(())
    }
}

impl Presenter for Bearer {
    fn header(&self) -> &HeaderName {
        const { &AUTHORIZATION }
    }

    fn present(
        &self,
        token: &AccessToken,
        _target: &Target<'_>,
        headers: &mut HeaderMap,
    ) -> Result<(), Error> {
        if !token.is_bearer() {
            return Err(not_bearer(token));
        }
        headers.insert(AUTHORIZATION, token.authorization());
        Ok(())
    }

    fn on_challenge(
        &self,
        _target: &Target<'_>,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Reaction {
        Reaction::usual(status, headers)
    }
}

/// A token that must be presented in another way must not be passed off as a bearer token: without
/// its proof it would be refused, and whoever sees it learns it.
pub(crate) fn not_bearer(token: &AccessToken) -> Error {
    let what = format!(
        "the service issued a token of the type {}, which is not presented as a bearer token \
         (RFC 6749 §7.1)",
        token.token_type()
    );
    Error::new(ErrorKind::Unsupported, what).with_advice(
        "give the route a presenter for that type, or ask the service for bearer tokens",
    )
}
