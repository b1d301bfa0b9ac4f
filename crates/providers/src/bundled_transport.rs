//! The HTTP client that comes with the crate.
//!
//! It keeps no idle connections. Token requests are minutes apart, so a kept connection is one that the
//! other side is about to close, and a request written into it is an answer lost: a spent refresh
//! token. A new connection either fails before anything was sent or is good. It also ties nothing
//! to the runtime that happened to be current at the first request.

use std::fmt;
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use http::{Request, Response, StatusCode};
use parking_lot::Mutex;
use tokenkeeper::{Error, ErrorKind};
use url::Url;

use crate::endpoint_url::config_error;
use crate::reqwest_exchange::{self, innermost};
use crate::transport::HttpTransport;
use crate::transport_options::TransportOptions;

/// An [`HttpTransport`] that needs nothing from its user: HTTP/1.1 over TLS (rustls).
///
/// It works in a tokio runtime with I/O and time enabled. A manager has one; elsewhere, for the two
/// ends of a login say, await in one of yours. Redirects are not followed, answers are read up to
/// 1 MiB, and plain http is refused unless the host is a loopback one or
/// [`danger_allow_http`](TransportOptions::danger_allow_http) was called.
///
/// Where the operating system has no certificate authorities and none are given, only plain http can
/// be sent; requests by https, and providers with such a token URL, fail and say so.
#[derive(Clone)]
pub struct BundledTransport {
    client: reqwest::Client,
    options: TransportOptions,
    /// Why no certificate can be checked, if that is so.
    no_authorities: Option<Error>,
}

impl BundledTransport {
    /// A transport with these options. It connects to nothing yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](tokenkeeper::ErrorKind::Config) if a timeout is zero, or if proxy URL,
    /// certificates or user agent cannot be used. The message names the option and never its value.
    pub fn new(options: TransportOptions) -> Result<Self, Error> {
        let with_system = client_builder(&options)?.build();
        let (client, no_authorities) = match with_system {
            Ok(client) => (client, None),
            Err(cause) if options.root_certificates.is_empty() => {
                let without = client_builder(&options)?.tls_certs_only([]).build();
                let client = without.map_err(cannot_be_set_up)?;
                (client, Some(without_authorities(cause)))
            }
            Err(cause) => return Err(cannot_be_set_up(cause)),
        };
        Ok(Self { client, options, no_authorities })
    }

    /// Whether requests to this URL can be sent at all.
    pub(crate) fn check(&self, scheme: Option<&str>) -> Result<(), Error> {
        let error = self.no_authorities.clone().filter(|_| scheme == Some("https"));
        error.map_or(Ok(()), Err)
    }

    /// The one for providers that were given none. A client reads the certificates of the machine
    /// and keeps them, some 100 KB, which is too much for each of ten thousand users.
    pub(crate) fn shared(allow_http: bool) -> Result<Arc<Self>, Error> {
        static STRICT: Mutex<Weak<BundledTransport>> = Mutex::new(Weak::new());
        static LENIENT: Mutex<Weak<BundledTransport>> = Mutex::new(Weak::new());

        let mut shared = if allow_http { LENIENT.lock() } else { STRICT.lock() };
        if let Some(transport) = shared.upgrade() {
            return Ok(transport);
        }
        let options = TransportOptions::new();
        let options = if allow_http { options.danger_allow_http() } else { options };
        let transport = Arc::new(Self::new(options)?);
        *shared = Arc::downgrade(&transport);
        Ok(transport)
    }
}

#[async_trait]
impl HttpTransport for BundledTransport {
    async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Error> {
        self.check(request.uri().scheme_str())?;
        let host = request.uri().host().unwrap_or_default().to_owned();
        let limit = Some(self.options.request_timeout);
        let allow_http = self.options.allow_http;
        let answer = reqwest_exchange::exchange(&self.client, request, limit, allow_http).await;
        let refused = match &answer {
            Ok(answer) => answer.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED,
            Err(error) => error.kind() == ErrorKind::ProxyRejected,
        };
        match &self.options.proxy_url {
            Some(proxy) if refused => Err(proxy_refused(proxy.expose_secret(), &host)),
            _ => answer,
        }
    }
}

impl fmt::Debug for BundledTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BundledTransport").field("options", &self.options).finish_non_exhaustive()
    }
}

fn client_builder(options: &TransportOptions) -> Result<reqwest::ClientBuilder, Error> {
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
    Ok(if roots.is_empty() { builder } else { builder.tls_certs_merge(roots) })
}

fn cannot_be_set_up(cause: reqwest::Error) -> Error {
    let what = format!("cannot be set up with these options ({})", innermost(&cause));
    config_error("transport", &what)
        .with_advice("correct the options, the root certificates above all")
        .with_source(cause.without_url())
}

fn without_authorities(cause: reqwest::Error) -> Error {
    let what = format!(
        "this system has no certificate authorities that can be loaded ({}), so https cannot be used",
        innermost(&cause)
    );
    config_error("root certificates", &what)
        .with_advice(
            "install them (the package is ca-certificates on most systems), or give some with \
             TransportOptions::with_root_certificates",
        )
        .with_source(cause.without_url())
}

/// The proxy by its name; its URL has the password in it.
fn proxy_refused(proxy_url: &str, host: &str) -> Error {
    let url = Url::parse(proxy_url).or_else(|_| Url::parse(&format!("http://{proxy_url}"))).ok();
    let name = url.as_ref().and_then(Url::host_str).unwrap_or("that was given");
    let port = url.as_ref().and_then(Url::port_or_known_default);
    let port = port.map_or(String::new(), |port| format!(":{port}"));
    let has_credentials = url.as_ref().is_some_and(|url| !url.username().is_empty());
    let (what, advice) = if has_credentials {
        ("refused the user name or password that it was given", "correct them in the proxy URL")
    } else {
        ("wants a user name and password", "give them in the proxy URL")
    };
    let what = format!("the proxy {name}{port} {what}, and {host} was not asked");
    Error::new(ErrorKind::ProxyRejected, what)
        .with_advice(format!("{advice} (TransportOptions::with_proxy_url)"))
        .with_status(StatusCode::PROXY_AUTHENTICATION_REQUIRED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_without_a_transport_share_one_for_each_rule_about_plain_http() {
        let [strict, lenient] = [false, true].map(|allow| BundledTransport::shared(allow).unwrap());

        assert!(Arc::ptr_eq(&strict, &BundledTransport::shared(false).unwrap()));
        assert!(Arc::ptr_eq(&lenient, &BundledTransport::shared(true).unwrap()));
        assert_eq!((strict.options.allow_http, lenient.options.allow_http), (false, true));
    }
}
