//! One request and its whole answer on any client of `reqwest`: what the bundled transport and that
//! of `tokenkeeper-reqwest` have in common. Not part of the API.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use tokenkeeper::{Error, ErrorKind};
use tokio::runtime::Handle;
use zeroize::Zeroizing;

use crate::answer::LONGEST_ANSWER;
use crate::endpoint_url::{config_error, is_loopback};

/// Sends a request as the contract of [`HttpTransport`](crate::HttpTransport) demands, if the client
/// does its part: no redirects, no retries, a time limit if none is given here.
///
/// # Errors
///
/// If there is no complete answer, or if it came from elsewhere, because the client was redirected.
pub async fn exchange(
    client: &reqwest::Client,
    request: Request<Vec<u8>>,
    timeout: Option<Duration>,
    allow_http: bool,
) -> Result<Response<Vec<u8>>, Error> {
    if Handle::try_current().is_err() {
        return Err(config_error("runtime", "await this in a tokio runtime, as `reqwest` demands"));
    }
    let host = request.uri().authority().map_or("", |authority| authority.as_str()).to_owned();
    // From here on the body is overwritten when the last part of the client lets go of it.
    let request = request.map(|body| reqwest::Body::from(Bytes::from_owner(Zeroizing::new(body))));
    let mut request = reqwest::Request::try_from(request)
        .map_err(|_| config_error("URL", "is not one that can be asked"))?;
    let url = request.url().clone();
    if !(url.scheme() == "https" || allow_http || is_loopback(&url)) {
        let what = "plain http is refused, because secrets are sent; it is for loopback hosts \
                    and danger_allow_http()";
        return Err(config_error("URL", what));
    }
    if timeout.is_some() {
        *request.timeout_mut() = timeout;
    }
    let mut answer = client.execute(request).await.map_err(|cause| failed(&host, cause))?;
    if *answer.url() != url {
        return Err(redirected(&host));
    }
    let mut body = Zeroizing::new(Vec::new());
    while let Some(part) = answer.chunk().await.map_err(|cause| cut_off(&host, cause))? {
        if body.len() + part.len() > LONGEST_ANSWER {
            return Err(too_long(&host, answer.status()));
        }
        append(&mut body, &part);
    }
    let mut response = Response::new(std::mem::take(&mut *body));
    *response.status_mut() = answer.status();
    *response.headers_mut() = std::mem::take(answer.headers_mut());
    Ok(response)
}

/// Grows without leaving copies of the answer in freed memory.
fn append(body: &mut Zeroizing<Vec<u8>>, part: &[u8]) {
    let needed = body.len() + part.len();
    if needed > body.capacity() {
        let mut grown = Zeroizing::new(Vec::with_capacity(needed.max(body.capacity() * 2)));
        grown.extend_from_slice(body);
        *body = grown;
    }
    body.extend_from_slice(part);
}

/// A connection that could not be made is the one failure after which nothing was sent for sure.
fn failed(host: &str, cause: reqwest::Error) -> Error {
    if cause.is_connect() {
        let what = format!("could not connect to {host} ({})", innermost(&cause));
        return Error::new(ErrorKind::Transport, what).with_source(cause.without_url());
    }
    if cause.is_builder() {
        let what = "the request cannot be sent as it is";
        return Error::new(ErrorKind::Config, what).with_source(cause.without_url());
    }
    if cause.is_redirect() {
        return redirected(host); // behind the cause is another error, with a URL of its own
    }
    let what = if cause.is_timeout() {
        format!("{host} did not answer in time")
    } else {
        format!("the connection to {host} broke before the answer was there")
    };
    Error::new(ErrorKind::Transport, what).with_answer_lost().with_source(cause.without_url())
}

/// Why in the end: connection refused, name not known, certificate of a stranger.
fn innermost(cause: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = cause;
    while let Some(next) = cause.source() {
        cause = next;
    }
    // The outermost one has the URL in it, with its query.
    if cause.is::<reqwest::Error>() { "no reason is known".to_owned() } else { cause.to_string() }
}

fn redirected(host: &str) -> Error {
    let what = format!(
        "the HTTP client followed a redirect of {host}, which may have sent the secrets elsewhere"
    );
    Error::new(ErrorKind::RequestRejected, what)
        .with_advice("use a client that follows no redirects, and the URL that it is redirected to")
        .with_answer_lost()
}

fn cut_off(host: &str, cause: reqwest::Error) -> Error {
    let what = format!("the answer of {host} was cut off");
    Error::new(ErrorKind::Transport, what).with_answer_lost().with_source(cause.without_url())
}

fn too_long(host: &str, status: StatusCode) -> Error {
    let what = format!("the answer of {host} is longer than 1 MiB");
    Error::new(ErrorKind::InvalidResponse, what).with_answer_lost().with_status(status)
}
