//! A request that needs a login, where there is none that MangaDex takes.

use std::error::Error as StdError;

use http::{Method, StatusCode};
use thiserror::Error as ThisError;
use tokenkeeper::{Error, ErrorKind, Recovery};

use crate::SERVICE_NAME;

/// Which request could not be made, or was refused, for want of a login.
///
/// It is the source of an [`Error`] that says what is wrong with the login: of the kind
/// [`ErrorKind::LoginRequired`] in an anonymous session, where the request was not sent.
///
/// # Examples
///
/// ```
/// use tokenkeeper_mangadex::{Session, Unauthorized};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let session = Session::anonymous();
/// let error = session.require(http::Method::GET, "/user/me").await.unwrap_err();
/// let unauthorized = Unauthorized::cause_of(&error).unwrap();
/// assert_eq!(unauthorized.path(), "/user/me");
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[error("{method} {path} needs a login")]
pub struct Unauthorized {
    method: Method,
    path: String,
}

impl Unauthorized {
    /// The request that needs a login. A query after the path is left out, because it may hold
    /// what is nobody's business.
    #[must_use]
    pub fn new(method: Method, path: &str) -> Self {
        let path = path.split(['?', '#']).next().unwrap_or_default().to_owned();
        Self { method, path }
    }

    /// The method of the request.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The path of the request, without a query.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Finds it among the causes of an error.
    #[must_use]
    pub fn cause_of(error: &Error) -> Option<&Self> {
        error.source()?.downcast_ref()
    }

    /// The error that kept the request from having a token, with this as its source if a login
    /// would help ([`Recovery::Reauthenticate`]). Others stay as they are: a realm that is down
    /// says nothing about the login.
    ///
    /// # Examples
    ///
    /// ```
    /// use http::Method;
    /// use tokenkeeper::{Error, ErrorKind};
    /// use tokenkeeper_mangadex::Unauthorized;
    ///
    /// let request = Unauthorized::new(Method::GET, "/user/me");
    /// let refused = Error::new(ErrorKind::CredentialsRejected, "the password is wrong");
    /// let down = Error::new(ErrorKind::Transport, "the realm cannot be reached");
    ///
    /// assert_eq!(Unauthorized::cause_of(&request.clone().behind(refused)), Some(&request));
    /// assert_eq!(Unauthorized::cause_of(&request.behind(down)), None);
    /// ```
    #[must_use]
    pub fn behind(self, error: Error) -> Error {
        match error.recovery() {
            Recovery::Reauthenticate => error.with_source(self),
            _ => error,
        }
    }

    pub(crate) fn in_anonymous_session(self) -> Error {
        let what = format!("{self}, and the session is anonymous");
        let advice = "give it credentials with `Session::log_in_as`";
        self.login_required(what).with_advice(advice)
    }

    /// Answered 401, and nothing is known of why.
    pub(crate) fn answered_401(self) -> Error {
        let what = format!("{} {} was refused", self.method, self.path);
        self.login_required(what).with_status(StatusCode::UNAUTHORIZED)
    }

    fn login_required(self, what: String) -> Error {
        Error::new(ErrorKind::LoginRequired, what).at_service(SERVICE_NAME).with_source(self)
    }
}
