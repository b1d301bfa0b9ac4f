//! A client of one's own for the token endpoint: its proxy, its roots, its client certificate.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use http::{Request, Response};
use reqwest::{Client, ClientBuilder};
use tokenkeeper::{Error, ErrorKind};
use tokenkeeper_providers::{HttpTransport, reqwest_exchange};

use crate::tokens::without_redirects;

/// An [`HttpTransport`] on a `reqwest` client with settings of your own: a proxy, certificate
/// authorities, a client certificate, another TLS library.
///
/// # Examples
///
/// ```
/// use tokenkeeper_reqwest::ClientTransport;
///
/// let proxy = reqwest::Proxy::all("http://proxy.example.org:3128")?;
/// let transport = ClientTransport::new(reqwest::Client::builder().proxy(proxy))?;
/// // ClientCredentialsProvider::builder(…).transport(transport)
/// # let _ = transport;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ClientTransport {
    client: Client,
    timeout: Duration,
    allow_http: bool,
}

impl ClientTransport {
    /// A transport on the client of this builder, which is made to follow no redirects, to repeat
    /// nothing, and to keep no idle connections: on one that the server closed meanwhile nobody can
    /// tell whether a refresh token was spent. It connects to nothing yet.
    ///
    /// A proxy in the environment is used if the builder uses it, for `http` to loopback hosts too:
    /// then it reads the credentials. `NO_PROXY=localhost,127.0.0.1,::1` keeps those away from it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the client cannot be built.
    pub fn new(builder: ClientBuilder) -> Result<Self, Error> {
        let builder =
            without_redirects(builder).retry(reqwest::retry::never()).pool_max_idle_per_host(0);
        let client = builder.build().map_err(|cause| {
            let what = "transport: the HTTP client cannot be set up with these options";
            Error::new(ErrorKind::Config, what).with_source(cause.without_url())
        })?;
        Ok(Self::danger_from_client(client))
    }

    /// A transport on a client that is there already. Nobody can ask it whether it follows
    /// redirects: if it does, an answer from another URL becomes an error, but the secrets may have
    /// been sent there by then (307, 308). It should repeat nothing and keep no idle connections.
    #[must_use]
    pub fn danger_from_client(client: Client) -> Self {
        Self { client, timeout: REQUEST_TIMEOUT, allow_http: false }
    }

    /// How long one request may take, from the name lookup to the last byte of the answer. It holds
    /// in the place of the client's own. The manager's policy has a request timeout too, and the
    /// shorter one counts: raise both.
    ///
    /// # Default
    ///
    /// 15 s.
    #[must_use]
    pub fn with_request_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sends credentials in clear text to any host, not only to loopback ones. Whoever is on the
    /// way reads them (RFC 6749 §10.8).
    #[must_use]
    pub fn danger_allow_http(mut self) -> Self {
        self.allow_http = true;
        self
    }
}

#[async_trait]
impl HttpTransport for ClientTransport {
    async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Error> {
        let timeout = Some(self.timeout);
        reqwest_exchange::exchange(&self.client, request, timeout, self.allow_http).await
    }
}

/// Without the client, whose default headers may hold secrets.
impl fmt::Debug for ClientTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTransport")
            .field("timeout", &self.timeout)
            .field("allow_http", &self.allow_http)
            .finish_non_exhaustive()
    }
}

const REQUEST_TIMEOUT: Duration = Duration::from_secs(15); // half of the time that a lease lasts
