//! Where a token may go: scheme, host and port (RFC 6454 §4), compared whole.

use std::fmt;

use tokenkeeper::{Error, ErrorKind, is_loopback_host};
use url::Url;

use crate::target::Target;

/// An origin that tokens are sent to: scheme, host, port.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    https: bool,
    host: Box<str>,
    port: u16,
}

impl Origin {
    /// Reads `https://api.example.com`, or with a port, `https://api.example.com:8443`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if it is no http or https URL, or if it has more to it than an origin:
    /// a path, a query, a user name. A token for a part of a host alone is
    /// [`Route::exclude_glob`](crate::Route::exclude_glob)'s to say. There are no wildcards: hosts
    /// that anybody can have are how tokens get lost.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let wrong = |what: &str| Error::new(ErrorKind::Config, format!("origin: {what}"));
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            // The parser would drop them silently.
            return Err(wrong("must not have blanks or control characters"));
        }
        if text.contains('*') {
            return Err(wrong("must be one host; there are no wildcards"));
        }
        let url = Url::parse(text)
            .map_err(|_| wrong("is not an origin such as https://api.example.com"))?;
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(wrong("is not an origin such as https://api.example.com"));
        };
        let https = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(wrong("must be https")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("must not have a user name or password in it"));
        }
        let origin = Self { https, host: host.into(), port };
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            let what = format!("must end behind host and port, as {origin} does");
            return Err(wrong(&what).with_advice(
                "leave out the rest; Route::exclude_path and exclude_glob take paths out of it",
            ));
        }
        Ok(origin)
    }

    /// Where a request goes.
    #[must_use]
    pub fn of(target: &Target<'_>) -> Self {
        let host = target.host().to_ascii_lowercase().into();
        Self { https: target.is_https(), host, port: target.port() }
    }

    /// Whether requests to it are protected by TLS, or do not leave this machine.
    pub(crate) fn is_safe(&self) -> bool {
        self.https || is_loopback_host(&self.host)
    }

    /// Whether a request goes there.
    #[must_use]
    pub fn is_of(&self, target: &Target<'_>) -> bool {
        self.https == target.is_https()
            && self.port == target.port()
            && self.host.eq_ignore_ascii_case(target.host())
    }
}

/// As in a URL; the port is left out where it is the scheme's own.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, usual) = if self.https { ("https", 443) } else { ("http", 80) };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port == usual { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
