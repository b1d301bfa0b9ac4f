//! The one file that knows the types of the `oauth2` crate.
//!
//! That crate builds the requests of the grants. The adapter between it and the transport does the
//! rest: the `Authorization` header in the spellings that servers want, the last check before
//! sending, and reading what servers really answer. No answer gets into that crate, which would
//! leave copies of its tokens in freed memory. Its secrets are plain strings, so the ones that are
//! lent to it are taken back and overwritten, also when the attempt is dropped. A code and its
//! verifier it keeps; they are worth nothing after the attempt.

#[cfg(feature = "authorization-code")]
use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::time::SystemTime;

use http::header::{ACCEPT_ENCODING, AUTHORIZATION};
use http::{HeaderMap, HeaderValue, StatusCode};
use oauth2::basic::{
    BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse,
    BasicTokenType,
};
use oauth2::{
    AsyncHttpClient, AuthType, Client, ClientId, ClientSecret, EndpointNotSet, EndpointSet,
    HttpRequest, HttpResponse, RefreshToken, RequestTokenError, ResourceOwnerPassword,
    ResourceOwnerUsername, Scope, StandardRevocableToken, TokenUrl,
};
#[cfg(feature = "authorization-code")]
use oauth2::{AuthorizationCode, CsrfToken, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl};
use parking_lot::Mutex;
use tokenkeeper::{Error, ErrorKind, FetchContext, Scopes, Secret, TokenSet};
use url::form_urlencoded;
use zeroize::{Zeroize, Zeroizing};

use crate::answer::Answer;
use crate::client_auth::Proof;
use crate::coding::IDENTITY;
use crate::dialect::Dialect;
use crate::endpoint_url::EndpointUrl;
use crate::grant::{CLIENT_CREDENTIALS, Grant, Issues};
#[cfg(feature = "token-exchange")]
use crate::granted::NOT_APPLICABLE;
use crate::granted::{Asked, BEARER, DPOP};
use crate::proof_of_possession::ProofOfPossession;
use crate::refusal::Refusal;
use crate::transport::HttpTransport;

/// One token request, ready to be made.
pub(crate) struct Exchange<'a> {
    pub(crate) url: &'a EndpointUrl,
    /// Empty if the grant says who asks.
    pub(crate) client_id: &'a str,
    pub(crate) proof: &'a Proof,
    pub(crate) grant: Grant<'a>,
    pub(crate) scopes: Option<&'a Scopes>,
    /// Resources, audience, extra parameters, and the assertion that is exchanged.
    pub(crate) parameters: Vec<(&'a str, &'a str)>,
    pub(crate) transport: &'a dyn HttpTransport,
    pub(crate) dialect: &'a Dialect,
    /// The key that the tokens are to be bound to.
    pub(crate) key: Option<&'a dyn ProofOfPossession>,
    /// The headers of the answer that asked for another nonce in the proof.
    pub(crate) refusal: Option<&'a HeaderMap>,
    pub(crate) issues: Issues,
    /// What the answer must not repeat.
    pub(crate) secrets: &'a [&'a Secret],
}

/// Why there are no tokens.
pub(crate) enum Failure {
    /// The transport, an assertion or the last check before sending failed.
    NotAnswered(Error),
    /// There was an answer, and it is none that has tokens.
    Answered(Box<Refusal>),
}

