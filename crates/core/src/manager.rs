//! The manager: any number of callers, one exchange.
//!
//! `token()` reads what is published and returns. Only when that is due does it come to
//! `refresh::wait`, which decides under the lock of `state` and waits for a flight. The flight runs
//! on the driver: `refresh::renewal` reads the storage, `refresh::token_request` calls the provider,
//! `refresh::publish` writes, and only then is the token published.

use std::fmt;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use crate::access_token::AccessToken;
use crate::blocking::BlockingTokenManager;
use crate::builder::TokenManagerBuilder;
use crate::error::Error;
use crate::identity::StorageKey;
use crate::provider::TokenProvider;
use crate::refresh::flight::FlightKind;
use crate::refreshed::Refreshed;
use crate::refresher::RefresherHandle;
use crate::shared::Core;
use crate::status::{Status, StatusStream};
use crate::token_set::TokenSet;

/// Keeps the tokens of one provider fresh. Clones share everything.
///
/// # Cancel safety
///
/// Every method may be dropped at any await point. Exchanges, writes and revocations that it
/// started run to their end on the manager's driver.
///
/// # Examples
///
/// ```no_run
/// # async fn run(provider: impl tokenkeeper::TokenProvider) -> Result<(), tokenkeeper::Error> {
/// let manager = tokenkeeper::TokenManager::new(provider);
/// let token = manager.token().await?;
/// let header = token.authorization(); // "Bearer …", marked sensitive
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TokenManager {
    pub(crate) core: Arc<Core>,
}

impl TokenManager {
    /// A manager with the default policy that keeps its tokens in memory. Starts nothing.
    #[must_use]
    pub fn new(provider: impl TokenProvider) -> Self {
        // The default policy is valid.
        TokenManagerBuilder::new(Arc::new(provider)).build_valid()
    }

    /// A builder, to choose storage, policy, clock, key, driver and observers.
    pub fn builder(provider: impl TokenProvider) -> TokenManagerBuilder {
        TokenManagerBuilder::new(Arc::new(provider))
    }

    pub(crate) fn from_core(core: Core) -> Self {
        Self { core: Arc::new(core) }
    }

    /// The token that can be had without waiting, if there is one. Starts nothing, not even when
    /// the token is due for renewal.
    #[must_use]
    pub fn peek(&self) -> Option<Arc<AccessToken>> {
        if let Some(token) = self.core.fresh() {
            return Some(token);
        }
        let now = self.core.clock.now();
        self.core.state.lock().servable(now)
    }

    /// A token that is good now.
    ///
    /// A fresh token is returned at once. One that is due is returned at once too, and renewed in
    /// the background. Shortly before its end the call waits for the renewal, at most 5 s, and
    /// then takes the old token while it lasts. Without a token it waits for the exchange, which
    /// all callers share, as they share its error.
    ///
    /// # Errors
    ///
    /// The error of the last exchange, with [`retry_after`](Error::retry_after) while a pause is on.
    /// [`Error::recovery`] tells what passes by itself from what needs somebody:
    /// [`LoginRequired`](crate::ErrorKind::LoginRequired) and
    /// [`RefreshRejected`](crate::ErrorKind::RefreshRejected) a user who logs in,
    /// [`CredentialsRejected`](crate::ErrorKind::CredentialsRejected) an operator who corrects the
    /// credentials.
    pub async fn token(&self) -> Result<Arc<AccessToken>, Error> {
        match self.core.fresh() {
            Some(token) => {
                self.core.telemetry.served_fresh();
                Ok(token)
            }
            None => self.core.obtain(Duration::ZERO).await,
        }
    }

    /// [`token`](Self::token), if it need not wait: for integrations that can spare an allocation
    /// then. A token that is due is renewed in the background, as there.
    ///
    /// It is pending if `token` would wait. What that would wait for is under way then, but nobody
    /// is woken, and no request is counted: await `token` next.
    ///
    /// # Errors
    ///
    /// As [`token`](Self::token), where it remembers an error.
    pub fn token_now(&self) -> Poll<Result<Arc<AccessToken>, Error>> {
        match self.core.fresh() {
            Some(token) => {
                self.core.telemetry.served_fresh();
                Poll::Ready(Ok(token))
            }
            None => self.core.obtain_now(),
        }
    }

