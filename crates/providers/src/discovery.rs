//! Finding a server's endpoints by its name (RFC 8414 §3, OpenID Connect Discovery §4).
//!
//! Documents hardly ever change and are asked for at every start and for every user, so they are
//! kept; and because a login must not fail over a document that was right an hour ago, an old one
//! serves while the server cannot be asked.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use parking_lot::Mutex;
use tokenkeeper::{Clock, Error, ErrorKind, Now, SystemClock};
use url::Url;

use crate::authorization_server::AuthorizationServer;
use crate::endpoint_request::EndpointRequest;
use crate::endpoint_url::EndpointUrl;
use crate::refusal::Purpose;
use crate::server_metadata::{check_issuer, is_of_another};
use crate::settings::bundled;
use crate::transport::HttpTransport;

/// Fetches what servers say of themselves, and keeps it.
///
/// A server is named by its issuer, an https URL. Asked for is first the document of RFC 8414, for
/// `https://host/tenant` at `https://host/.well-known/oauth-authorization-server/tenant`. If there
/// is none, or one that is of no use, it is that of OpenID Connect, at
/// `https://host/tenant/.well-known/openid-configuration`. A server that cannot be reached, or asks
/// for patience (429, 503), is not asked for the other one.
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
/// Issuers are meant to come from a configuration. One that a stranger chooses makes the program
/// send a request to a host of his choice.
///
/// # Cancel safety
///
/// The document is fetched by one of the callers, on its runtime. If that one gives up, the next one
/// begins anew.
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
    transport: Option<Arc<dyn HttpTransport>>,
    clock: Arc<dyn Clock>,
    lifetime: Duration,
    allow_http: bool,
    entries: Mutex<HashMap<String, Arc<Entry>>>,
}

