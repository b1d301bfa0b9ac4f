//! Which HTTP requests get a token, and what a 401 means: the rules that every client integration
//! of tokenkeeper shares.
//!
//! `tokenkeeper-reqwest` and `tokenkeeper-tower` are made of this crate; you need it yourself to
//! write the same for another client. It sends nothing and names no client: an [`TokenRoutes`] looks at
//! method and URL, puts a header into a `HeaderMap`, and reads the answer's status and headers.
//!
//! # The rules
//!
//! - A token goes to the origins that its [`Route`] names (scheme, host and port, compared whole),
//!   and nowhere else: not to another port, not to a look-alike, not to where a redirect leads,
//!   unless that is on the list too. Origins are https; `http` is for loopback hosts and
//!   [`danger_allow_http`](Route::danger_allow_http).
//! - What goes with a token, such as a proof in a header of its own, goes nowhere else either, and is
//!   made anew for every attempt.
//! - A request that brings the header along is left alone, and so is one whose path is excluded or
//!   that says [`TokenChoice::Without`].
//! - Without a token, the request fails. It never goes out bare.
//! - A request is sent again once, after a 401, with the token that replaces the rejected one, and
//!   only if it can be sent again as it was. After `insufficient_scope` (RFC 6750 §3.1) or a 401
//!   with `Retry-After` it is not; nor when there is nothing to replace the token with. Then the
//!   caller gets the 401 that was there first. Where the token is good and only its presentation was
//!   not, as with `use_dpop_nonce` (RFC 9449 §9), it is presented again.
//!
//! What only the client can do is left to whoever sets that up:
//!
//! - It follows no redirects, or it may take the token to where they lead, and a 401 from there
//!   passes for one about the token.
//! - It asks loopback hosts itself, not a proxy (`NO_PROXY=localhost,127.0.0.1,::1`): over `http`
//!   the proxy would read the token.
//!
//! # Examples
//!
//! How an integration uses it, whatever client `send` is:
//!
//! ```
//! use http::{Method, Request, Response};
//! use tokenkeeper::{Error, TokenManager};
//! use tokenkeeper_http::{TokenRoutes, Reaction, Route, Target, TokenChoice};
//!
//! async fn send_with_token(
//!     routes: &TokenRoutes,
//!     mut request: Request<&'static str>,
//!     send: impl AsyncFn(Request<&'static str>) -> Result<Response<String>, Error>,
//! ) -> Result<Response<String>, Error> {
//!     let (method, uri) = (request.method().clone(), request.uri().clone());
//!     let target = Target::of(&method, &uri)?;
//!     let copy = request.clone();
//!     let attached = routes.attach(&target, request.headers_mut(), TokenChoice::OfRoute).await?;
//!     let answer = send(request).await?;
//!     let Some(attached) = attached else { return Ok(answer) };
//!     let reaction = attached.reaction(&target, answer.status(), answer.headers());
//!     let Some(again) = attached.renew(reaction).await else { return Ok(answer) };
//!     let mut request = copy;
//!     again.present(&target, request.headers_mut())?;
//!     let answer = send(request).await?;
//!     again.take_notice(&target, answer.status(), answer.headers());
//!     Ok(answer)
//! }
//! ```
//!
//! Threads without a runtime do the same with [`TokenRoutes::attach_blocking`] and
//! [`Attached::renew_blocking`]. The client must give a 401 as an answer and not as an error, and
//! follow no redirects; with `ureq` 3 that is `http_status_as_error(false)` and `max_redirects(0)`.

mod attached;
mod bearer;
mod challenge;
mod credentials;
mod custom_header;
mod origin;
mod presenter;
mod redirect_chain;
mod route;
mod spare_headers;
mod target;
mod token_routes;

pub use attached::Attached;
pub use bearer::Bearer;
pub use challenge::challenge_errors;
pub use credentials::carries_credentials;
pub use custom_header::CustomHeader;
pub use origin::Origin;
pub use presenter::{Presenter, Reaction};
pub use redirect_chain::RedirectChain;
pub use route::Route;
pub use spare_headers::{HeaderCopy, SpareHeaders};
pub use target::Target;
pub use token_routes::{TokenChoice, TokenRoutes};
