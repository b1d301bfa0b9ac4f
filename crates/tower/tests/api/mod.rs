//! An API in this process: a service that writes down what arrives, and knows which tokens are good.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests fail by panicking")]
#![allow(dead_code, unreachable_pub, reason = "each test file uses its share")]

use std::collections::HashSet;
use std::convert::Infallible;
use std::fmt::{self, Debug};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, Uri, Version, header};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use parking_lot::Mutex;
use tokenkeeper::{ManualClock, RefreshPolicy, TokenManager};
use tokenkeeper_testkit::ScriptedProvider;
use tokenkeeper_tower::{Route, TokenRoutes};
use tower::Service;

pub const ORIGIN: &str = "https://api.example.com";

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Arrived {
    pub method: Method,
    pub uri: Uri,
    pub version: Version,
    pub headers: HeaderMap,
    pub mark: Option<Mark>,
    pub body: Bytes,
    pub trailers: Option<HeaderMap>,
}

/// An extension of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark(pub u8);

impl Arrived {
    pub fn token(&self) -> Option<&str> {
        self.headers.get(header::AUTHORIZATION)?.to_str().unwrap().strip_prefix("Bearer ")
    }
}

/// Answers 200 to tokens that were not revoked, and 401 to all others; clones share everything.
#[derive(Clone, Default)]
pub struct Api(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    arrived: Vec<Arrived>,
    revoked: HashSet<String>,
    refuses_everything: Option<(StatusCode, HeaderMap)>,
}

impl Api {
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on this token is refused.
    pub fn revoke(&self, token: &str) {
        self.0.lock().revoked.insert(token.to_owned());
    }

    /// From now on everything is answered like this.
    pub fn refuse_everything(&self, status: u16, headers: &[(HeaderName, &str)]) {
        let headers =
            headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        self.0.lock().refuses_everything = Some((StatusCode::from_u16(status).unwrap(), headers));
    }

    pub fn arrived(&self) -> Vec<Arrived> {
        self.0.lock().arrived.clone()
    }

    /// The tokens of the requests that arrived, in order.
    pub fn tokens(&self) -> Vec<Option<String>> {
        self.arrived().iter().map(|request| request.token().map(str::to_owned)).collect()
    }

    fn answer(&self, arrived: Arrived) -> Response<Full<Bytes>> {
        let mut state = self.0.lock();
        let token = arrived.token().map(str::to_owned);
        state.arrived.push(arrived);
        let number = state.arrived.len();
        let mut answer = Response::new(Full::from(format!("answer {number}")));
        match &state.refuses_everything {
            Some((status, headers)) => {
                *answer.status_mut() = *status;
                *answer.headers_mut() = headers.clone();
            }
            None if token.is_none_or(|token| state.revoked.contains(&token)) => {
                *answer.status_mut() = StatusCode::UNAUTHORIZED;
            }
            None => {}
        }
        answer
    }
}

/// Not what arrived: tests look for secrets in the `Debug` of whatever holds an API.
impl Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").finish_non_exhaustive()
    }
}

impl<B> Service<Request<B>> for Api
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Debug,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Full<Bytes>>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let api = self.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.unwrap();
            let trailers = body.trailers().cloned();
            Ok(api.answer(Arrived {
                method: parts.method,
                uri: parts.uri,
                version: parts.version,
                headers: parts.headers,
                mark: parts.extensions.get::<Mark>().cloned(),
                body: body.to_bytes(),
                trailers,
            }))
        })
    }
}

/// A manager of a scripted service, without jitter, on a clock that a test moves.
pub fn manager(provider: &ScriptedProvider) -> (TokenManager, ManualClock) {
    let clock = ManualClock::new();
    let manager = TokenManager::builder(provider.clone())
        .clock(clock.clone())
        .policy(RefreshPolicy::new().without_jitter())
        .build()
        .unwrap();
    (manager, clock)
}

/// Tokens of this manager for the [`ORIGIN`].
pub fn routes_of(manager: &TokenManager) -> TokenRoutes {
    TokenRoutes::new([Route::new(manager.clone()).origin(ORIGIN)]).unwrap()
}

pub fn get(uri: &str) -> Request<Full<Bytes>> {
    Request::get(uri).body(Full::default()).unwrap()
}

/// The body of an answer, as text.
pub async fn text<B>(answer: Response<B>) -> String
where
    B: Body,
    B::Error: Debug,
{
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

/// Waits for what comes soon, or never if something is broken: then the test shall fail, not hang.
pub async fn in_time<F: IntoFuture>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("it should have come")
}

/// Looks once, and is not woken.
pub fn poll_now<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}
