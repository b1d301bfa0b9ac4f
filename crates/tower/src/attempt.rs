//! The two attempts that a request may take.

use std::future::poll_fn;
use std::sync::Arc;

use http::{HeaderMap, Request, Response, StatusCode};
use tokenkeeper_http::{Attached, Reaction, TokenChoice};
use tower_service::Service;

use crate::keep_body::KeepBody;
use crate::response_future::BoxError;
use crate::rules::{Head, Rules};

/// What the first attempt needs, beside the request itself. The service is ready.
pub(crate) struct First<S, K> {
    pub(crate) rules: Arc<Rules>,
    pub(crate) bodies: K,
    pub(crate) service: S,
    pub(crate) head: Head,
}

/// What a second attempt would need, until the first answer is understood.
pub(crate) struct Again<S, B, K: KeepBody<B>> {
    rules: Arc<Rules>,
    bodies: K,
    service: S,
    head: Head,
    body: Option<K::Kept>,
    attached: Attached,
}

impl<S, K> First<S, K> {
    /// Sends the request, which the token is on already.
    pub(crate) fn send<B>(
        mut self,
        request: Request<B>,
        attached: Attached,
    ) -> (S::Future, Again<S, B, K>)
    where
        S: Service<Request<B>>,
        K: KeepBody<B>,
    {
        let (request, body) = if attached.may_replay() {
            let (parts, body) = request.into_parts();
            let (body, kept) = self.bodies.keep(body);
            (Request::from_parts(parts, body), kept)
        } else {
            (request, None)
        };
        let answer = self.service.call(request);
        let Self { rules, bodies, service, head } = self;
        (answer, Again { rules, bodies, service, head, body, attached })
    }
}

impl<S, B, K: KeepBody<B>> Again<S, B, K> {
    /// What the answer asks for; `None` if the caller gets it.
    pub(crate) fn reaction<R>(&self, answer: &Response<R>) -> Option<Reaction> {
        let target = self.rules.target(&self.head.method, &self.head.uri).ok()?;
        let status = status_of(answer, self.head.is_grpc);
        let reaction = self.attached.reaction(&target, status, answer.headers());
        if self.body.is_none() {
            self.attached.give_up(reaction);
            return None;
        }
        (reaction != Reaction::GiveUp).then_some(reaction)
    }

    /// Sends the request once more, if there is another token for it.
    ///
    /// The order matters where the inner service admits only so many requests at once. The future
    /// of the first answer is gone by now, and its permit with it. The answer is kept until it is
    /// known that there is a replacement, because otherwise it is what the caller gets; then it is
    /// dropped, with whatever it holds (a connection, a stream), and only then is the service asked
    /// whether it is ready.
    pub(crate) async fn send<R>(
        self,
        reaction: Reaction,
        answer: Response<R>,
    ) -> Result<Response<R>, BoxError>
    where
        S: Service<Request<B>, Response = Response<R>>,
        S::Error: Into<BoxError>,
    {
        let Self { rules, bodies, mut service, head, body: Some(body), attached } = self else {
            return Ok(answer);
        };
        let Some(attached) = attached.renew(reaction).await else { return Ok(answer) };
        drop(answer);
        poll_fn(|cx| service.poll_ready(cx)).await.map_err(Into::into)?;
        let (method, uri) = (head.method.clone(), head.uri.clone());
        let is_grpc = head.is_grpc;
        let mut request = head.into_request(bodies.restore(body));
        let target = rules.target(&method, &uri)?;
        attached.present(&target, request.headers_mut())?;
        let answer = service.call(request).await.map_err(Into::into)?;
        attached.take_notice(&target, status_of(&answer, is_grpc), answer.headers());
        Ok(answer)
    }
}

/// Waits for the token, then sends.
pub(crate) async fn attach_and_send<S, B, R, K>(
    mut first: First<S, K>,
    mut request: Request<B>,
    choice: TokenChoice,
) -> Result<Response<R>, BoxError>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: Into<BoxError>,
    K: KeepBody<B>,
{
    let target = first.rules.target(&first.head.method, &first.head.uri)?;
    let attaching = first.rules.routes.attach(&target, request.headers_mut(), choice);
    let Some(attached) = attaching.await? else {
        return first.service.call(request).await.map_err(Into::into);
    };
    let (answer, again) = first.send(request, attached);
    let answer = answer.await.map_err(Into::into)?;
    match again.reaction(&answer) {
        Some(reaction) => again.send(reaction, answer).await,
        None => Ok(answer),
    }
}

/// The status, in the terms of HTTP. A gRPC service that refuses a request before it has anything
/// to say answers 200, with the status among the headers ("Trailers-Only"); 16 is UNAUTHENTICATED.
fn status_of<R>(answer: &Response<R>, is_grpc: bool) -> StatusCode {
    let refused =
        is_grpc && answer.status() == StatusCode::OK && is_unauthenticated(answer.headers());
    if refused { StatusCode::UNAUTHORIZED } else { answer.status() }
}

fn is_unauthenticated(headers: &HeaderMap) -> bool {
    headers.get("grpc-status").is_some_and(|status| status == "16")
}
