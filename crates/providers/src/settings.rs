//! What every provider can be told, and the checks of it.
//!
//! The builders differ in a few setters only, so the common ones are written once. Nothing is
//! checked before `build`, and then everything is: a provider that exists can be used.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokenkeeper::{Error, ProviderIdentity, Scopes, Secret};
use url::Url;

use crate::client_auth::{ClientAuth, check_text};
use crate::dialect::Dialect;
use crate::endpoint_url::{EndpointUrl, config_error, missing};
use crate::grant::Issues;
use crate::proof_of_possession::ProofOfPossession;
use crate::token_endpoint::TokenEndpoint;
use crate::transport::HttpTransport;

/// The state of a builder.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) service_name: String,
    pub(crate) token_url: String,
    pub(crate) refresh_url: Option<String>,
    pub(crate) client: Option<(String, ClientAuth)>,
    /// What is exchanged may say who asks (RFC 7521 §4.1, RFC 8693 §2.1).
    pub(crate) client_is_optional: bool,
    pub(crate) subject: Option<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) scopes_on_refresh: bool,
    pub(crate) audience: Option<String>,
    pub(crate) resources: Vec<String>,
    pub(crate) extra: Vec<(String, String)>,
    pub(crate) secret_parameters: Vec<(String, Secret)>,
    /// How clients may authenticate, where the server says so.
    pub(crate) auth_methods: Option<Vec<String>>,
    pub(crate) tenant: Option<String>,
    pub(crate) default_lifetime: Option<Duration>,
    pub(crate) dialect: Dialect,
    pub(crate) transport: Option<Arc<dyn HttpTransport>>,
    pub(crate) revocation_url: Option<String>,
    pub(crate) revocation_auth: Option<ClientAuth>,
    pub(crate) issuer: Option<String>,
    pub(crate) key: Option<Arc<dyn ProofOfPossession>>,
    pub(crate) certificate: Option<String>,
    pub(crate) issues: Issues,
    pub(crate) allow_http: bool,
}

impl Settings {
    pub(crate) fn new(service_name: &str, token_url: &str) -> Self {
        Self {
            service_name: service_name.to_owned(),
            token_url: token_url.to_owned(),
            refresh_url: None,
            client: None,
            client_is_optional: false,
            subject: None,
            scopes: Vec::new(),
            scopes_on_refresh: false,
            audience: None,
            resources: Vec::new(),
            extra: Vec::new(),
            secret_parameters: Vec::new(),
            auth_methods: None,
            tenant: None,
            default_lifetime: None,
            dialect: Dialect::default(),
            transport: None,
            revocation_url: None,
            revocation_auth: None,
            issuer: None,
            key: None,
            certificate: None,
            issues: Issues::AccessToken,
            allow_http: false,
        }
    }

    /// Checks everything. `grant` is the name of the grant in the identity.
    pub(crate) fn finish(self, grant: &str) -> Result<TokenEndpoint, Error> {
        let service_name = self.service_name.clone();
        self.checked(grant).map_err(|error| error.at_service(&service_name))
    }

    fn checked(mut self, grant: &str) -> Result<TokenEndpoint, Error> {
        check_plain("service name", &self.service_name)?;
        let url = EndpointUrl::parse("token URL", &self.token_url, self.allow_http)?;
        let (client_id, auth) = self.checked_client()?;
        let scopes = Scopes::new(&self.scopes)?;
        self.check_texts()?;
        self.resources.sort();
        self.resources.dedup();
        self.resources.iter().try_for_each(|resource| check_resource(resource))?;
        check_extra(&self.extra, &self.secret_parameters)?;
        self.default_lifetime.map_or(Ok(()), check_lifetime)?;
        let parse = |field: &str, text: &Option<String>| {
            let text = text.as_deref();
            text.map(|text| EndpointUrl::parse(field, text, self.allow_http)).transpose()
        };
        let refresh_url = parse("refresh URL", &self.refresh_url)?;
        let revocation_url = parse("revocation URL", &self.revocation_url)?;
        let transport = match self.transport.take() {
            Some(transport) => transport,
            None => bundled_for(&url, self.allow_http)?,
        };
        Ok(TokenEndpoint {
            identity: self.identity(grant, &url, &client_id, &scopes),
            parameters: self.parameters(),
            url,
            refresh_url,
            client_id,
            revocation_auth: self.revocation_auth.unwrap_or_else(|| auth.clone()),
            auth,
            scopes,
            scopes_on_refresh: self.scopes_on_refresh,
            secret_parameters: self.secret_parameters,
            default_lifetime: self.default_lifetime,
            dialect: self.dialect,
            issuer: self.issuer,
            key: self.key,
            issues: self.issues,
            transport,
            revocation_url,
        })
    }

