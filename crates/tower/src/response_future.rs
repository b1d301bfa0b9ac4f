//! What a caller awaits.

use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::attempt::Again;
use crate::keep_body::KeepBody;
use crate::rules::RedirectGuard;

pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

type Boxed<R> = Pin<Box<dyn Future<Output = Result<Response<R>, BoxError>> + Send>>;

pin_project! {
    /// The answer to a request.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the request is given up; an exchange that it waited for goes on for others.
    #[must_use = "futures do nothing unless they are polled"]
    pub struct ResponseFuture<S, B, R, K = crate::Cloning>
    where
        S: Service<Request<B>>,
        K: KeepBody<B>,
    {
        #[pin]
        state: State<S, B, R, K>,
        guard: Option<RedirectGuard>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, B, R, K>
    where
        S: Service<Request<B>>,
        K: KeepBody<B>,
    {
        First { #[pin] answer: S::Future, again: Option<Again<S, B, K>> },
        Slow { answer: Boxed<R> },
        Failed { error: Option<BoxError> },
    }
}

impl<S, B, R, K> ResponseFuture<S, B, R, K>
where
    S: Service<Request<B>>,
    K: KeepBody<B>,
{
    fn new(state: State<S, B, R, K>) -> Self {
        Self { state, guard: None }
    }

    /// Looks at the answer once more, in case it is a redirect.
    pub(crate) fn guarded(self, guard: Option<RedirectGuard>) -> Self {
        Self { guard, ..self }
    }

    /// The caller gets the answer, whatever it is.
    pub(crate) fn as_it_is(answer: S::Future) -> Self {
        Self::new(State::First { answer, again: None })
    }

    pub(crate) fn first(answer: S::Future, again: Again<S, B, K>) -> Self {
        Self::new(State::First { answer, again: Some(again) })
    }

    pub(crate) fn slow(answer: Boxed<R>) -> Self {
        Self::new(State::Slow { answer })
    }

    pub(crate) fn failed(error: tokenkeeper::Error) -> Self {
        Self::new(State::Failed { error: Some(error.into()) })
    }
}

impl<S, B, R, K> Future for ResponseFuture<S, B, R, K>
where
    S: Service<Request<B>, Response = Response<R>> + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: Send + 'static,
    R: Send + 'static,
    K: KeepBody<B> + Send + 'static,
    K::Kept: Send,
{
    type Output = Result<Response<R>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.state.poll(cx))?;
        if let Some(guard) = this.guard {
            guard.check(&answer)?;
        }
        Poll::Ready(Ok(answer))
    }
}

impl<S, B, R, K> State<S, B, R, K>
where
    S: Service<Request<B>, Response = Response<R>> + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: Send + 'static,
    R: Send + 'static,
    K: KeepBody<B> + Send + 'static,
    K::Kept: Send,
{
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Response<R>, BoxError>> {
        loop {
            let second = match self.as_mut().project() {
                StateProjection::First { answer, again } => {
                    let answer = ready!(answer.poll(cx)).map_err(Into::into)?;
                    let Some(again) = again.take() else { return Poll::Ready(Ok(answer)) };
                    match again.reaction(&answer) {
                        Some(reaction) => Box::pin(again.send(reaction, answer)),
                        None => return Poll::Ready(Ok(answer)),
                    }
                }
                StateProjection::Slow { answer } => return answer.as_mut().poll(cx),
                StateProjection::Failed { error } => {
                    return match error.take() {
                        Some(error) => Poll::Ready(Err(error)),
                        None => Poll::Pending, // it was ready before
                    };
                }
            };
            // This drops the first answer's future, and the permit that it may hold.
            self.set(State::Slow { answer: second });
        }
    }
}

impl<S, B, R, K> fmt::Debug for ResponseFuture<S, B, R, K>
where
    S: Service<Request<B>>,
    K: KeepBody<B>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
