//! The HTTP client that comes with the crate.
//!
//! It keeps no idle connections. Exchanges are minutes apart, so a kept connection is one that the
//! other side is about to close, and a request written into it is an answer lost: a spent refresh
//! token. A new connection either fails before anything was sent or is good. It also ties nothing
//! to the runtime that happened to be current at the first request.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use tokenkeeper::{Error, ErrorKind};
use url::Url;
use zeroize::Zeroizing;

use crate::answer::LONGEST_ANSWER;
use crate::endpoint_url::{config_error, is_loopback};
use crate::transport::HttpTransport;
use crate::transport_options::TransportOptions;

/// An [`HttpTransport`] that needs nothing from its user: HTTP/1.1 over TLS (rustls).
///
/// Redirects are not followed, answers are read up to 1 MiB, and plain http is refused unless the
/// host is a loopback one or
/// [`danger_allow_http`](TransportOptions::danger_allow_http) was called.
#[derive(Clone)]
pub struct BundledTransport {
    client: reqwest::Client,
    options: TransportOptions,
}

impl BundledTransport {
    /// A transport with these options. It connects to nothing yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if a timeout is zero, or if proxy URL, certificates or user agent
    /// cannot be used. The message names the option and never its value.
    pub fn new(options: TransportOptions) -> Result<Self, Error> {
        if options.request_timeout.is_zero() {
            return Err(config_error("request timeout", "must be longer than nothing"));
        }
        if options.connect_timeout.is_zero() {
            return Err(config_error("connect timeout", "must be longer than nothing"));
        }
        let user_agent = http::HeaderValue::from_str(&options.user_agent)
            .ok()
            .filter(|value| !value.is_empty())
            .ok_or_else(|| config_error("user agent", "does not fit into a header"))?;
        let mut builder = reqwest::Client::builder()
            .user_agent(user_agent)
            .timeout(options.request_timeout)
            .connect_timeout(options.connect_timeout)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .pool_max_idle_per_host(0)
            .no_proxy();
        if let Some(url) = &options.proxy_url {
            let proxy = reqwest::Proxy::all(url.expose_secret())
                .map_err(|_| config_error("proxy URL", "is not the URL of a proxy"))?;
            let loopback = reqwest::NoProxy::from_string("localhost,127.0.0.0/8,::1");
            builder = builder.proxy(proxy.no_proxy(loopback));
        }
        let mut roots = Vec::new();
        for pem in &options.root_certificates {
            let bundle = reqwest::Certificate::from_pem_bundle(pem)
                .ok()
                .filter(|bundle| !bundle.is_empty())
                .ok_or_else(|| config_error("root certificates", "are not PEM certificates"))?;
            roots.extend(bundle);
        }
        if !roots.is_empty() {
            builder = builder.tls_certs_merge(roots);
        }
        let client = builder.build().map_err(|cause| {
            config_error("transport", "the HTTP client cannot be set up with these options")
                .with_source(cause.without_url())
        })?;
        Ok(Self { client, options })
    }

    async fn answer(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Error> {
        let host = request.uri().authority().map_or("", |authority| authority.as_str()).to_owned();
        // From here on the body is overwritten when the last part of the client lets go of it.
        let request =
            request.map(|body| reqwest::Body::from(Bytes::from_owner(Zeroizing::new(body))));
        let request = reqwest::Request::try_from(request)
            .map_err(|_| config_error("URL", "is not one that can be asked"))?;
        if !self.may_be_asked(request.url()) {
            let what = "plain http is refused, because secrets are sent; it is for loopback hosts \
                        and danger_allow_http()";
            return Err(config_error("URL", what));
        }
        let mut answer =
            self.client.execute(request).await.map_err(|cause| failed(&host, cause))?;
        let mut body = Zeroizing::new(Vec::new());
        while let Some(part) = answer.chunk().await.map_err(|cause| cut_off(&host, cause))? {
            if body.len() + part.len() > LONGEST_ANSWER {
                return Err(too_long(&host, answer.status()));
            }
            append(&mut body, &part);
        }
        let mut response = Response::new(std::mem::take(&mut *body));
        *response.status_mut() = answer.status();
        *response.headers_mut() = std::mem::take(answer.headers_mut());
        Ok(response)
    }

    fn may_be_asked(&self, url: &Url) -> bool {
        url.scheme() == "https" || self.options.allow_http || is_loopback(url)
    }
}

#[async_trait]
impl HttpTransport for BundledTransport {
    async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Error> {
        self.answer(request).await
    }
}

impl fmt::Debug for BundledTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BundledTransport").field("options", &self.options).finish_non_exhaustive()
    }
}

/// Grows without leaving copies of the answer in freed memory.
fn append(body: &mut Zeroizing<Vec<u8>>, part: &[u8]) {
    let needed = body.len() + part.len();
    if needed > body.capacity() {
        let mut grown = Zeroizing::new(Vec::with_capacity(needed.max(body.capacity() * 2)));
        grown.extend_from_slice(body);
        *body = grown;
    }
    body.extend_from_slice(part);
}

/// A connection that could not be made is the one failure after which nothing was sent for sure.
fn failed(host: &str, cause: reqwest::Error) -> Error {
    if cause.is_connect() {
        let what = format!("could not connect to {host} ({})", innermost(&cause));
        return Error::new(ErrorKind::Transport, what).with_source(cause.without_url());
    }
    if cause.is_builder() {
        let what = "the request cannot be sent as it is";
        return Error::new(ErrorKind::Config, what).with_source(cause.without_url());
    }
    let what = if cause.is_timeout() {
        format!("{host} did not answer in time")
    } else {
        format!("the connection to {host} broke before the answer was there")
    };
    Error::new(ErrorKind::Transport, what).with_answer_lost().with_source(cause.without_url())
}

/// Why in the end: connection refused, name not known, certificate of a stranger.
fn innermost(cause: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = cause;
    while let Some(next) = cause.source() {
        cause = next;
    }
    // The outermost one has the URL in it, with its query.
    if cause.is::<reqwest::Error>() { "no reason is known".to_owned() } else { cause.to_string() }
}

fn cut_off(host: &str, cause: reqwest::Error) -> Error {
    let what = format!("the answer of {host} was cut off");
    Error::new(ErrorKind::Transport, what).with_answer_lost().with_source(cause.without_url())
}

fn too_long(host: &str, status: StatusCode) -> Error {
    let what = format!("the answer of {host} is longer than 1 MiB");
    Error::new(ErrorKind::InvalidResponse, what).with_answer_lost().with_status(status)
}
