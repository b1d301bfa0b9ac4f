//! Why a request with a token has no answer.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// Why there is no answer: there was no token, or the request failed.
///
/// The URL in errors of `reqwest` has lost user name, password, query and fragment, where secrets
/// often are. A second error of `reqwest` behind the first is left out of what is printed and of the
/// [source](std::error::Error::source): it has a URL of its own.
///
/// # Examples
///
/// ```
/// use tokenkeeper_reqwest::SendError;
///
/// fn status_for_clients(error: &SendError) -> u16 {
///     match error {
///         SendError::Token(error) if error.retry_after().is_some() => 503,
///         SendError::Token(_) => 500, // call an operator
///         _ => 502,
///     }
/// }
/// # let _ = status_for_clients;
/// ```
#[non_exhaustive]
pub enum SendError {
    /// There was no token, so the request was not sent; or the client may have taken the token
    /// along a redirect.
    ///
    /// If it is a request that a redirect asked for that there was no token for, the first one was
    /// sent, and may have been carried out: then [`answer_lost`](tokenkeeper::Error::answer_lost) says so.
    Token(tokenkeeper::Error),
    /// The request failed in the HTTP client.
    Http(reqwest::Error),
}

impl SendError {
    /// Whether it is about the token and not about the request.
    #[must_use]
    pub fn is_token_error(&self) -> bool {
        matches!(self, Self::Token(_))
    }

    /// What is wrong with the token, if that is it.
    #[must_use]
    pub fn token_error(&self) -> Option<&tokenkeeper::Error> {
        match self {
            Self::Token(error) => Some(error),
            Self::Http(_) => None,
        }
    }

    /// How long to wait before there can be a token. Absent if that is not known, or if it is the
    /// request that failed.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.token_error()?.retry_after()
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(error) => error.fmt(f),
            Self::Http(error) => error.fmt(f),
        }
    }
}

impl StdError for SendError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Token(error) => error.source(),
            Self::Http(error) => cause_of(error),
        }
    }
}

impl fmt::Debug for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(error) => f.debug_tuple("Token").field(error).finish(),
            Self::Http(error) => {
                let said = format_args!("{error}");
                f.debug_tuple("Http").field(&said).field(&cause_of(error)).finish()
            }
        }
    }
}

impl From<tokenkeeper::Error> for SendError {
    fn from(error: tokenkeeper::Error) -> Self {
        Self::Token(error)
    }
}

impl From<reqwest::Error> for SendError {
    fn from(mut error: reqwest::Error) -> Self {
        if let Some(url) = error.url_mut() {
            // URLs that can have neither have no host.
            let _ = url.set_username("");
            let _ = url.set_password(None);
            url.set_query(None);
            url.set_fragment(None);
        }
        Self::Http(error)
    }
}

/// The first cause that has no URL.
fn cause_of(error: &reqwest::Error) -> Option<&(dyn StdError + 'static)> {
    let mut cause = error.source();
    while let Some(inner) = cause.filter(|cause| cause.is::<reqwest::Error>()) {
        cause = inner.source();
    }
    cause
}
