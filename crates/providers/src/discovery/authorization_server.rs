//! What a server says of itself (RFC 8414 §2, OpenID Connect Discovery §3), as far as a client
//! needs it.

use std::borrow::Cow;
use std::fmt;

use serde_json::{Map, Value};
use tokenkeeper::{Error, ErrorKind, Secret};

use crate::client_auth::ClientAuth;
use crate::dialect::Dialect;
use crate::endpoint_url::EndpointUrl;
use crate::settings::Settings;

/// An authorization server: where its endpoints are, and what it can do.
///
/// [`Discovery`](crate::Discovery) fetches it, [`from_json`](Self::from_json) reads it from a file,
/// and some services have a constant, because they need more than a document can say:
/// [`GITHUB`](Self::GITHUB), [`SLACK`](Self::SLACK). Every builder of this crate can start from one
/// with `of_server`.
///
/// What a document leaves out has its default (RFC 8414 §2). A grant that it does not list is not
/// refused: many servers have more grants than they list.
///
/// # Examples
///
/// ```
/// use tokenkeeper_providers::{AuthorizationServer, ClientCredentialsProvider};
///
/// # #[cfg(feature = "reqwest")] {
/// let document = br#"{
///     "issuer": "https://auth.example.org",
///     "token_endpoint": "https://auth.example.org/token",
///     "token_endpoint_auth_methods_supported": ["client_secret_post"]
/// }"#;
/// let server = AuthorizationServer::from_json("https://auth.example.org", document)?;
/// let provider = ClientCredentialsProvider::of_server("billing", &server)?
///     .client("billing-job", server.client_auth("hunter2")?)
///     .build()?;
/// # }
/// # Ok::<(), tokenkeeper::Error>(())
/// ```
#[derive(Clone)]
pub struct AuthorizationServer {
    pub(crate) issuer: Option<Cow<'static, str>>,
    pub(crate) endpoints: Endpoints,
    pub(crate) mtls_aliases: Endpoints,
    pub(crate) jwks_url: Option<Cow<'static, str>>,
    pub(crate) requires_pushed_requests: bool,
    pub(crate) sends_iss: bool,
    pub(crate) scopes: Option<Words>,
    pub(crate) grant_types: Option<Words>,
    pub(crate) token_auth_methods: Option<Words>,
    pub(crate) revocation_auth_methods: Option<Words>,
    pub(crate) introspection_auth_methods: Option<Words>,
    pub(crate) code_challenge_methods: Option<Words>,
    pub(crate) dpop_algorithms: Option<Words>,
    pub(crate) rest: Option<Map<String, Value>>,
    pub(crate) dialect: Dialect,
    pub(crate) allow_http: bool,
}

/// URLs that have been checked, or were written down here.
#[derive(Clone)]
pub(crate) struct Endpoints {
    pub(crate) authorization: Option<Cow<'static, str>>,
    pub(crate) token: Option<Cow<'static, str>>,
    pub(crate) revocation: Option<Cow<'static, str>>,
    pub(crate) introspection: Option<Cow<'static, str>>,
    pub(crate) user_info: Option<Cow<'static, str>>,
    pub(crate) device_authorization: Option<Cow<'static, str>>,
    pub(crate) pushed_authorization_request: Option<Cow<'static, str>>,
}

/// A list of names.
#[derive(Clone)]
pub(crate) enum Words {
    Written(&'static [&'static str]),
    Read(Vec<String>),
}

impl AuthorizationServer {
    /// One of which nothing is known, to begin with.
    pub(crate) const UNKNOWN: Self = Self {
        issuer: None,
        endpoints: Endpoints::NONE,
        mtls_aliases: Endpoints::NONE,
        jwks_url: None,
        requires_pushed_requests: false,
        sends_iss: false,
        scopes: None,
        grant_types: None,
        token_auth_methods: None,
        revocation_auth_methods: None,
        introspection_auth_methods: None,
        code_challenge_methods: None,
        dpop_algorithms: None,
        rest: None,
        dialect: Dialect::STANDARD,
        allow_http: false,
    };

    /// The name of the server, exactly as it gives it. `None` for a constant of a service that has
    /// none.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// Where people allow what a client asks for (RFC 6749 §3.1).
    #[must_use]
    pub fn authorization_url(&self) -> Option<&str> {
        self.endpoints.authorization.as_deref()
    }

    /// The token endpoint (RFC 6749 §3.2).
    #[must_use]
    pub fn token_url(&self) -> Option<&str> {
        self.endpoints.token.as_deref()
    }

    /// The revocation endpoint (RFC 7009 §2).
    #[must_use]
    pub fn revocation_url(&self) -> Option<&str> {
        self.endpoints.revocation.as_deref()
    }

