//! Both ends of a login: the request, and what is made of its answer.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokenkeeper::{Clock, Error, ErrorKind, FetchContext, OAuthError, Scopes, Secret, TokenSet};

use super::authorization_request::AuthorizationRequest;
use super::builder::{AuthorizationCodeLoginBuilder, S256, check_parameters};
use super::callback::{Callback, Outcome};
use super::id_token_check::{Expected, check_id_token};
use super::pending_login::PendingLogin;
use super::pushed_request::push;
use super::redirect_uri::check_redirect_uri;
use crate::client_auth::check_text;
use crate::endpoint_url::{EndpointUrl, config_error};
use crate::error_codes::class_of;
use crate::grant::Grant;
use crate::oauth2_client::{new_challenge, new_random};
use crate::refresh_token::RefreshTokenProvider;
use crate::refusal::retold;
use crate::scrub::scrubbed;
use crate::settings::Settings;
use crate::token_endpoint::TokenEndpoint;

/// Logs people in through their browser (RFC 6749 §4.1).
///
/// [`begin`](Self::begin) says where to send the browser, [`finish`](Self::finish) makes tokens of
/// what it brings back, and [`provider`](Self::provider) keeps them fresh. Each login has its own
/// state, verifier (RFC 7636, always `S256`) and, with the scope `openid`, nonce, so any number of
/// them can be under way.
///
/// A login that fails is [`ErrorKind::LoginRequired`], and the message says why: another state or
/// issuer, a person who declined, a code that was refused. Then a new one is begun; nothing of the
/// old one can be used again.
///
/// # Examples
///
/// ```
/// use tokenkeeper::TokenProvider;
/// use tokenkeeper_providers::{AuthorizationCodeLogin, ClientAuth};
///
/// # #[cfg(feature = "reqwest")] {
/// let login = AuthorizationCodeLogin::builder(
///     "calendar",
///     "https://auth.example.org/authorize",
///     "https://auth.example.org/token",
/// )
/// .client("web", ClientAuth::basic("hunter2"))
/// .redirect_uri("https://app.example.org/callback")
/// .scopes(["calendar.read"])
/// .build()?;
/// // let pending = login.begin().await?;
/// // … send the browser to pending.authorization_url(), keep pending under pending.state() …
/// // let callback = Callback::parse(&query)?;
/// // manager.install(login.finish(pending, &callback).await?).await?;
/// assert!(!login.provider("alice")?.non_interactive());
/// # }
/// # Ok::<(), tokenkeeper::Error>(())
/// ```
pub struct AuthorizationCodeLogin {
    /// For providers.
    pub(super) settings: Settings,
    pub(super) endpoint: TokenEndpoint,
    pub(super) authorization_url: EndpointUrl,
    pub(super) pushed_url: Option<EndpointUrl>,
    pub(super) end_session_url: Option<EndpointUrl>,
    pub(super) redirect_uri: Option<String>,
    /// Audience, resources, and the thumbprint of the key.
    pub(super) asked: Vec<(String, String)>,
    pub(super) parameters: Vec<(String, String)>,
    pub(super) iss_required: bool,
    pub(super) lifetime: Duration,
    pub(super) clock: Arc<dyn Clock>,
    /// The fingerprint of client and server.
    pub(super) server: String,
}

impl AuthorizationCodeLogin {
    /// Starts with a name for the service, as it is to appear in errors and logs, and the URLs of
    /// its authorization and token endpoints.
    #[must_use]
    pub fn builder(
        service_name: &str,
        authorization_url: &str,
        token_url: &str,
    ) -> AuthorizationCodeLoginBuilder {
        AuthorizationCodeLoginBuilder::new(service_name, authorization_url, token_url)
    }

    /// Begins a login. Nothing is sent, unless requests are
    /// [pushed](AuthorizationCodeLoginBuilder::pushed_authorization_request_url).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if there is no redirect URI; otherwise only those of a pushed request.
    pub async fn begin(&self) -> Result<PendingLogin, Error> {
        self.begin_with(&AuthorizationRequest::new()).await
    }

