//! What went wrong, at which service, and what to do next.
//!
//! One opaque type for the whole crate: one failed token request answers every waiter, so it must be
//! cheap to clone, and `Result<Arc<AccessToken>, Error>` stays two words.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use crate::oauth_error::OAuthError;

/// Anything that can go wrong in tokenkeeper.
///
/// Its size is one pointer and cloning it is cheap. `Display` is one complete line that names the
/// service and says what to do next; it never holds a secret, a response body or a URL query.
/// `{:?}` is that line and its causes, for logs.
///
/// # Examples
///
/// ```
/// use tokenkeeper::{Error, ErrorKind, Recovery};
///
/// let error = Error::new(ErrorKind::Config, "client id: must not be empty").at_service("billing");
/// assert_eq!(error.recovery(), Recovery::FixRequest);
/// assert!(error.to_string().starts_with("billing: client id: must not be empty"));
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    advice: Option<Cow<'static, str>>,
    service_name: Option<Box<str>>,
    status: Option<StatusCode>,
    oauth: Option<OAuthError>,
    retry_after: Option<Duration>,
    answer_lost: bool,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// What failed, in the terms of the caller's next move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A value given at construction, or an argument, is wrong. Nothing was sent.
    Config,
    /// The service could not be reached, did not answer in time, or was cut off.
    Transport,
    /// The service answered that it cannot answer now: 408, 425, 429, 5xx but 501, `server_error`,
    /// `temporarily_unavailable`.
    Unavailable,
    /// The service answered with success and something that is no token response.
    InvalidResponse,
    /// The service refused the refresh token (`invalid_grant`, RFC 6749 §5.2).
    RefreshRejected,
    /// The service refused a refresh in words that do not name the refresh token: any code but
    /// `invalid_grant` and `invalid_client`; a 400 or 401 that is empty or JSON without a code. The
    /// refresh token may be dead, or the answer may have been about something else, so it is kept.
    RefreshDoubtful,
    /// The service refused the client or the user: `invalid_client`, a 401 with a `Basic` challenge;
    /// on anything but a refresh `invalid_grant`, `unauthorized_client` and `access_denied` too.
    CredentialsRejected,
    /// A proxy on the way refused its credentials (407, RFC 9110 §15.5.8). The service was not asked.
    ProxyRejected,
    /// A user must log in: nothing is left that gets a token without one.
    LoginRequired,
    /// The service refused the request itself: a redirect, 404, 501, `invalid_scope` on a fetch, and
    /// so on.
    RequestRejected,
    /// The storage failed, or did not answer in time.
    Storage,
    /// The storage holds a record that cannot be read, and it must not be overwritten.
    RecordUnreadable,
    /// This provider or storage does not offer the operation.
    Unsupported,
    /// `clear` or `install` overtook the token request that this call waited for.
    Superseded,
    /// A panic in a provider or storage, or a driver that is gone.
    Internal,
}

/// What the caller can do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recovery {
    /// The same call may succeed later; not before `after`, if that is known.
    Retry {
        /// How long to wait before it makes sense to ask again.
        after: Option<Duration>,
    },
    /// New credentials or a new login are needed; [`Error::needs_login`] tells them apart.
    Reauthenticate,
    /// The request or the configuration must be changed.
    FixRequest,
    /// Nothing that the caller can do at run time helps.
    Fatal,
}