    /// A token that is good for `at_least`, as far as the clock can tell: for work that takes long.
    /// A token of unknown lifetime will do.
    ///
    /// Within [5 s of the last exchange](crate#the-minimum-interval) the newest token answers.
    ///
    /// # Errors
    ///
    /// As [`token`](Self::token); and [`Config`](crate::ErrorKind::Config), without a token request,
    /// if `at_least` exceeds the lifetime of the token that the service issued last, no other process
    /// stored one that lives longer, and the token is not due.
    pub async fn token_valid_for(&self, at_least: Duration) -> Result<Arc<AccessToken>, Error> {
        self.core.obtain(at_least).await
    }

    /// Says that a resource server rejected this token, so that it is replaced and never taken
    /// over again.
    ///
    /// Returns whether the next `token()` will replace it: `false` if it was replaced already, or
    /// if tokens are being rejected so fast that exchanges
    /// [are paused](crate#when-a-token-is-rejected). While they are, `token()` still gives the
    /// newest token.
    pub fn invalidate(&self, rejected: &AccessToken) -> bool {
        self.core.reject(rejected)
    }

    /// A token in the place of one that a resource server rejected.
    ///
    /// Any number of callers with the same rejected token cause one exchange, or none if it was
    /// replaced already. `None` means that there is no use in sending the request again: the
    /// service issued the same token, or exchanges are paused because young tokens keep being
    /// rejected (one is replaced at once, the next after 5 s, doubling to 10 min).
    ///
    /// # Errors
    ///
    /// As [`token`](Self::token).
    pub async fn replace_rejected(
        &self,
        rejected: &AccessToken,
    ) -> Result<Option<Arc<AccessToken>>, Error> {
        self.core.replace(rejected).await
    }

    /// Makes a token request although the token is good; joins one that is under way. The old token
    /// stays until there is a new one.
    ///
    /// Within [5 s of the last one](crate#the-minimum-interval) the newest token answers, and
    /// [`Refreshed::is_new`] says so.
    ///
    /// # Errors
    ///
    /// As [`token`](Self::token). After a refusal of the credentials it may be tried again every
    /// 5 s, whatever the pause.
    pub async fn force_refresh(&self) -> Result<Refreshed, Error> {
        self.core.request_anyway(FlightKind::Force).await
    }

    /// Puts in tokens from a login elsewhere. An exchange under way is overtaken: its tokens are
    /// dropped, and revoked where the provider can.
    ///
    /// If the storage fails, the tokens are served from memory and written later; call
    /// [`flush`](Self::flush) before the process ends.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) if the set is empty, its refresh token is not fit to be
    /// sent, or there is only a refresh token and the provider uses none;
    /// [`Superseded`](crate::ErrorKind::Superseded) if another `install` or `clear` came later.
    pub async fn install(&self, tokens: TokenSet) -> Result<(), Error> {
        self.core.install(tokens).await
    }

    /// Puts in tokens from a login elsewhere, unless there are tokens already: for the refresh
    /// token that a program is given at its start, and that is spent and replaced soon after.
    /// Returns whether they were installed: not if there is a refresh token, or an access token
    /// that still serves. A login that the service has ended counts as none; where it ended while
    /// no process ran, the first [`token`](Self::token) finds out, and
    /// [`install`](Self::install) puts in a new one.
    ///
    /// With [`install`](Self::install) a restart would put the spent one in the place of its
    /// successor, and many services end the login when they see it again.
    ///
    /// # Errors
    ///
    /// As [`install`](Self::install); and the storage's, if it cannot be read or written, or a logout
    /// that it refused cannot be written first. After an error nothing was installed, and nothing
    /// will be: call it again.
    pub async fn install_if_absent(&self, tokens: TokenSet) -> Result<bool, Error> {
        self.core.install_if_absent(tokens).await
    }

