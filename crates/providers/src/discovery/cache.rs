//! Finding a server's endpoints by its name (RFC 8414 §3, OpenID Connect Discovery §4).
//!
//! Documents hardly ever change and are asked for at every start and for every user, so they are
//! kept; and because a login must not fail over a document that was right an hour ago, an old one
//! serves while the server cannot be asked.

use std::collections::HashMap;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, WeakShared};
use http::HeaderMap;
use parking_lot::Mutex;
use tokenkeeper::{Clock, Error, ErrorKind, SystemClock};
use url::Url;

use super::authorization_server::AuthorizationServer;
use super::known_server::{KnownServer, Outcome};
use super::server_metadata::{check_issuer, is_of_another};
use crate::endpoint_request::EndpointRequest;
use crate::endpoint_url::EndpointUrl;
use crate::refusal::Purpose;
use crate::settings::bundled;
use crate::transport::HttpTransport;

/// Fetches what servers say of themselves, and keeps it.
///
/// A server is named by its issuer, an https URL. Asked for is first the document of RFC 8414, for
/// `https://host/tenant` at `https://host/.well-known/oauth-authorization-server/tenant`. If there
/// is none, or one that is of no use, it is that of OpenID Connect, at
/// `https://host/tenant/.well-known/openid-configuration`. A server that cannot be reached, or asks
/// for patience (429, 503), is not asked for the other one. A document of RFC 8414 without
/// `token_endpoint`, or with `authorization_endpoint` and without `userinfo_endpoint` or `jwks_uri`, is
/// completed by what the other one says beside it, if there is one.
///
/// The issuer in a document must be the one that was asked for, character by character, or it is not
/// used (RFC 8414 §3.3). Redirects are not followed.
///
/// # Caching
///
/// A document is kept for its [lifetime](Self::with_lifetime); what the headers of the answer say
/// about caching does not count. Any number of callers cause one request for an issuer. When it
/// cannot be fetched again, the old one serves for another 24 hours, unless the server names another
/// issuer now. A failure is repeated to whoever asks within 10 s, or as long as the server asks to
/// wait, instead of asking the server again.
///
/// What was built from a document keeps its URLs; a server that moves an endpoint serves both places
/// until its clients have started anew.
///
/// Issuers are meant to come from a configuration. One that a stranger chooses makes the program
/// send a request to a host of his choice. At most 1,000 servers are known at a time; beyond that, all
/// are forgotten.
///
/// # Cancel safety
///
/// The document is fetched by the callers themselves, and nothing goes on in the background: any of
/// them gets it for all, so one that gives up or is stuck keeps nobody waiting. If all give up, the
/// request ends, and the next one begins anew.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use tokenkeeper_providers::{ClientCredentialsProvider, Discovery};
///
/// # async fn run() -> Result<(), tokenkeeper::Error> {
/// let discovery = Discovery::new().with_lifetime(Duration::from_secs(600));
/// let server = discovery.server("https://auth.example.org").await?;
/// let provider = ClientCredentialsProvider::of_server("billing", &server)?
///     .client("billing-job", server.client_auth("hunter2")?)
///     .build()?;
/// # Ok(())
/// # }
/// ```
pub struct Discovery {
    terms: Terms,
    entries: Mutex<HashMap<String, Arc<Entry>>>,
}

impl Discovery {
    /// Knows no server yet.
    #[must_use]
    pub fn new() -> Self {
        let clock = Arc::new(SystemClock);
        let terms = Terms { transport: None, clock, lifetime: LIFETIME, allow_http: false };
        Self { terms, entries: Mutex::default() }
    }

    /// How long a document serves before it is fetched again.
    ///
    /// # Default
    ///
    /// One hour.
    #[must_use]
    pub fn with_lifetime(mut self, lifetime: Duration) -> Self {
        self.terms.lifetime = lifetime;
        self
    }

    /// What sends the requests.
    ///
    /// # Default
    ///
    /// With the feature `reqwest`, a `BundledTransport` with default options, shared with the
    /// providers; without it, one must be given.
    #[must_use]
    pub fn with_transport(mut self, transport: impl HttpTransport) -> Self {
        self.terms.transport = Some(Arc::new(transport));
        self
    }

