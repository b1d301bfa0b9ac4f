//! Where the tokens come from that are handed in for others.

use std::fmt::Debug;

use tokenkeeper::{Error, Secret, TokenManager, async_trait};

/// Brings the token that is to be exchanged: a [`TokenManager`], a fixed [`Secret`], or whatever
/// reads it from a file or asks somebody.
///
/// # Contract
///
/// - Asked once for every exchange, within the time of the attempt. It must not block.
/// - All of its tokens are of the same subject.
/// - Its errors hold no secret.
///
/// # Examples
///
/// ```
/// use tokenkeeper::{Error, ErrorKind, Secret, async_trait};
/// use tokenkeeper_providers::TokenSource;
///
/// #[derive(Debug)]
/// struct ServiceAccount(std::path::PathBuf);
///
/// #[async_trait]
/// impl TokenSource for ServiceAccount {
///     async fn token(&self) -> Result<Secret, Error> {
///         let text = std::fs::read_to_string(&self.0); // a few bytes; a real one does not block
///         let text = text.map_err(|cause| {
///             Error::new(ErrorKind::Transport, "the token file is gone").with_source(cause)
///         })?;
///         Ok(Secret::from(text.trim()))
///     }
/// }
/// ```
#[async_trait]
pub trait TokenSource: Debug + Send + Sync + 'static {
    /// The token as it is now.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from being there. The exchange ends with that error; nothing was sent.
    async fn token(&self) -> Result<Secret, Error>;
}

/// The same token every time.
#[async_trait]
impl TokenSource for Secret {
    async fn token(&self) -> Result<Secret, Error> {
        Ok(self.clone())
    }
}

/// The manager's access token, fresh. If its login is over, the exchange ends with the error of
/// that, which names the service where somebody has to log in.
#[async_trait]
impl TokenSource for TokenManager {
    async fn token(&self) -> Result<Secret, Error> {
        Ok(Self::token(self).await?.secret().clone())
    }
}
