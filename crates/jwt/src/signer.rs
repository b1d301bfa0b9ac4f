//! The seam between what is signed and where the key is.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use tokenkeeper::Error;

use crate::{HmacKey, SigningKey};

/// Signs, with a key in memory or in a key service that never gives it away.
///
/// # Contract
///
/// - The signature is that of a JWS (RFC 7518 §3): for ECDSA r and s one after the other at their
///   full length. Key services give DER; that has to be taken apart.
/// - It is asked within the time of a token request, must not block, and may be dropped at any moment.
///   A login or a question about a token, which no manager times, waits for it as long as it takes,
///   so the client of a key service needs a timeout of its own.
/// - Calls may be under way at the same time.
/// - Neither the key nor credentials of the key service show in an error or `Debug`.
/// - A key service that is away is an [`ErrorKind::Transport`](tokenkeeper::ErrorKind::Transport)
///   or [`Unavailable`](tokenkeeper::ErrorKind::Unavailable), after which the manager tries again; a
///   key that is gone is a [`Config`](tokenkeeper::ErrorKind::Config). The message names the key
///   service, because the reader sees it behind the name of the service that tokens are for.
/// - A wrapper forwards every method.
///
/// # Examples
///
/// ```
/// use tokenkeeper::{Error, ErrorKind, async_trait};
/// use tokenkeeper_jwt::{JwtAssertion, Signer};
/// use tokenkeeper_providers::ClientAuth;
///
/// #[derive(Debug)]
/// struct KeyService;
///
/// #[async_trait]
/// impl Signer for KeyService {
///     fn algorithm(&self) -> &str {
///         "PS256"
///     }
///
///     fn key_id(&self) -> Option<&str> {
///         Some("billing-2026")
///     }
///
///     async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
///         // self.client.sign(..).message(message).send().await …
///         Err(Error::new(ErrorKind::Unavailable, "the key service does not sign now"))
///     }
/// }
///
/// let auth = ClientAuth::assertion(JwtAssertion::for_client(KeyService));
/// ```
#[async_trait]
pub trait Signer: Debug + Send + Sync + 'static {
    /// `alg` of the header: a name of the JOSE registry, other than `none`.
    fn algorithm(&self) -> &str;

    /// `kid` of the header, by which the server finds the key.
    fn key_id(&self) -> Option<&str>;

    /// The signature of a message.
    ///
    /// # Errors
    ///
    /// What keeps it from being signed. The token request ends with that error; nothing was sent.
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error>;
}

#[async_trait]
impl Signer for SigningKey {
    fn algorithm(&self) -> &str {
        self.algorithm().as_str()
    }

    fn key_id(&self) -> Option<&str> {
        self.key_id()
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.sign(message)
    }
}

#[async_trait]
impl Signer for HmacKey {
    fn algorithm(&self) -> &str {
        self.algorithm()
    }

    fn key_id(&self) -> Option<&str> {
        self.key_id()
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(self.sign(message))
    }
}

macro_rules! forward_signer {
    ($($pointer:ident),*) => {$(
        #[async_trait]
        impl<T: Signer + ?Sized> Signer for $pointer<T> {
            fn algorithm(&self) -> &str {
                (**self).algorithm()
            }

            fn key_id(&self) -> Option<&str> {
                (**self).key_id()
            }

            async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
                (**self).sign(message).await
            }
        }
    )*};
}

forward_signer!(Arc, Box);
