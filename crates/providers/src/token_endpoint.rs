//! A client at its token endpoint: what all providers share once they are built.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use tokenkeeper::{
    Error, ErrorKind, FetchContext, ProviderIdentity, Scopes, Secret, TokenRequestKind, TokenSet,
};

use crate::client_auth::ClientAuth;
use crate::dialect::Dialect;
use crate::endpoint_request::{Caller, EndpointRequest};
use crate::endpoint_url::EndpointUrl;
use crate::grant::{Grant, Issues};
use crate::id_token::IdToken;
use crate::oauth2_client::{Exchange, Failure};
use crate::proof_of_possession::ProofOfPossession;
use crate::refusal::{Purpose, Refusal, retold};
use crate::transport::HttpTransport;

pub(crate) struct TokenEndpoint {
    pub(crate) identity: ProviderIdentity,
    pub(crate) url: EndpointUrl,
    /// For refreshes, where a service has another one for them.
    pub(crate) refresh_url: Option<EndpointUrl>,
    /// Empty if there is no client, because the grant says who asks.
    pub(crate) client_id: String,
    pub(crate) auth: ClientAuth,
    pub(crate) scopes: Scopes,
    pub(crate) scopes_on_refresh: bool,
    /// Audience, resources and extra parameters.
    pub(crate) parameters: Vec<(String, String)>,
    /// Parameters that are not in the identity.
    pub(crate) secret_parameters: Vec<(String, Secret)>,
    pub(crate) default_lifetime: Option<Duration>,
    pub(crate) dialect: Dialect,
    /// The name of the server (RFC 8414 §2).
    pub(crate) issuer: Option<String>,
    pub(crate) key: Option<Arc<dyn ProofOfPossession>>,
    pub(crate) issues: Issues,
    pub(crate) transport: Arc<dyn HttpTransport>,
    pub(crate) revocation_url: Option<EndpointUrl>,
    pub(crate) revocation_auth: ClientAuth,
}

impl TokenEndpoint {
    /// A first token request: with credentials and the configured scopes.
    pub(crate) async fn fetch(
        &self,
        grant: Grant<'_>,
        cx: &FetchContext<'_>,
    ) -> Result<TokenSet, Error> {
        self.fetch_for(grant, &self.scopes, cx).await
    }

    /// A first token request for other scopes than the configured ones.
    pub(crate) async fn fetch_for(
        &self,
        grant: Grant<'_>,
        scopes: &Scopes,
        cx: &FetchContext<'_>,
    ) -> Result<TokenSet, Error> {
        let kind = TokenRequestKind::Fetch;
        let ask = Ask { kind, url: &self.url, grant, scopes: Some(scopes), held: &[] };
        let tokens = self.exchange(ask, cx).await?;
        if tokens.scopes().is_none() && !scopes.is_empty() {
            // An answer that says nothing grants what was asked for (RFC 6749 §5.1).
            return Ok(tokens.with_scopes(scopes.clone()));
        }
        Ok(tokens)
    }

    /// A refresh (RFC 6749 §6). Without `scope` it keeps what was granted first. `current` are the
    /// tokens that the refresh token came with; the service knows them too.
    pub(crate) async fn refresh(
        &self,
        refresh_token: &Secret,
        current: &TokenSet,
        cx: &FetchContext<'_>,
    ) -> Result<TokenSet, Error> {
        let scopes = self.scopes_on_refresh.then_some(&self.scopes);
        let grant = Grant::Refresh(refresh_token);
        let held = secrets_of(current);
        let url = self.refresh_url.as_ref().unwrap_or(&self.url);
        let ask = Ask { kind: TokenRequestKind::Refresh, url, grant, scopes, held: &held };
        let tokens = self.exchange(ask, cx).await?;
        // One that cannot be read, or whose issuer is spelled otherwise, costs nothing, because the
        // refresh token may be spent. But it does not take the place of one that says whose the
        // tokens are.
        let [first, next] = [current, &tokens].map(|tokens| IdToken::read(tokens.id_token()?));
        match (first, next) {
            (Some(first), Some(next)) if !next.is_of_the_person_of(&first) => {
                let what = "the id token that came with the refresh names another person (OpenID \
                            Connect Core §12.2), so none of the tokens is used";
                Err(self.located(Error::new(ErrorKind::RefreshRejected, what)))
            }
            (Some(first), next) if next.as_ref().is_none_or(|next| !next.continues(&first)) => {
                Ok(current.id_token().cloned().into_iter().fold(tokens, TokenSet::with_id_token))
            }
            _ => Ok(tokens),
        }
    }

