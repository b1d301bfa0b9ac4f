//! From an answer without tokens to an error.

use std::time::SystemTime;

use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, StatusCode};
use tokenkeeper::{AnswerBody, Error, ErrorKind, Secret, TokenRequestKind};

use crate::answer::{Answer, Unreadable};
use crate::dialect::Dialect;
use crate::error_codes::{class_of, known};
use crate::refused::Refused;
use crate::retry_after::retry_after;
use crate::scrub::scrubbed;

/// What was asked for: the same answer means different things.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    Exchange(TokenRequestKind),
    Revocation,
    /// Anything else, in words that end "when asked to".
    #[cfg_attr(not(feature = "__endpoints"), expect(dead_code, reason = "for other features"))]
    Other(&'static str),
}

impl Purpose {
    /// Whether an answer under a 2xx is an error nevertheless. After a revocation it is not looked at
    /// (RFC 7009 §2.2).
    pub(crate) fn is_refused_by(self, status: StatusCode, body: &[u8]) -> bool {
        let answer = || Answer::read(status, body, &Dialect::STANDARD);
        !matches!(self, Self::Revocation) && matches!(answer(), Answer::Refused(_))
    }

    fn is_refresh(self) -> bool {
        matches!(self, Self::Exchange(TokenRequestKind::Refresh))
    }

    fn kind(self, status: StatusCode, body: AnswerBody<'_>) -> ErrorKind {
        match self {
            Self::Exchange(request) => ErrorKind::of_answer(request, status, body),
            Self::Other(_) => ErrorKind::of_answer(TokenRequestKind::Fetch, status, body),
            Self::Revocation => match ErrorKind::of_answer(TokenRequestKind::Fetch, status, body) {
                ErrorKind::RequestRejected
                    if body == AnswerBody::Coded("unsupported_token_type") =>
                {
                    ErrorKind::Unsupported // RFC 7009 §2.2.1
                }
                kind => kind,
            },
        }
    }

    /// An error of the transport, which may know the status but not what was asked for.
    pub(crate) fn judged(self, error: Error, host: &str) -> Error {
        match error.status() {
            _ if error.kind() == ErrorKind::ProxyRejected => error,
            Some(status) if !status.is_success() => {
                let what = format!("the answer of {host} cannot be read");
                let kind = self.kind(status, AnswerBody::Other);
                Error::new(kind, what).with_status(status).with_source(error)
            }
            _ => error,
        }
    }
}

/// An answer without tokens.
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    answer: Answer,
    /// What else to try if it is the client that was refused.
    pub(crate) client_hint: Option<&'static str>,
    /// Whether the code is one that ends a refresh token at this service.
    pub(crate) ends_refresh_token: bool,
}

impl Refusal {
    /// From an answer that has no tokens.
    pub(crate) fn new(status: StatusCode, headers: HeaderMap, answer: Answer) -> Self {
        Self { status, headers, answer, client_hint: None, ends_refresh_token: false }
    }

    /// From an answer that is an error.
    pub(crate) fn read(status: StatusCode, headers: HeaderMap, body: &[u8]) -> Self {
        let answer = Answer::read(status, body, &Dialect::STANDARD).explained(&headers);
        Self::new(status, headers, answer)
    }

    /// The code as the service wrote it.
    pub(crate) fn code(&self) -> Option<&str> {
        match &self.answer {
            Answer::Refused(refused) => refused.code.as_deref(),
            Answer::Granted(_) | Answer::Unreadable(_) => None,
        }
    }

    /// Whether the same request would be answered with another proof of the key (RFC 9449 §8).
    pub(crate) fn wants_nonce(&self) -> bool {
        self.code() == Some("use_dpop_nonce") && self.headers.contains_key("dpop-nonce")
    }

    /// Whether it may be the client that was refused, and not what it asked for.
    pub(crate) fn is_of_client(&self, purpose: Purpose) -> bool {
        match self.class(purpose) {
            Some(class) => class == "invalid_client",
            None => is_about_credentials(self.status),
        }
    }

    /// The standard code that the answer stands for.
    fn class(&self, purpose: Purpose) -> Option<&str> {
        let code = self.code();
        if purpose.is_refresh() && self.ends_refresh_token {
            return Some("invalid_grant");
        }
        let says_something_else = match code.and_then(known) {
            Some("server_error" | "temporarily_unavailable" | "use_dpop_nonce") => true,
            Some("login_required" | "interaction_required" | "consent_required") => true,
            Some("invalid_grant") => true,
            Some(_) => purpose.is_refresh(),
            None => false,
        };
        if self.wants_basic() && !says_something_else {
            return Some("invalid_client");
        }
        code.map(class_of)
    }

