//! What a login can be told, and the checks of it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokenkeeper::{Clock, Error, ProviderIdentity, SystemClock};

use super::login::{AuthorizationCodeLogin, check_issuer_known};
use super::redirect_uri::check_redirect_uri;
use crate::endpoint_url::{EndpointUrl, config_error};
use crate::settings::{RESERVED, Settings, check_plain, shared_setters};

/// Builds an [`AuthorizationCodeLogin`].
#[derive(Clone)]
pub struct AuthorizationCodeLoginBuilder {
    pub(crate) settings: Settings,
    authorization_url: String,
    pushed_url: Option<String>,
    end_session_url: Option<String>,
    redirect_uri: Option<String>,
    parameters: Vec<(String, String)>,
    challenge_methods: Option<Vec<String>>,
    iss_required: bool,
    lifetime: Duration,
    clock: Arc<dyn Clock>,
}

impl AuthorizationCodeLoginBuilder {
    pub(super) fn new(service_name: &str, authorization_url: &str, token_url: &str) -> Self {
        Self {
            settings: Settings::new(service_name, token_url),
            authorization_url: authorization_url.to_owned(),
            pushed_url: None,
            end_session_url: None,
            redirect_uri: None,
            parameters: Vec::new(),
            challenge_methods: None,
            iss_required: false,
            lifetime: LIFETIME,
            clock: Arc::new(SystemClock),
        }
    }

    shared_setters!();

    /// Where the browser comes back to (RFC 6749 §3.1.2), sent as it is given here: servers compare
    /// it letter by letter.
    ///
    /// An application with several servers gives each a redirect URI of its own, and lets the login of
    /// a server finish only what comes to its own, unless all of them send `iss` (RFC 9700 §4.4.2).
    ///
    /// # Default
    ///
    /// None: every login brings its own,
    /// [`AuthorizationRequest::redirect_uri`](crate::AuthorizationRequest::redirect_uri).
    #[must_use]
    pub fn redirect_uri(mut self, uri: impl Into<String>) -> Self {
        self.redirect_uri = Some(uri.into());
        self
    }

    /// A parameter of every authorization request that has no setter, such as `access_type`.
    /// Parameters of the protocol are refused.
    #[must_use]
    pub fn authorization_parameter(
        mut self,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        self.parameters.push((name.into(), value.into()));
        self
    }

    /// The pushed authorization request endpoint (RFC 9126 §2). What a login asks for is posted
    /// there, with the authentication of the client, and the browser is told only where it is.
    ///
    /// # Default
    ///
    /// None: everything is in the authorization URL.
    #[must_use]
    pub fn pushed_authorization_request_url(mut self, url: impl Into<String>) -> Self {
        self.pushed_url = Some(url.into());
        self
    }

    /// The end session endpoint (OpenID Connect RP-Initiated Logout 1.0 §2), for
    /// [`logout_url`](AuthorizationCodeLogin::logout_url).
    ///
    /// # Default
    ///
    /// What the server [announces](crate::AuthorizationServer::end_session_url), else none.
    #[must_use]
    pub fn end_session_url(mut self, url: impl Into<String>) -> Self {
        self.end_session_url = Some(url.into());
        self
    }

    /// Puts everything into the authorization URL, although the server
    /// [announces](crate::AuthorizationServer::pushed_authorization_request_url) an endpoint for pushed
    /// requests: some servers have one that takes no public clients, or that needs a licence.
    ///
    /// # Default
    ///
    /// An endpoint that was given or discovered is used.
    #[must_use]
    pub fn without_pushed_requests(mut self) -> Self {
        self.pushed_url = None;
        self
    }

    /// Refuses callbacks without `iss`: for servers that announce
    /// `authorization_response_iss_parameter_supported` (RFC 9207 §2.4). Needs the
    /// [`issuer`](Self::issuer).
    ///
    /// # Default
    ///
    /// A missing `iss` is fine. One that is there is always compared, and refused if the issuer is
    /// not known.
    #[must_use]
    pub fn iss_parameter_required(mut self) -> Self {
        self.iss_required = true;
        self
    }

    /// Takes callbacks without `iss` although the server announces that it always sends it, for
    /// servers that announce it and do not. One that is there is compared all the same.
    ///
    /// # Default
    ///
    /// What the server [announces](crate::AuthorizationServer::sends_iss_parameter).
    #[must_use]
    pub fn iss_parameter_optional(mut self) -> Self {
        self.iss_required = false;
        self
    }

    /// `code_challenge_methods_supported` (RFC 8414 §2), where the metadata of the server has it. A
    /// list without `S256` is refused: `plain` is never used (RFC 7636 §4.2, RFC 9700 §2.1.1).
    ///
    /// # Default
    ///
    /// Unknown. `S256` is sent all the same, and servers without PKCE ignore it.
    #[must_use]
    pub fn code_challenge_methods<I, S>(mut self, methods: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        self.challenge_methods = Some(methods.into_iter().map(Into::into).collect());
        self
    }

