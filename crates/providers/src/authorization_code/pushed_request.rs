//! Pushed authorization requests (RFC 9126): what a login asks for goes to the server directly, and
//! the browser gets a reference that is good once.

use std::time::{Duration, SystemTime};

use tokenkeeper::{Error, ErrorKind, Secret};
use url::Url;

use crate::endpoint_request::Caller;
use crate::endpoint_url::EndpointUrl;
use crate::lifetime::seconds;
use crate::members::Members;
use crate::refusal::Purpose;
use crate::token_endpoint::TokenEndpoint;

/// A request that the server keeps.
pub(super) struct PushedRequest {
    pub(super) request_uri: Secret,
    pub(super) ends_at: Option<SystemTime>,
}

/// Posts the request. `now` is from before it was sent.
pub(super) async fn push(
    endpoint: &TokenEndpoint,
    url: &EndpointUrl,
    form: &[(&str, &str)],
    secrets: Vec<&Secret>,
    now: SystemTime,
) -> Result<PushedRequest, Error> {
    let purpose = Purpose::Other("take a pushed authorization request (PAR, RFC 9126)");
    let caller = Caller {
        client_id: &endpoint.client_id,
        auth: &endpoint.auth,
        audience: endpoint.audience(url),
    };
    let body =
        endpoint.request(url, purpose, secrets).post(caller, form).await.map_err(|error| {
            match error.kind() {
            ErrorKind::CredentialsRejected | ErrorKind::RequestRejected => error.with_advice(
                "correct what the server refuses; if it takes no pushed requests from this client, \
                 call without_pushed_requests() on the builder",
            ),
            _ => error,
        }
        })?;
    read(&body, now).map_err(|why| {
        let what =
            format!("the answer of {} to the pushed authorization request {why}", url.host());
        let error = Error::new(ErrorKind::InvalidResponse, what);
        let advice = "check that the URL is that of pushed authorization requests (RFC 9126)";
        endpoint.located(error.with_advice(advice))
    })
}

fn read(body: &[u8], now: SystemTime) -> Result<PushedRequest, &'static str> {
    let mut members = Members::read(body).ok_or("is neither a JSON object nor a form")?;
    let request_uri = members.take_text("request_uri").map(Secret::from);
    let request_uri = request_uri.ok_or("has no `request_uri`")?;
    let text = request_uri.expose_secret();
    let is_sendable = text.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_sendable || Url::parse(text).is_err() {
        return Err("has a `request_uri` that is no URI");
    }
    // It is REQUIRED, and a secondary field: without it the reference is as good.
    let lifetime = members.take("expires_in").and_then(|value| seconds(&value, 1));
    let ends_at = lifetime.and_then(|life| now.checked_add(Duration::from_secs(life)));
    Ok(PushedRequest { request_uri, ends_at })
}
