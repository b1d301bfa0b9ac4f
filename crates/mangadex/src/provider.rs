//! The provider: what MangaDex wants of a login, and a hint where it refuses a client.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::StatusCode;
use parking_lot::RwLock;
use tokenkeeper::{
    Error, ErrorKind, FetchContext, ProviderIdentity, TokenProvider, TokenSet, async_trait,
};

use crate::SERVICE_NAME;
use crate::api::Api;
use crate::credentials::Credentials;
use crate::personal_client::PersonalClient;
use crate::provider_builder::{Login, MangadexProviderBuilder};
use crate::realm::Realm;

/// Tokens of a MangaDex user, by a personal client of theirs.
///
/// The password is sent once (RFC 6749 §4.3), with the client secret in the body; after that the
/// provider lives on its refresh token. Realm, client and user are in its identity, so two of them
/// never share a token.
///
/// # Examples
///
/// ```
/// use tokenkeeper::{MemoryStorage, TokenManager};
/// use tokenkeeper_mangadex::{MangadexProvider, Realm};
///
/// let provider = MangadexProvider::builder("personal-client-1:secret:alice:hunter2".parse()?)
///     .realm(Realm::new("https://id.example.org", "manga")?)
///     .build()?;
/// let manager = TokenManager::builder(provider).storage(MemoryStorage::new()).build()?;
/// assert!(manager.peek().is_none());
/// # Ok::<(), tokenkeeper::Error>(())
/// ```
pub struct MangadexProvider {
    identity: ProviderIdentity,
    realm: Realm,
    api: Api,
    /// `None` when the session has ended: then the credentials are gone.
    inner: RwLock<Option<Arc<dyn TokenProvider>>>,
    /// A logout is under way: a login now would outlive it.
    is_leaving: AtomicBool,
}

impl MangadexProvider {
    /// Logs in with the password, and whenever the refresh token is refused.
    #[must_use]
    pub fn builder(credentials: Credentials) -> MangadexProviderBuilder {
        MangadexProviderBuilder::new(Login::Password(credentials))
    }

    /// Never logs in: it lives on a refresh token that is installed into the manager or
    /// [session](crate::Session::install_refresh_token).
    ///
    /// `user` says whose it is, in any words that tell users apart. It is not sent.
    #[must_use]
    pub fn refresh_only(
        client: PersonalClient,
        user: impl Into<String>,
    ) -> MangadexProviderBuilder {
        MangadexProviderBuilder::new(Login::RefreshOnly { client, user: user.into() })
    }

    pub(crate) fn new(inner: Arc<dyn TokenProvider>, realm: Realm, api: Api) -> Self {
        let identity = inner.identity().clone();
        Self {
            identity,
            realm,
            api,
            inner: RwLock::new(Some(inner)),
            is_leaving: AtomicBool::new(false),
        }
    }

    /// The realm that is asked.
    #[must_use]
    pub fn realm(&self) -> &Realm {
        &self.realm
    }

    pub(crate) fn api(&self) -> &Api {
        &self.api
    }

    /// Drops the credentials. No token request is made from now on.
    pub(crate) fn end(&self) {
        self.inner.write().take();
    }

    /// Lets nobody log in until the guard is dropped.
    pub(crate) fn leave(&self) -> Leaving<'_> {
        self.is_leaving.store(true, Ordering::Relaxed);
        Leaving(self)
    }

    fn is_leaving(&self) -> bool {
        self.is_leaving.load(Ordering::Relaxed)
    }

    fn inner(&self) -> Result<Arc<dyn TokenProvider>, Error> {
        self.inner.read().clone().ok_or_else(|| {
            let what = "the session has ended, and its credentials are gone";
            Error::new(ErrorKind::LoginRequired, what).at_service(SERVICE_NAME)
        })
    }
}

#[async_trait]
impl TokenProvider for MangadexProvider {
    fn identity(&self) -> &ProviderIdentity {
        &self.identity
    }

    async fn fetch_token(&self, cx: &FetchContext<'_>) -> Result<TokenSet, Error> {
        if self.is_leaving() {
            let what = "the session is being logged out";
            return Err(Error::new(ErrorKind::LoginRequired, what).at_service(SERVICE_NAME));
        }
        self.inner()?.fetch_token(cx).await.map_err(hinted)
    }

    async fn refresh_token(
        &self,
        current: &TokenSet,
        cx: &FetchContext<'_>,
    ) -> Result<TokenSet, Error> {
        self.inner()?.refresh_token(current, cx).await.map_err(hinted)
    }

    fn non_interactive(&self) -> bool {
        !self.is_leaving()
            && self.inner.read().as_ref().is_some_and(|inner| inner.non_interactive())
    }

    fn refreshes(&self) -> bool {
        self.inner.read().as_ref().is_none_or(|inner| inner.refreshes())
    }

    async fn revoke(&self, tokens: &TokenSet) -> Result<(), Error> {
        self.inner()?.revoke(tokens).await.map_err(hinted)
    }
}

/// Ends a logout, whether it succeeded or not.
pub(crate) struct Leaving<'a>(&'a MangadexProvider);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.is_leaving.store(false, Ordering::Relaxed);
    }
}

impl fmt::Debug for MangadexProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MangadexProvider")
            .field("realm", &self.realm)
            .field("inner", &*self.inner.read())
            .finish()
    }
}

/// Keycloak calls a wrong client secret `unauthorized_client`, with 401, where the standard has
/// `invalid_client`. At a refresh that says nothing about the refresh token.
fn is_about_the_client(error: &Error) -> bool {
    let code = error.oauth().map(|oauth| oauth.code());
    match error.kind() {
        ErrorKind::CredentialsRejected => {
            matches!(code, Some("invalid_client" | "unauthorized_client"))
        }
        ErrorKind::RefreshDoubtful => {
            code == Some("unauthorized_client") && error.status() == Some(StatusCode::UNAUTHORIZED)
        }
        _ => false,
    }
}

/// A client that is not approved yet is refused like one that does not exist, and nothing in the
/// answer says which it was.
fn hinted(error: Error) -> Error {
    if !is_about_the_client(&error) {
        return error;
    }
    let mut hinted = Error::new(ErrorKind::CredentialsRejected, CLIENT_REFUSED);
    if let Some(status) = error.status() {
        hinted = hinted.with_status(status);
    }
    if let Some(oauth) = error.oauth() {
        hinted = hinted.with_oauth(oauth.clone());
    }
    if let Some(after) = error.retry_after() {
        hinted = hinted.with_retry_after(after);
    }
    hinted.at_service(SERVICE_NAME)
}

const CLIENT_REFUSED: &str = "the client was refused; a new personal client cannot be used before \
                              MangaDex has approved it, so it may still be pending approval";
