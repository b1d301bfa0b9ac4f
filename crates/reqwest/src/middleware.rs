//! Tokens as a middleware of `reqwest-middleware`.

use async_trait::async_trait;
use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{Error, Middleware, Next};
use tokenkeeper_http::TokenChoice;

use crate::sending::{Failure, Sender};
use crate::tokens::Tokens;

/// Requests to origins of a route get a token, and all others pass as they are. A
/// [`TokenChoice`] among the request's extensions says otherwise for that request.
///
/// Retries belong outside of it (`with` before it), so that each asks for a fresh token; whatever
/// changes where a request goes, too. An error that is about the token is found with
/// [`token_error`].
#[async_trait]
impl Middleware for Tokens {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response, Error> {
        let choice = extensions.get::<TokenChoice>().cloned().unwrap_or_default();
        let mut chain = Chain { next, extensions };
        self.send(&mut chain, request, choice).await.map_err(|failure| match failure {
            Failure::Token(error) => Error::middleware(error),
            Failure::Sender(error) => error,
        })
    }
}

/// What is wrong with the token, if an error is about that; also where a middleware further out,
/// such as one that retries, has put the error into one of its own.
#[must_use]
pub fn token_error(error: &Error) -> Option<&tokenkeeper::Error> {
    let Error::Middleware(error) = error else { return None };
    // An `Error` that is a cause hides the error in it.
    error
        .chain()
        .find_map(|cause| cause.downcast_ref().or_else(|| token_error(cause.downcast_ref()?)))
}

struct Chain<'a, 'b> {
    next: Next<'a>,
    extensions: &'b mut Extensions,
}

impl Sender for Chain<'_, '_> {
    type Error = Error;

    async fn execute(&mut self, request: Request) -> Result<Response, Error> {
        self.next.clone().run(request, self.extensions).await
    }
}
