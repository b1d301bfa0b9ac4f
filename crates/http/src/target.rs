//! What a request is for, borrowed from whatever types its client has.

use http::uri::{Authority, Scheme};
use http::{Method, Uri};
use tokenkeeper::{Error, ErrorKind};

/// Method and URL of a request, without user name, query and fragment: those never matter to a
/// token, and often are secrets.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    method: &'a Method,
    https: bool,
    host: &'a str,
    port: u16,
    path: &'a str,
}

impl<'a> Target<'a> {
    /// The target of a request of the `http` crate.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the URI has no host, is neither http nor https, or has a port that is
    /// no number up to 65535: then it is not known where the request would go.
    pub fn of(method: &'a Method, uri: &'a Uri) -> Result<Self, Error> {
        let scheme = uri.scheme().map_or("", Scheme::as_str);
        let authority = uri.authority().map_or("", Authority::as_str);
        // `Uri::port_u16` has no port to tell of in both cases: none there, and none that is one.
        let Some(port) = port_of(authority) else {
            let what = "the port in the request's URL is not a number from 0 to 65535, so it is not \
                        known where a token would go";
            return Err(Error::new(ErrorKind::Config, what));
        };
        Self::new(method, scheme, uri.host().unwrap_or_default(), port, uri.path())
    }

    /// The target, from its parts. IPv6 addresses stand in brackets. Without a port it is that of
    /// the scheme.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if there is no host, or if the scheme is neither http nor https.
    pub fn new(
        method: &'a Method,
        scheme: &str,
        host: &'a str,
        port: Option<u16>,
        path: &'a str,
    ) -> Result<Self, Error> {
        let https = scheme.eq_ignore_ascii_case("https");
        if host.is_empty() || !(https || scheme.eq_ignore_ascii_case("http")) {
            let what = "the request's URL must be absolute, with http or https and a host, so that \
                        it is known where a token would go";
            return Err(Error::new(ErrorKind::Config, what));
        }
        let port = port.unwrap_or(if https { 443 } else { 80 });
        Ok(Self { method, https, host, port, path })
    }

    /// Whether a `Host` header names the same host and port.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        let usual = if self.https { 443 } else { 80 };
        let Some(port) = port_of(name).filter(|_| !name.contains('@')) else { return false };
        host_and_port(name).0.eq_ignore_ascii_case(self.host) && port.unwrap_or(usual) == self.port
    }

    /// The request's method.
    #[must_use]
    pub fn method(&self) -> &'a Method {
        self.method
    }

    /// Whether the scheme is https.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// The host as the request spells it; IPv6 addresses in brackets.
    #[must_use]
    pub fn host(&self) -> &'a str {
        self.host
    }

    /// The port, that of the scheme if the request names none.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The path as the request spells it, percent-encoding included.
    #[must_use]
    pub fn path(&self) -> &'a str {
        self.path
    }
}

/// The port of an authority. `Some(None)` if there is none, or an empty one (RFC 3986 §3.2.3); `None`
/// if there is something else in its place.
fn port_of(authority: &str) -> Option<Option<u16>> {
    let (_, port) = host_and_port(authority);
    match port.strip_prefix(':').unwrap_or_default() {
        "" => Some(None),
        port if port.bytes().all(|byte| byte.is_ascii_digit()) => port.parse().ok().map(Some),
        _ => None,
    }
}

/// The host of an authority, and the rest, which begins with a colon. A user name is left out.
fn host_and_port(authority: &str) -> (&str, &str) {
    let authority = authority.rsplit_once('@').map_or(authority, |(_, behind)| behind);
    let ip_end = authority.find(']').unwrap_or(0);
    let colon = authority.char_indices().find(|(at, c)| *at >= ip_end && *c == ':');
    colon.map_or((authority, ""), |(at, _)| authority.split_at(at))
}
