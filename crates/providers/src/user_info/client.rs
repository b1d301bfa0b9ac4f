//! Asking a service who a token belongs to (OpenID Connect Core §5.3).

use std::fmt;
use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, StatusCode, Uri};
use tokenkeeper::{AccessToken, Error, ErrorKind};

use super::user_claims::UserClaims;
use crate::endpoint_request::EndpointRequest;
use crate::endpoint_url::EndpointUrl;
use crate::proof_of_possession::ProofOfPossession;
use crate::refusal::{Purpose, retold};
use crate::settings::{bundled, check_plain};
use crate::transport::HttpTransport;

/// Who a token belongs to: the userinfo endpoint of OpenID Connect, or the API of a service that has
/// one for the same purpose.
///
/// The token goes to the one URL that was given, over TLS, and nowhere else: redirects are not
/// followed.
///
/// # Examples
///
/// ```
/// use tokenkeeper::AccessToken;
/// use tokenkeeper_providers::UserInfo;
///
/// # async fn run(token: AccessToken) -> Result<(), tokenkeeper::Error> {
/// let user_info = UserInfo::builder("calendar", "https://auth.example.org/userinfo").build()?;
/// let user = user_info.fetch(&token).await?;
/// println!("{:?} <{:?}>", user.id(), user.email());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct UserInfo {
    service_name: String,
    url: EndpointUrl,
    key: Option<Arc<dyn ProofOfPossession>>,
    transport: Arc<dyn HttpTransport>,
}

impl UserInfo {
    /// Starts with a name for the service, as it is to appear in errors, and the URL of its userinfo
    /// endpoint.
    #[must_use]
    pub fn builder(service_name: &str, user_info_url: &str) -> UserInfoBuilder {
        UserInfoBuilder {
            service_name: service_name.to_owned(),
            url: user_info_url.to_owned(),
            key: None,
            transport: None,
            allow_http: false,
        }
    }

    /// What the service says of the user who the token belongs to.
    ///
    /// If an id token is at hand, [`fetch_of`](Self::fetch_of) is the one to call.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::LoginRequired`] with the status 401 if the token is not good any more: give it
    ///   to [`replace_rejected`](tokenkeeper::TokenManager::replace_rejected) and ask again with the
    ///   one that comes back; if there is none, a new login is needed.
    /// - [`ErrorKind::RequestRejected`] with the status 403 if the token lacks a scope, `openid` most
    ///   likely.
    /// - [`ErrorKind::Unsupported`] if the token is of a type that cannot be presented here.
    /// - [`ErrorKind::InvalidResponse`] if the answer is not JSON.
    /// - [`ErrorKind::Transport`], [`ErrorKind::Unavailable`] if it is worth asking again.
    pub async fn fetch(&self, token: &AccessToken) -> Result<UserClaims, Error> {
        self.claims(token, None).await.map_err(|error| error.at_service(&self.service_name))
    }

    /// The same, for a user who is known by the `sub` of an id token. Answers about another one are
    /// refused, because tokens can be swapped (OpenID Connect Core §5.3.2).
    ///
    /// # Errors
    ///
    /// As [`fetch`](Self::fetch); also [`ErrorKind::InvalidResponse`] if `sub` is missing or another.
    pub async fn fetch_of(&self, sub: &str, token: &AccessToken) -> Result<UserClaims, Error> {
        self.claims(token, Some(sub)).await.map_err(|error| error.at_service(&self.service_name))
    }

    async fn claims(&self, token: &AccessToken, sub: Option<&str>) -> Result<UserClaims, Error> {
        let (mut answer, refusal) = self.attempt(token, None).await?;
        if refusal.is_some() && answer.as_ref().is_err_and(is_unauthorized) {
            (answer, _) = self.attempt(token, refusal.as_ref()).await?; // RFC 9449 §9
        }
        let claims = answer.map_err(|error| advised(error, self.url.host()))?;
        if sub.is_some() && claims.sub() != sub {
            let what = "the answer is about another user than expected, so it must not be used \
                        (OpenID Connect Core §5.3.2)";
            return Err(Error::new(ErrorKind::InvalidResponse, what)
                .with_advice("use the access token that came with the id token"));
        }
        Ok(claims)
    }

