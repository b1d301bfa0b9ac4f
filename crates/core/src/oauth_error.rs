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

/// What the body of an answer without tokens was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AnswerBody<'a> {
    /// It names an error: its `error` member (RFC 6749 §5.2), or what a service has in its place. A
    /// code that the service made up has to be mapped to the standard one that it stands for,
    /// `invalid_client` or `invalid_grant` above all.
    Coded(&'a str),
    /// JSON in which no member holds a code.
    Uncoded,
    /// There is none.
    Empty,
    /// HTML, text, or a body that could not be read: what gateways send.
    Other,
}

impl ErrorKind {
    /// What an answer of a token endpoint means. The one table that decides it.
    ///
    /// The first row that fits counts. The HTTP status comes first: a code inside a 429 or 5xx is no
    /// verdict, because a gateway that is overloaded says all sorts of things. An `error` inside a
    /// 200 is a verdict.
    ///
    /// | answer | kind on a fetch | kind on a refresh |
    /// |---|---|---|
    /// | 407 | `ProxyRejected` | `ProxyRejected` |
    /// | 501 | `RequestRejected` | `RequestRejected` |
    /// | 408, 425, 429, any other 5xx | `Unavailable` | `Unavailable` |
    /// | a redirect | `RequestRejected` | `RequestRejected` |
    /// | `server_error`, `temporarily_unavailable`, `use_dpop_nonce` | `Unavailable` | `Unavailable` |
    /// | `invalid_client` | `CredentialsRejected` | `CredentialsRejected` |
    /// | `login_required`, `interaction_required`, `consent_required` | `LoginRequired` | `LoginRequired` |
    /// | `invalid_grant` | `CredentialsRejected` | `RefreshRejected` |
    /// | `unauthorized_client` with 401 | `CredentialsRejected` | `CredentialsRejected` |
    /// | `unauthorized_client`, `access_denied` otherwise | `CredentialsRejected` | `RefreshDoubtful` |
    /// | any other code | `RequestRejected` | `RefreshDoubtful` |
    /// | 2xx without a token and without a code | `InvalidResponse` | `InvalidResponse` |
    /// | 400 or 401 with an empty body or JSON without a code | `RequestRejected` | `RefreshDoubtful` |
    /// | anything else: 403, 404 or 405 without a code, HTML | `RequestRejected` | `RequestRejected` |
    ///
    /// The last row is the answer of a gateway as often as of the service. A manager that gets it
    /// from an endpoint that has answered properly before takes it for an outage at first. Such an
    /// error has no [`oauth`](crate::Error::oauth).
    ///
    /// A 401 whose challenge is `Basic` (RFC 6749 §5.2) counts as `invalid_client`, on a refresh only
    /// if its body has no code that says something else; a provider says so here.
    #[must_use]
    pub fn of_answer(request: TokenRequestKind, status: StatusCode, body: AnswerBody<'_>) -> Self {
        match status.as_u16() {
            407 => return Self::ProxyRejected,
            501 => return Self::RequestRejected,
            408 | 425 | 429 | 500..=599 => return Self::Unavailable,
            300..=399 => return Self::RequestRejected,
            _ => {}
        }
        let refreshes = request == TokenRequestKind::Refresh;
        match body {
            // A wrong secret, as Keycloak says it; with 400 it may be about the grant.
            AnswerBody::Coded("unauthorized_client") if status == StatusCode::UNAUTHORIZED => {
                Self::CredentialsRejected
            }
            AnswerBody::Coded(code) => Self::of_code(code, refreshes),
            _ if status.is_success() => Self::InvalidResponse,
            AnswerBody::Empty | AnswerBody::Uncoded
                if refreshes && matches!(status.as_u16(), 400 | 401) =>
            {
                Self::RefreshDoubtful
            }
            _ => Self::RequestRejected,
        }
    }