impl Error {
    /// An error of the given kind. The message says what failed; it never holds a secret.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            advice: None,
            service_name: None,
            status: None,
            oauth: None,
            retry_after: None,
            answer_lost: false,
            source: None,
        }))
    }

    /// Names the service; a name that is there already stays.
    #[must_use]
    pub fn at_service(self, name: &str) -> Self {
        self.change(|inner| {
            inner.service_name.get_or_insert_with(|| name.into());
        })
    }

    /// Says what to do next, in the place of what is usual for the kind: half a sentence that the
    /// message ends with, as in "check the storage, then ask again".
    ///
    /// # Examples
    ///
    /// ```
    /// use tokenkeeper::{Error, ErrorKind};
    ///
    /// let error = Error::new(ErrorKind::Storage, "the keyring is locked").with_advice("unlock it");
    /// assert_eq!(error.to_string(), "the keyring is locked; unlock it");
    /// ```
    #[must_use]
    pub fn with_advice(self, advice: impl Into<Cow<'static, str>>) -> Self {
        self.change(|inner| inner.advice = Some(advice.into()))
    }

    /// Adds the HTTP status of the answer.
    #[must_use]
    pub fn with_status(self, status: StatusCode) -> Self {
        self.change(|inner| inner.status = Some(status))
    }

    /// Adds the OAuth2 error of the answer (RFC 6749 §5.2).
    #[must_use]
    pub fn with_oauth(self, oauth: OAuthError) -> Self {
        self.change(|inner| inner.oauth = Some(oauth))
    }

    /// Adds how long to wait before asking again (RFC 9110 §10.2.3).
    #[must_use]
    pub fn with_retry_after(self, after: Duration) -> Self {
        self.change(|inner| inner.retry_after = Some(after))
    }

    /// Says that the request may have been acted upon although no answer arrived.
    #[must_use]
    pub fn with_answer_lost(self) -> Self {
        self.change(|inner| inner.answer_lost = true)
    }

    /// Adds the cause. Its `Display` must not hold a secret or a URL query.
    #[must_use]
    pub fn with_source(self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.change(|inner| inner.source = Some(Arc::new(source)))
    }

    /// What failed.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What the caller can do about it.
    ///
    /// | kinds | recovery |
    /// |---|---|
    /// | `Transport`, `Unavailable`, `InvalidResponse`, `Storage`, `Superseded` | `Retry` |
    /// | `RefreshRejected`, `RefreshDoubtful`, `LoginRequired`: a user logs in; `CredentialsRejected`, `ProxyRejected`: an operator corrects them | `Reauthenticate` |
    /// | `Config`, `RequestRejected`, `Unsupported` | `FixRequest` |
    /// | `RecordUnreadable`, `Internal` | `Fatal` |
    ///
    /// # Examples
    ///
    /// ```
    /// use tokenkeeper::{Error, ErrorKind, Recovery};
    ///
    /// fn status_for_clients(error: &Error) -> u16 {
    ///     match error.recovery() {
    ///         Recovery::Retry { .. } => 503, // with Retry-After: error.retry_after()
    ///         Recovery::Reauthenticate if error.needs_login() => 401,
    ///         _ => 500, // an operator has to look
    ///     }
    /// }
    /// assert_eq!(status_for_clients(&Error::new(ErrorKind::Transport, "no route")), 503);
    /// ```
    #[must_use]
    pub fn recovery(&self) -> Recovery {
        match self.0.kind {
            ErrorKind::Transport
            | ErrorKind::Unavailable
            | ErrorKind::InvalidResponse
            | ErrorKind::Storage
            | ErrorKind::Superseded => Recovery::Retry { after: self.0.retry_after },
            ErrorKind::RefreshRejected
            | ErrorKind::RefreshDoubtful
            | ErrorKind::CredentialsRejected
            | ErrorKind::ProxyRejected
            | ErrorKind::LoginRequired => Recovery::Reauthenticate,
            ErrorKind::Config | ErrorKind::RequestRejected | ErrorKind::Unsupported => {
                Recovery::FixRequest
            }
            ErrorKind::RecordUnreadable | ErrorKind::Internal => Recovery::Fatal,
        }
    }

    /// Whether a login of a person mends it: `LoginRequired`, and `RefreshRejected` and
    /// `RefreshDoubtful`, which is how the call that finds out that a login has ended is answered.
    ///
    /// Not `CredentialsRejected`: a program that sends people to a login because its own secret is
    /// wrong sends them there for ever.
    ///
    /// # Examples
    ///
    /// ```
    /// use tokenkeeper::{Error, ErrorKind};
    ///
    /// assert!(Error::new(ErrorKind::RefreshRejected, "the session is over").needs_login());
    /// assert!(!Error::new(ErrorKind::CredentialsRejected, "unknown client").needs_login());
    /// ```
    #[must_use]
    pub fn needs_login(&self) -> bool {
        matches!(
            self.0.kind,
            ErrorKind::LoginRequired | ErrorKind::RefreshRejected | ErrorKind::RefreshDoubtful
        )
    }

    /// The HTTP status, if there was an answer.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.0.status
    }

    /// The OAuth2 error code and description, if the answer had them (RFC 6749 §5.2).
    #[must_use]
    pub fn oauth(&self) -> Option<&OAuthError> {
        self.0.oauth.as_ref()
    }

    /// How long to wait before asking again: what the service said, or what is left of the pause
    /// that the manager keeps, after a refusal too. Absent when neither applies. Read
    /// [`recovery`](Self::recovery) first: waiting does not help against a wrong password.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Whether the request may have been acted upon although no answer arrived.
    #[must_use]
    pub fn answer_lost(&self) -> bool {
        self.0.answer_lost
    }

    /// The service that this is about, if it is known yet.
    #[must_use]
    pub fn service_name(&self) -> Option<&str> {
        self.0.service_name.as_deref()
    }

    fn change(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// The bracket behind the message: status, code, description.
    fn write_answer(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.status, &self.0.oauth) {
            (Some(status), Some(oauth)) => write!(f, " (HTTP {}, {oauth})", status.as_u16()),
            (Some(status), None) => write!(f, " (HTTP {})", status.as_u16()),
            (None, Some(oauth)) => write!(f, " ({oauth})"),
            (None, None) => Ok(()),
        }
    }
}