    /// The client and how it authenticates, at the revocation endpoint too.
    fn checked_client(&mut self) -> Result<(String, ClientAuth), Error> {
        let (client_id, auth) = match self.client.take() {
            Some((client_id, auth)) => {
                check_plain("client id", &client_id)?;
                auth.check(&client_id)?;
                (client_id, auth.among(self.auth_methods.as_deref()))
            }
            None if self.client_is_optional => (String::new(), ClientAuth::none()),
            None => return Err(missing("client", "must be given, with id and authentication")),
        };
        self.revocation_auth.as_ref().map_or(Ok(()), |auth| auth.check(&client_id))?;
        Ok((client_id, auth))
    }

    fn check_texts(&self) -> Result<(), Error> {
        check_optional("subject", self.subject.as_deref())?;
        check_optional("audience", self.audience.as_deref())?;
        check_optional("tenant", self.tenant.as_deref())?;
        check_optional("issuer", self.issuer.as_deref())?;
        check_optional("certificate thumbprint", self.certificate.as_deref())
    }

    fn identity(
        &self,
        grant: &str,
        url: &EndpointUrl,
        client_id: &str,
        scopes: &Scopes,
    ) -> ProviderIdentity {
        let mut identity = ProviderIdentity::new(&self.service_name)
            .with("token_url", url.normalised())
            .with("client_id", client_id)
            .with("grant", grant)
            .with("subject", self.subject.as_deref().unwrap_or_default())
            .with("scope", &scopes.to_string())
            .with("audience", self.audience.as_deref().unwrap_or_default())
            .with("tenant", self.tenant.as_deref().unwrap_or_default())
            .with("jkt", self.key.as_ref().map(|key| key.thumbprint()).unwrap_or_default())
            .with("x5t#S256", self.certificate.as_deref().unwrap_or_default());
        for resource in &self.resources {
            identity = identity.with("resource", resource);
        }
        for (name, value) in &self.extra {
            identity = identity.with(&format!("extra.{name}"), value);
        }
        identity
    }

    /// What is sent with every token request.
    fn parameters(&mut self) -> Vec<(String, String)> {
        let audience = self.audience.take().map(|audience| ("audience".to_owned(), audience));
        let resources = std::mem::take(&mut self.resources).into_iter();
        let resources = resources.map(|uri| ("resource".to_owned(), uri));
        audience.into_iter().chain(resources).chain(std::mem::take(&mut self.extra)).collect()
    }
}

/// Whatever was given may be a secret in the wrong place, so only the name is shown.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("service_name", &self.service_name).finish_non_exhaustive()
    }
}

/// Text that is not secret, but still has to be sendable.
pub(crate) fn check_plain(field: &str, text: &str) -> Result<(), Error> {
    check_text(field, &Secret::from(text))
}

fn check_optional(field: &str, text: Option<&str>) -> Result<(), Error> {
    text.map_or(Ok(()), |text| check_plain(field, text))
}

/// RFC 8707 §2.
fn check_resource(text: &str) -> Result<(), Error> {
    check_plain("resource", text)?;
    if text.contains(char::is_whitespace) || Url::parse(text).is_err() {
        return Err(config_error("resource", "must be an absolute URI (RFC 8707 §2)"));
    }
    if text.contains('#') {
        return Err(config_error("resource", "must not have a fragment (RFC 8707 §2)"));
    }
    Ok(())
}

fn check_extra(extra: &[(String, String)], secret: &[(String, Secret)]) -> Result<(), Error> {
    let mut names = BTreeSet::new();
    let secret = secret.iter().map(|(name, value)| (name, value.expose_secret()));
    for (name, value) in extra.iter().map(|(name, value)| (name, value.as_str())).chain(secret) {
        check_plain("extra parameter", name)?;
        if value.chars().any(char::is_control) {
            return Err(config_error("extra parameter", "must not have control characters"));
        }
        if RESERVED.contains(&name.as_str()) {
            let what = format!("`{name}` is not for extra parameters; use the setter for it");
            return Err(config_error("extra parameter", &what));
        }
        if !names.insert(name) {
            let what = "the same name was given twice, and parameters must not repeat \
                        (RFC 6749 §3.2)";
            return Err(config_error("extra parameter", what));
        }
    }
    Ok(())
}

fn check_lifetime(lifetime: Duration) -> Result<(), Error> {
    if lifetime < SHORTEST_LIFETIME || lifetime > LONGEST_LIFETIME {
        return Err(config_error("default lifetime", "must be between a second and ten years"));
    }
    Ok(())
}

