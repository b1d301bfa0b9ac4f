//! A login that happened elsewhere, kept alive (RFC 6749 §6).

use tokenkeeper::{
    Error, ErrorKind, FetchContext, ProviderIdentity, TokenProvider, TokenSet, async_trait,
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
    /// Nobody in particular: fine for a single user.
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