macro_rules! names {
    ($($kind:ident => $name:literal,)*) => {
        impl ErrorKind {
            /// All kinds, for metrics that count them one by one.
            #[cfg(feature = "metrics")]
            pub(crate) const ALL: &[Self] = &[$(Self::$kind),*];

            /// The name of the kind in metrics and traces. Names are stable.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }
        }
    };
}

names! {
    Config => "config",
    Transport => "transport",
    Unavailable => "unavailable",
    InvalidResponse => "invalid_response",
    RefreshRejected => "refresh_rejected",
    RefreshDoubtful => "refresh_doubtful",
    CredentialsRejected => "credentials_rejected",
    ProxyRejected => "proxy_rejected",
    LoginRequired => "login_required",
    RequestRejected => "request_rejected",
    Storage => "storage",
    RecordUnreadable => "record_unreadable",
    Unsupported => "unsupported",
    Superseded => "superseded",
    Internal => "internal",
}

impl ErrorKind {
    /// What the reader of the message should do next.
    const fn advice(self) -> &'static str {
        match self {
            Self::Config => "correct the value",
            Self::Transport => "check that the token endpoint can be reached, then ask again",
            Self::Unavailable => "ask again",
            Self::InvalidResponse => {
                "check that the URL is that of a token endpoint, then ask again"
            }
            Self::RefreshRejected | Self::RefreshDoubtful => "log in again",
            Self::ProxyRejected => {
                "correct the user name and password of the proxy, then call credentials_changed() or \
                 restart"
            }
            Self::CredentialsRejected => {
                "correct the credentials, then call credentials_changed() or restart"
            }
            Self::LoginRequired => "log in",
            Self::RequestRejected => "check the token URL, the credentials, scopes and parameters",
            Self::Storage => "check the storage, then ask again",
            Self::RecordUnreadable => {
                "update tokenkeeper if a newer version wrote the record, else remove it or log in"
            }
            Self::Unsupported => "configure it, or use a provider or storage that offers it",
            Self::Superseded => "ask again",
            Self::Internal => "see the cause and report it",
        }
    }
}

