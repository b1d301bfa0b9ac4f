//! A request that needs a login, in a session that has none.

use std::error::Error as StdError;

use http::Method;
use thiserror::Error as ThisError;
use tokenkeeper::{Error, ErrorKind};

use crate::SERVICE_NAME;

/// Which request an anonymous session could not make. It was not sent.
///
/// It is the source of an [`Error`] of the kind [`ErrorKind::LoginRequired`].
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
#[error("{method} {path} needs a login, and the session is anonymous")]
pub struct Unauthorized {
    method: Method,
    path: String,
}

impl Unauthorized {
    /// A query after the path is left out, because it may hold what is nobody's business.
    pub(crate) fn new(method: Method, path: &str) -> Self {
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
}

impl From<Unauthorized> for Error {
    fn from(unauthorized: Unauthorized) -> Self {
        Self::new(ErrorKind::LoginRequired, unauthorized.to_string())
            .at_service(SERVICE_NAME)
            .with_source(unauthorized)
    }
}
