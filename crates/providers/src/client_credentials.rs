//! A service that acts for itself (RFC 6749 §4.4).

use tokenkeeper::{Error, FetchContext, ProviderIdentity, TokenProvider, TokenSet, async_trait};

use crate::endpoint_url::config_error;
use crate::grant::{CLIENT_CREDENTIALS, Grant};
use crate::settings::{Settings, check_plain, shared_setters};
use crate::token_endpoint::TokenEndpoint;

/// Tokens for the client itself (RFC 6749 §4.4).
///
/// There is nothing to refresh: the credentials get a new token at any time. A refresh token in
/// the answer, which RFC 6749 §4.4.3 advises against, is dropped.
///
/// # Examples
///
/// ```
/// use tokenkeeper::TokenProvider;
/// use tokenkeeper_providers::{ClientAuth, ClientCredentialsProvider};
///
/// # #[cfg(feature = "reqwest")] {
/// let provider =
///     ClientCredentialsProvider::builder("billing", "https://auth.example.org/token")
///         .client("billing-job", ClientAuth::basic("hunter2"))
///         .scopes(["invoices.read", "invoices.write"])
///         .audience("https://api.example.org")
///         .build()?;
/// assert_eq!(provider.identity().service_name(), "billing");
/// # }
/// # Ok::<(), tokenkeeper::Error>(())
/// ```
#[derive(Debug)]
pub struct ClientCredentialsProvider {
    endpoint: TokenEndpoint,
    grant_type: String,
}

impl ClientCredentialsProvider {
    /// Starts with a name for the service, as it is to appear in errors and logs, and the URL of
    /// its token endpoint.
    #[must_use]
    pub fn builder(service_name: &str, token_url: &str) -> ClientCredentialsBuilder {
        ClientCredentialsBuilder {
            settings: Settings::new(service_name, token_url),
            grant_type: CLIENT_CREDENTIALS.to_owned(),
        }
    }
}

#[async_trait]
impl TokenProvider for ClientCredentialsProvider {
    fn identity(&self) -> &ProviderIdentity {
        &self.endpoint.identity
    }

    async fn fetch_token(&self, cx: &FetchContext<'_>) -> Result<TokenSet, Error> {
        let grant = Grant::Named { grant_type: &self.grant_type, parameters: &[], secrets: &[] };
        let tokens = self.endpoint.fetch(grant, cx).await?;
        Ok(without_refresh_token(tokens))
    }

    fn refreshes(&self) -> bool {
        false
    }

    async fn revoke(&self, tokens: &TokenSet) -> Result<(), Error> {
        self.endpoint.revoke(tokens).await
    }
}

/// Builds a [`ClientCredentialsProvider`].
#[derive(Clone, Debug)]
pub struct ClientCredentialsBuilder {
    pub(crate) settings: Settings,
    grant_type: String,
}

impl ClientCredentialsBuilder {
    shared_setters!();

    /// `grant_type`, for a service that has a grant of its own for clients (RFC 6749 §4.5), such as
    /// Zoom's `account_credentials`. What such a grant wants besides is an
    /// [`extra_parameter`](Self::extra_parameter); everything else is as with client credentials.
    ///
    /// # Default
    ///
    /// `client_credentials`.
    #[must_use]
    pub fn grant_type(mut self, name: impl Into<String>) -> Self {
        self.grant_type = name.into();
        self
    }

    /// Checks everything that was given. Nothing is sent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](tokenkeeper::ErrorKind::Config), with the name of the field that is
    /// wrong and without its value.
    pub fn build(self) -> Result<ClientCredentialsProvider, Error> {
        let Self { settings, grant_type } = self;
        check_grant_type(&grant_type).map_err(|error| error.at_service(&settings.service_name))?;
        Ok(ClientCredentialsProvider { endpoint: settings.finish(&grant_type)?, grant_type })
    }
}

fn check_grant_type(name: &str) -> Result<(), Error> {
    check_plain("grant type", name)?;
    if name.contains(char::is_whitespace) {
        return Err(config_error("grant type", "must be one word or a URI (RFC 6749 §4.5)"));
    }
    if NEED_A_USER.contains(&name) {
        let what = format!("`{name}` is no grant of a client alone");
        return Err(config_error("grant type", &what));
    }
    Ok(())
}

fn without_refresh_token(tokens: TokenSet) -> TokenSet {
    let has_some = tokens.refresh_token().is_some() || tokens.refresh_expires_at().is_some();
    let Some(access_token) = tokens.access_token().filter(|_| has_some) else {
        return tokens;
    };
    let expires_at = tokens.expires_at();
    let mut kept = TokenSet::new((**access_token).clone(), tokens.requested_at())
        .with_expires_at(expires_at)
        .with_extra(tokens.extra().clone());
    if let Some(id_token) = tokens.id_token() {
        kept = kept.with_id_token(id_token.clone());
    }
    if let Some(scopes) = tokens.scopes() {
        kept = kept.with_scopes(scopes.clone());
    }
    kept
}

/// Grants that exchange what a user gave or allowed.
const NEED_A_USER: &[&str] = &[
    "authorization_code",
    "password",
    "refresh_token",
    "urn:ietf:params:oauth:grant-type:device_code",
];
