//! A gateway before three services: `cargo run --example axum_gateway`
//!
//! It takes `/billing/…`, `/library/…` and `/weather/…`, and forwards each to its service with a
//! token of that service. Who calls it needs none. One client serves all three, because the rules
//! say whose token goes where. Under `/health` is how each of them is, under `/metrics` what
//! Prometheus asks for.

use std::collections::BTreeMap;
use std::future::ready;
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
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokenkeeper::{Recovery, Status, TokenManager, TokenState, telemetry};
use tokenkeeper_providers::{ClientAuth, ClientCredentialsProvider};
use tokenkeeper_testkit::{FakeAuthServer, Fault, RetryAfter};
use tokenkeeper_tower::{Buffering, Route, TokenLayer, TokenRoutes, TokenService};
use tokio::net::TcpListener;
use tower::{BoxError, Layer, ServiceExt};

type TokenClient = TokenService<Client<HttpConnector, Body>, Buffering<Body>>;

struct Gateway {
    client: TokenClient,
    upstreams: BTreeMap<&'static str, Upstream>,
}

struct Upstream {
    url: String,
    tokens: TokenManager,
}

/// A process has one recorder. Managers take their counters from it when they are built, so it
/// comes first.
fn record_metrics() -> Result<PrometheusHandle, BoxError> {
    let page = PrometheusBuilder::new().install_recorder()?;
    telemetry::describe_metrics();
    Ok(page)
}

fn gateway(
    servers: &[(&'static str, &FakeAuthServer)],
    page: PrometheusHandle,
) -> Result<Router, tokenkeeper::Error> {
    let (mut upstreams, mut routes) = (BTreeMap::new(), Vec::new());
    for &(name, server) in servers {
        let provider = ClientCredentialsProvider::builder(name, &server.token_url())
            .client("client", ClientAuth::basic("secret"))
            .build()?;
        let tokens = TokenManager::new(provider);
        routes.push(Route::new(tokens.clone()).origin(server.url()));
        upstreams.insert(name, Upstream { url: server.resource_url(), tokens });
    }
    let client = TokenLayer::new(TokenRoutes::new(routes)?)
        .bodies(Buffering::new(Body::new)) // short bodies can be sent twice, uploads are streamed
        .layer(Client::builder(TokioExecutor::new()).build_http());
    Ok(Router::new()
        .route("/health", get(health))
        // To render the page is upkeep too. If it may never be asked for, spawn a task that
        // calls `page.run_upkeep()`, or its histograms grow.
        .route("/metrics", get(move || ready(page.render())))
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
        _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(), // alert an operator
    }
}

/// One line for each service, without secrets; 503 if there is one that cannot be called now.
async fn health(State(gateway): State<Arc<Gateway>>) -> (StatusCode, String) {
    let all: Vec<Status> = gateway.upstreams.values().map(|up| up.tokens.status()).collect();
    let status = match all.iter().all(serves) {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, all.iter().map(|status| format!("{status}\n")).collect())
}

/// No token has been asked for yet: that is no failure.
fn serves(status: &Status) -> bool {
    matches!(status.token_state(), TokenState::Fresh | TokenState::Due)
        || (status.last_error().is_none() && !status.needs_login())
}

pub(crate) async fn tour(out: &mut impl Write) -> Result<(), BoxError> {
    let [billing, library, weather] = [(); 3].map(|()| FakeAuthServer::start());
    weather.fail_next(10, Fault::Unavailable(Some(RetryAfter::Seconds(30))));

    let page = record_metrics()?;
    let servers = [("billing", &billing), ("library", &library), ("weather", &weather)];
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let serving = tokio::spawn(axum::serve(listener, gateway(&servers, page)?).into_future());
    let caller = reqwest::Client::new();

    let before = caller.get(format!("{url}/health")).send().await?;
    writeln!(out, "GET /health: {}\n{}", before.status(), before.text().await?)?;

    for path in ["billing/invoices", "library/books?sort=title", "weather/today"] {
        let answer = caller.get(format!("{url}/{path}")).send().await?;
        writeln!(out, "GET /{path}: {}{}", answer.status(), retry_after(&answer))?;
    }

    writeln!(out, "\nbilling revokes its tokens, and no caller sees it:")?;
    billing.revoke_all_access_tokens();
    let answer = caller.post(format!("{url}/billing/invoices")).body("an invoice").send().await?;
    let (refused, served) = (billing.stats().resource(401), billing.stats().resource(200));
    writeln!(out, "POST /billing/invoices: {}", answer.status())?;
    writeln!(
        out,
        "billing has answered {served} requests, refused {refused}, and issued {} tokens",
        billing.exchanges()
    )?;

    let after = caller.get(format!("{url}/health")).send().await?;
    writeln!(out, "\nGET /health: {}\n{}", after.status(), after.text().await?)?;

    let page = caller.get(format!("{url}/metrics")).send().await?.text().await?;
    let mut counts: Vec<_> = page.lines().filter(|line| is_worth_showing(line)).collect();
    counts.sort_unstable();
    writeln!(
        out,
        "GET /metrics: {} lines, among them\n{}",
        page.lines().count(),
        counts.join("\n")
    )?;
    serving.abort();
    Ok(())
}

fn is_worth_showing(line: &str) -> bool {
    let names = ["tokenkeeper_token_requests_total{", "tokenkeeper_token_calls_total{"];
    names.iter().any(|name| line.starts_with(name)) && !line.ends_with(" 0")
}

fn retry_after(answer: &reqwest::Response) -> String {
    let after = answer.headers().get(header::RETRY_AFTER).and_then(|after| after.to_str().ok());
    after.map(|seconds| format!(", again in {seconds} s")).unwrap_or_default()
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tour(&mut std::io::stdout()).await
}
