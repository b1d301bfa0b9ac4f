//! A token in exchange for another (RFC 8693).

use std::sync::Arc;

use serde_json::Value;
use tokenkeeper::{
    Error, ErrorKind, FetchContext, ProviderIdentity, Secret, TokenProvider, TokenSet, async_trait,
};

use super::token_source::TokenSource;
use super::token_type::TokenTypeUri;
use crate::client_auth::check_text;
use crate::endpoint_url::config_error;
use crate::error_codes::class_of;
use crate::grant::{Grant, Issues};
use crate::refusal::retold;
use crate::settings::{Settings, check_plain, shared_setters};
use crate::token_endpoint::TokenEndpoint;

/// Tokens that are bought with a token (RFC 8693): one that a caller sent, for a service behind, or
/// that of a workload for one of a cloud.
///
/// The exchanged token is kept like any other. When it ends, the subject token is asked for anew and
/// exchanged again. A source whose token is refused is asked for
/// [another one](TokenSource::replace_refused), once, and the exchange is made again. A refresh token is rare here (RFC 8693 §2.2.1), and used where there is one.
///
/// Each token that is handed in says what it is; nothing here looks into it. With a
/// [`TokenManager`](tokenkeeper::TokenManager) it is that manager's access token, fresh. If its login
/// ends, this manager says so, and waits: after a new login, tell it by
/// [`credentials_changed`](tokenkeeper::TokenManager::credentials_changed).
///
/// Whoever names the [subject](TokenExchangeBuilder::subject) gets the token that was bought for it
/// before, and what was sent this time is not looked at. So the name comes out of a token that was
/// verified, by its signature or by introspection, and never out of one that merely came along.
/// `docs/logging-people-in.md` in the repository shows it for many users.
///
/// A token that is asked for by another [type](TokenExchangeBuilder::requested_token_type) than an
/// access token, such as an id token, comes as `N_A`. It is
/// [read](tokenkeeper::AccessToken::secret), and goes onto no request as a bearer token.
///
/// # Examples
///
/// ```
/// use tokenkeeper::{Secret, TokenProvider};
/// use tokenkeeper_providers::{ClientAuth, TokenExchangeProvider, TokenTypeUri};
///
/// # #[cfg(feature = "reqwest")] {
/// let of_the_caller = Secret::from("what Alice's browser sent");
/// let provider = TokenExchangeProvider::builder("billing", "https://auth.example.org/token")
///     .client("gateway", ClientAuth::basic("hunter2"))
///     .subject("alice")
///     .subject_token(TokenTypeUri::ACCESS_TOKEN, of_the_caller)
///     .audience("https://billing.example.org")
///     .build()?;
/// assert!(provider.non_interactive());
/// # }
/// # Ok::<(), tokenkeeper::Error>(())
/// ```
#[derive(Debug)]
pub struct TokenExchangeProvider {
    endpoint: TokenEndpoint,
    subject: HandedIn,
    actor: Option<HandedIn>,
    requested: TokenTypeUri,
}

impl TokenExchangeProvider {
    /// Starts with a name for the service, as it is to appear in errors and logs, and the URL of
    /// its token endpoint.
    ///
    /// A [`client`](TokenExchangeBuilder::client) is optional, because some services ask for none
    /// (RFC 8693 §2.1): without one, no `client_id` is sent.
    #[must_use]
    pub fn builder(service_name: &str, token_url: &str) -> TokenExchangeBuilder {
        TokenExchangeBuilder {
            settings: Settings::new(service_name, token_url),
            subject: None,
            actor: None,
            actor_name: None,
            requested: TokenTypeUri::ACCESS_TOKEN,
        }
    }

    async fn exchange(
        &self,
        subject: &Secret,
        actor: Option<&Secret>,
        cx: &FetchContext<'_>,
    ) -> Result<TokenSet, Error> {
        let mut parameters = vec![
            ("requested_token_type", self.requested.as_str()),
            ("subject_token", subject.expose_secret()),
            ("subject_token_type", self.subject.token_type.as_str()),
        ];
        let mut secrets = vec![subject];
        if let (Some(source), Some(token)) = (&self.actor, actor) {
            parameters.push(("actor_token", token.expose_secret()));
            parameters.push(("actor_token_type", source.token_type.as_str()));
            secrets.push(token);
        }
        let grant =
            Grant::Named { grant_type: TOKEN_EXCHANGE, parameters: &parameters, secrets: &secrets };
        self.endpoint.fetch(grant, cx).await
    }

