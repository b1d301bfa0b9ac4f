//! URLs of endpoints: checked once, when a provider is built.
//!
//! Secrets are sent to these URLs, so everything that could send them astray is refused here and
//! not at the first request: clear text, credentials inside the URL, a fragment that is never sent.

use std::fmt;

use tokenkeeper::{Error, ErrorKind, Secret, is_loopback_host};
use url::Url;

/// An endpoint, or the name of a server. `Debug` leaves out the query.
#[derive(Clone)]
pub(crate) struct EndpointUrl {
    url: Url,
    host: Box<str>,
    secrets: Vec<Secret>,
}

impl EndpointUrl {
    /// Checks the URL. `field` is its name in errors.
    pub(crate) fn parse(field: &str, text: &str, allow_http: bool) -> Result<Self, Error> {
        if text.is_empty() {
            return Err(config_error(field, "must not be empty"));
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            // The parser would drop them silently.
            return Err(config_error(field, "must not have blanks or control characters"));
        }
        let url = Url::parse(text).map_err(|_| config_error(field, "is not an absolute URL"))?;
        if !matches!(url.scheme(), "https" | "http") || url.host().is_none() {
            return Err(config_error(field, "must be an https URL with a host"));
        }
        if url.fragment().is_some() {
            return Err(config_error(field, "must not have a fragment (RFC 6749 §3.2)"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(config_error(field, "must not have a user name or password in it"));
        }
        if url.scheme() == "http" && !allow_http && !is_loopback(&url) {
            let what = "must be https, because secrets are sent to it (RFC 6749 §3.2); http is \
                        for loopback hosts and danger_allow_http()";
            return Err(config_error(field, what));
        }
        let host = url.host_str().unwrap_or_default();
        let host = match url.port() {
            Some(port) => format!("{host}:{port}").into(),
            None => host.into(),
        };
        let secrets = query_secrets(&url);
        Ok(Self { url, host, secrets })
    }

    /// The URL without the differences that mean nothing: letter case of scheme and host, the
    /// default port, dot segments. A trailing slash and the query stay: they may mean something.
    pub(crate) fn normalised(&self) -> &str {
        self.url.as_str()
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// What the answer must not repeat: some services want a key in the query.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.secrets.iter()
    }

    /// Host and port, for messages.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }
}

impl fmt::Debug for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.url.scheme(), self.host, self.url.path())
    }
}

/// The query as a whole, and values in it that are long enough not to be met by chance.
fn query_secrets(url: &Url) -> Vec<Secret> {
    let values = url.query_pairs().map(|(_, value)| Secret::from(value.into_owned()));
    let values = values.filter(|value| value.expose_secret().len() >= SHORTEST_KEY);
    url.query()
        .filter(|query| !query.is_empty())
        .map(Secret::from)
        .into_iter()
        .chain(values)
        .collect()
}

pub(crate) fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(is_loopback_host)
}

/// An error that names the field and never its value.
pub(crate) fn config_error(field: &str, what: &str) -> Error {
    Error::new(ErrorKind::Config, format!("{field}: {what}"))
}

/// An error about something that was not given.
pub(crate) fn missing(field: &str, what: &str) -> Error {
    config_error(field, what).with_advice("give it to the builder")
}

const SHORTEST_KEY: usize = 8; // bytes; `v=1` is no secret

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<EndpointUrl, Error> {
        EndpointUrl::parse("token URL", text, false)
    }

    #[test]
    fn spellings_that_mean_the_same_are_normalised_and_others_stay() {
        let table = [
            ("HTTPS://Auth.Example.ORG:443/a/../token", "https://auth.example.org/token"),
            ("https://auth.example.org:8443/token", "https://auth.example.org:8443/token"),
            ("https://auth.example.org/token/", "https://auth.example.org/token/"),
            ("https://auth.example.org/Token?p=B2C", "https://auth.example.org/Token?p=B2C"),
            ("https://auth.example.org", "https://auth.example.org/"),
            ("http://127.0.0.1:80/t", "http://127.0.0.1/t"),
        ];
        for (given, normalised) in table {
            assert_eq!(parse(given).unwrap().normalised(), normalised, "{given}");
        }
    }

    #[test]
    fn what_could_send_a_secret_astray_is_refused_and_not_shown() {
        let bad = [
            "",
            "planted",
            "/planted",
            "ftp://planted/x",
            "data:planted",
            "https://",
            "https://planted@example.org/t",
            "https://user:planted@example.org/t",
            "https://example.org/t#planted",
            "http://planted.example.org/t",
            "http://127.0.0.1.planted.org/t",
            "http://localhost.planted.org/t",
            "https://example.org/t\nplanted",
            " https://example.org/planted",
        ];
        for text in bad {
            let error = parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{text}");
            assert!(error.to_string().starts_with("token URL: "), "{error}");
            assert!(!format!("{error} {error:?}").contains("planted"), "{error:?}");
        }
    }

    #[test]
    fn clear_text_is_for_loopback_hosts_unless_the_danger_is_accepted() {
        for host in ["127.0.0.1:1", "127.9.9.9", "[::1]:1", "localhost", "LocalHost:1"] {
            assert!(parse(&format!("http://{host}/t")).is_ok(), "{host}");
        }
        for host in ["128.0.0.1", "[::2]", "example.org", "10.0.0.1"] {
            let url = format!("http://{host}/t");
            assert!(parse(&url).is_err(), "{host}");
            assert!(EndpointUrl::parse("token URL", &url, true).is_ok(), "{host}");
        }
    }

    #[test]
    fn debug_and_messages_leave_out_the_query() {
        let url = parse("https://example.org:8443/t?key=planted").unwrap();

        assert_eq!(format!("{url:?}"), "https://example.org:8443/t");
        assert_eq!(url.host(), "example.org:8443");
    }
}