    /// How long a login may take from its beginning to its callback.
    ///
    /// # Default
    ///
    /// 10 minutes.
    #[must_use]
    pub fn login_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Where the time comes from.
    ///
    /// # Default
    ///
    /// [`SystemClock`].
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Checks everything that was given. Nothing is sent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](tokenkeeper::ErrorKind::Config), with the name of the field that is
    /// wrong and without its value.
    pub fn build(self) -> Result<AuthorizationCodeLogin, Error> {
        let service_name = self.settings.service_name.clone();
        self.checked().map_err(|error| error.at_service(&service_name))
    }

    fn checked(mut self) -> Result<AuthorizationCodeLogin, Error> {
        let allow_http = self.settings.allow_http;
        let parse = |field, text| EndpointUrl::parse(field, text, allow_http);
        let authorization_url = parse("authorization URL", &self.authorization_url)?;
        check_query(&authorization_url)?;
        let pushed_url = self.pushed_url.as_deref();
        let pushed_url =
            pushed_url.map(|text| parse("pushed authorization request URL", text)).transpose()?;
        let end_session_url = self.end_session_url.as_deref();
        let end_session_url =
            end_session_url.map(|text| parse("end session URL", text)).transpose()?;
        if let Some(uri) = &self.redirect_uri {
            check_redirect_uri(uri, allow_http)?;
        }
        check_parameters(&self.parameters, &authorization_url)?;
        if self.challenge_methods.is_some_and(|methods| !methods.iter().any(|name| name == S256)) {
            let what = "the server offers none that is safe, and `plain` is never used (RFC 7636 \
                        §7.2); S256 is needed";
            return Err(config_error("code challenge methods", what));
        }
        if self.iss_required && self.settings.issuer.is_none() {
            let what = "must be given, because callbacks are compared with it (RFC 9207 §2.4)";
            return Err(config_error("issuer", what));
        }
        if self.lifetime < SHORTEST_LIFETIME || self.lifetime > LONGEST_LIFETIME {
            return Err(config_error("login lifetime", "must be between a second and a day"));
        }
        let endpoint = self.settings.clone().finish("authorization_code")?;
        check_issuer_known(&endpoint.scopes, endpoint.issuer.as_deref())?;
        // Its providers shall not each make one of their own.
        self.settings.transport = Some(endpoint.transport.clone());

        let mut asked: Vec<(String, String)> = Vec::new();
        let audience = self.settings.audience.clone();
        asked.extend(audience.map(|audience| ("audience".to_owned(), audience)));
        let resources: BTreeSet<_> = self.settings.resources.iter().cloned().collect();
        asked.extend(resources.into_iter().map(|uri| ("resource".to_owned(), uri)));
        if let Some(key) = &self.settings.key {
            asked.push(("dpop_jkt".to_owned(), key.thumbprint().to_owned()));
        }
        let server = ProviderIdentity::new(&self.settings.service_name)
            .with("authorization_url", authorization_url.normalised())
            .with("token_url", endpoint.url.normalised())
            .with("issuer", endpoint.issuer.as_deref().unwrap_or_default())
            .with("client_id", &endpoint.client_id);
        Ok(AuthorizationCodeLogin {
            settings: self.settings,
            endpoint,
            authorization_url,
            pushed_url,
            end_session_url,
            redirect_uri: self.redirect_uri,
            asked,
            parameters: self.parameters,
            iss_required: self.iss_required,
            lifetime: self.lifetime,
            clock: self.clock,
            server: server.fingerprint(),
        })
    }
}

/// Whatever was given may be a secret in the wrong place, so only the name is shown.
impl fmt::Debug for AuthorizationCodeLoginBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationCodeLoginBuilder")
            .field("service_name", &self.settings.service_name)
            .finish_non_exhaustive()
    }
}

/// Extra parameters of an authorization request at this URL.
pub(super) fn check_parameters(
    parameters: &[(String, String)],
    url: &EndpointUrl,
) -> Result<(), Error> {
    let mut names: BTreeSet<_> = url.url().query_pairs().map(|(name, _)| name).collect();
    for (name, value) in parameters {
        check_plain("authorization parameter", name)?;
        if value.chars().any(char::is_control) {
            let what = "must not have control characters";
            return Err(config_error("authorization parameter", what));
        }
        if is_reserved(name) {
            let what = format!("`{name}` is not for extra parameters; it is sent where it belongs");
            return Err(config_error("authorization parameter", &what));
        }
        if !names.insert(name.into()) {
            let what = "the same name was given twice, or is in the query of the authorization URL, \
                        and parameters must not repeat (RFC 6749 §3.1)";
            return Err(config_error("authorization parameter", what));
        }
    }
    Ok(())
}

/// A query that is there is kept (RFC 6749 §3.1), so it must not have what will be added.
fn check_query(url: &EndpointUrl) -> Result<(), Error> {
    if url.url().query_pairs().any(|(name, _)| is_reserved(&name)) {
        let what = "must not have parameters of the protocol in its query";
        return Err(config_error("authorization URL", what));
    }
    Ok(())
}

fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name) || RESERVED_IN_BROWSERS.contains(&name)
}

/// Parameters of authorization requests that belong to the protocol.
const RESERVED_IN_BROWSERS: &[&str] = &[
    "response_type",
    "state",
    "code_challenge",
    "code_challenge_method",
    "nonce",
    "request",
    "request_uri",
    "dpop_jkt",
    "iss",
];

pub(super) const S256: &str = "S256";
const LIFETIME: Duration = Duration::from_secs(10 * 60); // a person with a password manager and a second factor
const SHORTEST_LIFETIME: Duration = Duration::from_secs(1);
const LONGEST_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
