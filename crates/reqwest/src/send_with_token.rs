//! Tokens for requests of a plain `reqwest` client.

use reqwest::{Client, Request, RequestBuilder, Response};
use tokenkeeper::{Error, ErrorKind};
use tokenkeeper_http::TokenChoice;

use crate::send_error::SendError;
use crate::sending::{Failure, Sender, target_of};
use crate::tokens::Tokens;

/// Sends a `reqwest` request with a token.
///
/// # Examples
///
/// ```
/// use tokenkeeper_reqwest::{SendError, SendWithToken, Tokens};
///
/// async fn invoices(client: &reqwest::Client, tokens: &Tokens) -> Result<String, SendError> {
///     let request = client.get("https://billing.example.com/invoices");
///     Ok(request.send_with_token(tokens).await?.text().await?)
/// }
/// ```
pub trait SendWithToken: Sized {
    /// Sends the request with the token of its origin, and once more after a 401.
    ///
    /// # Errors
    ///
    /// [`SendError::Token`] of the kind [`ErrorKind::Config`] if the origin is on no route, because
    /// a token was asked for; those of [`TokenRoutes::attach`](crate::TokenRoutes::attach); and if the client
    /// follows redirects that it should not. [`SendError::Http`] if the request fails.
    ///
    /// # Cancel safety
    ///
    /// As `send` of `reqwest`; a token request that was started goes on for others.
    fn send_with_token(
        self,
        tokens: &Tokens,
    ) -> impl Future<Output = Result<Response, SendError>> + Send {
        self.send_with_choice(tokens, TokenChoice::OfRoute)
    }

    /// [`send_with_token`](Self::send_with_token) that says whose token it wants, or that it wants
    /// none: then any origin will do.
    ///
    /// # Errors
    ///
    /// As there.
    fn send_with_choice(
        self,
        tokens: &Tokens,
        choice: TokenChoice,
    ) -> impl Future<Output = Result<Response, SendError>> + Send;
}

impl SendWithToken for RequestBuilder {
    async fn send_with_choice(
        self,
        tokens: &Tokens,
        choice: TokenChoice,
    ) -> Result<Response, SendError> {
        let (mut client, request) = self.build_split();
        let request = request?;
        if !matches!(choice, TokenChoice::Without) {
            check_origin(tokens, &request)?;
        }
        tokens.send(&mut client, request, choice).await.map_err(|failure| match failure {
            Failure::Token(error) => error.into(),
            Failure::Sender(error) => error.into(),
        })
    }
}

impl Sender for Client {
    type Error = reqwest::Error;

    async fn execute(&mut self, request: Request) -> Result<Response, reqwest::Error> {
        Self::execute(self, request).await
    }
}

fn check_origin(tokens: &Tokens, request: &Request) -> Result<(), Error> {
    let url = request.url();
    if tokens.routes.knows(&target_of(request.method(), url)?) {
        return Ok(());
    }
    let what = format!("no route has the origin {}", url.origin().ascii_serialization());
    Err(Error::new(ErrorKind::Config, what)
        .with_advice("put it on a route, or send the request without a token"))
}