impl Exchange<'_> {
    /// Makes the request and reads the answer.
    pub(crate) async fn run(self, cx: &FetchContext<'_>) -> Result<TokenSet, Failure> {
        let client: TokenClient = Client::new(ClientId::new(self.client_id.to_owned()))
            .set_token_uri(TokenUrl::from_url(self.url.url().clone()));
        let client = if self.proof.header().is_some() || self.client_id.is_empty() {
            // A secret, whatever its value, keeps the client id out of the body; the header that
            // the crate makes of it is replaced.
            client
                .set_auth_type(AuthType::BasicAuth)
                .set_client_secret(ClientSecret::new(String::new()))
        } else {
            client.set_auth_type(AuthType::RequestBody)
        };
        let adapter = Adapter {
            transport: self.transport,
            grant_type: self.grant.name().filter(|name| *name != CLIENT_CREDENTIALS),
            authorization: self.proof.header(),
            dialect: self.dialect,
            key: self.key,
            refusal: self.refusal,
            cx,
            seen: Mutex::new(None),
        };
        macro_rules! answer_to {
            ($request:expr) => {{
                let mut request = $request;
                for (name, value) in self.proof.parameters() {
                    request = request.add_extra_param(name, value);
                }
                for (name, value) in &self.parameters {
                    request = request.add_extra_param(*name, *value);
                }
                request.request_async(&adapter).await
            }};
        }
        macro_rules! with_scopes {
            ($request:expr) => {
                self.scopes.into_iter().flat_map(Scopes::iter).fold($request, |request, scope| {
                    request.add_scope(Scope::new(scope.to_owned()))
                })
            };
        }
        let answer = match self.grant {
            Grant::Named { parameters, .. } => {
                let mut request = client.exchange_client_credentials();
                for (name, value) in parameters {
                    request = request.add_extra_param(*name, *value);
                }
                answer_to!(with_scopes!(request))
            }
            #[cfg(feature = "authorization-code")]
            Grant::Code { code, redirect_uri, verifier } => {
                let code = AuthorizationCode::new(code.expose_secret().to_owned());
                let verifier = PkceCodeVerifier::new(verifier.expose_secret().to_owned());
                let request = client.exchange_code(code).set_pkce_verifier(verifier);
                let redirect_uri = RedirectUrl::new(redirect_uri.to_owned()).map_err(|_| {
                    let what = "the redirect URI of a pending login cannot be read";
                    Failure::NotAnswered(Error::new(ErrorKind::Internal, what))
                })?;
                answer_to!(request.set_redirect_uri(Cow::Owned(redirect_uri)))
            }
            #[cfg(feature = "device")]
            Grant::DeviceCode(device_code) => {
                let request = client.exchange_client_credentials();
                answer_to!(request.add_extra_param("device_code", device_code.expose_secret()))
            }
            #[cfg(feature = "jwt-bearer")]
            Grant::JwtBearer(_) => {
                answer_to!(with_scopes!(client.exchange_client_credentials()))
            }
            Grant::Password { username, password } => {
                let username = ResourceOwnerUsername::new(username.to_owned());
                let password = LentPassword::new(password);
                answer_to!(with_scopes!(client.exchange_password(&username, &password.0)))
            }
            Grant::Refresh(refresh_token) => {
                let refresh_token = LentRefreshToken::new(refresh_token);
                answer_to!(with_scopes!(client.exchange_refresh_token(&refresh_token.0)))
            }
        };
        match (answer, adapter.seen.into_inner()) {
            (_, Some(seen)) => self.read(seen),
            (Err(RequestTokenError::Request(error)), None) => Err(Failure::NotAnswered(error)),
            (_, None) => {
                let what = "the request could not be built";
                Err(Failure::NotAnswered(Error::new(ErrorKind::Internal, what)))
            }
        }
    }

    fn read(&self, seen: Seen) -> Result<TokenSet, Failure> {
        let asked = Asked {
            types: self.token_types(),
            scopes: self.scopes.is_some_and(|scopes| !scopes.is_empty()),
            sent_at: seen.sent_at,
            secrets: self.secrets,
        };
        match seen.answer {
            Answer::Granted(granted) => granted
                .into_set(&asked, &seen.headers)
                .map_err(|error| Failure::NotAnswered(error.with_status(seen.status))),
            answer => {
                let refusal = Refusal::new(seen.status, seen.headers, answer);
                Err(Failure::Answered(Box::new(refusal)))
            }
        }
    }

    fn token_types(&self) -> &'static [&'static str] {
        match (self.issues, self.key) {
            #[cfg(feature = "token-exchange")]
            (Issues::AnotherToken, _) => &[NOT_APPLICABLE],
            #[cfg(feature = "token-exchange")]
            (Issues::Any, Some(_)) => &[DPOP, NOT_APPLICABLE],
            #[cfg(feature = "token-exchange")]
            (Issues::Any, None) => &[BEARER, NOT_APPLICABLE],
            (Issues::AccessToken, Some(_)) => &[DPOP],
            (Issues::AccessToken, None) => &[BEARER],
        }
    }
}

/// A code verifier of 256 random bits, and its challenge by S256 (RFC 7636 §4.1, §4.2).
#[cfg(feature = "authorization-code")]
pub(crate) fn new_challenge() -> (Secret, String) {
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    (Secret::from(verifier.into_secret()), challenge.as_str().to_owned())
}

