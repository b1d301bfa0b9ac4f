//! A gateway before three services: `cargo run --example axum_gateway`
//!
//! It takes `/billing/…`, `/library/…` and `/weather/…`, and forwards each to its service with a
//! token of that service. Who calls it needs none. One client serves all three, because the rules
//! say whose token goes where.

use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use http::{StatusCode, header};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use tokenkeeper::{Recovery, TokenManager};
use tokenkeeper_providers::{ClientAuth, ClientCredentialsProvider};
use tokenkeeper_testkit::{FakeAuthServer, Fault, RetryAfter};
use tokenkeeper_tower::{Attach, Buffering, Route, TokenLayer, TokenService};
use tokio::net::TcpListener;
use tower::{BoxError, Layer, ServiceExt};

type TokenClient = TokenService<Client<HttpConnector, Body>, Buffering<Body>>;

struct Gateway {
    client: TokenClient,
    upstreams: HashMap<&'static str, Upstream>,
}

struct Upstream {
    url: String,
    tokens: TokenManager,
}

fn gateway(servers: &[(&'static str, &FakeAuthServer)]) -> Result<Router, tokenkeeper::Error> {
    let (mut upstreams, mut routes) = (HashMap::new(), Vec::new());
    for &(name, server) in servers {
        let provider = ClientCredentialsProvider::builder(name, &server.token_url())
            .client("client", ClientAuth::basic("secret"))
            .build()?;
        let tokens = TokenManager::new(provider);
        routes.push(Route::new(tokens.clone()).origin(server.url()));
        upstreams.insert(name, Upstream { url: server.resource_url(), tokens });
    }
    let client = TokenLayer::new(Attach::new(routes)?)
        .bodies(Buffering::new(Body::new)) // short bodies can be sent twice, uploads are streamed
        .layer(Client::builder(TokioExecutor::new()).build_http());
    Ok(Router::new()
        .route("/health", get(health))
        // METRICS: a page of metrics goes here, beside the health page.
        .route("/{service}/{*path}", any(forward))
        .with_state(Arc::new(Gateway { client, upstreams })))
}

async fn forward(
    State(gateway): State<Arc<Gateway>>,
    Path((service, path)): Path<(String, String)>,
    mut request: Request,
) -> Response {
    let Some(upstream) = gateway.upstreams.get(service.as_str()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    let Ok(uri) = format!("{}/{path}{query}", upstream.url).parse() else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    *request.uri_mut() = uri;
    // What a caller presents is for the gateway. Left here, it would be sent instead of the token.
    request.headers_mut().remove(header::AUTHORIZATION);
    request.headers_mut().remove(header::HOST); // the client sets its own
    match gateway.client.clone().oneshot(request).await {
        Ok(answer) => answer.map(Body::new),
        Err(error) => refusal(&error),
    }
}

/// What callers are told; the error itself, which names the service and what to do, is for the log.
fn refusal(error: &BoxError) -> Response {
    let Some(ours) = error.downcast_ref::<tokenkeeper::Error>() else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    match ours.recovery() {
        Recovery::Retry { after } => {
            let seconds = after.map_or(1, |after| after.as_secs().max(1));
            let retry_after = [(header::RETRY_AFTER, seconds.to_string())];
            (StatusCode::SERVICE_UNAVAILABLE, retry_after).into_response()
        }
        _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(), // wake somebody up
    }
}

/// One line for each service. They hold no secret.
async fn health(State(gateway): State<Arc<Gateway>>) -> String {
    let status = |upstream: &Upstream| upstream.tokens.status().to_string();
    let mut lines: Vec<String> = gateway.upstreams.values().map(status).collect();
    lines.sort();
    lines.join("\n")
}

pub(crate) async fn tour(out: &mut impl Write) -> Result<(), BoxError> {
    let [billing, library, weather] = [(); 3].map(|()| FakeAuthServer::start());
    weather.fail_next(10, Fault::Unavailable(Some(RetryAfter::Seconds(30))));

    let servers = [("billing", &billing), ("library", &library), ("weather", &weather)];
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let serving = tokio::spawn(axum::serve(listener, gateway(&servers)?).into_future());
    let caller = reqwest::Client::new();

    for path in ["billing/invoices", "library/books?sort=title", "weather/today"] {
        let answer = caller.get(format!("{url}/{path}")).send().await?;
        writeln!(out, "GET /{path}: {}{}", answer.status(), retry_after(&answer))?;
    }

    writeln!(out, "\nbilling revokes its tokens, and nobody notices:")?;
    billing.revoke_all_access_tokens();
    let answer = caller.post(format!("{url}/billing/invoices")).body("an invoice").send().await?;
    let (refused, served) = (billing.stats().resource(401), billing.stats().resource(200));
    writeln!(out, "POST /billing/invoices: {}", answer.status())?;
    writeln!(
        out,
        "billing has answered {served} requests, refused {refused}, and issued {} tokens",
        billing.exchanges()
    )?;

    writeln!(out, "\nGET /health")?;
    writeln!(out, "{}", caller.get(format!("{url}/health")).send().await?.text().await?)?;
    serving.abort();
    Ok(())
}

fn retry_after(answer: &reqwest::Response) -> String {
    let after = answer.headers().get(header::RETRY_AFTER).and_then(|after| after.to_str().ok());
    after.map(|seconds| format!(", again in {seconds} s")).unwrap_or_default()
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tour(&mut std::io::stdout()).await
}
