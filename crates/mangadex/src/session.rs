//! What an API client holds: a user's login, or none.

use std::fmt;
use std::sync::Arc;

use http::{HeaderValue, Method};
use parking_lot::RwLock;
use tokenkeeper::{AccessToken, Error, TokenManager, TokenManagerBuilder};
use url::Url;

use crate::provider::MangadexProvider;
use crate::realm::Realm;
use crate::unauthorized::Unauthorized;

mod authenticated;
mod ends;
mod login;
mod refresh_token;

/// A user's session with MangaDex, or an anonymous one. Clones share everything.
///
/// There is nothing to start: the first call that needs a token logs in, and later ones renew it.
/// There are four ways to end it:
///
/// | | the credentials stay: the next call logs in again | the credentials are dropped: the session is anonymous |
/// |---|---|---|
/// | MangaDex is told | [`revoke`](Self::revoke) | [`logout`](Self::logout) |
/// | MangaDex is not told | [`clear`](Self::clear) | [`forget`](Self::forget) |
///
/// An anonymous session stays one until [`log_in_as`](Self::log_in_as) gives it credentials.
///
/// # Examples
///
/// ```no_run
/// use tokenkeeper_mangadex::{MangadexProvider, Session};
///
/// # async fn run() -> Result<(), tokenkeeper::Error> {
/// let credentials = "personal-client-1:client secret:alice:hunter2".parse()?;
/// let session = Session::new(MangadexProvider::builder(credentials).build()?);
/// let token = session.require(http::Method::GET, "/user/me").await?; // logs in
/// // … MangaDex answers 401 to it …
/// if let Some(token) = session.replace_rejected(&token).await? {
///     // send the same request once more
/// }
/// session.logout().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Session {
    login: Arc<RwLock<Option<Login>>>,
    login_path: Arc<str>,
}

#[derive(Clone)]
struct Login {
    provider: Arc<MangadexProvider>,
    manager: TokenManager,
}

impl Session {
    /// A session without a login. Requests go out without a token, or not at all.
    #[must_use]
    pub fn anonymous() -> Self {
        Self::of(None, &Realm::default())
    }

    /// A session with its tokens in memory. Nothing is sent yet.
    #[must_use]
    pub fn new(provider: MangadexProvider) -> Self {
        let provider = Arc::new(provider);
        let manager = TokenManager::new(Arc::clone(&provider));
        Self::with_login(provider, manager)
    }

    /// A session with a manager as `configure` sets it up: storage, policy, clock and so on.
    /// Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// Those of [`TokenManagerBuilder::build`].
    ///
    /// # Examples
    ///
    /// ```
    /// use tokenkeeper::MemoryStorage;
    /// use tokenkeeper_mangadex::{MangadexProvider, Session};
    ///
    /// let provider = MangadexProvider::builder("id:secret:alice:hunter2".parse()?).build()?;
    /// let storage = MemoryStorage::new();
    /// let session = Session::configured(provider, |manager| manager.storage(storage))?;
    /// assert!(!session.is_anonymous());
    /// # Ok::<(), tokenkeeper::Error>(())
    /// ```
    pub fn configured(
        provider: MangadexProvider,
        configure: impl FnOnce(TokenManagerBuilder) -> TokenManagerBuilder,
    ) -> Result<Self, Error> {
        let provider = Arc::new(provider);
        let manager = configure(TokenManager::builder(Arc::clone(&provider))).build()?;
        Ok(Self::with_login(provider, manager))
    }

    fn with_login(provider: Arc<MangadexProvider>, manager: TokenManager) -> Self {
        let realm = provider.realm().clone();
        Self::of(Some(Login { provider, manager }), &realm)
    }

    fn of(login: Option<Login>, realm: &Realm) -> Self {
        let path = Url::parse(&realm.token_url()).map(|url| url.path().into());
        Self { login: Arc::new(RwLock::new(login)), login_path: path.unwrap_or_default() }
    }

