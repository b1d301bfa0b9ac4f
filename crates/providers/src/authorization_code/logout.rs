//! Where to send the browser of a person who logs out (OpenID Connect RP-Initiated Logout 1.0).
//!
//! Tokens that are dropped or revoked leave the person's session at the server as it is: the next
//! login asks for no password. Only the browser can end that, because the session is a cookie in it.

use tokenkeeper::{Error, ErrorKind, Secret, TokenSet};

use super::login::AuthorizationCodeLogin;
use super::redirect_uri::check_redirect_uri;
use crate::client_auth::check_text;

impl AuthorizationCodeLogin {
    /// The URL that ends the session of a person at the server (RP-Initiated Logout 1.0 §2). Send the
    /// browser there after [`clear`](tokenkeeper::TokenManager::clear) or
    /// [`revoke`](tokenkeeper::TokenManager::revoke).
    ///
    /// `tokens` are those of the person, whose id token goes along as `id_token_hint`, so that most
    /// servers ask no question; without one the server asks. `return_to` is where the browser comes
    /// back to (`post_logout_redirect_uri`), which has to be registered; `state` comes back with it.
    ///
    /// The URL has the id token in it, and belongs in no log.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] if the builder was given no
    /// [`end_session_url`](crate::AuthorizationCodeLoginBuilder::end_session_url);
    /// [`ErrorKind::Config`] if the URI to return to is none, or if there is a state without one.
    ///
    /// # Examples
    ///
    /// ```
    /// use tokenkeeper::TokenSet;
    /// use tokenkeeper_providers::{AuthorizationCodeLogin, ClientAuth};
    ///
    /// # #[cfg(feature = "reqwest")] {
    /// let login = AuthorizationCodeLogin::builder("calendar", "https://as/authorize", "https://as/token")
    ///     .client("web", ClientAuth::basic("hunter2"))
    ///     .end_session_url("https://as/logout")
    ///     .build()?;
    /// let tokens = TokenSet::from_refresh_token("rt-1").with_id_token("header.claims.signature");
    /// let url = login.logout_url(&tokens, Some("https://app.example.org/bye"), None)?;
    /// assert!(url.expose_secret().starts_with("https://as/logout?client_id=web&id_token_hint=header"));
    /// # }
    /// # Ok::<(), tokenkeeper::Error>(())
    /// ```
    pub fn logout_url(
        &self,
        tokens: &TokenSet,
        return_to: Option<&str>,
        state: Option<&Secret>,
    ) -> Result<Secret, Error> {
        self.logout_url_checked(tokens, return_to, state)
            .map_err(|error| self.endpoint.located(error))
    }

    fn logout_url_checked(
        &self,
        tokens: &TokenSet,
        return_to: Option<&str>,
        state: Option<&Secret>,
    ) -> Result<Secret, Error> {
        let Some(url) = &self.end_session_url else {
            let what = "the server names no end session endpoint, so no browser can be sent there";
            return Err(Error::new(ErrorKind::Unsupported, what)
                .with_advice("give the builder the end_session_url(..) if there is one"));
        };
        if let Some(uri) = return_to {
            check_redirect_uri(uri, self.settings.allow_http)?;
        }
        if let Some(state) = state {
            check_text("state", state)?;
            if return_to.is_none() {
                let what =
                    "state: comes back with the browser alone, and there is no URI to return to";
                return Err(Error::new(ErrorKind::Config, what)
                    .with_advice("give the URI to return to, or no state"));
            }
        }
        let mut url = url.url().clone();
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("client_id", &self.endpoint.client_id);
            let id_token = tokens.id_token().map(|token| ("id_token_hint", token.expose_secret()));
            query.extend_pairs(id_token);
            query.extend_pairs(return_to.map(|uri| ("post_logout_redirect_uri", uri)));
            query.extend_pairs(state.map(|state| ("state", state.expose_secret())));
        }
        Ok(Secret::from(String::from(url)))
    }
}
