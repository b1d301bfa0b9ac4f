//! The error object of a token endpoint, and what each answer means (RFC 6749 §5.2).

use std::fmt;

use http::StatusCode;

use crate::error::ErrorKind;

/// `error` and `error_description` of an answer, cut down to what may be shown.
///
/// Both come from a stranger: characters that RFC 6749 §5.2 does not allow are replaced, and
/// length is bounded, so that they can be logged. A provider must remove what repeats a secret
/// before it builds this value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuthError {
    code: Box<str>,
    description: Option<Box<str>>,
}

impl OAuthError {
    /// From the members of the error object. At most 64 characters of the code and 200 of the
    /// description are kept.
    #[must_use]
    pub fn new(code: &str, description: Option<&str>) -> Self {
        let description = description.map(|text| printable(text, LONGEST_DESCRIPTION));
        Self {
            code: printable(code, LONGEST_CODE),
            description: description.filter(|text| !text.trim().is_empty()),
        }
    }

    /// `error`: one of RFC 6749 §5.2, or one that the service made up.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// `error_description`, if there was one.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }
}

impl fmt::Display for OAuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.code)?;
        match &self.description {
            Some(description) => write!(f, ": {description}"),
            None => Ok(()),
        }
    }
}

/// Which of a provider's two calls an answer belongs to: the same code means different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenRequestKind {
    /// [`TokenProvider::fetch_token`](crate::TokenProvider::fetch_token).
    Fetch,
    /// [`TokenProvider::refresh_token`](crate::TokenProvider::refresh_token).
    Refresh,
}

impl TokenRequestKind {
    /// `fetch` or `refresh`, as in metrics and traces.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fetch => "fetch",
            Self::Refresh => "refresh",
        }
    }
}

impl fmt::Display for TokenRequestKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl ErrorKind {
    /// What an answer of a token endpoint means. The one table that decides it.
    ///
    /// The HTTP status comes first: a code inside a 429 or 5xx is no verdict, because a gateway
    /// that is overloaded says all sorts of things. An `error` inside a 200 is a verdict. `code`
    /// is the `error` member, `None` when the body could not be read. A code that the service made
    /// up has to be mapped to the standard one that it stands for, `invalid_client` or
    /// `invalid_grant` above all, before it comes here.
    ///
    /// | answer | kind |
    /// |---|---|
    /// | 408, 425, 429, 5xx; `server_error`, `temporarily_unavailable` | `Unavailable` |
    /// | `invalid_grant` on a refresh | `RefreshRejected` |
    /// | `invalid_grant` on a fetch; `invalid_client`, `unauthorized_client` | `CredentialsRejected` |
    /// | `login_required`, `interaction_required`, `consent_required` | `LoginRequired` |
    /// | 2xx without a token and without a code | `InvalidResponse` |
    /// | any other code, or none: redirects, 404, an empty 401 | `RequestRejected` |
    #[must_use]
    pub fn of_answer(exchange: TokenRequestKind, status: StatusCode, code: Option<&str>) -> Self {
        if status.is_server_error() || BUSY.contains(&status.as_u16()) {
            return Self::Unavailable;
        }
        match (code, exchange) {
            (Some("server_error" | "temporarily_unavailable"), _) => Self::Unavailable,
            (Some("invalid_grant"), TokenRequestKind::Refresh) => Self::RefreshRejected,
            (Some("invalid_grant"), TokenRequestKind::Fetch)
            | (Some("invalid_client" | "unauthorized_client"), _) => Self::CredentialsRejected,
            (Some("login_required" | "interaction_required" | "consent_required"), _) => {
                Self::LoginRequired
            }
            (None, _) if status.is_success() => Self::InvalidResponse,
            _ => Self::RequestRejected,
        }
    }
}

/// Keeps the characters that RFC 6749 §5.2 allows; what is between them becomes one blank.
fn printable(text: &str, longest: usize) -> Box<str> {
    let mut kept = String::with_capacity(text.len().min(longest));
    for c in text.chars() {
        let c = if matches!(c, ' '..='!' | '#'..='[' | ']'..='~') { c } else { ' ' };
        if c == ' ' && kept.ends_with(' ') {
            continue;
        }
        if kept.len() == longest {
            break;
        }
        kept.push(c);
    }
    kept.trim().into()
}

const LONGEST_CODE: usize = 64;
const LONGEST_DESCRIPTION: usize = 200;

/// Request Timeout, Too Early, Too Many Requests: the three 4xx that ask for patience.
const BUSY: &[u16] = &[408, 425, 429];

#[cfg(test)]
mod tests {
    use super::*;
    use TokenRequestKind::{Fetch, Refresh};

    #[test]
    fn line_breaks_in_a_description_cannot_forge_log_lines() {
        let error =
            OAuthError::new("invalid\r\n_grant", Some("AADSTS1: bad.\r\nERROR root: \u{1b}[31m"));

        assert_eq!(error.to_string(), "invalid _grant: AADSTS1: bad. ERROR root: [31m");
    }

    #[test]
    fn length_is_bounded() {
        let error = OAuthError::new(&"a".repeat(1_000), Some(&"b".repeat(1_000)));

        assert_eq!((error.code().len(), error.description().unwrap().len()), (64, 200));
    }

    #[test]
    fn the_status_comes_before_the_code() {
        for status in [408, 425, 429, 500, 503, 599] {
            let status = StatusCode::from_u16(status).unwrap();
            let kind = ErrorKind::of_answer(Refresh, status, Some("invalid_grant"));
            assert_eq!(kind, ErrorKind::Unavailable, "{status}");
        }
    }

    #[test]
    fn each_code_is_a_verdict_of_its_own_kind_also_inside_a_200() {
        let table = [
            (Fetch, "server_error", ErrorKind::Unavailable),
            (Refresh, "temporarily_unavailable", ErrorKind::Unavailable),
            (Refresh, "invalid_grant", ErrorKind::RefreshRejected),
            (Fetch, "invalid_grant", ErrorKind::CredentialsRejected),
            (Fetch, "invalid_client", ErrorKind::CredentialsRejected),
            (Refresh, "invalid_client", ErrorKind::CredentialsRejected),
            (Refresh, "unauthorized_client", ErrorKind::CredentialsRejected),
            (Refresh, "login_required", ErrorKind::LoginRequired),
            (Fetch, "interaction_required", ErrorKind::LoginRequired),
            (Fetch, "consent_required", ErrorKind::LoginRequired),
            (Fetch, "invalid_scope", ErrorKind::RequestRejected),
            (Refresh, "unsupported_grant_type", ErrorKind::RequestRejected),
            (Fetch, "made_up", ErrorKind::RequestRejected),
        ];
        for (exchange, code, expected) in table {
            for status in [200, 400, 401, 403] {
                let status = StatusCode::from_u16(status).unwrap();
                let kind = ErrorKind::of_answer(exchange, status, Some(code));
                assert_eq!(kind, expected, "{exchange:?} {status} {code}");
            }
        }
    }

    #[test]
    fn an_answer_without_a_readable_body_is_judged_by_its_status() {
        let table = [
            (200, ErrorKind::InvalidResponse),
            (302, ErrorKind::RequestRejected),
            (400, ErrorKind::RequestRejected),
            (403, ErrorKind::RequestRejected),
            (404, ErrorKind::RequestRejected),
            (405, ErrorKind::RequestRejected),
        ];
        for (status, expected) in table {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(ErrorKind::of_answer(Fetch, status, None), expected, "{status}");
        }
    }
}
