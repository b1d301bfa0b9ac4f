//! OAuth2 access tokens on the requests of any tower client: hyper, axum gateways, tonic.
//!
//! [`TokenLayer`] goes around a client. A request to an origin that a [`Route`] names gets the token
//! of that route's manager; a request elsewhere goes out as it is. If the service says 401, the
//! token is replaced, once for everybody, and the request is sent again. The rules are those of
//! `tokenkeeper-http`, and in short: named origins only, https unless it is this machine, at most
//! one second attempt, and without a token nothing is sent.
//!
//! # Examples
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Full;
//! use tokenkeeper::TokenManager;
//! use tokenkeeper_tower::{TokenRoutes, Route, TokenLayer};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! # async fn run(provider: tokenkeeper_testkit::ScriptedProvider) -> Result<(), tower::BoxError> {
//! # let billing = TokenManager::new(provider);
//! # let http_client = tower::service_fn(|request: Request<Full<Bytes>>| async move {
//! #     let mut answer = Response::new(());
//! #     if request.headers()["authorization"] != "Bearer access-2" {
//! #         *answer.status_mut() = StatusCode::UNAUTHORIZED;
//! #     }
//! #     Ok::<_, std::convert::Infallible>(answer)
//! # });
//! let routes = TokenRoutes::new([
//!     Route::new(billing).origin("https://billing.example.com").exclude_path("/health"),
//! ])?;
//! let client = ServiceBuilder::new().layer(TokenLayer::new(routes)).service(http_client);
//!
//! let request = Request::get("https://billing.example.com/invoices").body(Full::default())?;
//! let answer = client.oneshot(request).await?;
//! assert_eq!(answer.status(), StatusCode::OK);
//! # Ok(())
//! # }
//! # tokio::runtime::Builder::new_current_thread().build()?
//! #     .block_on(run(tokenkeeper_testkit::ScriptedProvider::new("billing")))?;
//! # Ok::<(), tower::BoxError>(())
//! ```
//!
//! What one request wants is said by a [`TokenChoice`] among its extensions: no token, or that of
//! another manager.
//!
//! # Bodies
//!
//! Only a request whose body is still there can be sent again.
//!
//! | the client's body | the layer |
//! |---|---|
//! | `Full<Bytes>`, `Empty`, `Bytes`, `String` and whatever implements [`ReplayBody`] | as it is |
//! | `axum::body::Body` | `.bodies(Buffering::new(axum::body::Body::new))` |
//! | `tonic::body::Body` | `.bodies(Buffering::new(tonic::body::Body::new))` |
//! | any other | `.bodies(Buffering::new(…))`, see [`Buffering`] |
//!
//! A body that cannot be sent again, such as an upload under way, is no error: the caller gets the
//! 401, and the next request another token.
//!
//! # Errors
//!
//! The service's error is a box. What the inner service failed with is in it as it was; an error of
//! ours is a [`tokenkeeper::Error`], and nothing was sent then:
//!
//! ```
//! use http::StatusCode;
//! use tokenkeeper::Recovery;
//!
//! fn status_of(error: &(dyn std::error::Error + Send + Sync + 'static)) -> StatusCode {
//!     match error.downcast_ref::<tokenkeeper::Error>().map(tokenkeeper::Error::recovery) {
//!         None => StatusCode::BAD_GATEWAY, // the upstream, or the way to it
//!         Some(Recovery::Retry { .. }) => StatusCode::SERVICE_UNAVAILABLE,
//!         Some(_) => StatusCode::INTERNAL_SERVER_ERROR, // call an operator
//!     }
//! }
//! # assert_eq!(status_of(&std::io::Error::other("cut")), StatusCode::BAD_GATEWAY);
//! ```
//!
//! # gRPC
//!
//! - A service that refuses a call answers 200, and `grpc-status: 16` (`UNAUTHENTICATED`) among the
//!   headers. To a request whose content type is `application/grpc` that is a 401. Other codes, 7
//!   (`PERMISSION_DENIED`) among them, are the caller's.
//! - So do tonic, whether an interceptor or a handler refuses, and grpc-go, unless they have sent
//!   something before: a message, or in grpc-go headers of the handler's own (`grpc.SetHeader`).
//!   Then the status comes in the trailers, cannot be taken back, and is the caller's too; the layer
//!   does not look that far, because it would have to wrap every answer. The token stays, and is
//!   refused until it expires. Against such a service call
//!   [`token`](tokenkeeper::TokenManager::token) before the call, and after an `UNAUTHENTICATED`
//!   [`invalidate`](tokenkeeper::TokenManager::invalidate) with that token: the next call gets
//!   another.
//! - Generated clients send paths without a host, so the layer must be told where the channel goes:
//!   [`TokenLayer::assume_origin`].
//! - An error about the token becomes a `Status` with code `Unknown` and our error as its source.
//!   `tower::util::MapErr` around the layer makes a better one of it; the example `tonic_client`
//!   shows how.
//!
//! # Where it stands among other layers
//!
//! - **Redirects**: the layer that follows them belongs outside, and needs the policy of this crate
//!   (feature `follow-redirect`):
//!   `FollowRedirectLayer::with_policy(RedirectPolicy::new(&routes))`. Then every request of a chain
//!   comes through this layer, and gets a token by the rules of
//!   [`RedirectChain`](tokenkeeper_http::RedirectChain). Inside, it would copy the token from
//!   request to request, wherever they lead. With another policy, redirects within a route are safe,
//!   and one that leads into a route from outside of it is an error, as is one of a request with a
//!   user's token to a route with a token of its own, because that policy drops the [`TokenChoice`];
//!   but headers of the caller such as `X-Api-Key` go wherever that policy takes them.
//! - **Limits, buffers, load shedding** may be inside: a request is sent by the instance that was
//!   ready, and the second attempt waits until the service is ready for it. A 401 gives its permit
//!   back before that, and is dropped as soon as there is another token; so a limit of one is
//!   enough. While a request waits for its first token it keeps its permit, so tokens must not be
//!   fetched through the same limit. If the second attempt is not admitted, the caller gets that
//!   error.
//! - **Timeouts and retries** outside see both attempts as one.
//!
//! # Cost
//!
//! A request with a fresh token allocates nothing here: the maps for copies of headers are kept and
//! filled anew. What may cost an allocation is the sharing of what was made for this one request:
//! of extensions, and of header values, URIs and bodies out of a `String` or a `Vec`.
//! [`Buffering`] puts a body into a box.

mod attempt;
mod buffered;
mod keep_body;
mod layer;
#[cfg(feature = "follow-redirect")]
mod redirect_policy;
mod replay_body;
mod response_future;
mod rules;
mod service;

pub use buffered::{Buffered, Buffering, Whole};
pub use keep_body::{Cloning, KeepBody};
pub use layer::TokenLayer;
#[cfg(feature = "follow-redirect")]
pub use redirect_policy::RedirectPolicy;
pub use replay_body::ReplayBody;
pub use response_future::ResponseFuture;
pub use service::TokenService;
pub use tokenkeeper_http::{
    Bearer, CustomHeader, Presenter, Reaction, Route, Target, TokenChoice, TokenRoutes,
};
