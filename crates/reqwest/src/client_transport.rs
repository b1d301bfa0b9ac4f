//! A client of one's own for the token endpoint: its proxy, its roots, its client certificate.

use std::error::Error as _;
use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use http::{Request, Response};
use reqwest::{Client, ClientBuilder};
use tokenkeeper::{Clock, Error, ErrorKind, SystemClock};
use tokenkeeper_providers::{HttpTransport, reqwest_exchange};

use crate::tokens::without_redirects;

/// An [`HttpTransport`] on a `reqwest` client with settings of your own: a proxy, certificate
/// authorities, a client certificate, another TLS library.
///
/// # Time limits
///
/// Set them [here](Self::with_request_timeout) and in the manager's policy, not on the client. A
/// `timeout` of the client is replaced. Its `read_timeout` and `connect_timeout` are not, and end a
/// request at their own time: a process that is stopped (a laptop's lid, a paused container) while it
/// waits for an answer finds the answer and the end of its `read_timeout` at one moment, and the
/// client then drops the answer, with the next refresh token in it. The error says so where a limit of
/// the client has ended a request before that of the transport.
///
/// # Runtimes
///
/// A `reqwest` client keeps the connections of its pool going with tasks of the runtime that opened
/// them. So do not share the client of an application ([`danger_from_client`](Self::danger_from_client))
/// with a manager that is used through [`blocking`](tokenkeeper::TokenManager::blocking) inside a
/// current-thread runtime: that thread waits for the token, the token request for a connection of the
/// pool, and the connection for that thread, until the time limit ends it. A client of
/// [`new`](Self::new) has no such connections.
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
    is_shared: bool,
}

impl ClientTransport {
    /// A transport on the client of this builder, which is made to follow no redirects, to repeat
    /// nothing, and to keep no idle connections: on one that the server closed meanwhile it is not
    /// known whether a refresh token was spent. It connects to nothing yet.
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
        Ok(Self { is_shared: false, ..Self::danger_from_client(client) })
    }

    /// A transport on a client that is there already. It does not say whether it follows redirects:
    /// if it does, an answer from another URL becomes an error, but the secrets may have
    /// been sent there by then (307, 308). It should repeat nothing and keep no idle connections; see
    /// *Time limits* and *Runtimes* above.
    #[must_use]
    pub fn danger_from_client(client: Client) -> Self {
        Self { client, timeout: REQUEST_TIMEOUT, allow_http: false, is_shared: true }
    }

    /// How long one request may take, from the name lookup to the last byte of the answer. It holds
    /// in the place of the client's own `timeout`, and an answer that has arrived when the time is up
    /// is still read. The manager's policy has a request timeout too, and the shorter one counts: raise
    /// both.
    ///
    /// # Default
    ///
    /// 15 s.
    #[must_use]
    pub fn with_request_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sends credentials in clear text to any host, not only to loopback ones. Everyone on the
    /// way can read them (RFC 6749 §10.8).
    #[must_use]
    pub fn danger_allow_http(mut self) -> Self {
        self.allow_http = true;
        self
    }
}

#[async_trait]
impl HttpTransport for ClientTransport {
    async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Error> {
        let host = request.uri().authority().map_or("", |authority| authority.as_str()).to_owned();
        let started = SystemClock.now();
        // The limit of `reqwest` looks at the time before it looks at the answer.
        let exchange = reqwest_exchange::exchange(
            &self.client,
            request,
            Some(LONGER_THAN_ANY),
            self.allow_http,
        );
        match within(self.timeout, exchange).await {
            Some(result) => result
                .map_err(|error| self.name_the_limit(error, SystemClock.now().since(&started))),
            None => Err(self.too_late(&host)),
        }
    }
}

impl ClientTransport {
    /// Says whose limit it was that ended a request before that of this transport.
    fn name_the_limit(&self, error: Error, took: Duration) -> Error {
        let cause = error.source().and_then(|cause| cause.downcast_ref::<reqwest::Error>());
        if !cause.is_some_and(reqwest::Error::is_timeout) {
            return error;
        }
        let advice = format!(
            "the HTTP client has a time limit of its own, which ended the request after {} s, before \
             the {} s of this transport: set no read_timeout or connect_timeout on it, but \
             ClientTransport::with_request_timeout",
            took.as_secs_f64(),
            self.timeout.as_secs_f64()
        );
        error.with_advice(advice)
    }

    fn too_late(&self, host: &str) -> Error {
        let limit = self.timeout.as_secs_f64();
        let what = format!("{host} did not answer in time, which is {limit} s");
        let error = Error::new(ErrorKind::Transport, what).with_answer_lost();
        if !self.is_shared {
            return error;
        }
        error.with_advice(
            "try again; if the service did answer others, and the token was waited for with \
             blocking() inside a current-thread runtime, give the manager a client of its own with \
             ClientTransport::new",
        )
    }
}

/// What becomes of `work` until the time is up. A process that was stopped finds at one moment that
/// its time is up and that the answer is there; the answer has yet to pass through the tasks of the
/// client, which get their turns here.
async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut time_is_up = SystemClock.sleep(limit);
    let in_time = poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(result) => Poll::Ready(Some(result)),
        Poll::Pending => time_is_up.as_mut().poll(cx).map(|()| None),
    });
    let in_time = in_time.await;
    if in_time.is_some() {
        return in_time;
    }
    for _ in 0..LAST_TURNS {
        tokio::task::yield_now().await;
        let polled = poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await;
        if let Poll::Ready(result) = polled {
            return Some(result);
        }
    }
    None
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
const LONGER_THAN_ANY: Duration = Duration::from_secs(24 * 60 * 60);
const LAST_TURNS: usize = 16; // a client takes two or three; all of them last microseconds
