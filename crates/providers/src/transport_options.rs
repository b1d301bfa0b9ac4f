//! What can be chosen about the bundled transport, in terms that no HTTP client owns.

use std::fmt;
use std::time::Duration;

use tokenkeeper::Secret;

/// Options of [`BundledTransport`](crate::BundledTransport).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use tokenkeeper_providers::{BundledTransport, TransportOptions};
///
/// let options = TransportOptions::new()
///     .with_request_timeout(Duration::from_secs(5))
///     .with_proxy_url("http://proxy.example.org:3128");
/// let transport = BundledTransport::new(options)?;
/// # Ok::<(), tokenkeeper::Error>(())
/// ```
#[derive(Clone)]
pub struct TransportOptions {
    pub(crate) request_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) proxy_url: Option<Secret>,
    pub(crate) root_certificates: Vec<Vec<u8>>,
    pub(crate) user_agent: String,
    pub(crate) allow_http: bool,
}

impl TransportOptions {
    /// The defaults: 15 s for a request, 5 s of it for the connection, no proxy, the certificate
    /// authorities of the operating system, `tokenkeeper/<version>`.
    #[must_use]
    pub fn new() -> Self {
        Self {
            request_timeout: REQUEST_TIMEOUT,
            connect_timeout: CONNECT_TIMEOUT,
            proxy_url: None,
            root_certificates: Vec::new(),
            user_agent: concat!("tokenkeeper/", env!("CARGO_PKG_VERSION")).to_owned(),
            allow_http: false,
        }
    }

    /// How long one request may take, from the name lookup to the last byte of the answer. A process
    /// that stood still in that time (a suspended laptop, a paused container) gets two seconds more,
    /// to read an answer that came meanwhile. The manager's policy has a request timeout of its own,
    /// 15 s too, and the shorter one counts: raise both.
    ///
    /// # Default
    ///
    /// 15 s.
    #[must_use]
    pub fn with_request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// How long the connection may take, TLS included. A request that fails here was never sent.
    ///
    /// # Default
    ///
    /// 5 s.
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// An HTTP proxy, with user name and password in the URL if it wants them. Loopback hosts are
    /// never asked for through it.
    ///
    /// # Default
    ///
    /// None. `HTTPS_PROXY` and the like are not read: where credentials are sent is not left to
    /// the environment.
    #[must_use]
    pub fn with_proxy_url(mut self, url: impl Into<Secret>) -> Self {
        self.proxy_url = Some(url.into());
        self
    }

    /// Trusts one or more certificate authorities besides those of the operating system. PEM;
    /// may be called repeatedly.
    #[must_use]
    pub fn with_root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates.push(pem.into());
        self
    }

    /// The `User-Agent` header.
    ///
    /// # Default
    ///
    /// `tokenkeeper/<version>`.
    #[must_use]
    pub fn with_user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into();
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

impl Default for TransportOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for TransportOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportOptions")
            .field("request_timeout", &self.request_timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("proxy_url", &self.proxy_url)
            .field("root_certificates", &self.root_certificates.len())
            .field("user_agent", &self.user_agent)
            .field("allow_http", &self.allow_http)
            .finish()
    }
}

const REQUEST_TIMEOUT: Duration = Duration::from_secs(15); // half of the time that a lease lasts
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5); // leaves two thirds for the answer
