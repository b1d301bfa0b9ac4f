//! A private key that signs.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokenkeeper::{Error, ErrorKind, Secret};

use crate::algorithm::Algorithm;
use crate::jwk::{self, PublicJwk};
use crate::key_pair::KeyPair;
use crate::{key_error, pem};

/// A private key, and the algorithm that it signs with.
///
/// Cloning it is cheap, and the clones are one key. The key is overwritten when the last of them is
/// dropped; `Debug` shows the algorithm, the key id and the thumbprint.
///
/// # Examples
///
/// ```
/// use tokenkeeper_jwt::{Algorithm, SigningKey};
///
/// let key = SigningKey::generate(Algorithm::Es256)?;
/// let stored = key.to_jwk()?;
/// let again = SigningKey::from_jwk(stored.expose_secret())?;
/// assert_eq!(again.thumbprint(), key.thumbprint());
/// # Ok::<(), tokenkeeper::Error>(())
/// ```
#[derive(Clone)]
pub struct SigningKey {
    key_pair: Arc<KeyPair>,
    algorithm: Algorithm,
    key_id: Option<Arc<str>>,
    public: Arc<PublicJwk>,
    thumbprint: Arc<str>,
}

impl SigningKey {
    /// The first private key in a PEM text: PKCS#8 (`PRIVATE KEY`), SEC 1 (`EC PRIVATE KEY`) or
    /// PKCS#1 (`RSA PRIVATE KEY`). A caller that read the text from a file should overwrite it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`]: there is none, it is encrypted, or it is not for this algorithm.
    pub fn from_pem(algorithm: Algorithm, pem: &[u8]) -> Result<Self, Error> {
        Self::new(pem::key_pair(algorithm.key_type(), pem)?, algorithm, None)
    }

    /// A private key as a JWK (RFC 7517), with its `kid`. It signs with its `alg`; without one with
    /// ES256, ES384 or ES512 as its curve says, RS256 or EdDSA.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`]: it is public, for something else than signing, of a kind that is not
    /// supported, or its numbers do not fit together.
    pub fn from_jwk(jwk: &str) -> Result<Self, Error> {
        let jwk::Parsed { key_pair, algorithm, key_id } = jwk::parse(jwk)?;
        Self::new(key_pair, algorithm, key_id.map(Arc::from))
    }

    /// A new key. RSA keys have 3072 bits and take some tenths of a second.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Internal`], if the machine has no random numbers.
    pub fn generate(algorithm: Algorithm) -> Result<Self, Error> {
        let key_pair = KeyPair::generate(algorithm.key_type())
            .map_err(|_| Error::new(ErrorKind::Internal, "signing key: could not be generated"))?;
        Self::new(key_pair, algorithm, None)
    }

    /// Names the key, for servers that know several keys of a client: `kid` (RFC 7515 §4.1.4).
    ///
    /// # Default
    ///
    /// The `kid` of the JWK, else none.
    #[must_use]
    pub fn with_key_id(mut self, key_id: impl Into<String>) -> Self {
        self.key_id = Some(key_id.into().into());
        self
    }

    /// The same key with another algorithm, such as PS256 for the key of a JWK that names none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], if it is for other keys.
    pub fn with_algorithm(mut self, algorithm: Algorithm) -> Result<Self, Error> {
        let (is, wanted) = (self.algorithm.key_type(), algorithm.key_type());
        if is != wanted {
            return Err(key_error(format!("is {is} key, and {algorithm} asks for {wanted} key")));
        }
        self.algorithm = algorithm;
        Ok(self)
    }

    /// What it signs with.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Its name, if it has one.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// The public half, without a name.
    #[must_use]
    pub fn public_jwk(&self) -> &PublicJwk {
        &self.public
    }

    /// The SHA-256 thumbprint of the public half in base64url (RFC 7638).
    #[must_use]
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// The private key as a JWK, to be stored where secrets are. [`from_jwk`](Self::from_jwk) reads
    /// it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Internal`], if the library does not give the key away.
    pub fn to_jwk(&self) -> Result<Secret, Error> {
        jwk::private_jwk(&self.key_pair, self.algorithm, self.key_id())
    }

    /// The signature of a message, as a JWS has it: for ECDSA r and s one after the other (RFC 7518
    /// §3.4). RSA keys take about a millisecond, the others less than a tenth of that.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Internal`], if the library fails.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.key_pair
            .sign(self.algorithm, message)
            .map_err(|_| Error::new(ErrorKind::Internal, "signing key: could not sign"))
    }

    /// A compact JWS of a header and a payload, which are taken as they are (RFC 7515 §7.1).
    ///
    /// # Errors
    ///
    /// As [`sign`](Self::sign).
    pub fn sign_compact(&self, header: &[u8], payload: &[u8]) -> Result<String, Error> {
        let mut jws = signing_input(header, payload);
        let signature = self.sign(jws.as_bytes())?;
        append_signature(&mut jws, &signature);
        Ok(jws)
    }

    fn new(
        key_pair: KeyPair,
        algorithm: Algorithm,
        key_id: Option<Arc<str>>,
    ) -> Result<Self, Error> {
        let public = PublicJwk::of(&key_pair)?;
        let thumbprint = public.thumbprint().into();
        let (key_pair, public) = (Arc::new(key_pair), Arc::new(public));
        Ok(Self { key_pair, algorithm, key_id, public, thumbprint })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("algorithm", &self.algorithm)
            .field("key_id", &self.key_id)
            .field("thumbprint", &self.thumbprint)
            .finish_non_exhaustive()
    }
}

/// What is signed (RFC 7515 §5.1).
pub(crate) fn signing_input(header: &[u8], payload: &[u8]) -> String {
    let mut input = URL_SAFE_NO_PAD.encode(header);
    input.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut input);
    input
}

pub(crate) fn append_signature(jws: &mut String, signature: &[u8]) {
    jws.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, jws);
}
