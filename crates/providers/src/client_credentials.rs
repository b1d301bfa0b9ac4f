//! A service that acts for itself (RFC 6749 §4.4).

use tokenkeeper::{Error, FetchContext, ProviderIdentity, TokenProvider, TokenSet, async_trait};

use crate::oauth2_client::Grant;
use crate::settings::{Settings, shared_setters};
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
}

impl ClientCredentialsProvider {
    /// Starts with a name for the service, as it is to appear in errors and logs, and the URL of
    /// its token endpoint.
    #[must_use]
    pub fn builder(service_name: &str, token_url: &str) -> ClientCredentialsBuilder {
        ClientCredentialsBuilder { settings: Settings::new(service_name, token_url) }
    }
}

#[async_trait]
impl TokenProvider for ClientCredentialsProvider {
    fn identity(&self) -> &ProviderIdentity {
        &self.endpoint.identity
    }

    async fn fetch_token(&self, cx: &FetchContext<'_>) -> Result<TokenSet, Error> {
        let tokens = self.endpoint.fetch(Grant::ClientCredentials, cx).await?;
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
    settings: Settings,
}

impl ClientCredentialsBuilder {
    shared_setters!();

    /// Checks everything that was given. Nothing is sent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](tokenkeeper::ErrorKind::Config), with the name of the field that is
    /// wrong and without its value.
    pub fn build(self) -> Result<ClientCredentialsProvider, Error> {
        Ok(ClientCredentialsProvider { endpoint: self.settings.finish("client_credentials")? })
    }
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
