//! Where tokens come from: the seam between the manager and a protocol.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use parking_lot::Mutex;

use crate::clock::{Clock, Now};
use crate::error::{Error, ErrorKind};
use crate::identity::ProviderIdentity;
use crate::token_set::TokenSet;

/// Exchanges credentials or a refresh token for tokens.
///
/// # Contract
///
/// - One call is one attempt: no retries, no caching, no backoff. The manager does all three.
/// - The manager makes one call at a time, on its driver; only one that `install` or `clear`
///   overtook may still be on its way beside it. Calls must not block the thread; a provider that
///   blocks needs a driver of its own
///   ([`TokenManagerBuilder::driver`](crate::TokenManagerBuilder::driver)).
/// - Directly before a request is written, call [`FetchContext::ready_to_send`], return its error
///   if it gives one, and count the token's lifetime from what it returns.
/// - A call is dropped when it takes longer than [`FetchContext::timeout`].
/// - Errors carry what [`ErrorKind::of_answer`] says of the answer.
/// - A wrapper forwards every method, the defaulted ones too.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use tokenkeeper::{
///     AccessToken, Error, FetchContext, ProviderIdentity, TokenManager, TokenProvider, TokenSet,
///     async_trait,
/// };
///
/// #[derive(Debug)]
/// struct Fixed(ProviderIdentity);
///
/// #[async_trait]
/// impl TokenProvider for Fixed {
///     fn identity(&self) -> &ProviderIdentity {
///         &self.0
///     }
///
///     async fn fetch_token(&self, cx: &FetchContext<'_>) -> Result<TokenSet, Error> {
///         let sent_at = cx.ready_to_send()?;
///         let token = AccessToken::new("abc", "Bearer")?;
///         Ok(TokenSet::new(token, sent_at).with_lifetime(Duration::from_secs(900)))
///     }
/// }
///
/// let manager = TokenManager::new(Fixed(ProviderIdentity::new("fixed")));
/// assert_eq!(manager.blocking().token()?.authorization(), "Bearer abc");
/// # Ok::<(), Error>(())
/// ```
///
/// A token of one service that buys a token of another: the first has a manager of its own, and so
/// each is kept, renewed and stored by itself. If the first wants a person to log in, tell the
/// second by [`credentials_changed`](crate::TokenManager::credentials_changed) when it is done.
///
/// ```
/// # use tokenkeeper::{
/// #     AccessToken, Error, FetchContext, ProviderIdentity, TokenManager, TokenProvider, TokenSet,
/// #     async_trait,
/// # };
/// #[derive(Debug)]
/// struct Bought {
///     identity: ProviderIdentity,
///     login: TokenManager,
/// }
///
/// #[async_trait]
/// impl TokenProvider for Bought {
///     fn identity(&self) -> &ProviderIdentity {
///         &self.identity
///     }
///
///     async fn fetch_token(&self, cx: &FetchContext<'_>) -> Result<TokenSet, Error> {
///         let login = self.login.token().await?;
///         let sent_at = cx.ready_to_send()?;
///         // Here a request with login.authorization() is sent, and its answer read.
///         let price = login.secret().expose_secret();
///         Ok(TokenSet::new(AccessToken::new(format!("for-{price}"), "Bearer")?, sent_at))
///     }
/// }
/// # #[derive(Debug)]
/// # struct Login(ProviderIdentity);
/// # #[async_trait]
/// # impl TokenProvider for Login {
/// #     fn identity(&self) -> &ProviderIdentity { &self.0 }
/// #     async fn fetch_token(&self, cx: &FetchContext<'_>) -> Result<TokenSet, Error> {
/// #         Ok(TokenSet::new(AccessToken::new("abc", "Bearer")?, cx.ready_to_send()?))
/// #     }
/// # }
/// # let login = Login(ProviderIdentity::new("login"));
///
/// let login = TokenManager::new(login);
/// let manager = TokenManager::new(Bought { identity: ProviderIdentity::new("shop"), login });
/// assert_eq!(manager.blocking().token()?.authorization(), "Bearer for-abc");
/// # Ok::<(), Error>(())
/// ```
#[async_trait]
pub trait TokenProvider: Debug + Send + Sync + 'static {
    /// Whose tokens these are. The same value at every call.
    fn identity(&self) -> &ProviderIdentity;

    /// Exchanges the credentials for tokens.
    ///
    /// # Errors
    ///
    /// As the answer says: see [`ErrorKind::of_answer`].
    async fn fetch_token(&self, cx: &FetchContext<'_>) -> Result<TokenSet, Error>;

    /// Exchanges the refresh token of `current` for tokens (RFC 6749 §6). Called only if
    /// [`refreshes`](Self::refreshes) and `current` has one.
    ///
    /// # Default
    ///
    /// Calls [`fetch_token`](Self::fetch_token).
    ///
    /// # Errors
    ///
    /// As the answer says; `invalid_grant` is [`ErrorKind::RefreshRejected`] here.
    async fn refresh_token(
        &self,
        current: &TokenSet,
        cx: &FetchContext<'_>,
    ) -> Result<TokenSet, Error> {
        let _ = current;
        self.fetch_token(cx).await
    }

    /// Whether `fetch_token` can run with nobody there. `false` for logins in which a person takes
    /// part: then `token()` never starts one, and asks for a login instead.
    ///
    /// # Default
    ///
    /// `true`.
    fn non_interactive(&self) -> bool {
        true
    }

    /// Whether refresh tokens can exist for this grant. `false` lets the manager make an exchange
    /// while the storage is down, because then nothing single-use can be spent twice.
    ///
    /// # Default
    ///
    /// `true`.
    fn refreshes(&self) -> bool {
        true
    }

    /// Tells the service to revoke the tokens (RFC 7009).
    ///
    /// # Default
    ///
    /// Fails with [`ErrorKind::Unsupported`].
    ///
    /// # Errors
    ///
    /// As the answer says. After an error the tokens must be assumed to be alive.
    async fn revoke(&self, tokens: &TokenSet) -> Result<(), Error> {
        let _ = tokens;
        let what = "this provider has no way to revoke tokens";
        Err(Error::new(ErrorKind::Unsupported, what).at_service(self.identity().service_name()))
    }
}

