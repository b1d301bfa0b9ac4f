//! The key that tokens are bound to.

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use tokenkeeper::{AccessToken, Clock, Error, StorageKey, SystemClock, TokenStorage};
use tokenkeeper_http::Target;
use tokenkeeper_jwt::{Algorithm, SigningKey};
use tokenkeeper_providers::ProofOfPossession;

use crate::dpop::Dpop;
use crate::nonces::{Nonces, Side, nonce_in};
use crate::proof::proof;
use crate::stored_key;

/// A key that tokens are bound to, with the nonces that servers want in its proofs. Clones share
/// both.
///
/// Give it to a provider, which asks for tokens that are bound to it, and its
/// [`presenter`](Self::presenter) to the route of the API where they are used. One key may serve any
/// number of providers, users and routes; the users of one route have one key.
///
/// Signing happens where the request is made: with ES256 or EdDSA it takes less than a tenth of a
/// millisecond, with RSA about one. A key that is not in this process, as in a key service, would
/// make every request wait for that, so there is no such thing here.
#[derive(Clone)]
pub struct DpopKey {
    key: SigningKey,
    nonces: Arc<Nonces>,
    clock: Arc<dyn Clock>,
}

impl DpopKey {
    /// A key that you keep yourself. Tokens that were issued for it are worth nothing without it,
    /// and so are the refresh tokens of a public client (RFC 9449 §5).
    #[must_use]
    pub fn new(key: SigningKey) -> Self {
        Self { key, nonces: Arc::default(), clock: Arc::new(SystemClock) }
    }

    /// A new key for ES256, which lives as long as its last clone: enough for a client that can log
    /// in again by itself.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Internal`](tokenkeeper::ErrorKind::Internal), if the machine has no random
    /// numbers.
    pub fn generate() -> Result<Self, Error> {
        Ok(Self::new(SigningKey::generate(Algorithm::Es256)?))
    }

    /// The key that is stored there, or else a new one for ES256, which is stored first.
    ///
    /// It belongs beside the tokens, into the same storage: a refresh token of a public client is
    /// bound to its key for good (RFC 9449 §5), so whoever loses the key has to log in again. The
    /// record has a storage key of its own, which no manager may have; it never expires, and a
    /// manager that is pointed at it neither takes it for tokens nor writes over it. What is stored
    /// is the private key, so the storage should be one that keeps secrets: encrypted, a keyring, a
    /// private file.
    ///
    /// Processes that start at once on a [shared](TokenStorage::shared) storage end up with one key.
    /// On any other the last one wins, so it is for one process, which calls it once.
    ///
    /// Some storages want to be called in a tokio runtime.
    ///
    /// # Errors
    ///
    /// Those of the storage; call it again then. If something else than such a key is there,
    /// [`ErrorKind::RecordUnreadable`](tokenkeeper::ErrorKind::RecordUnreadable), and it stays.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it may have stored a key, which the next call finds.
    ///
    /// # Examples
    ///
    /// ```
    /// use tokenkeeper::{MemoryStorage, StorageKey};
    /// use tokenkeeper_dpop::DpopKey;
    ///
    /// # async fn run() -> Result<(), tokenkeeper::Error> {
    /// let storage = MemoryStorage::new(); // the one that the manager has, too
    /// let place = StorageKey::new("calendar-dpop-key")?;
    ///
    /// let key = DpopKey::load_or_generate(&storage, &place).await?;
    ///
    /// let after_a_restart = DpopKey::load_or_generate(&storage, &place).await?;
    /// assert_eq!(after_a_restart.thumbprint(), key.thumbprint());
    /// # Ok(())
    /// # }
    /// # pollster::block_on(run())?;
    /// # Ok::<(), tokenkeeper::Error>(())
    /// ```
    pub async fn load_or_generate(
        storage: &(impl TokenStorage + ?Sized),
        storage_key: &StorageKey,
    ) -> Result<Self, Error> {
        Self::load_or_generate_with(storage, storage_key, Algorithm::Es256).await
    }

    /// [`load_or_generate`](Self::load_or_generate) with another algorithm for a new key. A key that
    /// is there stays as it is.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn load_or_generate_with(
        storage: &(impl TokenStorage + ?Sized),
        storage_key: &StorageKey,
        algorithm: Algorithm,
    ) -> Result<Self, Error> {
        stored_key::load_or_generate(storage, storage_key, algorithm).await.map(Self::new)
    }

    /// Takes the time of proofs from there.
    ///
    /// # Default
    ///
    /// [`SystemClock`]. A server that sends no nonces refuses proofs of a clock that is wrong by
    /// minutes.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The SHA-256 thumbprint of the public key in base64url (RFC 7638): what a server calls `jkt`.
    #[must_use]
    pub fn thumbprint(&self) -> &str {
        self.key.thumbprint()
    }

    /// What puts tokens that are bound to this key onto requests.
    #[must_use]
    pub fn presenter(&self) -> Dpop {
        Dpop::new(self.clone())
    }

    /// A new proof for one request. One that was refused has the nonce of its `refusal`, and not the
    /// newest: others may have used that by now, and a server may take each nonce once.
    pub(crate) fn proof(
        &self,
        target: &Target<'_>,
        token: Option<&AccessToken>,
        refusal: Option<&HeaderMap>,
    ) -> Result<HeaderValue, Error> {
        let own = refusal.and_then(nonce_in).map(Arc::from);
        let nonce = own.or_else(|| self.nonces.newest(side_of(token), target));
        proof(&self.key, target, token, nonce.as_deref(), self.clock.now().wall())
    }

    pub(crate) fn nonces(&self) -> &Nonces {
        &self.nonces
    }
}

impl ProofOfPossession for DpopKey {
    fn thumbprint(&self) -> &str {
        self.key.thumbprint()
    }

    fn prove(
        &self,
        method: &Method,
        uri: &Uri,
        token: Option<&AccessToken>,
        headers: &mut HeaderMap,
    ) -> Result<(), Error> {
        let proof = self.proof(&Target::of(method, uri)?, token, None)?;
        headers.insert(&PROOF, proof);
        Ok(())
    }

    fn prove_again(
        &self,
        method: &Method,
        uri: &Uri,
        token: Option<&AccessToken>,
        refusal: &HeaderMap,
        headers: &mut HeaderMap,
    ) -> Result<(), Error> {
        let proof = self.proof(&Target::of(method, uri)?, token, Some(refusal))?;
        headers.insert(&PROOF, proof);
        Ok(())
    }

    fn take_notice(&self, uri: &Uri, token: Option<&AccessToken>, headers: &HeaderMap) {
        if let Ok(target) = Target::of(&Method::GET, uri) {
            self.nonces.take_notice(side_of(token), &target, headers);
        }
    }
}

impl fmt::Debug for DpopKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DpopKey").field("key", &self.key).field("nonces", &self.nonces).finish()
    }
}

fn side_of(token: Option<&AccessToken>) -> Side {
    if token.is_some() { Side::ResourceServer } else { Side::AuthorizationServer }
}

/// The header that a proof is in (RFC 9449 §4.1).
pub(crate) static PROOF: HeaderName = HeaderName::from_static("dpop");
