//! The one file that knows the types of the `oauth2` crate.
//!
//! That crate builds the grants and reads answers in the letter of the standard. What it cannot
//! do is done by the adapter between it and the transport: the `Authorization` header in the
//! spellings that servers want, the last check before sending, `Retry-After`, and turning what
//! servers really answer into what the standard says. Its secrets are plain strings, so the ones
//! that are lent to it are taken back and overwritten, also when the attempt is dropped. A code and
//! its verifier it keeps; they are worth nothing after the attempt.

#[cfg(feature = "authorization-code")]
use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, StatusCode};
use oauth2::basic::{
    BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse,
    BasicTokenType,
};
use oauth2::{
    AsyncHttpClient, AuthType, Client, ClientId, ClientSecret, EndpointNotSet, EndpointSet,
    HttpRequest, HttpResponse, RefreshToken, RequestTokenError, ResourceOwnerPassword,
    ResourceOwnerUsername, Scope, StandardRevocableToken, TokenResponse, TokenUrl,
};
#[cfg(feature = "authorization-code")]
use oauth2::{AuthorizationCode, CsrfToken, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokenkeeper::{AccessToken, Error, ErrorKind, FetchContext, Scopes, Secret, TokenSet};
use url::form_urlencoded;
use zeroize::{Zeroize, Zeroizing};

use crate::answer::{Answer, Dialect, Kept, to_body};
use crate::client_auth::Proof;
use crate::endpoint_url::EndpointUrl;
use crate::grant::{CLIENT_CREDENTIALS, Grant, Issues};
use crate::proof_of_possession::ProofOfPossession;
use crate::refusal::Refusal;
use crate::scrub::repeats;
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
    pub(crate) dialect: Dialect,
    /// The key that the tokens are to be bound to.
    pub(crate) key: Option<&'a dyn ProofOfPossession>,
    pub(crate) issues: Issues,
    /// What the answer must not repeat.
    pub(crate) secrets: &'a [&'a Secret],
}

/// Why there are no tokens.
pub(crate) enum Failure {
    /// The transport, an assertion or the last check before sending failed.
    NotAnswered(Error),
    /// There was an answer, and it is none that has tokens.
    Answered(Refusal),
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
        let seen = adapter.seen.into_inner();
        let types = self.token_types();
        match (answer, seen) {
            (Ok(tokens), Some(seen)) => tokens
                .into_set(types, seen.sent_at, seen.kept, self.secrets)
                .map_err(|error| Failure::NotAnswered(error.with_status(seen.status))),
            (Err(RequestTokenError::Request(error)), None) => Err(Failure::NotAnswered(error)),
            (Err(error), Some(seen)) => Err(Failure::Answered(seen.refusal(error))),
            (Ok(_), None) | (Err(_), None) => {
                let what = "the request could not be built";
                Err(Failure::NotAnswered(Error::new(ErrorKind::Internal, what)))
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

/// Reads an answer as a provider would and says whether it had tokens; for fuzzing.
pub(crate) fn has_tokens(status: StatusCode, body: &[u8], dialect: Dialect) -> bool {
    let Answer::Granted(granted) = Answer::read(status, body, dialect) else {
        return false;
    };
    let json = to_body(&granted.standard, body.len());
    serde_json::from_slice::<Tokens>(&json).is_ok_and(|tokens| {
        tokens.into_set(&[BEARER], SystemTime::UNIX_EPOCH, granted.kept, &[]).is_ok()
    })
}

type TokenClient = Client<
    BasicErrorResponse,
    Tokens,
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
    dialect: Dialect,
    key: Option<&'a dyn ProofOfPossession>,
    cx: &'a FetchContext<'a>,
    seen: Mutex<Option<Seen>>,
}

/// What the `oauth2` crate does not hand on.
struct Seen {
    sent_at: SystemTime,
    status: StatusCode,
    headers: HeaderMap,
    unreadable: Option<&'static str>,
    kept: Kept,
    tokens: Vec<Secret>,
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
        if let Some(authorization) = self.authorization {
            request.headers_mut().insert(AUTHORIZATION, authorization.clone());
        }
        if let Some(name) = self.grant_type {
            rename_grant(request.body_mut(), name)?;
        }
        if let Some(key) = self.key {
            let (method, uri) = (request.method().clone(), request.uri().clone());
            key.prove(&method, &uri, None, request.headers_mut())?;
        }
        let uri = request.uri().clone();
        let sent_at = self.cx.ready_to_send().inspect_err(|_| request.body_mut().zeroize())?;
        let response = self.transport.send(request).await?;
        let (parts, body) = response.into_parts();
        if let Some(key) = self.key {
            key.take_notice(&uri, None, &parts.headers);
        }
        let body = Zeroizing::new(body);
        let mut seen = Seen {
            sent_at,
            status: parts.status,
            headers: parts.headers,
            unreadable: None,
            kept: Kept::default(),
            tokens: Vec::new(),
        };
        let mut answer = HttpResponse::default();
        match Answer::read(parts.status, &body, self.dialect) {
            Answer::Granted(granted) => {
                *answer.body_mut() = std::mem::take(&mut *to_body(&granted.standard, body.len()));
                seen.kept = granted.kept;
            }
            Answer::Refused(refused) => {
                *answer.status_mut() = StatusCode::BAD_REQUEST;
                *answer.body_mut() = std::mem::take(&mut *to_body(&refused, body.len()));
                seen.tokens = refused.tokens;
            }
            Answer::Unreadable(why) => {
                *answer.status_mut() = StatusCode::BAD_REQUEST;
                seen.unreadable = Some(why);
            }
        }
        *self.seen.lock() = Some(seen);
        Ok(answer)
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

impl Seen {
    fn refusal(self, error: RequestTokenError<Error, BasicErrorResponse>) -> Refusal {
        let (code, description) = match &error {
            RequestTokenError::ServerResponse(error) => {
                (Some(error.error().as_ref().to_owned()), error.error_description().cloned())
            }
            _ => (None, None),
        };
        let mut refusal = Refusal::unreadable(self.status, self.headers);
        refusal.unreadable = self.unreadable;
        (refusal.code, refusal.description) = (code, description);
        refusal.tokens = self.tokens;
        refusal
    }
}

/// A token response, overwritten when dropped.
#[derive(Debug, Deserialize, Serialize)]
struct Tokens {
    access_token: oauth2::AccessToken,
    token_type: BasicTokenType,
    #[serde(default)]
    expires_in: Option<u64>,
    #[serde(default)]
    refresh_token: Option<RefreshToken>,
    #[serde(
        default,
        rename = "scope",
        deserialize_with = "oauth2::helpers::deserialize_space_delimited_vec",
        serialize_with = "oauth2::helpers::serialize_space_delimited_vec"
    )]
    scopes: Option<Vec<Scope>>,
}

impl Tokens {
    /// Only tokens of these types are taken: a client must not use a type that it does not understand
    /// (RFC 6749 §7.1).
    fn into_set(
        mut self,
        types: &[&str],
        sent_at: SystemTime,
        kept: Kept,
        known: &[&Secret],
    ) -> Result<TokenSet, Error> {
        let access_token = Secret::from(self.take_access_token());
        let refresh_token = self.refresh_token.take().map(|t| Secret::from(t.into_secret()));
        let kind = self.token_type.as_ref();
        let Some(token_type) = types.iter().find(|known| known.eq_ignore_ascii_case(kind)) else {
            let mut secrets = vec![&access_token];
            secrets.extend(refresh_token.iter().chain(known.iter().copied()));
            secrets.extend(kept.id_token.iter());
            let what = format!(
                "the answer has {}, and only {} can be used (RFC 6749 §7.1)",
                named_type(kind, &secrets),
                plural(types),
            );
            return Err(Error::new(ErrorKind::InvalidResponse, what).with_answer_lost());
        };
        let token = AccessToken::new(access_token, token_type).map_err(Error::with_answer_lost)?;
        let mut tokens = TokenSet::new(token, sent_at);
        if let Some(seconds) = self.expires_in {
            tokens = tokens.with_lifetime(Duration::from_secs(seconds));
        }
        if let Some(refresh_token) = refresh_token {
            tokens = tokens.with_refresh_token(refresh_token);
        }
        let refresh_life = kept.refresh_expires_in.map(Duration::from_secs);
        if let Some(end) = refresh_life.and_then(|life| sent_at.checked_add(life)) {
            tokens = tokens.with_refresh_expires_at(end);
        }
        if let Some(id_token) = kept.id_token {
            tokens = tokens.with_id_token(id_token);
        }
        if let Some(scopes) = &self.scopes {
            tokens = tokens.with_scopes(Scopes::from_response(scopes.iter().map(|s| s.as_str())));
        }
        Ok(tokens.with_extra(kept.extra))
    }

