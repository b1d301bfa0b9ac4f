//! What the API itself says of the session.

use tokenkeeper::Error;

use super::{Login, Session};

impl Session {
    /// Asks the API whether it takes the session's token (`GET /auth/check`), and acts upon the
    /// answer: a token that it does not take is replaced, and if it does not take the new one
    /// either, the session is [forgotten](Self::forget) and anonymous. Nothing is sent in an
    /// anonymous session.
    ///
    /// The request goes out by the provider's transport, to its
    /// [API origin](crate::MangadexProviderBuilder::api_origin); it is not counted by a rate limit of
    /// your API client.
    ///
    /// # Errors
    ///
    /// As [`token`](Self::token); those of the transport; [`ErrorKind::Unavailable`](tokenkeeper::ErrorKind::Unavailable)
    /// and [`ErrorKind::InvalidResponse`](tokenkeeper::ErrorKind::InvalidResponse) where the API says neither yes nor no. The session stays as it
    /// is then.
    pub async fn is_authenticated(&self) -> Result<bool, Error> {
        let login = self.login.read().clone();
        let Some(Login { provider, manager }) = login else { return Ok(false) };
        let token = manager.token().await?;
        if provider.api().takes(&token).await? {
            return Ok(true);
        }
        if let Some(other) = manager.replace_rejected(&token).await?
            && provider.api().takes(&other).await?
        {
            return Ok(true);
        }
        self.forget().await?;
        Ok(false)
    }
}