    /// Begins a login with options of its own.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if an option is wrong; those of a pushed request.
    pub async fn begin_with(&self, request: &AuthorizationRequest) -> Result<PendingLogin, Error> {
        let (redirect_uri, scopes) =
            self.checked(request).map_err(|error| self.endpoint.located(error))?;
        let (verifier, challenge) = new_challenge();
        let state = new_random();
        let nonce = scopes.contains(OPENID).then(new_random);
        let scope = scopes.to_string();
        let mut form = vec![
            ("response_type", "code"),
            ("client_id", &self.endpoint.client_id),
            ("redirect_uri", redirect_uri),
            ("state", state.expose_secret()),
            ("code_challenge", &challenge),
            ("code_challenge_method", S256),
        ];
        form.extend((!scope.is_empty()).then_some(("scope", scope.as_str())));
        form.extend(nonce.as_ref().map(|nonce| ("nonce", nonce.expose_secret())));
        form.extend(pairs(&self.asked));
        // What this login says takes the place of what every login says.
        let extra: BTreeMap<_, _> =
            pairs(&self.parameters).chain(pairs(&request.parameters)).collect();
        form.extend(extra);

        let begun_at = self.clock.now();
        let now = begun_at.wall();
        let (authorization_url, authorization_url_ends_at) = match &self.pushed_url {
            None => (self.url_with(&form), None),
            Some(url) => {
                let secrets = nonce.iter().chain([&state]).collect();
                let pushed = push(&self.endpoint, url, &form, secrets, now).await?;
                let request_uri = pushed.request_uri.expose_secret();
                let form = [("client_id", &*self.endpoint.client_id), ("request_uri", request_uri)];
                (self.url_with(&form), pushed.ends_at)
            }
        };
        Ok(PendingLogin {
            authorization_url,
            authorization_url_ends_at,
            state,
            verifier,
            nonce,
            redirect_uri: redirect_uri.to_owned(),
            scopes,
            server: self.server.clone(),
            expires_at: now + self.lifetime,
            end: Some(begun_at.mono().saturating_add(self.lifetime)),
        })
    }

    /// Holds the callback against the login that it should be of, and exchanges its code for tokens
    /// (RFC 6749 §4.1.3), which go into a manager by `install`.
    ///
    /// With the scope `openid` there is an id token in them, and it was checked: that it is of this
    /// issuer (if that is known), for this client, of this login (nonce) and of this access token.
    /// Its signature was not, because it came from the token endpoint itself (OpenID Connect Core
    /// §3.1.3.7, point 6). An answer without one is refused (§3.1.3.3), unless it says that `openid`
    /// was not granted. One that nobody asked for is held against the same, but for the nonce.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::LoginRequired`] if the callback is not of this login, if it came too late, if
    /// the person declined, or if the code was refused. Other kinds as the token endpoint says.
    ///
    /// # Cancel safety
    ///
    /// A code is good for one exchange. If this is dropped, a new login has to be begun, and tokens
    /// that were issued meanwhile are nobody's. A web server that drops its handlers when the browser
    /// hangs up loses no more than that.
    pub async fn finish(
        &self,
        pending: PendingLogin,
        callback: &Callback,
    ) -> Result<TokenSet, Error> {
        let code = self.code_of(&pending, callback)?;
        let grant =
            Grant::Code { code, redirect_uri: &pending.redirect_uri, verifier: &pending.verifier };
        let cx = FetchContext::detached(&self.clock, EXCHANGE_TIMEOUT);
        let tokens = self.endpoint.fetch_for(grant, &pending.scopes, &cx).await;
        let tokens = tokens.map_err(|error| self.without_tokens(error))?;
        self.check_openid(&tokens, pending.nonce.as_ref())?;
        Ok(tokens)
    }

    /// Exchanges a code of a login that was begun elsewhere, in a front end or an app that made the
    /// state, the PKCE pair and the redirect URI itself (RFC 6749 §4.1.3, RFC 7636 §4.5). The scopes
    /// of this login count as those that were asked for.
    ///
    /// Whoever began the login checks the rest: that the callback has its `state` and the right
    /// `iss`, and that an id token in the answer has its `nonce`
    /// ([`IdTokenClaims::claim`](crate::IdTokenClaims::claim)). The other claims are checked here.
    /// [`begin`](Self::begin) and [`finish`](Self::finish) do all of it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the code is empty, the redirect URI is none, or the verifier is not
    /// 43 to 128 letters, digits and `-._~`; otherwise those of [`finish`](Self::finish) from the
    /// token endpoint on.
    ///
    /// # Cancel safety
    ///
    /// That of [`finish`](Self::finish).
    pub async fn exchange_code(
        &self,
        code: impl Into<Secret>,
        redirect_uri: &str,
        verifier: impl Into<Secret>,
    ) -> Result<TokenSet, Error> {
        let (code, verifier) = (code.into(), verifier.into());
        check_text("code", &code)
            .and_then(|()| check_redirect_uri(redirect_uri, self.settings.allow_http))
            .and_then(|()| check_verifier(&verifier))
            .map_err(|error| self.endpoint.located(error))?;
        let grant = Grant::Code { code: &code, redirect_uri, verifier: &verifier };
        let cx = FetchContext::detached(&self.clock, EXCHANGE_TIMEOUT);
        let tokens = self.endpoint.fetch(grant, &cx).await;
        let tokens = tokens.map_err(|error| self.without_tokens(error))?;
        self.check_openid(&tokens, None)?;
        Ok(tokens)
    }

