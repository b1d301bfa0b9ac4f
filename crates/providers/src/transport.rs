//! How requests leave the process: the seam between the grants and an HTTP client.
//!
//! Only types of the `http` crate show here, so that any client can be put behind it and none of
//! them forces its major version on anybody.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use http::{Request, Response};
use tokenkeeper::Error;

/// Sends one request and brings back the answer.
///
/// # Contract
///
/// - One call is at most one request on the wire: no retries, and no redirects. A 3xx is an
///   answer like any other. A redirected token request would hand the credentials to another host.
/// - Every status is an `Ok`. An `Err` means that there was no complete answer.
/// - An error says whether the request may have been acted upon: if any of it may have been
///   written, it is marked with [`Error::with_answer_lost`]. A refresh token may be spent then.
///   Its kind is [`ErrorKind::Transport`](tokenkeeper::ErrorKind::Transport), unless a better one
///   fits.
/// - Requests hold secrets, in headers, body and sometimes the query. They show in no error, log
///   line or `Debug`, and copies that the transport owns are overwritten where that is possible.
/// - Answers are read up to a limit; 1 MiB is plenty. They hold secrets too.
/// - It has a time limit of its own, below the lease time after which others may take over (30 s by default).
/// - The future is polled on the manager's driver, a tokio runtime; that of a login, or of another
///   request outside of a manager, by whoever awaits it. Dropping it ends the attempt.
///
/// # Examples
///
/// One that lets nothing out, for a test of what happens then:
///
/// ```
/// use http::{Request, Response};
/// use tokenkeeper::{Error, ErrorKind, async_trait};
/// use tokenkeeper_providers::HttpTransport;
///
/// #[derive(Debug)]
/// struct Unplugged;
///
/// #[async_trait]
/// impl HttpTransport for Unplugged {
///     async fn send(&self, _request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Error> {
///         Err(Error::new(ErrorKind::Transport, "the cable is out"))
///     }
/// }
/// ```
#[async_trait]
pub trait HttpTransport: Debug + Send + Sync + 'static {
    /// Sends the request.
    ///
    /// # Errors
    ///
    /// If there is no complete answer.
    async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Error>;
}

macro_rules! forward_transport {
    ($($pointer:ident),*) => {$(
        #[async_trait]
        impl<T: HttpTransport + ?Sized> HttpTransport for $pointer<T> {
            async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Error> {
                (**self).send(request).await
            }
        }
    )*};
}

forward_transport!(Arc, Box);
