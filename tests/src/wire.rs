//! What goes over the wire between a provider and a real server.

use std::sync::Arc;

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Request, Response};
use parking_lot::Mutex;
use serde_json::Value;
use tokenkeeper::{Error, async_trait};
use tokenkeeper_providers::{BundledTransport, HttpTransport, TransportOptions};

/// The bundled transport, which also notes what was asked for and what came of it. Clones share
/// the notes.
#[derive(Clone, Debug)]
pub struct Wire {
    transport: BundledTransport,
    exchanges: Arc<Mutex<Vec<String>>>,
}

impl Wire {
    /// A wire that nothing has gone over.
    ///
    /// # Panics
    ///
    /// When this machine has no usable certificate authorities.
    #[must_use]
    pub fn new() -> Self {
        let transport = BundledTransport::new(TransportOptions::new()).expect("a transport");
        Self { transport, exchanges: Arc::default() }
    }

    /// The requests so far, as `<grant> <status>`, and ` empty` if the answer had no body.
    #[must_use]
    pub fn exchanges(&self) -> Vec<String> {
        self.exchanges.lock().clone()
    }
}

impl Default for Wire {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl HttpTransport for Wire {
    async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Error> {
        let mut form = form_urlencoded::parse(request.body());
        let grant = form.find(|(name, _)| name == "grant_type");
        let grant = grant.map_or_else(|| "other".to_owned(), |(_, grant)| grant.into_owned());
        let result = self.transport.send(request).await;
        let note = match &result {
            Ok(answer) => {
                let empty = if answer.body().is_empty() { " empty" } else { "" };
                format!("{grant} {}{empty}", answer.status().as_u16())
            }
            Err(_) => format!("{grant} unanswered"),
        };
        self.exchanges.lock().push(note);
        result
    }
}

/// The bundled transport, to which everything is missing but what has this in its path: one of the
/// documents of a server say, and not the other.
#[derive(Debug)]
pub struct OnlyPath(pub &'static str);

#[async_trait]
impl HttpTransport for OnlyPath {
    async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Error> {
        if request.uri().path().contains(self.0) {
            return Ok(send(request).await);
        }
        Ok(Response::builder().status(404).body(Vec::new()).expect("an answer"))
    }
}

/// Sends a form to a server.
///
/// # Panics
///
/// When the server does not answer.
pub async fn post_form(url: &str, authorization: &str, form: &[(&str, &str)]) -> Response<Vec<u8>> {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let request = Request::post(url)
        .header(AUTHORIZATION, authorization)
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(body.into_bytes());
    send(request.expect("a request")).await
}

/// Asks a server with GET.
///
/// # Panics
///
/// When the server does not answer in JSON.
pub async fn json_of(url: &str) -> Value {
    let request = Request::get(url).body(Vec::new());
    let answer = send(request.expect("a request")).await;
    serde_json::from_slice(answer.body()).expect("an answer in JSON")
}

async fn send(request: Request<Vec<u8>>) -> Response<Vec<u8>> {
    let transport = BundledTransport::new(TransportOptions::new()).expect("a transport");
    transport.send(request).await.expect("an answer")
}