impl Discovery {
    /// Knows no server yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            transport: None,
            clock: Arc::new(SystemClock),
            lifetime: LIFETIME,
            allow_http: false,
            entries: Mutex::default(),
        }
    }

    /// How long a document serves before it is fetched again.
    ///
    /// # Default
    ///
    /// One hour. A server that moves an endpoint has to serve both places for longer than that.
    #[must_use]
    pub fn with_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
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
        self.transport = Some(Arc::new(transport));
        self
    }

    /// By which lifetimes are counted.
    ///
    /// # Default
    ///
    /// [`SystemClock`].
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Takes issuers and endpoints that are plain http and not on this machine, and so do the
    /// builders that start from such a server. Whoever is on the way chooses where secrets go.
    #[must_use]
    pub fn danger_allow_http(mut self) -> Self {
        self.allow_http = true;
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
    pub async fn server(&self, issuer: &str) -> Result<Arc<AuthorizationServer>, Error> {
        let url = check_issuer(issuer, self.allow_http)?;
        let entry = self.entry(issuer);
        if let Some(known) = self.known(&entry) {
            return known;
        }
        let _turn = match entry.turn.try_lock() {
            Ok(turn) => turn,
            Err(_) => match self.old_document(&entry) {
                Some(server) => return Ok(server),
                None => entry.turn.lock().await,
            },
        };
        if let Some(known) = self.known(&entry) {
            return known; // somebody else has asked meanwhile
        }
        let asked_at = self.clock.now();
        let answer = self.fetch(issuer, &url).await;
        self.keep(&entry, asked_at, answer.map_err(|error| error.at_service(issuer)))
    }

    async fn fetch(&self, issuer: &str, url: &EndpointUrl) -> Result<AuthorizationServer, Error> {
        let transport = match &self.transport {
            Some(transport) => transport.clone(),
            None => bundled(self.allow_http)?,
        };
        let ask = async |document: Url| {
            let url = EndpointUrl::parse("issuer", document.as_str(), self.allow_http)?;
            let request = EndpointRequest {
                service_name: issuer,
                url: &url,
                transport: &*transport,
                purpose: Purpose::Other("describe itself"),
                secrets: Vec::new(),
            };
            let body = request.get(HeaderMap::new()).await.map_err(advised)?;
            AuthorizationServer::read(issuer, &body, self.allow_http)
        };
        let first = match ask(oauth_document(url.url())).await {
            Err(error) if may_have_another(&error) => error,
            settled => return settled,
        };
        ask(open_id_document(url.url()))
            .await
            .map_err(|second| if is_of_another(&first) { first } else { second.with_source(first) })
    }

    fn entry(&self, issuer: &str) -> Arc<Entry> {
        let mut entries = self.entries.lock();
        if let Some(entry) = entries.get(issuer) {
            return entry.clone();
        }
        let now = self.clock.now();
        // An entry that somebody holds is one that is being filled.
        entries.retain(|_, entry| Arc::strong_count(entry) > 1 || self.is_of_use(entry, &now));
        let entry = Arc::<Entry>::default();
        entries.insert(issuer.to_owned(), entry.clone());
        entry
    }

    fn is_of_use(&self, entry: &Entry, now: &Now) -> bool {
        let known = entry.known.lock();
        self.usable(&known, now).is_some() || known.pause(now).is_some()
    }

    /// What can be said without asking the server.
    fn known(&self, entry: &Entry) -> Option<Result<Arc<AuthorizationServer>, Error>> {
        let known = entry.known.lock();
        let now = self.clock.now();
        let usable = self.usable(&known, &now);
        if let Some((server, _)) = usable.filter(|(_, age)| *age < self.lifetime) {
            return Some(Ok(server.clone()));
        }
        let failure = known.pause(&now)?;
        Some(usable.map_or_else(|| Err(failure.clone()), |(server, _)| Ok(server.clone())))
    }

    fn old_document(&self, entry: &Entry) -> Option<Arc<AuthorizationServer>> {
        let known = entry.known.lock();
        self.usable(&known, &self.clock.now()).map(|(server, _)| server.clone())
    }

    /// A document that may be served if need be, and its age.
    fn usable<'a>(
        &self,
        known: &'a Known,
        now: &Now,
    ) -> Option<(&'a Arc<AuthorizationServer>, Duration)> {
        let (server, fetched_at) = known.document.as_ref()?;
        let age = now.since(fetched_at);
        (age < self.lifetime.saturating_add(GRACE)).then_some((server, age))
    }

    fn keep(
        &self,
        entry: &Entry,
        asked_at: Now,
        answer: Result<AuthorizationServer, Error>,
    ) -> Result<Arc<AuthorizationServer>, Error> {
        let mut known = entry.known.lock();
        match answer {
            Ok(server) => {
                let server = Arc::new(server);
                *known = Known { document: Some((server.clone(), asked_at)), failure: None };
                Ok(server)
            }
            Err(error) => {
                if is_of_another(&error) {
                    known.document = None;
                }
                let now = self.clock.now();
                let pause = error.retry_after().unwrap_or_default().max(PAUSE);
                known.failure = Some((error.clone(), now.after(pause)));
                self.usable(&known, &now).map(|(server, _)| server.clone()).ok_or(error)
            }
        }
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
            .field("transport", &self.transport)
            .field("lifetime", &self.lifetime)
            .field("allow_http", &self.allow_http)
            .finish_non_exhaustive()
    }
}

/// One issuer.
#[derive(Default)]
struct Entry {
    known: Mutex<Known>,
    /// Held by whoever asks the server.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    /// With the time at which it was asked for.
    document: Option<(Arc<AuthorizationServer>, Now)>,
    /// With the time until which it is not tried again.
    failure: Option<(Error, Now)>,
}

impl Known {
    fn pause(&self, now: &Now) -> Option<&Error> {
        let (error, until) = self.failure.as_ref()?;
        (!now.until(until).is_zero()).then_some(error)
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
        ErrorKind::Transport => {
            error.with_advice("check that the server can be reached, then ask again")
        }
        ErrorKind::Unavailable | ErrorKind::Config => error,
        _ => error.with_advice("check the issuer, or give the URLs of the endpoints yourself"),
    }
}

const LIFETIME: Duration = Duration::from_secs(60 * 60); // endpoints move once in years
const GRACE: Duration = Duration::from_secs(24 * 60 * 60); // the longest outage to live through
const PAUSE: Duration = Duration::from_secs(10); // a crowd of callers behind one failure