    /// Revokes the refresh token, and then the access token (RFC 7009 §2.1). The refresh token
    /// comes first: what is interrupted in between has ended what lasts longest.
    pub(crate) async fn revoke(&self, tokens: &TokenSet) -> Result<(), Error> {
        let url = self.revocation_endpoint()?;
        if let Some(refresh_token) = tokens.refresh_token() {
            self.revoke_one(url, tokens, refresh_token, "refresh_token").await?;
        }
        let Some(access_token) = tokens.access_token() else {
            return Ok(());
        };
        let ended = self.revoke_one(url, tokens, access_token.secret(), "access_token").await;
        match ended {
            // A service that revokes refresh tokens only ends the access tokens with them.
            Err(error)
                if error.kind() == ErrorKind::Unsupported && tokens.refresh_token().is_some() =>
            {
                Ok(())
            }
            ended => ended,
        }
    }

    /// Revokes one token, whose type is named by the hint.
    pub(crate) async fn revoke_token(&self, token: &Secret, hint: &str) -> Result<(), Error> {
        let tokens = TokenSet::from_refresh_token(token.clone());
        self.revoke_one(self.revocation_endpoint()?, &tokens, token, hint).await
    }

    fn revocation_endpoint(&self) -> Result<&EndpointUrl, Error> {
        self.revocation_url.as_ref().ok_or_else(|| {
            let what = "the revocation endpoint is not known, so the token still exists";
            let error = Error::new(ErrorKind::Unsupported, what);
            self.located(error.with_advice("give its URL to the builder with revocation_url"))
        })
    }

    /// An error with the name of the service.
    pub(crate) fn located(&self, error: Error) -> Error {
        error.at_service(self.identity.service_name())
    }

    /// One token request. A server that does not take the first place where the client shows its
    /// secret, or wants a nonce in the proof of the key (RFC 9449 §8), refuses it before it looks at
    /// anything else, so there is a second one. A nonce may have ended or been used by then, so there
    /// is a third.
    async fn exchange(&self, ask: Ask<'_>, cx: &FetchContext<'_>) -> Result<TokenSet, Error> {
        let mut outcome = self.attempt(ask, &self.auth, None, cx).await;
        if matches!(&outcome, Err(Unsuccessful::WantsOtherProof(_))) {
            outcome = self.attempt(ask, &self.auth.other(), None, cx).await;
        }
        for _ in 0..MOST_NONCES {
            let Err(Unsuccessful::WantsNonce(_, refusal)) = outcome else { break };
            outcome = self.attempt(ask, &self.auth, Some(&refusal), cx).await;
        }
        let host = ask.url.host();
        let tokens = outcome.map_err(|unsuccessful| self.located(unsuccessful.into_error(host)))?;
        Ok(match self.default_lifetime {
            Some(lifetime) if tokens.expires_at().is_none() => tokens.with_lifetime(lifetime),
            _ => tokens,
        })
    }

    async fn attempt(
        &self,
        ask: Ask<'_>,
        auth: &ClientAuth,
        refused_with: Option<&HeaderMap>,
        cx: &FetchContext<'_>,
    ) -> Result<TokenSet, Unsuccessful> {
        let proof = auth.proof(&self.client_id, self.audience(ask.url)).await;
        let proof = proof.map_err(|error| Unsuccessful::Other(before_sending(error)))?;
        let assertion = ask.grant.assertion(self.audience(ask.url)).await;
        let assertion = assertion.map_err(|error| Unsuccessful::Other(before_sending(error)))?;
        let mut secrets: Vec<_> = proof.secret().into_iter().chain(ask.grant.secrets()).collect();
        secrets.extend(ask.url.secrets().chain(ask.held.iter().copied()).chain(&assertion));
        secrets.extend(self.secret_parameters.iter().map(|(_, value)| value));
        let assertion = assertion.iter().map(|jwt| ("assertion", jwt.expose_secret()));
        let exchange = Exchange {
            url: ask.url,
            client_id: &self.client_id,
            proof: &proof,
            grant: ask.grant,
            scopes: ask.scopes,
            parameters: assertion.chain(self.configured()).collect(),
            transport: &*self.transport,
            dialect: &self.dialect,
            key: self.key.as_deref(),
            refusal: refused_with,
            issues: self.issues,
            secrets: &secrets,
        };
        match exchange.run(cx).await {
            Ok(tokens) => {
                self.auth.learns(&proof, false);
                Ok(tokens)
            }
            Err(Failure::NotAnswered(error)) => {
                let error = Purpose::Exchange(ask.kind).judged(error, ask.url.host());
                Err(Unsuccessful::Other(error))
            }
            Err(Failure::Answered(refusal)) => {
                let wants_other = refusal.is_of_client(Purpose::Exchange(ask.kind))
                    && self.auth.learns(&proof, true);
                Err(self.unsuccessful(ask, *refusal, wants_other, &secrets, cx))
            }
        }
    }

