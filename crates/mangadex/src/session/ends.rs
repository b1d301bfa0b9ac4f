//! The four ways to end a session.

use std::sync::Arc;

use tokenkeeper::Error;

use super::{Login, Session};

impl Session {
    /// Tells MangaDex to revoke the tokens, then clears them. Without a login there is nothing to
    /// do.
    ///
    /// # Errors
    ///
    /// As [`TokenManager::revoke`](tokenkeeper::TokenManager::revoke). If MangaDex could not be told, nothing has changed.
    pub async fn revoke(&self) -> Result<(), Error> {
        match self.manager() {
            Some(manager) => manager.revoke().await,
            None => Ok(()),
        }
    }

    /// Clears the tokens, here and in the storage. They stay good for whoever has a copy.
    ///
    /// # Errors
    ///
    /// As [`TokenManager::clear`](tokenkeeper::TokenManager::clear): memory is empty all the same.
    pub async fn clear(&self) -> Result<(), Error> {
        match self.manager() {
            Some(manager) => manager.clear().await,
            None => Ok(()),
        }
    }

    /// Revokes the tokens, clears them, and drops the credentials: the session is anonymous.
    ///
    /// # Errors
    ///
    /// As [`revoke`](Self::revoke). If MangaDex could not be told, nothing has changed and the
    /// session goes on: call this again, or [`forget`](Self::forget) it.
    ///
    /// # Cancel safety
    ///
    /// The revocation runs to its end, but the credentials may stay.
    pub async fn logout(&self) -> Result<(), Error> {
        let provider = self.login.read().as_ref().map(|login| Arc::clone(&login.provider));
        // Whoever asks for a token between the revocation and the end must not log in once more.
        let _leaving = provider.as_ref().map(|provider| provider.leave());
        self.revoke().await?;
        self.forget().await
    }

    /// Clears the tokens and drops the credentials without telling MangaDex: the session is
    /// anonymous. For an API that answers `isAuthenticated: false`, and for whoever wants to go
    /// on as nobody.
    ///
    /// # Errors
    ///
    /// As [`TokenManager::clear`](tokenkeeper::TokenManager::clear): the session is anonymous all the same, and the storage is
    /// written later.
    pub async fn forget(&self) -> Result<(), Error> {
        let login = self.login.write().take();
        let Some(Login { provider, manager }) = login else { return Ok(()) };
        // Before the tokens go, so that nobody who waits for one logs in again.
        provider.end();
        manager.clear().await
    }
}