    /// Keeps the tokens of a person fresh who logged in. `subject` is whose they are, in any words
    /// that tell people apart; it is not sent. It has the client, scopes, key and transport of this
    /// login, and the same identity as a [`RefreshTokenProvider`] that is built from them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the subject is empty or has control characters.
    pub fn provider(&self, subject: impl Into<String>) -> Result<RefreshTokenProvider, Error> {
        RefreshTokenProvider::of_login(self.settings.clone(), subject)
    }

    /// The name that the service was given.
    #[must_use]
    pub fn service_name(&self) -> &str {
        &self.settings.service_name
    }

    /// Redirect URI and scopes of one login.
    fn checked<'a>(
        &'a self,
        request: &'a AuthorizationRequest,
    ) -> Result<(&'a str, Scopes), Error> {
        let Some(uri) = request.redirect_uri.as_deref().or(self.redirect_uri.as_deref()) else {
            let what = "must be given, to the builder or to each login";
            return Err(config_error("redirect URI", what));
        };
        check_redirect_uri(uri, self.settings.allow_http)?;
        check_parameters(&request.parameters, &self.authorization_url)?;
        let own = request.scopes.iter().map(String::as_str);
        let scopes = Scopes::new(self.endpoint.scopes.iter().chain(own))?;
        check_issuer_known(&scopes, self.endpoint.issuer.as_deref())?;
        Ok((uri, scopes))
    }

    fn url_with(&self, parameters: &[(&str, &str)]) -> Secret {
        let mut url = self.authorization_url.url().clone();
        url.query_pairs_mut().extend_pairs(parameters);
        Secret::from(String::from(url))
    }

    /// The code, if everything around it is right. What the server says counts only after that.
    fn code_of<'c>(
        &self,
        pending: &PendingLogin,
        callback: &'c Callback,
    ) -> Result<&'c Secret, Error> {
        if pending.server != self.server {
            let what = "the pending login is one with another client or server";
            return Err(self.refused(what));
        }
        if !callback.is_of(&pending.state) {
            let what = "the callback has another `state`, so it belongs to another login or \
                        was forged";
            return Err(self.refused(what));
        }
        match (&callback.iss, &self.endpoint.issuer) {
            (Some(iss), Some(issuer)) if iss != issuer => {
                let what = "the callback is of another server: it has another `iss` (RFC 9207)";
                return Err(self.refused(what));
            }
            (Some(_), None) => {
                let what = "the callback has an `iss`, and the issuer of the server is not known, so \
                            it may be of another one (RFC 9207 §2.4)";
                let advice =
                    "give the builder the issuer(..) of the server, then begin a new login";
                let error = Error::new(ErrorKind::Config, what).with_advice(advice);
                return Err(self.endpoint.located(error));
            }
            (None, _) if self.iss_required => {
                let what = "the callback has no `iss`, which this server always sends (RFC 9207), \
                            so it may be of another one";
                return Err(self.refused(what));
            }
            _ => {}
        }
        if pending.has_expired(self.clock.now()) {
            let lifetime = self.lifetime.as_secs_f64();
            let what = format!("the login took longer than its {lifetime} s");
            return Err(self.refused(what));
        }
        match &callback.outcome {
            Outcome::Code(code) => Ok(code),
            Outcome::Error(error) => Err(self.declined(error, pending)),
        }
    }

    /// The error of a callback (RFC 6749 §4.1.2.1, OpenID Connect Core §3.1.2.6).
    fn declined(&self, error: &OAuthError, pending: &PendingLogin) -> Error {
        let (kind, what, advice) = match class_of(error.code()) {
            "access_denied" => {
                let what = "the login was declined, by the person or by the server";
                (ErrorKind::LoginRequired, what, NEW_LOGIN)
            }
            "server_error" | "temporarily_unavailable" => {
                let what = "the server cannot log people in now";
                (ErrorKind::Unavailable, what, "begin a new login later")
            }
            code if MISTAKES.contains(&code) => {
                let what = "the server refused the authorization request";
                let advice = "correct the client, its redirect URI, scopes or parameters, then \
                              begin a new login";
                (ErrorKind::RequestRejected, what, advice)
            }
            _ => (ErrorKind::LoginRequired, "the server did not log the person in", NEW_LOGIN),
        };
        let secrets: Vec<_> = pending.nonce.iter().chain([&pending.state]).collect();
        let oauth = scrubbed(error.code(), error.description(), &secrets);
        self.endpoint.located(Error::new(kind, what).with_oauth(oauth).with_advice(advice))
    }

    /// An error of the token endpoint, in terms of a login: the code is gone in any case.
    fn without_tokens(&self, error: Error) -> Error {
        let class = error.oauth().map(|oauth| class_of(oauth.code()));
        match (error.kind(), class) {
            (
                ErrorKind::CredentialsRejected | ErrorKind::RequestRejected,
                Some("invalid_grant"),
            ) => {
                let what = "the code of the callback was refused; codes are good for one use and \
                            for a short time, with the redirect URI of the login";
                retold(&error, ErrorKind::LoginRequired, what.to_owned()).with_advice(NEW_LOGIN)
            }
            // Servers have many codes for a callback that was reloaded.
            (ErrorKind::CredentialsRejected | ErrorKind::RequestRejected, Some(class))
                if class != "invalid_client" =>
            {
                let what = format!(
                    "{} refused the request with the code of the callback; codes are good for one \
                     use and for a short time",
                    self.endpoint.url.host()
                );
                retold(&error, ErrorKind::LoginRequired, what).with_advice(
                    "begin a new login; if that fails too, check the client, its redirect URI and \
                     its grants",
                )
            }
            (ErrorKind::CredentialsRejected, _) => error
                .with_advice("correct the client and its authentication, then begin a new login"),
            (ErrorKind::Transport, _) => error.with_advice(
                "check that the token endpoint can be reached, then begin a new login",
            ),
            (ErrorKind::Unavailable | ErrorKind::LoginRequired, _) => error.with_advice(NEW_LOGIN),
            (ErrorKind::InvalidResponse, _) => error.with_advice(
                "check that the URL is that of a token endpoint, then begin a new login",
            ),
            _ => error,
        }
    }

    /// `nonce` is absent if `openid` was not asked for; some servers send an id token all the same.
    fn check_openid(&self, tokens: &TokenSet, nonce: Option<&Secret>) -> Result<(), Error> {
        let Some(id_token) = tokens.id_token() else {
            // An empty list grants nothing, also not `openid`.
            let is_granted = tokens.scopes().is_none_or(|granted| granted.contains(OPENID));
            if nonce.is_none() || !is_granted {
                return Ok(());
            }
            let what = "the answer has no id token, although the scope `openid` was asked for \
                        (OpenID Connect Core §3.1.3.3)";
            return Err(self.refused(what));
        };
        let expected = Expected {
            issuer: self.endpoint.issuer.as_deref(),
            client_id: &self.endpoint.client_id,
            nonce,
            access_token: tokens.access_token().map(|token| token.secret()),
            now: self.clock.now().wall(),
        };
        check_id_token(id_token, &expected).map_err(|why| {
            self.refused(format!("the id token {why} (OpenID Connect Core §3.1.3.7)"))
        })
    }

    fn refused(&self, what: impl Into<std::borrow::Cow<'static, str>>) -> Error {
        let error = Error::new(ErrorKind::LoginRequired, what).with_advice(NEW_LOGIN);
        self.endpoint.located(error)
    }
}

