//! The client with tokens.

use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tokenkeeper_http::TokenChoice;
use tower_service::Service;

use crate::attempt::{First, attach_and_send};
use crate::keep_body::{Cloning, KeepBody};
use crate::response_future::{BoxError, ResponseFuture};
use crate::rules::{RedirectGuard, Rules, choice};

/// A client whose requests get tokens. Made by [`TokenLayer`](crate::TokenLayer); clones share its
/// rules and what it keeps.
#[derive(Clone, Debug)]
pub struct TokenService<S, K = Cloning> {
    inner: S,
    rules: Arc<Rules>,
    bodies: K,
}

impl<S, K> TokenService<S, K> {
    pub(crate) fn new(inner: S, rules: Arc<Rules>, bodies: K) -> Self {
        Self { inner, rules, bodies }
    }

    /// The client without tokens.
    #[must_use]
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

/// Answers are those of the inner service. Its errors come as they are, in a box; an error of ours
/// is a [`tokenkeeper::Error`] in that box, and then nothing was sent, unless it is about the
/// second attempt.
impl<S, B, R, K> Service<Request<B>> for TokenService<S, K>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: Send + 'static,
    R: Send + 'static,
    K: KeepBody<B> + Send + 'static,
    K::Kept: Send,
{
    type Response = Response<R>;
    type Error = BoxError;
    type Future = ResponseFuture<S, B, R, K>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let choice = choice(&request);
        let guard = RedirectGuard::of(&self.rules, &request, &choice);
        self.send(request, choice).guarded(guard)
    }
}

impl<S, K> TokenService<S, K> {
    fn send<B, R>(
        &mut self,
        mut request: Request<B>,
        choice: TokenChoice,
    ) -> ResponseFuture<S, B, R, K>
    where
        S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
        B: Send + 'static,
        R: Send + 'static,
        K: KeepBody<B> + Send + 'static,
        K::Kept: Send,
    {
        // Readiness is not cloned: the instance that has it sends this request, or gives it back.
        let unready = self.inner.clone();
        let mut service = mem::replace(&mut self.inner, unready);

        if matches!(choice, TokenChoice::Without) {
            return ResponseFuture::as_it_is(service.call(request));
        }
        let head = match self.rules.head_of(&request) {
            Ok(Some(head)) => head,
            Ok(None) => return ResponseFuture::as_it_is(service.call(request)),
            Err(error) => return ResponseFuture::failed(error),
        };
        let target = match self.rules.target(&head.method, &head.uri) {
            Ok(target) => target,
            Err(error) => return ResponseFuture::failed(error),
        };
        // Only a request that has to wait for its token is put into a box.
        match self.rules.routes.attach_now(&target, request.headers_mut(), choice.clone()) {
            Poll::Ready(Ok(Some(attached))) => {
                let rules = Arc::clone(&self.rules);
                let first = First { rules, bodies: self.bodies.clone(), service, head };
                let (answer, again) = first.send(request, attached);
                ResponseFuture::first(answer, again)
            }
            Poll::Ready(Ok(None)) => ResponseFuture::as_it_is(service.call(request)),
            Poll::Ready(Err(error)) => ResponseFuture::failed(error),
            Poll::Pending => {
                let rules = Arc::clone(&self.rules);
                let first = First { rules, bodies: self.bodies.clone(), service, head };
                ResponseFuture::slow(Box::pin(attach_and_send(first, request, choice)))
            }
        }
    }
}
