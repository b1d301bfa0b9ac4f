//! A login that happened elsewhere, kept alive (RFC 6749 §6).

use std::sync::Arc;
use std::time::Duration;

use tokenkeeper::{
    Clock, Error, ErrorKind, FetchContext, ProviderIdentity, Secret, SystemClock, TokenProvider,
    TokenSet, async_trait,
};

use crate::settings::{Settings, shared_setters};
use crate::token_endpoint::TokenEndpoint;

/// Tokens for a user who logged in elsewhere: in a browser, on a device, in another program.
///
/// It cannot log in. It starts with a refresh token that is installed into the manager
/// (`manager.install_if_absent(TokenSet::from_refresh_token(…))` at every start, `install` after a
/// new login), and when that one is refused, it asks for
/// another. Rotated refresh tokens replace it in the storage; what it was installed from is then
/// worthless.
///
/// Set the [`subject`](RefreshTokenBuilder::subject) if there is more than one user: nothing else
/// here tells them apart, and tokens are stored by what tells them apart.
///
/// # Examples
///
/// ```
/// use tokenkeeper::TokenProvider;
/// use tokenkeeper_providers::{ClientAuth, RefreshTokenProvider};
///
/// # #[cfg(feature = "reqwest")] {
/// let provider = RefreshTokenProvider::builder("calendar", "https://auth.example.org/token")
///     .client("desktop-app", ClientAuth::none())
///     .subject("alice")
///     .build()?;
/// assert!(!provider.non_interactive());
/// # }
/// # Ok::<(), tokenkeeper::Error>(())
/// ```
#[derive(Debug)]
pub struct RefreshTokenProvider {
    endpoint: TokenEndpoint,
}

impl RefreshTokenProvider {
    /// Starts with a name for the service, as it is to appear in errors and logs, and the URL of
    /// its token endpoint.
    #[must_use]
    pub fn builder(service_name: &str, token_url: &str) -> RefreshTokenBuilder {
        RefreshTokenBuilder { settings: Settings::new(service_name, token_url) }
    }

    /// One refresh without a manager: for a program that keeps its tokens itself. Where the service
    /// rotates refresh tokens, the one that was given is spent; what comes back has the next one, or
    /// the same if the service sends none (RFC 6749 §6).
    ///
    /// Await it in a tokio runtime, if the transport is one on `reqwest`.
    ///
    /// # Errors
    ///
    /// As the answer says: [`ErrorKind::of_answer`]. After an error with
    /// [`answer_lost`](Error::answer_lost) the refresh token may be spent.
    ///
    /// # Cancel safety
    ///
    /// None: if this is dropped, an answer may be lost, and a rotated refresh token with it.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn run(provider: tokenkeeper_providers::RefreshTokenProvider) -> Result<(), tokenkeeper::Error> {
    /// let tokens = provider.refresh("the refresh token").await?;
    /// let next = tokens.refresh_token().expect("the next one, or the same");
    /// # let _ = next;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn refresh(&self, refresh_token: impl Into<Secret>) -> Result<TokenSet, Error> {
        let refresh_token = refresh_token.into();
        let current = TokenSet::from_refresh_token(refresh_token.clone());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let cx = FetchContext::detached(&clock, LONGEST_ATTEMPT);
        let tokens = self.endpoint.refresh(&refresh_token, &current, &cx).await?;
        Ok(match tokens.refresh_token() {
            Some(_) => tokens,
            None => tokens.with_refresh_token(refresh_token),
        })
    }

    /// Revokes one token without a manager (RFC 7009 §2.1). The hint is its type there:
    /// `refresh_token`, `access_token`, or what else the service knows.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] without a
    /// [`revocation_url`](RefreshTokenBuilder::revocation_url), else as the answer says. After an error
    /// the token must be assumed to exist.
    pub async fn revoke_token(&self, token: impl Into<Secret>, hint: &str) -> Result<(), Error> {
        self.endpoint.revoke_token(&token.into(), hint).await
    }

    /// With everything that a login was told.
    #[cfg(any(feature = "authorization-code", feature = "device"))]
    pub(crate) fn of_login(settings: Settings, subject: impl Into<String>) -> Result<Self, Error> {
        RefreshTokenBuilder { settings }.subject(subject).build()
    }

    fn nothing_to_exchange(&self) -> Error {
        let kind = ErrorKind::LoginRequired;
        self.endpoint.located(match &self.endpoint.key {
            None => Error::new(kind, "there is no refresh token to start from"),
            Some(key) => {
                let what = format!(
                    "there is no refresh token to start from that is bound to the key {}",
                    key.thumbprint()
                );
                Error::new(kind, what).with_advice(
                    "log in; tokens that were bound to a key that is lost cannot be used any more",
                )
            }
        })
    }
}

#[async_trait]
impl TokenProvider for RefreshTokenProvider {
    fn identity(&self) -> &ProviderIdentity {
        &self.endpoint.identity
    }

    async fn fetch_token(&self, _cx: &FetchContext<'_>) -> Result<TokenSet, Error> {
        Err(self.nothing_to_exchange())
    }

    async fn refresh_token(
        &self,
        current: &TokenSet,
        cx: &FetchContext<'_>,
    ) -> Result<TokenSet, Error> {
        match current.refresh_token() {
            Some(refresh_token) => self.endpoint.refresh(refresh_token, current, cx).await,
            None => Err(self.nothing_to_exchange()),
        }
    }

    fn non_interactive(&self) -> bool {
        false
    }

    async fn revoke(&self, tokens: &TokenSet) -> Result<(), Error> {
        self.endpoint.revoke(tokens).await
    }
}

/// Builds a [`RefreshTokenProvider`].
#[derive(Clone, Debug)]
pub struct RefreshTokenBuilder {
    pub(crate) settings: Settings,
}

impl RefreshTokenBuilder {
    shared_setters!();

    /// Whose refresh token it is, in any words that tell users apart. It is not sent.
    ///
    /// # Default
    ///
    /// None: fine for a single user.
    #[must_use]
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.settings.subject = Some(subject.into());
        self
    }

    /// Sends the scopes with refreshes too, for services that want them again. They must not
    /// exceed what was granted (RFC 6749 §6).
    ///
    /// # Default
    ///
    /// Left out, which keeps what was granted.
    #[must_use]
    pub fn scopes_on_refresh(mut self) -> Self {
        self.settings.scopes_on_refresh = true;
        self
    }

    /// Checks everything that was given. Nothing is sent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], with the name of the field that is wrong and without its value.
    pub fn build(self) -> Result<RefreshTokenProvider, Error> {
        Ok(RefreshTokenProvider { endpoint: self.settings.finish("refresh_token")? })
    }
}

const LONGEST_ATTEMPT: Duration = Duration::from_secs(15); // as a manager allows