    /// Takes out all that there is, the refresh token included: for programs that keep it somewhere
    /// of their own. Waits for an exchange under way and looks into the storage, but starts no
    /// exchange.
    ///
    /// A refresh token that rotates has one owner: whoever takes it out and goes on using this
    /// manager holds one that is spent after the next renewal.
    ///
    /// # Errors
    ///
    /// The storage's, if it cannot be read.
    pub async fn tokens(&self) -> Result<Option<TokenSet>, Error> {
        self.core.tokens().await
    }

    /// Makes the provider log in, whatever tokens there are: the only call that proves a password.
    ///
    /// # Errors
    ///
    /// As [`force_refresh`](Self::force_refresh).
    pub async fn login(&self) -> Result<Arc<AccessToken>, Error> {
        self.core.request_anyway(FlightKind::Login).await.map(Refreshed::into_token)
    }

    /// Forgets all tokens, here and in the storage. Memory is emptied before anything is awaited;
    /// the storage keeps a mark for 30 days, so that other processes notice.
    ///
    /// A non-interactive provider logs in again at the next [`token`](Self::token).
    ///
    /// # Errors
    ///
    /// [`Storage`](crate::ErrorKind::Storage) if the mark could not be written; memory is empty
    /// all the same, and the write is tried again.
    pub async fn clear(&self) -> Result<(), Error> {
        self.core.clear().await
    }

    /// Tells the service to revoke the tokens (RFC 7009), then clears them.
    ///
    /// # Errors
    ///
    /// The provider's, or the storage's. After an error of the provider nothing was cleared: call
    /// this again, or [`clear`](Self::clear) to forget the tokens without the service's consent.
    pub async fn revoke(&self) -> Result<(), Error> {
        self.core.revoke().await
    }

    /// Waits for the exchange under way and for writes that failed before. Call it before the
    /// process ends: the driver's thread ends with it.
    ///
    /// That takes at most the request timeout and a few storage timeouts, 15 s and 5 s by default;
    /// where other processes hold the lease, a lease time and one exchange more. That the exchange
    /// succeeded is not said.
    ///
    /// # Errors
    ///
    /// The storage's, if a write is still failing.
    pub async fn flush(&self) -> Result<(), Error> {
        self.core.flush().await
    }

    /// Says that the credentials were corrected, so that the next call tries them.
    ///
    /// For providers that read their credentials anew at every call. One that was built with a
    /// fixed secret has to be built again, and so has its manager. A new manager on a shared storage
    /// still finds that other processes were refused, and asks nobody for up to a minute; this call
    /// skips that.
    pub fn credentials_changed(&self) {
        self.core.change(|state| state.credentials_changed());
    }

    /// How the manager is doing.
    #[must_use]
    pub fn status(&self) -> Status {
        self.core.status()
    }

    /// Tells of changes of [`status`](Self::status).
    #[must_use]
    pub fn subscribe(&self) -> StatusStream {
        StatusStream::new(&self.core, self.core.changes.subscribe())
    }

    /// Keeps the token fresh in the background although nobody asks for it, until the handle or
    /// the last manager is dropped.
    ///
    /// Where the storage [tells](crate::SharedTokenStorage::notices) what other processes write, it
    /// listens, and takes over their tokens, logins and logouts as they come. Managers without a
    /// refresher find them when their own token is due.
    pub fn spawn_refresher(&self) -> RefresherHandle {
        RefresherHandle::spawn(&self.core)
    }

    /// This manager with calls that block the thread.
    #[must_use]
    pub fn blocking(&self) -> BlockingTokenManager {
        BlockingTokenManager::new(self.clone())
    }

    /// The key under which the tokens are stored.
    #[must_use]
    pub fn key(&self) -> &StorageKey {
        &self.core.key
    }

    /// The name of the service, as the provider gave it.
    #[must_use]
    pub fn service_name(&self) -> &str {
        &self.core.service_name
    }
}

impl fmt::Debug for TokenManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenManager")
            .field("service_name", &self.core.service_name)
            .field("key", &self.core.key)
            .field("provider", &self.core.provider)
            .field("storage", &self.core.storage)
            .finish_non_exhaustive()
    }
}