    fn take_access_token(&mut self) -> String {
        let nothing = oauth2::AccessToken::new(String::new());
        std::mem::replace(&mut self.access_token, nothing).into_secret()
    }
}

impl Drop for Tokens {
    fn drop(&mut self) {
        self.take_access_token().zeroize();
        if let Some(refresh_token) = self.refresh_token.take() {
            refresh_token.into_secret().zeroize();
        }
    }
}

impl TokenResponse for Tokens {
    type TokenType = BasicTokenType;

    fn access_token(&self) -> &oauth2::AccessToken {
        &self.access_token
    }

    fn token_type(&self) -> &BasicTokenType {
        &self.token_type
    }

    fn expires_in(&self) -> Option<Duration> {
        self.expires_in.map(Duration::from_secs)
    }

    fn refresh_token(&self) -> Option<&RefreshToken> {
        self.refresh_token.as_ref()
    }

    fn scopes(&self) -> Option<&Vec<Scope>> {
        self.scopes.as_ref()
    }
}

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

/// The type for a message, if it looks like one; it comes from a stranger.
fn named_type(kind: &str, secrets: &[&Secret]) -> String {
    let is_word = kind.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if is_word && kind.len() <= LONGEST_TYPE && !repeats(kind, secrets) {
        format!("a token of the type `{kind}`")
    } else {
        "a token of another type".to_owned()
    }
}

/// What is asked for, for a message.
fn plural(types: &[&str]) -> &'static str {
    match types {
        [DPOP, ..] => "tokens of the type `DPoP`",
        [NOT_APPLICABLE, ..] => "tokens of the type `N_A`",
        [_, NOT_APPLICABLE] => "bearer tokens and tokens of the type `N_A`",
        _ => "bearer tokens",
    }
}

const BEARER: &str = "Bearer";
const DPOP: &str = "DPoP"; // RFC 9449 §5
const NOT_APPLICABLE: &str = "N_A"; // RFC 8693 §2.2.1
const GRANT_TYPE: &[u8] = b"grant_type=";
const LONGEST_TYPE: usize = 32; // `urn:…` names are longer and say nothing to most people