impl fmt::Debug for AuthorizationCodeLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationCodeLogin")
            .field("authorization_url", &self.authorization_url)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

fn pairs(parameters: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()))
}

/// Without the issuer, a callback or an id token of another server would pass (OpenID Connect Core
/// §3.1.3.7, point 2).
pub(super) fn check_issuer_known(scopes: &Scopes, issuer: Option<&str>) -> Result<(), Error> {
    if scopes.contains(OPENID) && issuer.is_none() {
        let what = "must be given with the scope `openid`, because id tokens are compared with it \
                    (OpenID Connect Core §3.1.3.7)";
        return Err(config_error("issuer", what));
    }
    Ok(())
}

/// RFC 7636 §4.1.
fn check_verifier(verifier: &Secret) -> Result<(), Error> {
    let text = verifier.expose_secret();
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if (43..=128).contains(&text.len()) && text.bytes().all(is_unreserved) {
        return Ok(());
    }
    let what = "must be 43 to 128 letters, digits and `-._~` (RFC 7636 §4.1)";
    Err(config_error("code verifier", what))
}

const OPENID: &str = "openid";
const NEW_LOGIN: &str = "begin a new login";
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(30); // the transport has a limit of its own

/// Codes of a callback that a person cannot do anything about.
const MISTAKES: &[&str] = &[
    "invalid_request",
    "unauthorized_client",
    "unsupported_response_type",
    "invalid_scope",
    "invalid_target",
    "invalid_request_uri",
    "invalid_request_object",
    "request_not_supported",
    "request_uri_not_supported",
];