    /// By which lifetimes are counted.
    ///
    /// # Default
    ///
    /// [`SystemClock`].
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.terms.clock = Arc::new(clock);
        self
    }

    /// Takes issuers and endpoints that are plain http and not on this machine, and so do the
    /// builders that start from such a server. Whoever is on the way chooses where secrets go.
    #[must_use]
    pub fn danger_allow_http(mut self) -> Self {
        self.terms.allow_http = true;
        self
    }

    /// The server with this name.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Config`] if the issuer is no https URL, has a query or a fragment, or is not
    ///   the one that the document names.
    /// - [`ErrorKind::Transport`] or [`ErrorKind::Unavailable`] if the server cannot be asked.
    /// - [`ErrorKind::RequestRejected`] or [`ErrorKind::InvalidResponse`] if it has no such document.
    /// - [`ErrorKind::Internal`] if the transport panics.
    pub async fn server(&self, issuer: &str) -> Result<Arc<AuthorizationServer>, Error> {
        let url = check_issuer(issuer, self.terms.allow_http)?;
        let entry = self.entry(issuer);
        let flight = {
            let mut flight = entry.flight.lock();
            let (now, lifetime) = (self.terms.clock.now(), self.terms.lifetime);
            if let Some(known) = entry.known.lock().now(&now, lifetime) {
                return known;
            }
            let under_way = flight.as_ref().and_then(WeakShared::upgrade);
            if let Some(under_way) = under_way.filter(|flight| flight.peek().is_none()) {
                if let Some(server) = entry.known.lock().old(&now, lifetime) {
                    return Ok(server);
                }
                under_way
            } else {
                let begun = self.terms.clone().ask(issuer.to_owned(), url, entry.clone());
                let begun = AssertUnwindSafe(begun).catch_unwind();
                let begun = begun.map(|outcome| outcome.unwrap_or_else(|_| Err(panicked())));
                let begun = begun.boxed().shared();
                *flight = begun.downgrade();
                begun
            }
        };
        flight.await
    }

    fn entry(&self, issuer: &str) -> Arc<Entry> {
        let mut entries = self.entries.lock();
        if let Some(entry) = entries.get(issuer) {
            return entry.clone();
        }
        let now = self.terms.clock.now();
        let is_full = entries.len() >= MOST_SERVERS;
        // An entry with another holder is one that is being filled.
        entries.retain(|_, entry| {
            let is_of_use = || entry.known.lock().is_of_use(&now, self.terms.lifetime);
            Arc::strong_count(entry) > 1 || !is_full && is_of_use()
        });
        let entry = Arc::<Entry>::default();
        entries.insert(issuer.to_owned(), entry.clone());
        entry
    }
}

impl Default for Discovery {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Discovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Discovery")
            .field("transport", &self.terms.transport)
            .field("lifetime", &self.terms.lifetime)
            .field("allow_http", &self.terms.allow_http)
            .finish_non_exhaustive()
    }
}

/// One issuer.
#[derive(Default)]
struct Entry {
    known: Mutex<KnownServer>,
    /// The request that is under way. It lives in those who wait for it.
    flight: Mutex<Option<WeakShared<BoxFuture<'static, Outcome>>>>,
}

/// How servers are asked.
#[derive(Clone)]
struct Terms {
    transport: Option<Arc<dyn HttpTransport>>,
    clock: Arc<dyn Clock>,
    lifetime: Duration,
    allow_http: bool,
}

impl Terms {
    async fn ask(self, issuer: String, url: EndpointUrl, entry: Arc<Entry>) -> Outcome {
        let asked_at = self.clock.now();
        let answer = self.fetch(&issuer, url.url()).await;
        let answer = answer.map(Arc::new).map_err(|error| error.at_service(&issuer));
        entry.known.lock().keep(asked_at, self.clock.now(), self.lifetime, answer)
    }

    async fn fetch(&self, issuer: &str, url: &Url) -> Result<AuthorizationServer, Error> {
        let first = match self.read(issuer, &oauth_document(url)).await {
            Err(error) if may_have_another(&error) => error,
            Ok(server) if server.may_be_partial() => {
                // What is known is of use without the rest, so this may fail.
                let other = self.read(issuer, &open_id_document(url)).await;
                return Ok(match other {
                    Ok(other) => server.completed_by(other),
                    Err(_) => server,
                });
            }
            settled => return settled,
        };
        let second = self.read(issuer, &open_id_document(url)).await;
        second.map_err(|second| {
            if is_of_another(&first) {
                first
            } else if first.to_string() == second.to_string() {
                second // a cause that says the same would be read as another failure
            } else {
                second.with_source(first)
            }
        })
    }

    async fn read(&self, issuer: &str, document: &Url) -> Result<AuthorizationServer, Error> {
        let transport = match &self.transport {
            Some(transport) => transport.clone(),
            None => bundled(self.allow_http)?,
        };
        let request = EndpointRequest {
            service_name: issuer,
            url: &EndpointUrl::parse("issuer", document.as_str(), self.allow_http)?,
            transport: &*transport,
            purpose: Purpose::Other("describe itself"),
            secrets: Vec::new(),
        };
        let body = request.get(HeaderMap::new()).await.map_err(advised)?;
        AuthorizationServer::read(issuer, &body, self.allow_http)
    }
}

/// RFC 8414 §3.1: between host and path.
fn oauth_document(issuer: &Url) -> Url {
    let mut url = issuer.clone();
    url.set_path(&format!("/.well-known/oauth-authorization-server{}", path(issuer)));
    url
}

/// OpenID Connect Discovery §4: after the path.
fn open_id_document(issuer: &Url) -> Url {
    let mut url = issuer.clone();
    url.set_path(&format!("{}/.well-known/openid-configuration", path(issuer)));
    url
}

fn path(issuer: &Url) -> &str {
    let path = issuer.path();
    path.strip_suffix('/').unwrap_or(path)
}

/// Whether the other document is worth a request: not where no request gets through.
fn may_have_another(error: &Error) -> bool {
    let asks_for_patience = matches!(error.status().map(|status| status.as_u16()), Some(429 | 503));
    error.kind() != ErrorKind::Transport && !asks_for_patience
}

/// The usual advice is about token endpoints.
fn advised(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Transport | ErrorKind::Unavailable | ErrorKind::Config => error,
        _ => error.with_advice("check the issuer, or give the URLs of the endpoints yourself"),
    }
}

fn panicked() -> Error {
    Error::new(
        ErrorKind::Internal,
        "the transport panicked while a server was asked for its document",
    )
}

const MOST_SERVERS: usize = 1_000; // more than any program configures
const LIFETIME: Duration = Duration::from_secs(60 * 60); // endpoints move once in years
