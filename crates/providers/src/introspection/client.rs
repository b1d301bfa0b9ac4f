//! Asking a server what a token is worth (RFC 7662).

use std::fmt;
use std::sync::Arc;

use tokenkeeper::{Error, ErrorKind, Secret};

use super::introspected::Introspected;
use crate::client_auth::ClientAuth;
use crate::endpoint_request::{Caller, EndpointRequest};
use crate::endpoint_url::{EndpointUrl, config_error};
use crate::refusal::Purpose;
use crate::settings::{bundled, check_plain};
use crate::transport::HttpTransport;

/// A client of an introspection endpoint (RFC 7662 §2): for APIs that are shown tokens they cannot
/// read, and for clients that want to know whether theirs are still good.
///
/// Every question is one request; nothing is kept. Whoever keeps answers decides how long a revoked
/// token may go on working, and never keeps one beyond its
/// [`expires_at`](Introspected::expires_at) (RFC 7662 §4).
///
/// # Examples
///
/// ```
/// use tokenkeeper::Secret;
/// use tokenkeeper_providers::{ClientAuth, Introspection};
///
/// # async fn run() -> Result<(), tokenkeeper::Error> {
/// let introspection = Introspection::builder("calendar", "https://auth.example.org/introspect")
///     .client("calendar-api", ClientAuth::basic("hunter2"))
///     .build()?;
/// let shown = Secret::from("token of a request");
/// let token = introspection.introspect(&shown).await?;
/// if token.active() && token.scopes().contains("calendar.read") {
///     println!("this is {:?}", token.subject());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Introspection {
    service_name: String,
    url: EndpointUrl,
    client_id: String,
    auth: ClientAuth,
    issuer: Option<String>,
    transport: Arc<dyn HttpTransport>,
}

impl Introspection {
    /// Starts with a name for the service, as it is to appear in errors, and the URL of its
    /// introspection endpoint.
    #[must_use]
    pub fn builder(service_name: &str, introspection_url: &str) -> IntrospectionBuilder {
        IntrospectionBuilder {
            service_name: service_name.to_owned(),
            url: introspection_url.to_owned(),
            client: None,
            issuer: None,
            transport: None,
            allow_http: false,
        }
    }

    /// Asks about a token, an access token most likely.
    ///
    /// # Errors
    ///
    /// As other requests of this crate: [`ErrorKind::CredentialsRejected`] or
    /// [`ErrorKind::RequestRejected`] if the client may not ask, [`ErrorKind::Unavailable`] if it is
    /// to ask again, [`ErrorKind::InvalidResponse`] if the answer is no JSON object with `active`.
    /// A token that the server does not know is no error; it is not
    /// [`active`](Introspected::active).
    pub async fn introspect(&self, token: &Secret) -> Result<Introspected, Error> {
        self.ask(token, None).await
    }

    /// The same, with the type of the token, which may spare the server a search: `access_token`,
    /// `refresh_token`, or another word of the registry (RFC 7662 §2.1).
    ///
    /// # Errors
    ///
    /// As [`introspect`](Self::introspect).
    pub async fn introspect_with_hint(
        &self,
        token: &Secret,
        token_type_hint: &str,
    ) -> Result<Introspected, Error> {
        self.ask(token, Some(token_type_hint)).await
    }

    async fn ask(&self, token: &Secret, hint: Option<&str>) -> Result<Introspected, Error> {
        let mut form = vec![("token", token.expose_secret())];
        form.extend(hint.map(|hint| ("token_type_hint", hint)));
        let request = EndpointRequest {
            service_name: &self.service_name,
            url: &self.url,
            transport: &*self.transport,
            purpose: Purpose::Other("introspect a token"),
            secrets: vec![token],
        };
        let caller = Caller {
            client_id: &self.client_id,
            auth: &self.auth,
            audience: self.issuer.as_deref().unwrap_or(self.url.normalised()),
        };
        let body = request.post(caller, &form).await.map_err(advised)?;
        Introspected::read(&body).map_err(|error| error.at_service(&self.service_name))
    }
}

/// Builds an [`Introspection`].
#[derive(Clone)]
pub struct IntrospectionBuilder {
    pub(crate) service_name: String,
    url: String,
    client: Option<(String, ClientAuth)>,
    pub(crate) issuer: Option<String>,
    transport: Option<Arc<dyn HttpTransport>>,
    pub(crate) allow_http: bool,
}

impl IntrospectionBuilder {
    /// Who asks, and how it proves that. Required: servers must not answer just anybody (RFC 7662
    /// §2.1).
    #[must_use]
    pub fn client(mut self, id: impl Into<String>, auth: ClientAuth) -> Self {
        self.client = Some((id.into(), auth));
        self
    }

    /// The issuer of the server, which is the audience of assertions then.
    ///
    /// # Default
    ///
    /// Unknown; the audience is the URL of the endpoint.
    #[must_use]
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
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

    /// Sends tokens and credentials in clear text, also to hosts that are not this machine. Whoever
    /// is on the way reads them.
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
    pub fn build(self) -> Result<Introspection, Error> {
        let service_name = self.service_name.clone();
        self.checked().map_err(|error| error.at_service(&service_name))
    }

    fn checked(self) -> Result<Introspection, Error> {
        check_plain("service name", &self.service_name)?;
        let url = EndpointUrl::parse("introspection URL", &self.url, self.allow_http)?;
        let Some((client_id, auth)) = self.client else {
            return Err(config_error("client", "must be given, with id and authentication"));
        };
        check_plain("client id", &client_id)?;
        auth.check(&client_id)?;
        if let Some(issuer) = &self.issuer {
            check_plain("issuer", issuer)?;
        }
        let transport = match self.transport {
            Some(transport) => transport,
            None => bundled(self.allow_http)?,
        };
        let Self { service_name, issuer, .. } = self;
        Ok(Introspection { service_name, url, client_id, auth, issuer, transport })
    }
}

/// Whatever was given may be a secret in the wrong place, so only the name is shown.
impl fmt::Debug for IntrospectionBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntrospectionBuilder")
            .field("service_name", &self.service_name)
            .finish_non_exhaustive()
    }
}

/// The usual advice is about token endpoints.
fn advised(error: Error) -> Error {
    match error.kind() {
        ErrorKind::CredentialsRejected | ErrorKind::RequestRejected => error.with_advice(
            "check the introspection URL, and that this client may ask and authenticates rightly",
        ),
        _ => error,
    }
}
