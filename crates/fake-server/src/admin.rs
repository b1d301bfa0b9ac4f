//! The admin endpoint: what a test says to the server, and not to a client of it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokenkeeper_testkit::FakeAuthServer;
use tokio::net::TcpListener;

use crate::clock::MovedClock;
use crate::command::{self, COMMANDS};

/// What commands act on.
#[derive(Debug)]
pub(crate) struct Admin {
    pub(crate) server: Arc<FakeAuthServer>,
    pub(crate) clock: MovedClock,
}

/// Serves from now on, and gives the address.
pub(crate) async fn start(address: SocketAddr, admin: Admin) -> Result<SocketAddr> {
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen at {address}; --admin-port chooses another port")
    })?;
    let address = listener.local_addr()?;
    let admin = Arc::new(admin);
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let admin = Arc::clone(&admin);
            tokio::spawn(async move {
                let service = service_fn(move |request| answer(Arc::clone(&admin), request));
                // An error here is a client that left.
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    Ok(address)
}

async fn answer(
    admin: Arc<Admin>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, LARGEST_BODY).collect().await else {
        return Ok(json_answer(StatusCode::PAYLOAD_TOO_LARGE, &error("the body is too large")));
    };
    let is_json = parts
        .headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.to_str().is_ok_and(|text| text.starts_with("application/json")));
    let path = parts.uri.path().trim_matches('/');
    let (status, body) = match (&parts.method, path) {
        (&Method::GET, "") => (StatusCode::OK, json!({ "get": ["counters"], "post": COMMANDS })),
        (&Method::GET, "counters") => (StatusCode::OK, command::counters(&admin)),
        // A page in a browser cannot send this type without asking first, and is refused then.
        (&Method::POST, _) if !is_json => {
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, error("content-type must be application/json"))
        }
        (&Method::POST, name) => match command::run(&admin, name, &body.to_bytes()) {
            Some(Ok(done)) => (StatusCode::OK, done),
            Some(Err(why)) => (StatusCode::BAD_REQUEST, error(&why)),
            None => (StatusCode::NOT_FOUND, error("no such command; GET / lists them")),
        },
        _ => (StatusCode::NOT_FOUND, error("no such command; GET / lists them")),
    };
    Ok(json_answer(status, &body))
}

fn error(why: &str) -> Value {
    json!({ "ok": false, "error": why })
}

fn json_answer(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = status;
    let json = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

const LARGEST_BODY: usize = 64 * 1024;