    /// Whether there is no login.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.login.read().is_none()
    }

    /// The manager behind the session, for everything that is not here: status, events, a
    /// middleware. `None` in an anonymous session.
    ///
    /// A manager that was taken out gets no more tokens once the session has ended.
    #[must_use]
    pub fn manager(&self) -> Option<TokenManager> {
        self.login.read().as_ref().map(|login| login.manager.clone())
    }

    /// A token that is good now; `None` in an anonymous session.
    ///
    /// # Errors
    ///
    /// As [`TokenManager::token`].
    pub async fn token(&self) -> Result<Option<Arc<AccessToken>>, Error> {
        match self.manager() {
            Some(manager) => manager.token().await.map(Some),
            None => Ok(None),
        }
    }

    /// The value for the `Authorization` header; `None` in an anonymous session.
    ///
    /// # Errors
    ///
    /// As [`TokenManager::token`].
    pub async fn authorization(&self) -> Result<Option<HeaderValue>, Error> {
        Ok(self.token().await?.map(|token| token.authorization()))
    }

    /// A token for a request that cannot do without one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::LoginRequired`](tokenkeeper::ErrorKind::LoginRequired) in an anonymous session, before anything is sent or read; else
    /// as [`TokenManager::token`]. Where a login would help, [`Unauthorized`] is the source.
    pub async fn require(&self, method: Method, path: &str) -> Result<Arc<AccessToken>, Error> {
        let manager = self.require_manager(method.clone(), path)?;
        manager.token().await.map_err(|error| Unauthorized::new(method, path).behind(error))
    }

    /// The manager of the token for a request that cannot do without one: for a middleware, which
    /// gets the token itself and replaces one that was rejected.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::LoginRequired`](tokenkeeper::ErrorKind::LoginRequired) with [`Unauthorized`] as its source in an anonymous session.
    ///
    /// # Examples
    ///
    /// A middleware of `tokenkeeper-reqwest` is told by `TokenChoice::Of(manager)`.
    ///
    /// ```
    /// use http::Method;
    /// use tokenkeeper::Error;
    /// use tokenkeeper_mangadex::{Session, Unauthorized};
    ///
    /// async fn me(session: &Session) -> Result<u16, Error> {
    ///     let (method, path) = (Method::GET, "/user/me");
    ///     let manager = session.require_manager(method.clone(), path)?;
    ///     let sent = send(manager).await;
    ///     match sent.map_err(|error| Unauthorized::new(method.clone(), path).behind(error))? {
    ///         401 => Err(session.refused(method, path)),
    ///         status => Ok(status),
    ///     }
    /// }
    /// # async fn send(manager: tokenkeeper::TokenManager) -> Result<u16, Error> {
    /// #     manager.token().await.map(|_| 200)
    /// # }
    /// # let session = Session::anonymous();
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # assert!(runtime.block_on(me(&session)).is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn require_manager(&self, method: Method, path: &str) -> Result<TokenManager, Error> {
        self.manager().ok_or_else(|| Unauthorized::new(method, path).in_anonymous_session())
    }

    /// What a request ends with that the API answered 401 to, after all that could be done about
    /// it: why there is no better token, or [`ErrorKind::LoginRequired`](tokenkeeper::ErrorKind::LoginRequired) if that is not known. Where
    /// a login would help, [`Unauthorized`] is the source.
    #[must_use]
    pub fn refused(&self, method: Method, path: &str) -> Error {
        let unauthorized = Unauthorized::new(method, path);
        let Some(manager) = self.manager() else { return unauthorized.in_anonymous_session() };
        match manager.status().last_error() {
            Some(error) => unauthorized.behind(error.clone()),
            None => unauthorized.answered_401(),
        }
    }

    /// A token in the place of one that the API answered 401 to: by the refresh token, and by the
    /// password if that one is refused. `None` means not to send the request again; see
    /// [`TokenManager::replace_rejected`].
    ///
    /// # Errors
    ///
    /// As [`TokenManager::token`].
    pub async fn replace_rejected(
        &self,
        rejected: &AccessToken,
    ) -> Result<Option<Arc<AccessToken>>, Error> {
        match self.manager() {
            Some(manager) => manager.replace_rejected(rejected).await,
            None => Ok(None),
        }
    }

    fn login_of(&self) -> Result<Login, Error> {
        let login = self.login.read().clone();
        let anonymous = || Unauthorized::new(Method::POST, &self.login_path).in_anonymous_session();
        login.ok_or_else(anonymous)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let login = self.login.read();
        f.debug_struct("Session")
            .field("anonymous", &login.is_none())
            .field("provider", &login.as_ref().map(|login| &login.provider))
            .finish()
    }
}