    /// The introspection endpoint (RFC 7662 §2).
    #[must_use]
    pub fn introspection_url(&self) -> Option<&str> {
        self.endpoints.introspection.as_deref()
    }

    /// The userinfo endpoint (OpenID Connect Core §5.3).
    #[must_use]
    pub fn user_info_url(&self) -> Option<&str> {
        self.endpoints.user_info.as_deref()
    }

    /// The end session endpoint (OpenID Connect RP-Initiated Logout 1.0 §2.1), if it is a URL that a
    /// browser may be sent to.
    #[must_use]
    pub fn end_session_url(&self) -> Option<&str> {
        let text = self.extra("end_session_endpoint")?.as_str()?;
        let url = EndpointUrl::parse("end_session_endpoint", text, self.allow_http).ok()?;
        let is_https = |text: &str| text.starts_with("https:");
        let must_be_https = !self.allow_http && self.issuer().is_some_and(is_https);
        (!must_be_https || is_https(url.normalised())).then_some(text)
    }

    /// The device authorization endpoint (RFC 8628 §4).
    #[must_use]
    pub fn device_authorization_url(&self) -> Option<&str> {
        self.endpoints.device_authorization.as_deref()
    }

    /// The endpoint that takes authorization requests in advance (RFC 9126 §5).
    #[must_use]
    pub fn pushed_authorization_request_url(&self) -> Option<&str> {
        self.endpoints.pushed_authorization_request.as_deref()
    }

    /// Whether it takes authorization requests in advance only (RFC 9126 §5). `false` if it does not
    /// say.
    #[must_use]
    pub fn requires_pushed_authorization_requests(&self) -> bool {
        self.requires_pushed_requests
    }

    /// Whether every answer to an authorization request names the issuer (RFC 9207 §3). `false` if
    /// it does not say.
    #[must_use]
    pub fn sends_iss_parameter(&self) -> bool {
        self.sends_iss
    }

    /// Where the keys are that it signs with (RFC 8414 §2).
    #[must_use]
    pub fn jwks_url(&self) -> Option<&str> {
        self.jwks_url.as_deref()
    }

    /// The scopes that it lists; it may have others.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        listed(self.scopes.as_ref(), &[])
    }

    /// The grants that it lists; it may have others.
    ///
    /// # Default
    ///
    /// `authorization_code` and `implicit` (RFC 8414 §2).
    pub fn grant_types(&self) -> impl Iterator<Item = &str> {
        listed(self.grant_types.as_ref(), &["authorization_code", "implicit"])
    }

    /// How clients may authenticate at the token endpoint.
    ///
    /// # Default
    ///
    /// `client_secret_basic` (RFC 8414 §2).
    pub fn token_auth_methods(&self) -> impl Iterator<Item = &str> {
        listed(self.token_auth_methods.as_ref(), &[BASIC])
    }

    /// How clients may authenticate at the revocation endpoint.
    ///
    /// # Default
    ///
    /// `client_secret_basic` (RFC 8414 §2).
    pub fn revocation_auth_methods(&self) -> impl Iterator<Item = &str> {
        listed(self.revocation_auth_methods.as_ref(), &[BASIC])
    }

    /// How clients may authenticate at the introspection endpoint.
    ///
    /// # Default
    ///
    /// As at the token endpoint; RFC 8414 §2 has no default.
    pub fn introspection_auth_methods(&self) -> impl Iterator<Item = &str> {
        let methods = self.introspection_auth_methods.as_ref();
        listed(methods.or(self.token_auth_methods.as_ref()), &[BASIC])
    }

    /// The ways of PKCE that it lists (RFC 7636); `None` if it does not say.
    pub fn code_challenge_methods(&self) -> Option<impl Iterator<Item = &str>> {
        self.code_challenge_methods.as_ref().map(Words::iter)
    }

    /// The algorithms by which proofs of a key may be signed (RFC 9449 §5.1). None if it does not
    /// say, and then it probably knows nothing of such proofs.
    pub fn dpop_algorithms(&self) -> impl Iterator<Item = &str> {
        listed(self.dpop_algorithms.as_ref(), &[])
    }

    /// A member of its document that has no method here.
    #[must_use]
    pub fn extra(&self, name: &str) -> Option<&Value> {
        self.rest.as_ref()?.get(name)
    }

    /// The authentication of a client with a secret: `client_secret_basic` where the token endpoint
    /// lists it, else `client_secret_post`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] if it lists methods and none of them takes a secret.
    pub fn client_auth(&self, secret: impl Into<Secret>) -> Result<ClientAuth, Error> {
        auth_of("token", self.token_auth_methods(), secret.into())
    }

    /// The same for the revocation endpoint, which may have other methods.
    ///
    /// # Errors
    ///
    /// As [`client_auth`](Self::client_auth).
    pub fn revocation_auth(&self, secret: impl Into<Secret>) -> Result<ClientAuth, Error> {
        auth_of("revocation", self.revocation_auth_methods(), secret.into())
    }

    /// The same for the introspection endpoint, which may have other methods.
    ///
    /// # Errors
    ///
    /// As [`client_auth`](Self::client_auth).
    pub fn introspection_auth(&self, secret: impl Into<Secret>) -> Result<ClientAuth, Error> {
        auth_of("introspection", self.introspection_auth_methods(), secret.into())
    }

    /// The same server with the endpoints that it has for clients with a certificate (RFC 8705 §5).
    /// Endpoints without such a twin stay. For clients whose transport presents a certificate, and
    /// for those alone.
    #[must_use]
    pub fn with_mtls_aliases(mut self) -> Self {
        let Endpoints {
            authorization,
            token,
            revocation,
            introspection,
            user_info,
            device_authorization,
            pushed_authorization_request,
        } = std::mem::replace(&mut self.mtls_aliases, Endpoints::NONE);
        let usual = &mut self.endpoints;
        for (alias, endpoint) in [
            (authorization, &mut usual.authorization),
            (token, &mut usual.token),
            (revocation, &mut usual.revocation),
            (introspection, &mut usual.introspection),
            (user_info, &mut usual.user_info),
            (device_authorization, &mut usual.device_authorization),
            (pushed_authorization_request, &mut usual.pushed_authorization_request),
        ] {
            if alias.is_some() {
                *endpoint = alias;
            }
        }
        self
    }

    pub(crate) fn needed_token_url(&self) -> Result<&str, Error> {
        Self::needed("token", self.token_url())
    }

    /// The URL of an endpoint that somebody cannot do without.
    pub(crate) fn needed<'a>(what: &str, url: Option<&'a str>) -> Result<&'a str, Error> {
        url.ok_or_else(|| {
            let what = format!("the server names no {what} endpoint that can be used");
            Error::new(ErrorKind::Unsupported, what)
                .with_advice("give the URL to the builder if there is one")
        })
    }

    /// What every builder takes over, except the URLs that it begins with.
    pub(crate) fn apply_to(&self, settings: &mut Settings) {
        settings.revocation_url = self.revocation_url().map(str::to_owned);
        settings.issuer = self.issuer().map(str::to_owned);
        settings.dialect = self.dialect.clone();
        let methods = self.token_auth_methods.as_ref();
        settings.auth_methods =
            methods.map(|_| self.token_auth_methods().map(str::to_owned).collect());
        settings.allow_http = self.allow_http;
    }
}