    /// Whether the server asks the client to authenticate (RFC 6749 §5.2, RFC 7617 §2).
    fn wants_basic(&self) -> bool {
        let mut challenges = self.headers.get_all(WWW_AUTHENTICATE).iter();
        let is_basic = |challenge: &str| {
            let scheme = challenge.split_whitespace().next().unwrap_or_default();
            scheme.eq_ignore_ascii_case("basic")
        };
        self.status == StatusCode::UNAUTHORIZED
            && challenges.any(|value| value.to_str().is_ok_and(|all| all.split(',').any(is_basic)))
    }

    fn body(&self, purpose: Purpose) -> AnswerBody<'_> {
        match (self.class(purpose), &self.answer) {
            (Some(class), _) => AnswerBody::Coded(class),
            (None, Answer::Refused(_)) => AnswerBody::Uncoded,
            (None, Answer::Unreadable(Unreadable::Empty)) => AnswerBody::Empty,
            (None, Answer::Unreadable(_) | Answer::Granted(_)) => AnswerBody::Other,
        }
    }

    /// The error that the answer means. `secrets` are those of the request; none of them, and no
    /// token of the answer, gets into it.
    pub(crate) fn into_error(
        self,
        purpose: Purpose,
        host: &str,
        secrets: &[&Secret],
        now: SystemTime,
    ) -> Error {
        let class = self.class(purpose);
        let kind = purpose.kind(self.status, self.body(purpose));
        let mut what = match purpose {
            Purpose::Exchange(exchange) => self.sentence(kind, exchange, host),
            Purpose::Revocation => format!("{host} did not revoke the token, so it still exists"),
            Purpose::Other(task) => {
                let what = self.sentence(kind, TokenRequestKind::Fetch, host);
                format!("{what}, when asked to {task}")
            }
        };
        let is_about_client = kind != ErrorKind::ProxyRejected && self.is_of_client(purpose);
        let hint = match class {
            Some("invalid_dpop_proof") => Some(CHECK_CLOCK), // nothing else of a proof is ours to set
            _ => self.client_hint.filter(|_| is_about_client),
        };
        if let Some(hint) = hint {
            what = format!("{what}; {hint}");
        }
        let mut error = Error::new(kind, what).with_status(self.status);
        if let Answer::Refused(Refused { code: Some(code), description, tokens }) = &self.answer {
            let secrets: Vec<_> = secrets.iter().copied().chain(tokens).collect();
            error = error.with_oauth(scrubbed(code, description.as_deref(), &secrets));
        }
        if let Some(wait) = retry_after(&self.headers, now) {
            error = error.with_retry_after(wait);
        }
        if self.status.is_success() && self.code().is_none() {
            // The service did something, and what came of it cannot be read.
            error = error.with_answer_lost();
        }
        error
    }

    fn sentence(&self, kind: ErrorKind, request: TokenRequestKind, host: &str) -> String {
        if self.status.is_redirection() {
            return format!("{host} answered with a redirect, and those are not followed");
        }
        let refreshes = request == TokenRequestKind::Refresh;
        let is_silent = self.code().is_none();
        let what = match (kind, &self.answer) {
            (ErrorKind::InvalidResponse, Answer::Unreadable(why)) => {
                return format!("the answer of {host} {}", why.why());
            }
            (ErrorKind::ProxyRejected, _) => {
                return format!("a proxy on the way to {host} refused its credentials");
            }
            (ErrorKind::Unavailable, _) => "cannot answer now",
            (ErrorKind::RefreshRejected, _) => "refused the refresh token",
            (ErrorKind::RefreshDoubtful, _) if is_silent => {
                "refused the refresh, perhaps the refresh token, and did not say why"
            }
            (ErrorKind::RefreshDoubtful, _) => "refused the refresh, perhaps the refresh token",
            (ErrorKind::CredentialsRejected, _) => "refused the credentials",
            (ErrorKind::LoginRequired, _) => "wants a person to log in",
            _ if self.status == StatusCode::NOT_IMPLEMENTED => "does not offer what was asked for",
            _ if !is_silent => "refused the request",
            _ if refreshes && is_about_credentials(self.status) => {
                "refused the refresh, perhaps the credentials or the refresh token, and did not \
                 say why"
            }
            _ if is_about_credentials(self.status) => {
                "refused the request, perhaps the credentials, and did not say why"
            }
            _ => "refused the request and did not say why",
        };
        format!("{host} {what}")
    }
}

/// An error that says more than the answer alone does, with what the answer was.
pub(crate) fn retold(error: &Error, kind: ErrorKind, what: String) -> Error {
    let mut told = Error::new(kind, what);
    if let Some(status) = error.status() {
        told = told.with_status(status);
    }
    if let Some(oauth) = error.oauth() {
        told = told.with_oauth(oauth.clone());
    }
    if let Some(wait) = error.retry_after() {
        told = told.with_retry_after(wait);
    }
    if let Some(name) = error.service_name() {
        told = told.at_service(name);
    }
    told
}

fn is_about_credentials(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

const CHECK_CLOCK: &str = "the clock of this machine may be wrong";
