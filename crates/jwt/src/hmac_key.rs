//! A secret that signs, and that the verifier must have too.

use std::fmt;

use aws_lc_rs::hmac;
use tokenkeeper::Error;

use crate::key_error;

/// A shared secret, and the hash that it signs with (RFC 7518 §3.2).
///
/// A type of its own, because nothing that proves possession of a key to others may be signed with
/// it. It is overwritten when dropped.
///
/// # Examples
///
/// ```
/// use tokenkeeper_jwt::HmacKey;
///
/// assert!(HmacKey::hs256(b"a secret that is long enough for it").is_ok());
/// assert!(HmacKey::hs256(b"hunter2").is_err());
/// ```
#[derive(Clone)]
pub struct HmacKey {
    key: hmac::Key,
    algorithm: &'static str,
    key_id: Option<Box<str>>,
}

impl HmacKey {
    /// HS256. The secret has 32 bytes or more.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](tokenkeeper::ErrorKind::Config): it is shorter.
    pub fn hs256(secret: &[u8]) -> Result<Self, Error> {
        Self::new(hmac::HMAC_SHA256, "HS256", secret)
    }

    /// HS384. The secret has 48 bytes or more.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](tokenkeeper::ErrorKind::Config): it is shorter.
    pub fn hs384(secret: &[u8]) -> Result<Self, Error> {
        Self::new(hmac::HMAC_SHA384, "HS384", secret)
    }

    /// HS512. The secret has 64 bytes or more.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](tokenkeeper::ErrorKind::Config): it is shorter.
    pub fn hs512(secret: &[u8]) -> Result<Self, Error> {
        Self::new(hmac::HMAC_SHA512, "HS512", secret)
    }

    /// Names the key, for servers that know several: `kid` (RFC 7515 §4.1.4).
    ///
    /// # Default
    ///
    /// None.
    #[must_use]
    pub fn with_key_id(mut self, key_id: impl Into<String>) -> Self {
        self.key_id = Some(key_id.into().into());
        self
    }

    /// The name in the header of a JWT.
    #[must_use]
    pub fn algorithm(&self) -> &'static str {
        self.algorithm
    }

    /// Its name, if it has one.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// The code of a message.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        hmac::sign(&self.key, message).as_ref().to_vec()
    }

    fn new(algorithm: hmac::Algorithm, name: &'static str, secret: &[u8]) -> Result<Self, Error> {
        let least = algorithm.digest_algorithm().output_len();
        if secret.len() < least {
            return Err(key_error(format!(
                "is too short: {name} takes a secret of {least} bytes or more (RFC 7518 §3.2)"
            )));
        }
        Ok(Self { key: hmac::Key::new(algorithm, secret), algorithm: name, key_id: None })
    }
}

impl fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HmacKey")
            .field("algorithm", &self.algorithm)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}