    fn of_code(code: &str, refreshes: bool) -> Self {
        match code {
            "server_error" | "temporarily_unavailable" | "use_dpop_nonce" => Self::Unavailable,
            "invalid_client" => Self::CredentialsRejected,
            "login_required" | "interaction_required" | "consent_required" => Self::LoginRequired,
            "invalid_grant" if refreshes => Self::RefreshRejected,
            _ if refreshes => Self::RefreshDoubtful,
            "invalid_grant" | "unauthorized_client" | "access_denied" => Self::CredentialsRejected,
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

    fn kind(request: TokenRequestKind, status: u16, body: AnswerBody<'_>) -> ErrorKind {
        ErrorKind::of_answer(request, StatusCode::from_u16(status).unwrap(), body)
    }

    #[test]
    fn the_status_comes_before_the_code() {
        let table = [
            (407, ErrorKind::ProxyRejected),
            (408, ErrorKind::Unavailable),
            (425, ErrorKind::Unavailable),
            (429, ErrorKind::Unavailable),
            (500, ErrorKind::Unavailable),
            (501, ErrorKind::RequestRejected),
            (503, ErrorKind::Unavailable),
            (599, ErrorKind::Unavailable),
            (302, ErrorKind::RequestRejected),
        ];
        for (status, expected) in table {
            let body = AnswerBody::Coded("invalid_grant");
            assert_eq!(kind(Refresh, status, body), expected, "{status}");
            assert_eq!(kind(Fetch, status, body), expected, "{status}");
        }
    }

    #[test]
    fn each_code_is_a_verdict_of_its_own_kind_also_inside_a_200() {
        use ErrorKind::{
            CredentialsRejected, LoginRequired, RefreshDoubtful, RefreshRejected, RequestRejected,
            Unavailable,
        };
        let table = [
            ("server_error", Unavailable, Unavailable),
            ("temporarily_unavailable", Unavailable, Unavailable),
            ("use_dpop_nonce", Unavailable, Unavailable),
            ("invalid_grant", CredentialsRejected, RefreshRejected),
            ("invalid_client", CredentialsRejected, CredentialsRejected),
            ("unauthorized_client", CredentialsRejected, RefreshDoubtful),
            ("access_denied", CredentialsRejected, RefreshDoubtful),
            ("login_required", LoginRequired, LoginRequired),
            ("interaction_required", LoginRequired, LoginRequired),
            ("consent_required", LoginRequired, LoginRequired),
            ("invalid_request", RequestRejected, RefreshDoubtful),
            ("invalid_token", RequestRejected, RefreshDoubtful),
            ("invalid_scope", RequestRejected, RefreshDoubtful),
            ("unsupported_grant_type", RequestRejected, RefreshDoubtful),
            ("made_up", RequestRejected, RefreshDoubtful),
        ];
        for (code, on_fetch, on_refresh) in table {
            for status in [200, 400, 401, 403, 404, 422] {
                let body = AnswerBody::Coded(code);
                if (code, status) == ("unauthorized_client", 401) {
                    continue; // the next test
                }
                assert_eq!(kind(Fetch, status, body), on_fetch, "fetch {status} {code}");
                assert_eq!(kind(Refresh, status, body), on_refresh, "refresh {status} {code}");
            }
        }
    }

    #[test]
    fn an_unauthorized_client_with_401_is_about_the_secret_also_on_a_refresh() {
        let body = AnswerBody::Coded("unauthorized_client");

        assert_eq!(kind(Refresh, 401, body), ErrorKind::CredentialsRejected);
        assert_eq!(kind(Fetch, 401, body), ErrorKind::CredentialsRejected);
    }

    #[test]
    fn without_a_code_the_status_and_the_shape_of_the_body_decide() {
        use AnswerBody::{Empty, Other, Uncoded};
        use ErrorKind::{InvalidResponse, RefreshDoubtful, RequestRejected};

        for body in [Empty, Uncoded, Other] {
            for status in [200, 400, 401, 403, 404, 405, 418] {
                let on_fetch = if status == 200 { InvalidResponse } else { RequestRejected };
                let doubtful = matches!(status, 400 | 401) && body != Other;
                let on_refresh = if doubtful { RefreshDoubtful } else { on_fetch };
                assert_eq!(kind(Fetch, status, body), on_fetch, "fetch {status} {body:?}");
                assert_eq!(kind(Refresh, status, body), on_refresh, "refresh {status} {body:?}");
            }
        }
    }
}
