//! A gRPC service without generated code: it answers what it is sent, to those with a good token.

#![allow(unreachable_pub, reason = "the tests use it from outside")]

use std::collections::HashSet;
use std::convert::Infallible;
use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response, header};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_stream::{Stream, StreamExt};
use tonic::body::Body;
use tonic::server::Grpc;
use tonic::service::interceptor::InterceptedService;
use tonic::{Status, Streaming};
use tonic_prost::ProstCodec;
use tower::Service;

/// A server on this machine, until it is dropped.
pub struct Echo {
    pub origin: String,
    state: Arc<Mutex<State>>,
    _stop: oneshot::Sender<()>,
}

#[derive(Default)]
struct State {
    tokens: Vec<Option<String>>,
    revoked: HashSet<String>,
    refuses_with: Option<i32>,
}

impl Echo {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let state = Arc::<Mutex<State>>::default();
        let server = tonic::transport::Server::builder().serve_with_incoming_shutdown(
            EchoService(Arc::clone(&state)),
            TcpListenerStream::new(listener),
            async { drop(stopped.await) },
        );
        tokio::spawn(server);
        Self { origin, state, _stop: stop }
    }

    /// From now on this token is refused, with the status that the server gives for that.
    pub fn revoke(&self, token: &str) {
        self.state.lock().revoked.insert(token.to_owned());
    }

    /// The code that refused tokens get; at first 16.
    pub fn refuse_with(&self, code: i32) {
        self.state.lock().refuses_with = Some(code);
    }

    /// The tokens of the calls that arrived.
    pub fn tokens(&self) -> Vec<Option<String>> {
        self.state.lock().tokens.clone()
    }
}

#[derive(Clone)]
struct EchoService(Arc<Mutex<State>>);

type Answers = tonic::Response<Messages>;
type Messages = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

impl Service<Request<Body>> for EchoService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let token = request.headers().get(header::AUTHORIZATION);
        let token = token.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let token = token.map(str::to_owned);
        let mut state = self.0.lock();
        state.tokens.push(token.clone());
        let refused = token.is_none_or(|token| state.revoked.contains(&token));
        let code = state.refuses_with.unwrap_or(16).into();
        drop(state);
        let refusal = refused.then(|| Status::new(code, "this token is not good"));
        Box::pin(async move { Ok(answer(request, refusal).await) })
    }
}

/// Each path refuses in another place.
async fn answer(request: Request<Body>, refusal: Option<Status>) -> Response<Body> {
    let (mut grpc, path) = (Grpc::new(text()), request.uri().path().to_owned());
    match (path.as_str(), refusal) {
        ("/test.Echo/InTheHandler", Some(status)) => {
            let refuse = move |_: tonic::Request<String>| {
                ready(Err::<tonic::Response<String>, _>(status.clone()))
            };
            grpc.unary(tower::service_fn(refuse), request).await
        }
        ("/test.Echo/InTheStreamingHandler", Some(status)) => {
            let refuse = move |_: tonic::Request<String>| ready(Err::<Answers, _>(status.clone()));
            grpc.server_streaming(tower::service_fn(refuse), request).await
        }
        ("/test.Echo/InTheInterceptor", Some(status)) => {
            let inner =
                tower::service_fn(|_| ready(Ok::<Response<Body>, Infallible>(<_>::default())));
            let mut service = InterceptedService::new(inner, move |_| Err(status.clone()));
            let Ok(answer) = service.call(request).await;
            answer.map(Body::new)
        }
        ("/test.Echo/InTheStream", Some(status)) => {
            let stream = move |request| ready(Ok(late(request, status.clone())));
            grpc.server_streaming(tower::service_fn(stream), request).await
        }
        (_, Some(status)) => status.into_http(),
        ("/test.Echo/Sum", None) => grpc.client_streaming(tower::service_fn(sum), request).await,
        ("/test.Echo/Chat", None) => grpc.streaming(tower::service_fn(chat), request).await,
        (_, None) => grpc.unary(tower::service_fn(say), request).await,
    }
}

async fn say(request: tonic::Request<String>) -> Result<tonic::Response<String>, Status> {
    Ok(tonic::Response::new(request.into_inner()))
}

async fn sum(
    request: tonic::Request<Streaming<String>>,
) -> Result<tonic::Response<String>, Status> {
    let messages = request.into_inner().collect::<Result<Vec<_>, _>>().await?;
    Ok(tonic::Response::new(messages.concat()))
}

async fn chat(
    request: tonic::Request<Streaming<String>>,
) -> Result<tonic::Response<Streaming<String>>, Status> {
    Ok(tonic::Response::new(request.into_inner()))
}

/// Says what it was sent, if that is anything, and only then that the token was not good.
fn late(request: tonic::Request<String>, status: Status) -> Answers {
    let said = Some(request.into_inner()).filter(|word| !word.is_empty()).map(Ok);
    let all: Vec<_> = said.into_iter().chain([Err(status)]).collect();
    tonic::Response::new(Box::pin(tokio_stream::iter(all)))
}

/// Messages that are text.
pub fn text() -> ProstCodec<String, String> {
    ProstCodec::default()
}
