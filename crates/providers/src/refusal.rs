//! From an answer without tokens to an error.

use std::time::SystemTime;

use http::{HeaderMap, StatusCode};
use tokenkeeper::{Error, ErrorKind, Secret, TokenRequestKind};

use crate::answer::{Answer, Dialect};
use crate::error_codes::class_of;
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
    /// Whether an answer under a 2xx is an error nevertheless. After a revocation nobody looks
    /// (RFC 7009 §2.2).
    pub(crate) fn is_refused_by(self, status: StatusCode, body: &[u8]) -> bool {
        let answer = || Answer::read(status, body, Dialect::default());
        !matches!(self, Self::Revocation) && matches!(answer(), Answer::Refused(_))
    }

    fn kind(self, status: StatusCode, class: Option<&str>) -> ErrorKind {
        match self {
            Self::Exchange(exchange) => ErrorKind::of_answer(exchange, status, class),
            Self::Other(_) => ErrorKind::of_answer(TokenRequestKind::Fetch, status, class),
            Self::Revocation => {
                match ErrorKind::of_answer(TokenRequestKind::Fetch, status, class) {
                    ErrorKind::RequestRejected if class == Some("unsupported_token_type") => {
                        ErrorKind::Unsupported // RFC 7009 §2.2.1
                    }
                    kind => kind,
                }
            }
        }
    }

    /// An error of the transport, which knows the status but not what was asked for.
    pub(crate) fn judged(self, error: Error, host: &str) -> Error {
        match error.status() {
            Some(status) if !status.is_success() => {
                let what = format!("the answer of {host} cannot be read");
                Error::new(self.kind(status, None), what).with_status(status).with_source(error)
            }
            _ => error,
        }
    }
}

/// An answer without tokens.
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// What is wrong with an answer that cannot be read.
    pub(crate) unreadable: Option<&'static str>,
    pub(crate) code: Option<String>,
    pub(crate) description: Option<String>,
    /// Tokens that came with it nevertheless.
    pub(crate) tokens: Vec<Secret>,
    /// What else to try if it is the client that was refused.
    pub(crate) client_hint: Option<&'static str>,
}

impl Refusal {
    pub(crate) fn unreadable(status: StatusCode, headers: HeaderMap) -> Self {
        let tokens = Vec::new();
        let (unreadable, code, description, client_hint) = (None, None, None, None);
        Self { status, headers, unreadable, code, description, tokens, client_hint }
    }

    /// From an answer that is an error.
    pub(crate) fn read(status: StatusCode, headers: HeaderMap, body: &[u8]) -> Self {
        let mut refusal = Self::unreadable(status, headers);
        match Answer::read(status, body, Dialect::default()) {
            Answer::Refused(refused) => {
                refusal.code = refused.code;
                refusal.description = refused.description;
                refusal.tokens = refused.tokens;
            }
            Answer::Unreadable(why) => refusal.unreadable = Some(why),
            Answer::Granted(_) => {}
        }
        refusal
    }

    /// Whether the same request would be answered with another proof of the key (RFC 9449 §8).
    pub(crate) fn wants_nonce(&self) -> bool {
        self.code.as_deref() == Some("use_dpop_nonce") && self.headers.contains_key("dpop-nonce")
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
        let class = self.code.as_deref().map(class_of);
        let kind = purpose.kind(self.status, class);
        let mut what = match purpose {
            Purpose::Exchange(exchange) => self.sentence(kind, exchange, host),
            Purpose::Revocation => format!("{host} did not revoke the token, so it still exists"),
            Purpose::Other(task) => {
                let what = self.sentence(kind, TokenRequestKind::Fetch, host);
                format!("{what}, when asked to {task}")
            }
        };
        let is_about_client =
            class.map_or(is_about_credentials(self.status), |class| class == "invalid_client");
        let hint = match class {
            Some("invalid_dpop_proof") => Some(CHECK_CLOCK), // nothing else of a proof is ours to set
            _ => self.client_hint.filter(|_| is_about_client),
        };
        if let Some(hint) = hint {
            what = format!("{what}; {hint}");
        }
        let mut error = Error::new(kind, what).with_status(self.status);
        if let Some(code) = &self.code {
            let secrets: Vec<_> = secrets.iter().copied().chain(&self.tokens).collect();
            error = error.with_oauth(scrubbed(code, self.description.as_deref(), &secrets));
        }
        if let Some(wait) = retry_after(&self.headers, now) {
            error = error.with_retry_after(wait);
        }
        if self.status.is_success() && self.code.is_none() {
            // The service did something, and what came of it cannot be read.
            error = error.with_answer_lost();
        }
        error
    }

    fn sentence(&self, kind: ErrorKind, exchange: TokenRequestKind, host: &str) -> String {
        if self.status.is_redirection() {
            return format!("{host} answered with a redirect, and those are not followed");
        }
        let refreshes = exchange == TokenRequestKind::Refresh;
        let what = match (kind, self.unreadable) {
            (ErrorKind::InvalidResponse, Some(why)) => {
                return format!("the answer of {host} {why}");
            }
            (ErrorKind::Unavailable, _) => "cannot answer now",
            (ErrorKind::RefreshRejected, _) => "refused the refresh token",
            (ErrorKind::CredentialsRejected, _) => "refused the credentials",
            (ErrorKind::LoginRequired, _) => "wants a person to log in",
            _ if self.code.is_some() => "refused the request",
            _ if refreshes && is_about_credentials(self.status) => {
                "refused the refresh, perhaps the credentials or the refresh token, and did not \
                 say why; a new login tells"
            }
            _ if refreshes && self.status == StatusCode::BAD_REQUEST => {
                "refused the refresh, perhaps the refresh token, and did not say why; a new login \
                 tells"
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
#[cfg(any(feature = "device", feature = "jwt-bearer", feature = "token-exchange"))]
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
