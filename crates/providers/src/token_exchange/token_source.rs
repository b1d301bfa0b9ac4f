//! Where the tokens come from that are handed in for others.

use std::fmt::Debug;
use std::sync::Arc;

use tokenkeeper::{Error, Secret, TokenManager, async_trait};

/// Brings the token that is to be exchanged: a [`TokenManager`], a fixed [`Secret`], or code that
/// reads it from a file or asks another service.
///
/// # Contract
///
/// - Asked once for every exchange, within the time of the attempt. It must not block.
/// - All of its tokens are of the same subject.
/// - Its errors hold no secret.
/// - A wrapper forwards every method.
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

    /// Another token in the place of one that the server refused, although it has not expired: it may
    /// have been revoked. `None` if there is no other. Asked once for each exchange that is refused,
    /// within the time of the attempt; with another token the exchange is made once more.
    ///
    /// # Default
    ///
    /// None.
    ///
    /// # Errors
    ///
    /// Those of [`token`](Self::token). The caller gets the refusal then.
    async fn replace_refused(&self, refused: &Secret) -> Result<Option<Secret>, Error> {
        let _ = refused;
        Ok(None)
    }
}

macro_rules! forward_token_source {
    ($($pointer:ident),*) => {$(
        #[async_trait]
        impl<T: TokenSource + ?Sized> TokenSource for $pointer<T> {
            async fn token(&self) -> Result<Secret, Error> {
                (**self).token().await
            }

            async fn replace_refused(&self, refused: &Secret) -> Result<Option<Secret>, Error> {
                (**self).replace_refused(refused).await
            }
        }
    )*};
}

forward_token_source!(Arc, Box);

/// The same token every time.
#[async_trait]
impl TokenSource for Secret {
    async fn token(&self) -> Result<Secret, Error> {
        Ok(self.clone())
    }
}

/// The manager's access token, fresh. If its login is over, the exchange ends with the error of
/// that, which names the service that needs a new login.
#[async_trait]
impl TokenSource for TokenManager {
    async fn token(&self) -> Result<Secret, Error> {
        Ok(Self::token(self).await?.secret().clone())
    }

    /// The newest token, if it is another one by now; else the manager is told that it was
    /// [rejected](Self::replace_rejected).
    async fn replace_refused(&self, refused: &Secret) -> Result<Option<Secret>, Error> {
        let token = Self::token(self).await?;
        if !token.secret().ct_eq(refused) {
            return Ok(Some(token.secret().clone()));
        }
        let other = self.replace_rejected(&token).await?;
        Ok(other.map(|token| token.secret().clone()))
    }
}