    /// One request, and the headers of its answer if they have a nonce for the next proof.
    async fn attempt(
        &self,
        token: &AccessToken,
        refusal: Option<&HeaderMap>,
    ) -> Result<(Result<UserClaims, Error>, Option<HeaderMap>), Error> {
        let uri: Uri = self.url.normalised().parse().map_err(|_| {
            Error::new(ErrorKind::Config, "the userinfo URL is not one that can be asked")
        })?;
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, token.authorization());
        let key = self.key.as_deref().filter(|_| is_bound(token));
        match key {
            Some(key) => match refusal {
                Some(refusal) => {
                    key.prove_again(&Method::GET, &uri, Some(token), refusal, &mut headers)?;
                }
                None => key.prove(&Method::GET, &uri, Some(token), &mut headers)?,
            },
            None if token.is_bearer() => {}
            None => return Err(cannot_present(token)),
        }
        let request = EndpointRequest {
            service_name: &self.service_name,
            url: &self.url,
            transport: &*self.transport,
            purpose: Purpose::Other("tell who the user is"),
            secrets: vec![token.secret()],
        };
        let mut with_nonce = None;
        let answer = request.get_noticing(headers, |headers| {
            if let Some(key) = key {
                key.take_notice(&uri, Some(token), headers);
                with_nonce = headers.contains_key("dpop-nonce").then(|| headers.clone());
            }
        });
        let claims = answer.await.and_then(|body| UserClaims::read(&body));
        Ok((claims, with_nonce))
    }
}

/// Builds a [`UserInfo`].
#[derive(Clone)]
pub struct UserInfoBuilder {
    service_name: String,
    url: String,
    key: Option<Arc<dyn ProofOfPossession>>,
    transport: Option<Arc<dyn HttpTransport>>,
    pub(crate) allow_http: bool,
}

impl UserInfoBuilder {
    /// The key that the tokens are bound to (RFC 9449), for tokens of the type `DPoP`.
    ///
    /// # Default
    ///
    /// None: bearer tokens alone.
    #[must_use]
    pub fn proof_of_possession(mut self, key: impl ProofOfPossession) -> Self {
        self.key = Some(Arc::new(key));
        self
    }

    /// What sends the requests.
    ///
    /// # Default
    ///
    /// With the feature `reqwest`, the `BundledTransport` that providers share; without it, one must
    /// be given.
    #[must_use]
    pub fn transport(mut self, transport: impl HttpTransport) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// Sends tokens in clear text, also to hosts that are not this machine. Whoever is on the way
    /// can use them.
    #[must_use]
    pub fn danger_allow_http(mut self) -> Self {
        self.allow_http = true;
        self
    }

    /// Checks everything that was given. Nothing is sent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], with the name of the field that is wrong and without its value.
    pub fn build(self) -> Result<UserInfo, Error> {
        let service_name = self.service_name.clone();
        self.checked().map_err(|error| error.at_service(&service_name))
    }

    fn checked(self) -> Result<UserInfo, Error> {
        check_plain("service name", &self.service_name)?;
        let url = EndpointUrl::parse("userinfo URL", &self.url, self.allow_http)?;
        let transport = match self.transport {
            Some(transport) => transport,
            None => bundled(self.allow_http)?,
        };
        Ok(UserInfo { service_name: self.service_name, url, key: self.key, transport })
    }
}

/// Whatever was given may be a secret in the wrong place, so only the name is shown.
impl fmt::Debug for UserInfoBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserInfoBuilder")
            .field("service_name", &self.service_name)
            .finish_non_exhaustive()
    }
}

fn is_bound(token: &AccessToken) -> bool {
    token.token_type().eq_ignore_ascii_case("DPoP")
}

/// Without its proof a bound token is refused, and whoever sees it learns it.
fn cannot_present(token: &AccessToken) -> Error {
    let what = format!("a token of the type {} cannot be presented as it is", token.token_type());
    Error::new(ErrorKind::Unsupported, what)
        .with_advice("set proof_of_possession() to the key that it is bound to")
}

fn is_unauthorized(error: &Error) -> bool {
    error.status() == Some(StatusCode::UNAUTHORIZED)
}

/// The usual advice is about token endpoints.
fn advised(error: Error, host: &str) -> Error {
    match (error.status(), error.kind()) {
        (Some(StatusCode::UNAUTHORIZED), _) => {
            let what = format!("{host} refused the token, when asked to tell who the user is");
            retold(&error, ErrorKind::LoginRequired, what).with_advice(
                "give the token to TokenManager::replace_rejected and ask again with the one it \
                 returns; if there is none, begin a new login",
            )
        }
        (Some(StatusCode::FORBIDDEN), _) => {
            error.with_advice("log in with the scopes that it takes, such as `openid`")
        }
        (_, ErrorKind::RequestRejected) => error.with_advice("check the userinfo URL"),
        _ => error,
    }
}
