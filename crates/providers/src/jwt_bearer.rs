//! A signed assertion in exchange for a token (RFC 7521 §4.1, RFC 7523 §2.1).

use std::sync::Arc;

use tokenkeeper::{Error, FetchContext, ProviderIdentity, TokenProvider, TokenSet, async_trait};

use crate::client_auth::AssertionSource;
use crate::endpoint_url::config_error;
use crate::error_codes::class_of;
use crate::grant::{Grant, JWT_BEARER};
use crate::refusal::retold;
use crate::settings::{Settings, shared_setters};
use crate::token_endpoint::TokenEndpoint;

/// Tokens for the subject of a signed assertion: a service account, or a user on whose behalf a
/// trusted program acts (RFC 7523 §2.1).
///
/// There is a new assertion for every request, because its `jti` may be good only once. What the
/// assertion says is up to its [`AssertionSource`]; nothing here looks into it. A refresh token is
/// rare with this grant (RFC 7521 §4.1), and used where there is one.
///
/// # Examples
///
/// ```
/// use tokenkeeper::{Error, Secret, TokenProvider, async_trait};
/// use tokenkeeper_providers::{AssertionSource, JwtBearerProvider};
///
/// #[derive(Debug)]
/// struct Signer;
///
/// #[async_trait]
/// impl AssertionSource for Signer {
///     async fn assertion(&self, audience: &str) -> Result<Secret, Error> {
///         Ok(Secret::from(format!("header.claims for {audience}.signature")))
///     }
/// }
///
/// # #[cfg(feature = "reqwest")] {
/// let provider = JwtBearerProvider::builder("reports", "https://auth.example.org/token")
///     .assertion(Signer)
///     .subject("nightly@accounts.example.org")
///     .scopes(["reports.write"])
///     .build()?;
/// assert!(provider.non_interactive());
/// # }
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct JwtBearerProvider {
    endpoint: TokenEndpoint,
    assertion: Arc<dyn AssertionSource>,
}

impl JwtBearerProvider {
    /// Starts with a name for the service, as it is to appear in errors and logs, and the URL of
    /// its token endpoint.
    ///
    /// A [`client`](JwtBearerBuilder::client) is optional with this grant (RFC 7521 §4.1): without
    /// one, the assertion alone says who asks, and no `client_id` is sent.
    #[must_use]
    pub fn builder(service_name: &str, token_url: &str) -> JwtBearerBuilder {
        JwtBearerBuilder { settings: Settings::new(service_name, token_url), assertion: None }
    }

    fn explained(&self, error: Error) -> Error {
        if !is_about_assertion(&error) {
            return error;
        }
        let what = format!("{} refused the assertion", self.endpoint.url.host());
        retold(&error, error.kind(), what).with_advice(
            "correct its issuer, subject, audience or key, or the clock, then call \
             credentials_changed() or restart",
        )
    }
}

#[async_trait]
impl TokenProvider for JwtBearerProvider {
    fn identity(&self) -> &ProviderIdentity {
        &self.endpoint.identity
    }

    async fn fetch_token(&self, cx: &FetchContext<'_>) -> Result<TokenSet, Error> {
        let grant = Grant::JwtBearer(&*self.assertion);
        let mut outcome = self.endpoint.fetch(grant, cx).await;
        if outcome.as_ref().is_err_and(is_about_assertion)
            && matches!(self.assertion.replace_refused().await, Ok(true))
        {
            outcome = self.endpoint.fetch(grant, cx).await;
        }
        outcome.map_err(|error| self.explained(error))
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

    async fn revoke(&self, tokens: &TokenSet) -> Result<(), Error> {
        self.endpoint.revoke(tokens).await
    }
}

fn is_about_assertion(error: &Error) -> bool {
    error.oauth().is_some_and(|oauth| class_of(oauth.code()) == "invalid_grant")
}

/// Builds a [`JwtBearerProvider`].
#[derive(Clone, Debug)]
pub struct JwtBearerBuilder {
    pub(crate) settings: Settings,
    assertion: Option<Arc<dyn AssertionSource>>,
}

impl JwtBearerBuilder {
    shared_setters!();

    /// What signs the assertions. Required.
    #[must_use]
    pub fn assertion(mut self, source: impl AssertionSource) -> Self {
        self.assertion = Some(Arc::new(source));
        self
    }

    /// Whom the assertions speak of: their `sub` (RFC 7523 §3), or any words that tell subjects
    /// apart. Required, because tokens are stored by it, and nothing looks into an assertion. It is
    /// not sent.
    #[must_use]
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.settings.subject = Some(subject.into());
        self
    }

    /// Checks everything that was given. Nothing is sent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](tokenkeeper::ErrorKind::Config), with the name of the field that is wrong and without its value.
    pub fn build(mut self) -> Result<JwtBearerProvider, Error> {
        let service_name = self.settings.service_name.clone();
        let missing = |field, what| Err(config_error(field, what).at_service(&service_name));
        let Some(assertion) = self.assertion else {
            return missing("assertion", "must be given: it is what is exchanged");
        };
        if self.settings.subject.is_none() {
            return missing("subject", "must be given: tokens are stored by whose they are");
        }
        self.settings.client_is_optional = true;
        Ok(JwtBearerProvider { endpoint: self.settings.finish(JWT_BEARER)?, assertion })
    }
}
