//! What a request is for, borrowed from whatever types its client has.

use http::uri::Scheme;
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
    /// [`ErrorKind::Config`] if the URI has no host, or is neither http nor https: then nobody can
    /// say where the request would go.
    pub fn of(method: &'a Method, uri: &'a Uri) -> Result<Self, Error> {
        let scheme = uri.scheme().map_or("", Scheme::as_str);
        Self::new(method, scheme, uri.host().unwrap_or_default(), uri.port_u16(), uri.path())
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