/// 256 random bits as text, for a state or nonce.
#[cfg(feature = "authorization-code")]
pub(crate) fn new_random() -> Secret {
    Secret::from(CsrfToken::new_random_len(32).into_secret())
}

type TokenClient = Client<
    BasicErrorResponse,
    Unread,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// Stands where the `oauth2` crate expects an HTTP client, for one request.
struct Adapter<'a> {
    transport: &'a dyn HttpTransport,
    /// In the place of `client_credentials`, which the `oauth2` crate always writes.
    grant_type: Option<&'a str>,
    authorization: Option<&'a HeaderValue>,
    dialect: &'a Dialect,
    key: Option<&'a dyn ProofOfPossession>,
    refusal: Option<&'a HeaderMap>,
    cx: &'a FetchContext<'a>,
    seen: Mutex<Option<Seen>>,
}

/// What came of the request.
struct Seen {
    sent_at: SystemTime,
    status: StatusCode,
    headers: HeaderMap,
    answer: Answer,
}

impl<'c> AsyncHttpClient<'c> for Adapter<'_> {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Error>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

impl Adapter<'_> {
    async fn send(&self, mut request: HttpRequest) -> Result<HttpResponse, Error> {
        request.headers_mut().remove(AUTHORIZATION);
        request.headers_mut().insert(ACCEPT_ENCODING, IDENTITY);
        if let Some(authorization) = self.authorization {
            request.headers_mut().insert(AUTHORIZATION, authorization.clone());
        }
        if let Some(name) = self.grant_type {
            rename_grant(request.body_mut(), name)?;
        }
        if let Some(key) = self.key {
            let (method, uri) = (request.method().clone(), request.uri().clone());
            match self.refusal {
                Some(refusal) => {
                    key.prove_again(&method, &uri, None, refusal, request.headers_mut())?;
                }
                None => key.prove(&method, &uri, None, request.headers_mut())?,
            }
        }
        let uri = request.uri().clone();
        let sent_at = self.cx.ready_to_send().inspect_err(|_| request.body_mut().zeroize())?;
        let response = self.transport.send(request).await?;
        let (parts, body) = response.into_parts();
        if let Some(key) = self.key {
            key.take_notice(&uri, None, &parts.headers);
        }
        let body = Zeroizing::new(body);
        let answer = Answer::read(parts.status, &body, self.dialect).explained(&parts.headers);
        *self.seen.lock() =
            Some(Seen { sent_at, status: parts.status, headers: parts.headers, answer });
        Ok(HttpResponse::default())
    }
}

/// Puts another grant type into the form of a client credentials request, which begins with its own.
fn rename_grant(body: &mut Vec<u8>, name: &str) -> Result<(), Error> {
    let form = Zeroizing::new(std::mem::take(body));
    let Some(rest) = form.strip_prefix(b"grant_type=client_credentials") else {
        return Err(Error::new(ErrorKind::Internal, "the grant type cannot be put into the form"));
    };
    // Sized in advance, because a vector that grows leaves copies of the secret behind.
    body.reserve(GRANT_TYPE.len() + 3 * name.len() + rest.len());
    body.extend_from_slice(GRANT_TYPE);
    body.extend(form_urlencoded::byte_serialize(name.as_bytes()).flat_map(str::bytes));
    body.extend_from_slice(rest);
    Ok(())
}

/// Stands where the `oauth2` crate expects tokens, which it does not get.
type Unread = oauth2::StandardTokenResponse<oauth2::EmptyExtraTokenFields, BasicTokenType>;

macro_rules! lent {
    ($name:ident, $inner:ident) => {
        /// Lent to the `oauth2` crate, and overwritten when it comes back.
        struct $name($inner);

        impl $name {
            fn new(secret: &Secret) -> Self {
                Self($inner::new(secret.expose_secret().to_owned()))
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                let nothing = $inner::new(String::new());
                std::mem::replace(&mut self.0, nothing).into_secret().zeroize();
            }
        }
    };
}

lent!(LentPassword, ResourceOwnerPassword);
lent!(LentRefreshToken, RefreshToken);

const GRANT_TYPE: &[u8] = b"grant_type=";
