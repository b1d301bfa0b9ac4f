//! Sessions that go on with a refresh token from an earlier login.

use tokenkeeper::{Error, ErrorKind, Secret, TokenSet};

use super::Session;
use crate::SERVICE_NAME;

impl Session {
    /// The refresh token as it is now, for programs that keep it somewhere of their own; see
    /// [`TokenManager::tokens`](tokenkeeper::TokenManager::tokens).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn refresh_token(&self) -> Result<Option<Secret>, Error> {
        match self.manager() {
            Some(manager) => {
                let tokens = manager.tokens().await?;
                Ok(tokens.and_then(|tokens| tokens.refresh_token().cloned()))
            }
            None => Ok(None),
        }
    }

    /// Goes on with a refresh token from an earlier login, unless the session has tokens already, in
    /// memory or in its storage: for the one that a program is given at its start, and that is spent
    /// and replaced soon after. Returns whether it was installed. The next call that needs a token
    /// spends it.
    ///
    /// See [`TokenManager::install_if_absent`](tokenkeeper::TokenManager::install_if_absent) for what
    /// counts as tokens.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if it is empty; [`ErrorKind::LoginRequired`] in an anonymous session;
    /// else as [`TokenManager::install_if_absent`](tokenkeeper::TokenManager::install_if_absent).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use tokenkeeper_mangadex::{MangadexProvider, PersonalClient, Session};
    ///
    /// # async fn run(storage: tokenkeeper::MemoryStorage) -> Result<(), tokenkeeper::Error> {
    /// let client = PersonalClient::new("personal-client-1", "client secret")?;
    /// let provider = MangadexProvider::refresh_only(client, "alice").build()?;
    /// let session = Session::configured(provider, |manager| manager.storage(storage))?;
    /// session.install_refresh_token("from an earlier login").await?; // at every start
    /// # Ok(())
    /// # }
    /// ```
    pub async fn install_refresh_token(&self, token: impl Into<Secret>) -> Result<bool, Error> {
        let tokens = only(token.into())?;
        self.login_of()?.manager.install_if_absent(tokens).await
    }

    /// Goes on with a refresh token from an earlier login, in the place of all tokens that are there.
    ///
    /// Dangerous at the start of a program: after a restart it would put the spent token in the place
    /// of its successor, and the realm may end the login when it sees it again. It is for a token of
    /// another login than the one before.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if it is empty; [`ErrorKind::LoginRequired`] in an anonymous session;
    /// else as [`TokenManager::install`](tokenkeeper::TokenManager::install).
    pub async fn danger_replace_refresh_token(
        &self,
        token: impl Into<Secret>,
    ) -> Result<(), Error> {
        let tokens = only(token.into())?;
        self.login_of()?.manager.install(tokens).await
    }
}

fn only(token: Secret) -> Result<TokenSet, Error> {
    if token.is_empty() {
        let what = "refresh token: must not be empty";
        return Err(Error::new(ErrorKind::Config, what).at_service(SERVICE_NAME));
    }
    Ok(TokenSet::from_refresh_token(token))
}