/// The transport of a provider that was given none, if it reaches this URL.
#[cfg(feature = "reqwest")]
fn bundled_for(url: &EndpointUrl, allow_http: bool) -> Result<Arc<dyn HttpTransport>, Error> {
    let transport = crate::BundledTransport::shared(allow_http)?;
    transport.check(Some(url.url().scheme()))?;
    Ok(transport)
}

#[cfg(not(feature = "reqwest"))]
fn bundled_for(_url: &EndpointUrl, allow_http: bool) -> Result<Arc<dyn HttpTransport>, Error> {
    bundled(allow_http)
}

#[cfg(feature = "reqwest")]
#[cfg_attr(not(feature = "__endpoints"), expect(dead_code, reason = "for other features"))]
pub(crate) fn bundled(allow_http: bool) -> Result<Arc<dyn HttpTransport>, Error> {
    Ok(crate::BundledTransport::shared(allow_http)?)
}

#[cfg(not(feature = "reqwest"))]
pub(crate) fn bundled(_allow_http: bool) -> Result<Arc<dyn HttpTransport>, Error> {
    Err(missing("transport", "must be given, because the feature `reqwest` is off"))
}

/// The setters that every builder has.
macro_rules! shared_setters {
    () => {
        /// The client id, and how the client proves that it is the one. Required, unless the grant
        /// can do without.
        #[must_use]
        pub fn client(mut self, id: impl Into<String>, auth: crate::ClientAuth) -> Self {
            self.settings.client = Some((id.into(), auth));
            self
        }

        /// The scopes to ask for (RFC 6749 §3.3), one per item. Called again, it replaces them.
        ///
        /// # Default
        ///
        /// None: the service decides.
        #[must_use]
        pub fn scopes<I, S>(mut self, scopes: I) -> Self
        where
            I: IntoIterator<Item = S>,
            S: Into<String>,
        {
            self.settings.scopes = scopes.into_iter().map(Into::into).collect();
            self
        }

        /// `audience`: for whom the token is to be, where a service knows this parameter.
        #[must_use]
        pub fn audience(mut self, audience: impl Into<String>) -> Self {
            self.settings.audience = Some(audience.into());
            self
        }

        /// `resource`: where the token is to be used, an absolute URI (RFC 8707 §2). May be
        /// called repeatedly.
        #[must_use]
        pub fn resource(mut self, uri: impl Into<String>) -> Self {
            self.settings.resources.push(uri.into());
            self
        }

        /// A parameter that no setter here has, sent with every token request.
        ///
        /// Not for secrets, which are a [`secret_parameter`](Self::secret_parameter): it is part of the
        /// identity, because it may change whose token it is.
        /// Parameters of the protocol are refused: they have setters.
        #[must_use]
        pub fn extra_parameter(
            mut self,
            name: impl Into<String>,
            value: impl Into<String>,
        ) -> Self {
            self.settings.extra.push((name.into(), value.into()));
            self
        }

        /// A secret parameter that no setter here has, such as a key of the API, sent with every token
        /// request. It is not part of the identity, so that tokens are found again after it was
        /// replaced; whose tokens they are must show elsewhere ([`tenant`](Self::tenant), say).
        #[must_use]
        pub fn secret_parameter(
            mut self,
            name: impl Into<String>,
            value: impl Into<tokenkeeper::Secret>,
        ) -> Self {
            self.settings.secret_parameters.push((name.into(), value.into()));
            self
        }

        /// Tells apart what nothing else here does: tokens of different tenants are stored under
        /// different keys. It is not sent.
        #[must_use]
        pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
            self.settings.tenant = Some(tenant.into());
            self
        }

        /// How long a token lives if the answer does not say.
        ///
        /// # Default
        ///
        /// Unknown: such a token is used until it is rejected.
        #[must_use]
        pub fn default_lifetime(mut self, lifetime: std::time::Duration) -> Self {
            self.settings.default_lifetime = Some(lifetime);
            self
        }

        /// For a service that separates the scopes of its answers by commas. Everywhere else a
        /// comma is a part of a scope (RFC 6749 §3.3).
        #[must_use]
        pub fn comma_separated_scopes(mut self) -> Self {
            self.settings.dialect.comma_separated_scopes = true;
            self
        }

        /// For a service whose `expires_in` counts milliseconds.
        #[must_use]
        pub fn expires_in_milliseconds(mut self) -> Self {
            self.settings.dialect.expires_in_milliseconds = true;
            self
        }

        /// For a service that puts the tokens into an object inside of its answer, such as Slack's
        /// `authed_user`. What such an object holds counts if the answer itself has no access token.
        #[must_use]
        pub fn tokens_nested_in(mut self, member: impl Into<String>) -> Self {
            self.settings.dialect.nested_tokens = Some(member.into().into());
            self
        }

        /// For a service that has other names for bearer tokens, such as Slack's `bot`. Everywhere
        /// else a token of an unknown type is not used (RFC 6749 §7.1).
        #[must_use]
        pub fn bearer_tokens_named<I, S>(mut self, types: I) -> Self
        where
            I: IntoIterator<Item = S>,
            S: AsRef<str>,
        {
            self.settings.dialect.bearer_names = crate::dialect::words(types);
            self
        }

        /// Codes by which the service says that a refresh token has ended, besides `invalid_grant`
        /// and what is known to stand for it. The refresh token is dropped at once then.
        ///
        /// # Default
        ///
        /// None: after any other code but `invalid_client` the refresh token is doubtful, and kept
        /// until a new login has succeeded
        /// ([`ErrorKind::RefreshDoubtful`](tokenkeeper::ErrorKind::RefreshDoubtful)).
        #[must_use]
        pub fn refresh_rejected_by<I, S>(mut self, codes: I) -> Self
        where
            I: IntoIterator<Item = S>,
            S: AsRef<str>,
        {
            self.settings.dialect.refresh_rejected_by = crate::dialect::words(codes);
            self
        }

        /// What sends the requests.
        ///
        /// # Default
        ///
        /// With the feature `reqwest`, a `BundledTransport` with default options, which all
        /// providers of the process share that were given none; without it, one must be given.
        #[must_use]
        pub fn transport(mut self, transport: impl crate::HttpTransport) -> Self {
            self.settings.transport = Some(std::sync::Arc::new(transport));
            self
        }

        /// The endpoint for refreshes, where a service has another one for them than the token
        /// endpoint.
        ///
        /// # Default
        ///
        /// The token endpoint (RFC 6749 §6).
        #[must_use]
        pub fn refresh_url(mut self, url: impl Into<String>) -> Self {
            self.settings.refresh_url = Some(url.into());
            self
        }

        /// The revocation endpoint (RFC 7009 §2).
        ///
        /// # Default
        ///
        /// None: revoking fails with [`ErrorKind::Unsupported`](tokenkeeper::ErrorKind).
        #[must_use]
        pub fn revocation_url(mut self, url: impl Into<String>) -> Self {
            self.settings.revocation_url = Some(url.into());
            self
        }

        /// How the client authenticates at the revocation endpoint.
        ///
        /// # Default
        ///
        /// As at the token endpoint.
        #[must_use]
        pub fn revocation_auth(mut self, auth: crate::ClientAuth) -> Self {
            self.settings.revocation_auth = Some(auth);
            self
        }

        /// The issuer of the server, exactly as it calls itself (RFC 8414 §2). It is the audience of
        /// assertions then, which is safer than the URL of an endpoint (RFC 7523 §3).
        ///
        /// # Default
        ///
        /// Unknown; the audience is the URL of the endpoint.
        #[must_use]
        pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
            self.settings.issuer = Some(issuer.into());
            self
        }

        /// Binds the tokens to a key (RFC 9449): every token request proves that the client has it,
        /// and tokens of any other type than `DPoP` are refused. The thumbprint of the key is part
        /// of the identity.
        ///
        /// # Default
        ///
        /// None: bearer tokens.
        #[must_use]
        pub fn proof_of_possession(mut self, key: impl crate::ProofOfPossession) -> Self {
            self.settings.key = Some(std::sync::Arc::new(key));
            self
        }

        /// The SHA-256 thumbprint of the client certificate that the transport presents, if tokens
        /// are bound to it (RFC 8705 §3.1). It is part of the identity: a token must not be used with
        /// another certificate. It is not sent.
        #[must_use]
        pub fn certificate_thumbprint(mut self, thumbprint: impl Into<String>) -> Self {
            self.settings.certificate = Some(thumbprint.into());
            self
        }

        /// Sends credentials in clear text, also to hosts that are not this machine. Whoever is
        /// on the way reads them (RFC 6749 §10.8), and can answer with tokens of their own, id tokens
        /// too, which are believed without a look at the signature. A transport of your own must
        /// allow it too.
        #[must_use]
        pub fn danger_allow_http(mut self) -> Self {
            self.settings.allow_http = true;
            self
        }
    };
}

pub(crate) use shared_setters;

/// Parameters that have a setter, or that belong to grants and proofs.
pub(crate) const RESERVED: &[&str] = &[
    "grant_type",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "username",
    "password",
    "refresh_token",
    "scope",
    "code",
    "redirect_uri",
    "code_verifier",
    "device_code",
    "assertion",
    "subject_token",
    "subject_token_type",
    "actor_token",
    "actor_token_type",
    "requested_token_type",
    "resource",
    "audience",
];

const SHORTEST_LIFETIME: Duration = Duration::from_secs(1);
const LONGEST_LIFETIME: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);
