//! Fresh OAuth2 tokens on the requests of `reqwest`.
//!
//! For one API there is a [`Client`] with a base URL:
//!
//! ```no_run
//! # async fn run(billing: tokenkeeper::TokenManager) -> Result<(), Box<dyn std::error::Error>> {
//! let client = tokenkeeper_reqwest::Client::new("https://billing.example.com/v2", billing)?;
//! let users = client.get("/users").send().await?;
//! # Ok(())
//! # }
//! ```
//!
//! For several services, or a client that is there already, a [`Route`] says which manager's tokens
//! go to which origins, and [`Tokens`] is what the client is given of them. Requests get their token
//! in one of two ways:
//!
//! | | a request to a host on no route |
//! |---|---|
//! | [`send_with_token`](SendWithToken::send_with_token) in the place of `send` | is an error, because a token was asked for |
//! | `Tokens` as a middleware of `reqwest-middleware` (feature `middleware`) | passes as it is |
//!
//! # Examples
//!
//! ```
//! use tokenkeeper::TokenManager;
//! use tokenkeeper_reqwest::{TokenRoutes, Route, SendWithToken, Tokens, without_redirects};
//! # use tokenkeeper_testkit::{FakeAuthServer, ScriptedProvider};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! # let server = FakeAuthServer::start();
//! # let (provider, url) = (ScriptedProvider::new("billing"), server.url());
//! let client = without_redirects(reqwest::Client::builder()).build()?;
//! let billing = Route::new(TokenManager::new(provider)).origin(url.as_str());
//! let tokens = Tokens::new(TokenRoutes::new([billing])?);
//!
//! let answer = client.get(url + "/invoices/7").send_with_token(&tokens).await?;
//!
//! let elsewhere = client.get("https://example.org/").send_with_token(&tokens).await;
//! assert!(elsewhere.is_err_and(|error| error.is_token_error()));
//! # assert_eq!(answer.status(), 404);
//! # assert!(server.last_request().is_some_and(|one| one.header("authorization").is_some()));
//! # Ok(())
//! # }
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! One client for many users: each request says whose token it gets. Here with the middleware;
//! without it, [`send_with_choice`](SendWithToken::send_with_choice) takes the same.
//!
//! ```
//! # #[cfg(feature = "middleware")]
//! # mod with_middleware {
//! use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
//! use tokenkeeper::TokenManagerMap;
//! use tokenkeeper_reqwest::{TokenRoutes, Route, TokenChoice, Tokens, without_redirects};
//!
//! fn client() -> Result<ClientWithMiddleware, Box<dyn std::error::Error>> {
//!     let calendar = Route::per_request().origin("https://calendar.example.com");
//!     let tokens = Tokens::new(TokenRoutes::new([calendar])?);
//!     let client = without_redirects(reqwest::Client::builder()).build()?;
//!     Ok(ClientBuilder::new(client).with(tokens).build())
//! }
//!
//! async fn events(
//!     client: &ClientWithMiddleware,
//!     users: &TokenManagerMap<String>,
//!     user: &str,
//! ) -> Result<reqwest::Response, Box<dyn std::error::Error>> {
//!     let request = client.get("https://calendar.example.com/events");
//!     Ok(request.with_extension(TokenChoice::Of(users.get(user)?)).send().await?)
//! }
//! # }
//! ```
//!
//! # What happens to a request
//!
//! The rules of `tokenkeeper-http` hold: tokens go to the origins of their routes alone, a header
//! that is there is left alone, a request without a token that it should have is not sent, and
//! neither is one whose `Host` header names another server than its URL.
//!
//! - **401.** The token is replaced, and the request sent once more: same method, URL, headers,
//!   body, HTTP version. A body that is a stream cannot be sent twice: then the token is given up,
//!   so that the next request gets another, and the caller gets the 401. So it is too where nothing
//!   can replace the token, also while token requests are paused because
//!   [tokens keep being rejected](tokenkeeper#when-a-token-is-rejected); what a token
//!   request failed with is in the manager's status and events. The answer that is not wanted is dropped; its
//!   connection is used again if all of it has arrived.
//! - **Redirects** are followed here, not by the client, and every request that they ask for is
//!   judged anew: no token goes from route to route, and credentials stay on their origin; see
//!   [`Tokens::with_redirects`], and [`without_redirects`] for the client. If the client follows them all the same,
//!   there is an error, unless they led back to the URL that was asked: that cannot be noticed.
//! - **A timeout of the request** ([`RequestBuilder::timeout`](reqwest::RequestBuilder::timeout))
//!   counts for all attempts and redirects together, as `reqwest` counts it. Nothing is sent again when
//!   it is used up. Waiting for a token is not part of it: the manager has limits of its own. A
//!   timeout of the client cannot be seen from here, and counts for each of them.
//! - **Cost.** As long as the token is fresh, and no more than 64 requests are under way at once,
//!   neither it nor what a replay would need allocates anything beyond what `reqwest` does.
//!
//! Nothing is retried but that: not after 5xx, 429 or a broken connection. Further attempts after a
//! 401, with growing delays, are an [option](Tokens::with_unauthorized_retries).
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `middleware` | no | `Tokens` as a middleware of `reqwest-middleware` 0.5, and `token_error` |
//! | `transport` | no | `ClientTransport`: a client of your own for the token endpoint of `tokenkeeper-providers` |
//!
//! Neither chooses a TLS library: that is for your own dependency on `reqwest`.

mod client;
#[cfg(feature = "transport")]
mod client_transport;
mod kept_request;
#[cfg(feature = "middleware")]
mod middleware;
mod redirect;
mod send_error;
mod send_with_token;
mod sending;
mod spare_urls;
mod tokens;
mod unauthorized_retries;

pub use client::{Client, ClientBuilder, ClientRequest};
#[cfg(feature = "transport")]
pub use client_transport::ClientTransport;
#[cfg(feature = "middleware")]
pub use middleware::token_error;
pub use send_error::SendError;
pub use send_with_token::SendWithToken;
pub use tokenkeeper_http::{
    Attached, Bearer, CustomHeader, Origin, Presenter, Reaction, Route, Target, TokenChoice,
    TokenRoutes,
};
pub use tokens::{Tokens, without_redirects};
pub use unauthorized_retries::UnauthorizedRetries;