impl Error {
    /// The line without the name of the service, for a caller that has named it already.
    pub(crate) fn write_unnamed(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        self.write_answer(f)?;
        write!(f, "; {}", self.0.advice.as_deref().unwrap_or(self.0.kind.advice()))?;
        if let Recovery::Retry { after: Some(after) } = self.recovery() {
            let seconds = after.as_millis().div_ceil(1_000);
            match self.0.advice {
                None => write!(f, ", not before {seconds} s from now")?,
                Some(_) => write!(f, " (next attempt in {seconds} s)")?, // it is not what is to wait
            }
        }
        Ok(())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.0.service_name {
            write!(f, "{name}: ")?;
        }
        self.write_unnamed(f)
    }
}

/// The `Display` line and its causes, because that is what `main` prints when it returns an error;
/// all fields with `{:#?}`.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            fmt::Display::fmt(self, f)?;
            return match &self.0.source {
                Some(source) => write!(f, ": {:?}", Cause(&**source)),
                None => Ok(()),
            };
        }
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("advice", &self.0.advice)
            .field("service_name", &self.0.service_name)
            .field("status", &self.0.status)
            .field("oauth", &self.0.oauth)
            .field("retry_after", &self.0.retry_after)
            .field("answer_lost", &self.0.answer_lost)
            .field("source", &self.0.source.as_deref().map(Cause))
            .finish()
    }
}

/// Shows a cause and what caused it by their `Display`: the derived `Debug` of a foreign error
/// may hold the whole body of an answer.
struct Cause<'a>(&'a (dyn StdError + Send + Sync));

impl fmt::Debug for Cause<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = self.0.source();
        while let Some(cause) = next {
            write!(f, ": {cause}")?;
            next = cause.source();
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| &**source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_pointer_and_cheap_to_clone() {
        let error = Error::new(ErrorKind::Transport, "no route");

        assert_eq!(size_of::<Error>(), size_of::<usize>());
        assert!(Arc::ptr_eq(&error.clone().0, &error.0));
    }

    #[test]
    fn a_login_helps_against_what_a_person_ended_and_not_against_a_wrong_secret() {
        let helped = |kind| Error::new(kind, "it failed").needs_login();

        assert!(helped(ErrorKind::LoginRequired) && helped(ErrorKind::RefreshRejected));
        assert!(!helped(ErrorKind::CredentialsRejected));
        assert!(!helped(ErrorKind::Transport) && !helped(ErrorKind::RecordUnreadable));
    }

    #[test]
    fn one_line_names_the_service_the_failure_the_answer_and_the_next_step() {
        let error =
            Error::new(ErrorKind::CredentialsRejected, "auth.example.org refused the client")
                .at_service("billing")
                .at_service("ignored: the first name stays")
                .with_status(StatusCode::UNAUTHORIZED)
                .with_oauth(OAuthError::new("invalid_client", None))
                .with_retry_after(Duration::from_millis(4_001));

        assert_eq!(
            error.to_string(),
            "billing: auth.example.org refused the client (HTTP 401, invalid_client); correct the \
             credentials, then call credentials_changed() or restart"
        );
    }

    #[test]
    fn advice_of_its_own_takes_the_place_of_what_is_usual_for_the_kind() {
        let error = Error::new(ErrorKind::Storage, "the keyring is locked")
            .with_advice("unlock it")
            .with_retry_after(Duration::from_secs(2));

        assert_eq!(error.to_string(), "the keyring is locked; unlock it (next attempt in 2 s)");
    }

    #[test]
    fn adding_to_a_clone_leaves_the_original_alone() {
        let error = Error::new(ErrorKind::Unavailable, "busy");

        let later = error.clone().with_retry_after(Duration::from_secs(1));

        assert_eq!(error.retry_after(), None);
        assert_eq!(later.recovery(), Recovery::Retry { after: Some(Duration::from_secs(1)) });
    }
}
