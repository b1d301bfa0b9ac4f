//! How a session comes by a login.

use std::sync::Arc;

use tokenkeeper::{AccessToken, Error, ErrorKind, TokenManager, TokenManagerBuilder};

use super::{Login, Session};
use crate::SERVICE_NAME;
use crate::credentials::Credentials;
use crate::provider::MangadexProvider;

impl Session {
    /// Logs in with the password, whatever tokens there are: the only call that proves it.
    ///
    /// # Errors
    ///
    /// As [`TokenManager::login`]; [`ErrorKind::LoginRequired`] in a session without a password,
    /// and in an anonymous one with [`Unauthorized`](crate::Unauthorized) as its source.
    pub async fn login(&self) -> Result<Arc<AccessToken>, Error> {
        self.login_of()?.manager.login().await
    }

    /// Logs in with these credentials at MangaDex, in an anonymous session, and keeps the tokens in
    /// memory. The session and all its clones are the user's from then on.
    ///
    /// # Errors
    ///
    /// As [`log_in_with`](Self::log_in_with).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use tokenkeeper_mangadex::{Credentials, Session};
    ///
    /// # async fn run() -> Result<(), tokenkeeper::Error> {
    /// let session = Session::anonymous(); // … and later, when there is a user:
    /// session.log_in_as("personal-client-1:client secret:alice:hunter2".parse()?).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn log_in_as(&self, credentials: Credentials) -> Result<Arc<AccessToken>, Error> {
        self.log_in_with(MangadexProvider::builder(credentials).build()?, |manager| manager).await
    }

    /// The same with a provider and a manager of the caller's own: another realm, a storage, a clock.
    ///
    /// The password is sent, whatever tokens the storage has. If it is refused, the session stays
    /// anonymous.
    ///
    /// # Errors
    ///
    /// As [`TokenManager::login`] and [`TokenManagerBuilder::build`]; [`ErrorKind::Config`] if the
    /// session has a login, whose user must be logged out first.
    ///
    /// # Cancel safety
    ///
    /// The login runs to its end, but the session stays anonymous.
    pub async fn log_in_with(
        &self,
        provider: MangadexProvider,
        configure: impl FnOnce(TokenManagerBuilder) -> TokenManagerBuilder,
    ) -> Result<Arc<AccessToken>, Error> {
        if !self.is_anonymous() {
            return Err(has_a_login());
        }
        let provider = Arc::new(provider);
        let manager = configure(TokenManager::builder(Arc::clone(&provider))).build()?;
        let token = manager.login().await?;
        let mut login = self.login.write();
        if login.is_some() {
            provider.end(); // another call was faster
            return Err(has_a_login());
        }
        *login = Some(Login { provider, manager });
        Ok(token)
    }
}

fn has_a_login() -> Error {
    Error::new(ErrorKind::Config, "the session has a login already")
        .with_advice("call `logout` or `forget` before another user logs in")
        .at_service(SERVICE_NAME)
}