macro_rules! forward_provider {
    ($($pointer:ident),*) => {$(
        #[async_trait]
        impl<T: TokenProvider + ?Sized> TokenProvider for $pointer<T> {
            fn identity(&self) -> &ProviderIdentity {
                (**self).identity()
            }

            async fn fetch_token(&self, cx: &FetchContext<'_>) -> Result<TokenSet, Error> {
                (**self).fetch_token(cx).await
            }

            async fn refresh_token(
                &self,
                current: &TokenSet,
                cx: &FetchContext<'_>,
            ) -> Result<TokenSet, Error> {
                (**self).refresh_token(current, cx).await
            }

            fn non_interactive(&self) -> bool {
                (**self).non_interactive()
            }

            fn refreshes(&self) -> bool {
                (**self).refreshes()
            }

            async fn revoke(&self, tokens: &TokenSet) -> Result<(), Error> {
                (**self).revoke(tokens).await
            }
        }
    )*};
}

forward_provider!(Arc, Box);

/// What the manager tells a provider about one attempt.
#[derive(Debug)]
pub struct FetchContext<'a> {
    clock: &'a Arc<dyn Clock>,
    timeout: Duration,
    gate: Option<&'a dyn SendGate>,
    sent: Mutex<Option<Now>>,
}

/// Decides whether a request may still be sent; the manager's lease is behind it.
pub(crate) trait SendGate: Debug + Send + Sync {
    fn check(&self, now: &Now) -> Result<(), Error>;
}

impl<'a> FetchContext<'a> {
    /// A context outside of any manager: for a login, and for the tests of a provider. Requests may
    /// always be sent, and nobody drops an attempt that takes longer than `timeout`.
    #[must_use]
    pub fn detached(clock: &'a Arc<dyn Clock>, timeout: Duration) -> Self {
        Self { clock, timeout, gate: None, sent: Mutex::new(None) }
    }

    pub(crate) fn gated(
        clock: &'a Arc<dyn Clock>,
        timeout: Duration,
        gate: &'a dyn SendGate,
    ) -> Self {
        Self { clock, timeout, gate: Some(gate), sent: Mutex::new(None) }
    }

    /// The manager's clock.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        self.clock
    }

    /// How long the whole attempt may take; longer, and it is dropped.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// To be called directly before a request is written. Returns the time from which the lifetime
    /// of the token counts.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Storage`] if the lease that keeps other processes from spending the same
    /// refresh token has too little time left. The attempt must end there: nothing was sent.
    pub fn ready_to_send(&self) -> Result<SystemTime, Error> {
        let now = self.clock.now();
        if let Some(gate) = self.gate {
            gate.check(&now)?;
        }
        *self.sent.lock() = Some(now);
        Ok(now.wall())
    }

    /// When the last request was sent, by both clocks; `None` if none was.
    #[must_use]
    pub fn sent(&self) -> Option<Now> {
        *self.sent.lock()
    }
}