/// Its name alone: some services have a key in the URLs of their endpoints.
impl fmt::Debug for AuthorizationServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationServer")
            .field("issuer", &self.issuer())
            .finish_non_exhaustive()
    }
}

impl Endpoints {
    pub(crate) const NONE: Self = Self {
        authorization: None,
        token: None,
        revocation: None,
        introspection: None,
        user_info: None,
        device_authorization: None,
        pushed_authorization_request: None,
    };
}

impl Words {
    fn iter(&self) -> impl Iterator<Item = &str> {
        let (written, read): (&[&str], &[String]) = match self {
            Self::Written(words) => (words, &[]),
            Self::Read(words) => (&[], words),
        };
        written.iter().copied().chain(read.iter().map(String::as_str))
    }
}

fn listed<'a>(
    words: Option<&'a Words>,
    default: &'static [&'static str],
) -> impl Iterator<Item = &'a str> {
    let default = if words.is_none() { default } else { &[] };
    words.into_iter().flat_map(Words::iter).chain(default.iter().copied())
}

fn auth_of<'a>(
    endpoint: &str,
    methods: impl Iterator<Item = &'a str>,
    secret: Secret,
) -> Result<ClientAuth, Error> {
    let methods: Vec<&str> = methods.collect();
    if methods.contains(&BASIC) {
        return Ok(ClientAuth::basic(secret));
    }
    if methods.contains(&POST) {
        return Ok(ClientAuth::post(secret));
    }
    let known: Vec<&str> = methods.into_iter().filter(|name| OTHERS.contains(name)).collect();
    let what = if known.is_empty() {
        format!("the {endpoint} endpoint lists no authentication of clients that is known")
    } else {
        let known = known.join(", ");
        format!("the {endpoint} endpoint takes no secret from clients, only {known}")
    };
    Err(Error::new(ErrorKind::Unsupported, what)
        .with_advice("choose another ClientAuth, which is tried although it is not listed"))
}

const BASIC: &str = "client_secret_basic";
const POST: &str = "client_secret_post";

/// Methods that are worth naming. What else a server lists is a stranger's text.
const OTHERS: &[&str] = &[
    "private_key_jwt",
    "client_secret_jwt",
    "tls_client_auth",
    "self_signed_tls_client_auth",
    "none",
];