    fn unsuccessful(
        &self,
        ask: Ask<'_>,
        mut refusal: Refusal,
        wants_other: bool,
        secrets: &[&Secret],
        cx: &FetchContext<'_>,
    ) -> Unsuccessful {
        refusal.client_hint = self.auth.hint(&self.client_id);
        refusal.ends_refresh_token =
            refusal.code().is_some_and(|code| self.dialect.ends_refresh_token(code));
        let wants_nonce = refusal.wants_nonce() && self.key.is_some();
        let headers = wants_nonce.then(|| refusal.headers.clone());
        let now = cx.clock().now().wall();
        let error = refusal.into_error(Purpose::Exchange(ask.kind), ask.url.host(), secrets, now);
        match (wants_other, headers) {
            (true, _) => Unsuccessful::WantsOtherProof(error),
            (false, Some(headers)) => Unsuccessful::WantsNonce(error, headers),
            (false, None) => Unsuccessful::Other(error),
        }
    }

    /// Parameters that go with every request.
    fn configured(&self) -> impl Iterator<Item = (&str, &str)> {
        let plain = self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let secret = self.secret_parameters.iter();
        plain.chain(secret.map(|(name, value)| (name.as_str(), value.expose_secret())))
    }

    /// For whom assertions are made: the server itself where its name is known, because the URL of
    /// an endpoint may be one that another server chose.
    pub(crate) fn audience<'a>(&'a self, url: &'a EndpointUrl) -> &'a str {
        self.issuer.as_deref().unwrap_or(url.normalised())
    }

    /// A request to another endpoint of the same server.
    pub(crate) fn request<'a>(
        &'a self,
        url: &'a EndpointUrl,
        purpose: Purpose,
        secrets: Vec<&'a Secret>,
    ) -> EndpointRequest<'a> {
        let service_name = self.identity.service_name();
        EndpointRequest { service_name, url, transport: &*self.transport, purpose, secrets }
    }

    async fn revoke_one(
        &self,
        url: &EndpointUrl,
        tokens: &TokenSet,
        token: &Secret,
        hint: &str,
    ) -> Result<(), Error> {
        let auth = &self.revocation_auth;
        let caller = Caller { client_id: &self.client_id, auth, audience: self.audience(url) };
        let form = [("token", token.expose_secret()), ("token_type_hint", hint)];
        let request = self.request(url, Purpose::Revocation, secrets_of(tokens));
        request.post(caller, &form).await.map(drop)
    }
}

/// What is asked for.
#[derive(Clone, Copy)]
struct Ask<'a> {
    kind: TokenRequestKind,
    url: &'a EndpointUrl,
    grant: Grant<'a>,
    scopes: Option<&'a Scopes>,
    /// The tokens that are replaced; the service knows them too.
    held: &'a [&'a Secret],
}

/// Its name alone: URLs, parameters and what was asked for may be secrets in the wrong place.
impl fmt::Debug for TokenEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.configured().map(|(name, _)| name).collect::<Vec<_>>();
        f.debug_struct("TokenEndpoint")
            .field("identity", &self.identity)
            .field("url", &self.url)
            .field("auth", &self.auth)
            .field("scopes", &self.scopes)
            .field("parameters", &names)
            .finish_non_exhaustive()
    }
}

/// Why an attempt brought no tokens.
enum Unsuccessful {
    WantsOtherProof(Error),
    /// With the headers of the answer, which have the nonce.
    WantsNonce(Error, HeaderMap),
    Other(Error),
}

impl Unsuccessful {
    fn into_error(self, host: &str) -> Error {
        match self {
            Self::WantsNonce(error, _) => {
                let count = MOST_NONCES + 1;
                let what = format!(
                    "{host} wanted another nonce in the DPoP proof of each of {count} requests"
                );
                retold(&error, ErrorKind::Unavailable, what)
            }
            Self::WantsOtherProof(error) | Self::Other(error) => error,
        }
    }
}

/// An error of what makes assertions. They may be tokens of another login, and what became of that one
/// has not happened to the refresh token here.
fn before_sending(error: Error) -> Error {
    let kind = match error.kind() {
        ErrorKind::RefreshRejected => ErrorKind::CredentialsRejected,
        kind if error.answer_lost() => kind,
        _ => return error,
    };
    let told = Error::new(kind, format!("the assertion cannot be made ({error})"));
    let told = told.with_advice("mend that, then ask again");
    match error.retry_after() {
        Some(wait) => told.with_retry_after(wait),
        None => told,
    }
    .with_source(error)
}

fn secrets_of(tokens: &TokenSet) -> Vec<&Secret> {
    let access_token = tokens.access_token().map(|token| token.secret());
    access_token.into_iter().chain(tokens.refresh_token()).chain(tokens.id_token()).collect()
}

const MOST_NONCES: u32 = 2; // after the first attempt, which has none or an old one
