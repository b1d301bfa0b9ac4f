//! A client at its token endpoint: what all providers share once they are built.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request};
use tokenkeeper::{
    Clock, Error, ErrorKind, ExchangeKind, FetchContext, ProviderIdentity, Scopes, Secret,
    SystemClock, TokenSet,
};
use url::form_urlencoded;
use zeroize::Zeroizing;

use crate::answer::{Answer, Dialect};
use crate::client_auth::{ClientAuth, Proof};
use crate::endpoint_url::EndpointUrl;
use crate::oauth2_client::{Exchange, Failure, Grant};
use crate::refusal::{Purpose, Refusal};
use crate::transport::HttpTransport;

#[derive(Debug)]
pub(crate) struct TokenEndpoint {
    pub(crate) identity: ProviderIdentity,
    pub(crate) url: EndpointUrl,
    pub(crate) client_id: String,
    pub(crate) auth: ClientAuth,
    pub(crate) scopes: Scopes,
    pub(crate) scopes_on_refresh: bool,
    /// Audience, resources and extra parameters.
    pub(crate) parameters: Vec<(String, String)>,
    pub(crate) default_lifetime: Option<Duration>,
    pub(crate) dialect: Dialect,
    pub(crate) transport: Arc<dyn HttpTransport>,
    pub(crate) revocation_url: Option<EndpointUrl>,
    pub(crate) revocation_auth: ClientAuth,
}

impl TokenEndpoint {
    /// A first exchange: with credentials and the configured scopes.
    pub(crate) async fn fetch(
        &self,
        grant: Grant<'_>,
        cx: &FetchContext<'_>,
    ) -> Result<TokenSet, Error> {
        let scopes = Some(&self.scopes);
        let tokens = self.exchange(ExchangeKind::Fetch, grant, scopes, &[], cx).await?;
        if tokens.scopes().is_none() && !self.scopes.is_empty() {
            // An answer that says nothing grants what was asked for (RFC 6749 §5.1).
            return Ok(tokens.with_scopes(self.scopes.clone()));
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
        self.exchange(ExchangeKind::Refresh, grant, scopes, &secrets_of(current), cx).await
    }

    /// Revokes the refresh token, and then the access token (RFC 7009 §2.1). The refresh token
    /// comes first: whoever is interrupted in between has ended what lasts longest.
    pub(crate) async fn revoke(&self, tokens: &TokenSet) -> Result<(), Error> {
        let Some(url) = &self.revocation_url else {
            let what = "no revocation URL was configured";
            return Err(self.located(Error::new(ErrorKind::Unsupported, what)));
        };
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

    /// An error with the name of the service.
    pub(crate) fn located(&self, error: Error) -> Error {
        error.at_service(self.identity.service_name())
    }

    async fn exchange(
        &self,
        kind: ExchangeKind,
        grant: Grant<'_>,
        scopes: Option<&Scopes>,
        held: &[&Secret],
        cx: &FetchContext<'_>,
    ) -> Result<TokenSet, Error> {
        let proof = self.auth.proof(&self.client_id, self.url.normalised()).await;
        let proof = proof.map_err(|error| self.located(error))?;
        let mut secrets: Vec<_> = proof.secret().into_iter().chain(grant.secret()).collect();
        secrets.extend(self.url.secrets().chain(held.iter().copied()));
        let parameters = self.parameters.iter();
        let exchange = Exchange {
            url: &self.url,
            client_id: &self.client_id,
            proof: &proof,
            grant,
            scopes,
            parameters: parameters.map(|(name, value)| (name.as_str(), value.as_str())).collect(),
            transport: &*self.transport,
            dialect: self.dialect,
            secrets: &secrets,
        };
        let tokens = exchange.run(cx).await.map_err(|failure| {
            let purpose = Purpose::Exchange(kind);
            self.located(match failure {
                Failure::NotAnswered(error) => purpose.judged(error, self.url.host()),
                Failure::Answered(mut refusal) => {
                    refusal.client_hint = self.auth.hint(&self.client_id);
                    refusal.into_error(purpose, self.url.host(), &secrets, cx.clock().now().wall())
                }
            })
        })?;
        Ok(match self.default_lifetime {
            Some(lifetime) if tokens.expires_at().is_none() => tokens.with_lifetime(lifetime),
            _ => tokens,
        })
    }

    /// The `oauth2` crate refuses revocation URLs that are not https, even on this machine, and
    /// there is little else in such a request; so it is made here.
    async fn revoke_one(
        &self,
        url: &EndpointUrl,
        tokens: &TokenSet,
        token: &Secret,
        hint: &'static str,
    ) -> Result<(), Error> {
        let proof = self.revocation_auth.proof(&self.client_id, url.normalised()).await;
        let proof = proof.map_err(|error| self.located(error))?;
        let request = self.revocation_request(url, &proof, token, hint)?;
        let purpose = Purpose::Revocation;
        let answer = self.transport.send(request).await;
        let answer = answer.map_err(|error| self.located(purpose.judged(error, url.host())))?;
        let (parts, body) = answer.into_parts();
        let body = Zeroizing::new(body);
        if parts.status.is_success() {
            return Ok(()); // whatever the body says (RFC 7009 §2.2)
        }
        let mut refusal = Refusal::unreadable(parts.status, parts.headers);
        refusal.client_hint = self.revocation_auth.hint(&self.client_id);
        match Answer::read(parts.status, &body, self.dialect) {
            Answer::Refused(refused) => {
                refusal.code = refused.code;
                refusal.description = refused.description;
                refusal.tokens = refused.tokens;
            }
            Answer::Unreadable(why) => refusal.unreadable = Some(why),
            Answer::Granted(_) => {}
        }
        let mut secrets = secrets_of(tokens);
        secrets.extend(proof.secret().into_iter().chain(url.secrets()));
        let now = SystemClock.now().wall();
        Err(self.located(refusal.into_error(purpose, url.host(), &secrets, now)))
    }

    fn revocation_request(
        &self,
        url: &EndpointUrl,
        proof: &Proof,
        token: &Secret,
        hint: &'static str,
    ) -> Result<Request<Vec<u8>>, Error> {
        let mut parameters = vec![("token", token.expose_secret()), ("token_type_hint", hint)];
        if proof.header().is_none() {
            parameters.push(("client_id", &self.client_id));
        }
        parameters.extend(proof.parameters());
        let length: usize = parameters.iter().map(|(n, v)| 3 * (n.len() + v.len()) + 2).sum();
        let mut form = form_urlencoded::Serializer::new(String::with_capacity(length));
        let body = form.extend_pairs(parameters).finish().into_bytes();
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = url.normalised().parse().map_err(|_| {
            let what = "revocation URL: is not one that can be asked";
            self.located(Error::new(ErrorKind::Config, what))
        })?;
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(CONTENT_TYPE, form);
        if let Some(authorization) = proof.header() {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        Ok(request)
    }
}

fn secrets_of(tokens: &TokenSet) -> Vec<&Secret> {
    let access_token = tokens.access_token().map(|token| token.secret());
    access_token.into_iter().chain(tokens.refresh_token()).chain(tokens.id_token()).collect()
}