    /// Refuses what was not asked for (RFC 8693 §2.2.1).
    fn checked(&self, tokens: TokenSet) -> Result<TokenSet, Error> {
        let lack = match tokens.extra().get("issued_token_type") {
            Some(Value::String(issued)) if self.requested.is_met_by(issued) => return Ok(tokens),
            Some(Value::String(_)) => "has a token of another type than was asked for",
            _ => "does not say of which type the token is",
        };
        let what = format!("the answer of {} {lack} (RFC 8693 §2.2.1)", self.endpoint.url.host());
        let error = Error::new(ErrorKind::InvalidResponse, what).with_answer_lost();
        Err(self.endpoint.located(error.with_advice("check which token type to request")))
    }

    /// What a refusal means here (RFC 8693 §2.2.2). Which of the tokens it is about, it does not say.
    fn explained(&self, error: Error) -> Error {
        let host = self.endpoint.url.host();
        let tokens = match self.actor {
            Some(_) => "the subject token or the actor token",
            None => "the subject token",
        };
        match error.oauth().map(|oauth| class_of(oauth.code())) {
            Some("invalid_grant") => {
                retold(&error, error.kind(), format!("{host} refused {tokens}")).with_advice(
                    "hand in one that is still good, then call credentials_changed() or restart",
                )
            }
            Some("invalid_request") => {
                let what = format!("{host} refused the exchange, perhaps {tokens}");
                retold(&error, error.kind(), what).with_advice(
                    "check that what is handed in is still good there, and of the type that is \
                     named",
                )
            }
            Some("invalid_target") => {
                let what = format!("{host} issues no token for this audience or resource");
                retold(&error, error.kind(), what)
                    .with_advice("check the audience, the resources and the rights of the client")
            }
            _ => error,
        }
    }
}

#[async_trait]
impl TokenProvider for TokenExchangeProvider {
    fn identity(&self) -> &ProviderIdentity {
        &self.endpoint.identity
    }

    async fn fetch_token(&self, cx: &FetchContext<'_>) -> Result<TokenSet, Error> {
        let located = |error| self.endpoint.located(error);
        let mut subject = self.subject.token("subject token").await.map_err(located)?;
        let mut actor = match &self.actor {
            Some(actor) => Some(actor.token("actor token").await.map_err(located)?),
            None => None,
        };
        let mut outcome = self.exchange(&subject, actor.as_ref(), cx).await;
        if outcome.as_ref().is_err_and(may_be_about_tokens) {
            // Which of the two it was is not said.
            let other = self.subject.replaced("subject token", &subject).await;
            let other_actor = match (&self.actor, &actor) {
                (Some(source), Some(token)) => source.replaced("actor token", token).await,
                _ => None,
            };
            if other.is_some() || other_actor.is_some() {
                subject = other.unwrap_or(subject);
                actor = other_actor.or(actor);
                outcome = self.exchange(&subject, actor.as_ref(), cx).await;
            }
        }
        let tokens = outcome.map_err(|error| self.explained(error))?;
        self.checked(tokens)
    }

    async fn refresh_token(
        &self,
        current: &TokenSet,
        cx: &FetchContext<'_>,
    ) -> Result<TokenSet, Error> {
        match current.refresh_token().filter(|_| self.refreshes()) {
            Some(refresh_token) => self.endpoint.refresh(refresh_token, current, cx).await,
            None => self.fetch_token(cx).await,
        }
    }

    /// A refresh brings access tokens, so it is of use for those only.
    fn refreshes(&self) -> bool {
        self.requested.issues() == Issues::AccessToken
    }

    async fn revoke(&self, tokens: &TokenSet) -> Result<(), Error> {
        self.endpoint.revoke(tokens).await
    }
}

/// Builds a [`TokenExchangeProvider`].
#[derive(Clone, Debug)]
pub struct TokenExchangeBuilder {
    pub(crate) settings: Settings,
    subject: Option<HandedIn>,
    actor: Option<HandedIn>,
    actor_name: Option<String>,
    requested: TokenTypeUri,
}

