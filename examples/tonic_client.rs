//! Tokens on gRPC calls: `cargo run --example tonic_client`
//!
//! The client is tonic's, without generated code: where this says `Grpc::new(channel)`, you say
//! `YourServiceClient::new(channel)`.

use std::convert::Infallible;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use http::{header, uri::PathAndQuery};
use tokenkeeper::{ManualClock, Recovery, TokenManager};
use tokenkeeper_providers::{ClientAuth, ClientCredentialsProvider};
use tokenkeeper_testkit::{FakeAuthServer, Fault};
use tokenkeeper_tower::{Buffering, Route, TokenLayer, TokenRoutes, TokenService};
use tokio::net::TcpListener;
use tokio_stream::wrappers::{TcpListenerStream, UnboundedReceiverStream};
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status, body::Body, client::Grpc};
use tonic_prost::ProstCodec;
use tower::{BoxError, Layer, util::MapErr};

type Client = Grpc<MapErr<TokenService<Channel, Buffering<Body>>, fn(BoxError) -> BoxError>>;

pub(crate) async fn tour(out: &mut impl Write) -> Result<(), BoxError> {
    let (server, clock) = (Arc::new(FakeAuthServer::start()), ManualClock::new());
    let origin = serve(server.clone()).await?;

    let provider = ClientCredentialsProvider::builder("greeter", &server.token_url())
        .client("client", ClientAuth::basic("secret"))
        .build()?;
    let tokens = TokenManager::builder(provider).clock(clock.clone()).build()?;
    let layer = TokenLayer::new(TokenRoutes::new([Route::new(tokens.clone()).origin(&origin)])?)
        .bodies(Buffering::new(Body::new)) // short messages can be sent twice
        .assume_origin(&origin)?; // generated clients do not say where they call
    let channel = Channel::from_shared(origin)?.connect_lazy();
    let mut client: Client = Grpc::new(MapErr::new(layer.layer(channel), with_status));

    writeln!(out, "With a token: {}", greeting(&mut client, "Alice").await?)?;

    server.revoke_all_access_tokens();
    writeln!(out, "It was revoked: {}", greeting(&mut client, "Bob").await?)?;
    writeln!(out, "  {} tokens were issued", server.exchanges())?;

    // An hour later. What is still being said cannot be said again.
    clock.advance(Duration::from_secs(3600));
    tokens.token().await?;
    clock.advance(Duration::from_secs(60));
    server.revoke_all_access_tokens();
    let (_still_open, names) = tokio::sync::mpsc::unbounded_channel();
    let names = Request::new(UnboundedReceiverStream::new(names));
    client.ready().await?;
    match client.streaming(names, PathAndQuery::from_static(GREET), text()).await {
        Ok(_) => return Err("the stream should have been refused".into()),
        Err(status) => writeln!(out, "A stream: {:?}: {}", status.code(), status.message())?,
    }
    writeln!(out, "The next call: {}", greeting(&mut client, "Carol").await?)?;

    tokens.clear().await?;
    server.fail_next(1, Fault::Unavailable(None));
    match greeting(&mut client, "Dave").await {
        Ok(_) => return Err("there should have been no token".into()),
        Err(status) => writeln!(out, "No token: {:?}: {}", status.code(), status.message())?,
    }
    Ok(())
}

/// Messages are strings; generated code names those of its service.
fn text() -> ProstCodec<String, String> {
    ProstCodec::default()
}

async fn greeting(client: &mut Client, name: &str) -> Result<String, Status> {
    client.ready().await.map_err(Status::from_error)?;
    let (name, path) = (Request::new(name.to_owned()), PathAndQuery::from_static(GREET));
    Ok(client.unary(name, path, text()).await?.into_inner())
}

/// An error about the token becomes a status that says what to do; others stay as they are.
fn with_status(error: BoxError) -> BoxError {
    let error = match error.downcast::<tokenkeeper::Error>() {
        Ok(error) => *error,
        Err(other) => return other,
    };
    let mut status = match error.recovery() {
        Recovery::Retry { .. } => Status::unavailable(error.to_string()),
        Recovery::Reauthenticate => Status::unauthenticated(error.to_string()),
        Recovery::FixRequest => Status::failed_precondition(error.to_string()),
        _ => Status::internal(error.to_string()),
    };
    status.set_source(Arc::new(error));
    status.into()
}

/// A service that greets callers with a good token.
async fn serve(tokens: Arc<FakeAuthServer>) -> Result<String, BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let origin = format!("http://{}", listener.local_addr()?);
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let token = request.headers().get(header::AUTHORIZATION);
        let token = token.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let is_good = token.is_some_and(|token| tokens.is_live(token));
        let greet = tower::service_fn(|name: Request<String>| async move {
            Ok(Response::new(format!("hello, {}", name.into_inner())))
        });
        async move {
            Ok::<_, Infallible>(match is_good {
                true => tonic::server::Grpc::new(text()).unary(greet, request).await,
                false => Status::unauthenticated("this token is not good").into_http(),
            })
        }
    });
    tokio::spawn(Server::builder().serve_with_incoming(service, TcpListenerStream::new(listener)));
    Ok(origin)
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tour(&mut std::io::stdout()).await
}

const GREET: &str = "/example.Greeter/Greet";
