//! The password grant, for services that leave no choice (RFC 6749 §4.3).

use parking_lot::Mutex;
use tokenkeeper::{
    Error, ErrorKind, FetchContext, ProviderIdentity, Secret, TokenProvider, TokenSet, async_trait,
};

use crate::client_auth::check_text;
use crate::endpoint_url::missing;
use crate::grant::Grant;
use crate::settings::{Settings, check_plain, shared_setters};
use crate::token_endpoint::TokenEndpoint;

/// Tokens for a user whose password the program has (RFC 6749 §4.3).
///
/// **RFC 9700 §2.4: this grant MUST NOT be used.** It shows the password to the program, trains
/// people to type it anywhere, and knows no second factor. It is here for the services that offer
/// nothing else; wherever there is a choice, take the other one.
///
/// The password is sent once. After that the provider lives on its refresh token, and sends the
/// password again only when the service refuses that token.
/// [`forget_password_after_login`](PasswordBuilder::forget_password_after_login) takes away even
/// that, as RFC 6749 §4.3.1 wants it.
///
/// # Examples
///
/// ```
/// use tokenkeeper::TokenProvider;
/// use tokenkeeper_providers::{ClientAuth, PasswordProvider};
///
/// # #[cfg(feature = "reqwest")] {
/// let provider = PasswordProvider::builder("library", "https://auth.example.org/token")
///     .client("reader", ClientAuth::post("client secret"))
///     .user("alice", "hunter2")
///     .forget_password_after_login()
///     .build()?;
/// assert!(provider.non_interactive()); // until the first login
/// # }
/// # Ok::<(), tokenkeeper::Error>(())
/// ```
#[derive(Debug)]
pub struct PasswordProvider {
    endpoint: TokenEndpoint,
    username: String,
    password: Mutex<Option<Secret>>,
    forgets: bool,
}

impl PasswordProvider {
    /// Starts with a name for the service, as it is to appear in errors and logs, and the URL of
    /// its token endpoint.
    #[must_use]
    pub fn builder(service_name: &str, token_url: &str) -> PasswordBuilder {
        let settings = Settings::new(service_name, token_url);
        PasswordBuilder { settings, user: None, forgets: false }
    }
}

#[async_trait]
impl TokenProvider for PasswordProvider {
    fn identity(&self) -> &ProviderIdentity {
        &self.endpoint.identity
    }

    async fn fetch_token(&self, cx: &FetchContext<'_>) -> Result<TokenSet, Error> {
        let Some(password) = self.password.lock().clone() else {
            let what = "the password was forgotten after the first login";
            return Err(self.endpoint.located(Error::new(ErrorKind::LoginRequired, what)));
        };
        let grant = Grant::Password { username: &self.username, password: &password };
        let tokens = self.endpoint.fetch(grant, cx).await?;
        if self.forgets {
            self.password.lock().take(); // dropping it overwrites it
        }
        Ok(tokens)
    }

    async fn refresh_token(
        &self,
        current: &TokenSet,
        cx: &FetchContext<'_>,
    ) -> Result<TokenSet, Error> {
        match current.refresh_token() {
            Some(refresh_token) => self.endpoint.refresh(refresh_token, current, cx).await,
            None => self.fetch_token(cx).await,
        }
    }

    fn non_interactive(&self) -> bool {
        self.password.lock().is_some()
    }

    async fn revoke(&self, tokens: &TokenSet) -> Result<(), Error> {
        self.endpoint.revoke(tokens).await
    }
}

/// Builds a [`PasswordProvider`].
#[derive(Clone, Debug)]
pub struct PasswordBuilder {
    pub(crate) settings: Settings,
    user: Option<(String, Secret)>,
    forgets: bool,
}

impl PasswordBuilder {
    shared_setters!();

    /// Whose tokens to get. Required. The user name is part of the identity, so two users never
    /// share a token.
    #[must_use]
    pub fn user(mut self, username: impl Into<String>, password: impl Into<Secret>) -> Self {
        self.user = Some((username.into(), password.into()));
        self
    }

    /// Overwrites the password when the first login has succeeded. From then on
    /// [`non_interactive`](TokenProvider::non_interactive) is `false`: when the refresh token ends, somebody
    /// must log in with a new provider. Not for services that issue no refresh token.
    ///
    /// Copies that the caller has of the password, and those in the buffers of the HTTP client,
    /// are out of reach.
    #[must_use]
    pub fn forget_password_after_login(mut self) -> Self {
        self.forgets = true;
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
    pub fn build(mut self) -> Result<PasswordProvider, Error> {
        let service_name = self.settings.service_name.clone();
        let (username, password) =
            checked_user(self.user).map_err(|error| error.at_service(&service_name))?;
        self.settings.subject = Some(username.clone());
        let endpoint = self.settings.finish("password")?;
        let password = Mutex::new(Some(password));
        Ok(PasswordProvider { endpoint, username, password, forgets: self.forgets })
    }
}

fn checked_user(user: Option<(String, Secret)>) -> Result<(String, Secret), Error> {
    let Some((username, password)) = user else {
        return Err(missing("user", "must be given, with name and password"));
    };
    check_plain("username", &username)?;
    check_text("password", &password)?;
    Ok((username, password))
}