impl TokenExchangeBuilder {
    shared_setters!();

    /// The token of whoever the new one is to speak for, and what it is. Required.
    #[must_use]
    pub fn subject_token(mut self, token_type: TokenTypeUri, source: impl TokenSource) -> Self {
        self.subject = Some(HandedIn { token_type, source: Arc::new(source) });
        self
    }

    /// Whose token the subject token is, in any words that tell subjects apart. Required, because
    /// tokens are stored by it. It is not sent, and nobody checks it: take it from a token that was
    /// verified.
    #[must_use]
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.settings.subject = Some(subject.into());
        self
    }

    /// The token of whoever is to act for the subject, and what it is.
    ///
    /// # Default
    ///
    /// None: no delegation beyond the client itself.
    #[must_use]
    pub fn actor_token(mut self, token_type: TokenTypeUri, source: impl TokenSource) -> Self {
        self.actor = Some(HandedIn { token_type, source: Arc::new(source) });
        self
    }

    /// Whose token the actor token is, in any words that tell actors apart. Required with an actor
    /// token. It is not sent.
    #[must_use]
    pub fn actor(mut self, actor: impl Into<String>) -> Self {
        self.actor_name = Some(actor.into());
        self
    }

    /// What is asked for. The service must issue just that; for an access token, one that it calls a
    /// JWT will do.
    ///
    /// # Default
    ///
    /// [`TokenTypeUri::ACCESS_TOKEN`].
    #[must_use]
    pub fn requested_token_type(mut self, token_type: TokenTypeUri) -> Self {
        self.requested = token_type;
        self
    }

    /// Checks everything that was given. Nothing is sent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], with the name of the field that is wrong and without its value.
    pub fn build(self) -> Result<TokenExchangeProvider, Error> {
        let service_name = self.settings.service_name.clone();
        self.checked().map_err(|error| error.at_service(&service_name))
    }

    fn checked(mut self) -> Result<TokenExchangeProvider, Error> {
        let Some(subject) = self.subject else {
            return Err(config_error("subject token", "must be given: it is what is exchanged"));
        };
        if self.settings.subject.is_none() {
            let what = "must be given: tokens are stored by whose they are";
            return Err(config_error("subject", what));
        }
        if self.actor.is_some() != self.actor_name.is_some() {
            let what = "is given together with an actor token, or not at all";
            return Err(config_error("actor", what));
        }
        subject.token_type.check("subject token type")?;
        self.requested.check("requested token type")?;
        self.settings.client_is_optional = true;
        self.settings.issues = self.requested.issues();
        let mut endpoint = self.settings.finish(TOKEN_EXCHANGE)?;
        let mut identity = endpoint.identity;
        identity = identity
            .with("subject_token_type", subject.token_type.as_str())
            .with("requested_token_type", self.requested.as_str());
        if let (Some(actor), Some(name)) = (&self.actor, &self.actor_name) {
            actor.token_type.check("actor token type")?;
            check_plain("actor", name)?;
            identity =
                identity.with("actor", name).with("actor_token_type", actor.token_type.as_str());
        }
        endpoint.identity = identity;
        Ok(TokenExchangeProvider {
            endpoint,
            subject,
            actor: self.actor,
            requested: self.requested,
        })
    }
}

/// A token that is handed in, and what it is (RFC 8693 §2.1).
#[derive(Clone, Debug)]
struct HandedIn {
    token_type: TokenTypeUri,
    source: Arc<dyn TokenSource>,
}

impl HandedIn {
    async fn token(&self, field: &str) -> Result<Secret, Error> {
        let token = self.source.token().await?;
        check_text(field, &token)?;
        Ok(token)
    }

    /// Another token, if the source has one. That it cannot say is no reason to hide the refusal.
    async fn replaced(&self, field: &str, refused: &Secret) -> Option<Secret> {
        let other = self.source.replace_refused(refused).await.ok()??;
        (check_text(field, &other).is_ok() && !other.ct_eq(refused)).then_some(other)
    }
}

/// Whether a refusal can mean that a token that was handed in is not good any more (RFC 8693 §2.2.2).
fn may_be_about_tokens(error: &Error) -> bool {
    let class = error.oauth().map(|oauth| class_of(oauth.code()));
    matches!(class, Some("invalid_grant" | "invalid_request"))
}

const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
