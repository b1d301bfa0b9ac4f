//! One request and its whole answer on any client of `reqwest`: what the bundled transport and that
//! of `tokenkeeper-reqwest` have in common. Not part of the API.

use std::error::Error as StdError;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use tokenkeeper::{Error, ErrorKind};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout};
use zeroize::Zeroizing;

use crate::answer::LONGEST_ANSWER;
use crate::endpoint_url::{config_error, is_loopback};

/// Sends a request as the contract of [`HttpTransport`](crate::HttpTransport) demands, if the client
/// does its part: no redirects and no retries.
///
/// `limit` is the time for all of it, in the place of the client's own, which ends a request although
/// its answer is there: after the process stood still, a timer is looked at before the socket is.
/// Without a limit, the client's own holds.
///
/// # Errors
///
/// If there is no complete answer, or if it came from elsewhere, because the client was redirected.
pub async fn exchange(
    client: &reqwest::Client,
    request: Request<Vec<u8>>,
    limit: Option<Duration>,
    allow_http: bool,
) -> Result<Response<Vec<u8>>, Error> {
    if Handle::try_current().is_err() {
        let what = "there is none, and the HTTP client needs one";
        return Err(
            config_error("tokio runtime", what).with_advice("await this in a tokio runtime")
        );
    }
    let host = request.uri().authority().map_or("", |authority| authority.as_str()).to_owned();
    // From here on the body is overwritten when the last part of the client lets go of it.
    let request = request.map(|body| reqwest::Body::from(Bytes::from_owner(Zeroizing::new(body))));
    let mut request = reqwest::Request::try_from(request)
        .map_err(|_| config_error("URL", "is not one that can be asked"))?;
    let url = request.url();
    if !(url.scheme() == "https" || allow_http || is_loopback(url)) {
        let what = "plain http is refused, because secrets are sent; it is for loopback hosts \
                    and danger_allow_http()";
        return Err(config_error("URL", what).with_advice("use https"));
    }
    let Some(limit) = limit else {
        return answer_to(client, request, &host).await;
    };
    *request.timeout_mut() = Some(limit.saturating_add(NEVER));
    let answer = within(limit, answer_to(client, request, &host)).await;
    answer.unwrap_or_else(|| Err(late(&host, limit)))
}

async fn answer_to(
    client: &reqwest::Client,
    request: reqwest::Request,
    host: &str,
) -> Result<Response<Vec<u8>>, Error> {
    let url = request.url().clone();
    let mut answer = client.execute(request).await.map_err(|cause| failed(host, cause))?;
    if *answer.url() != url {
        return Err(redirected(host));
    }
    let mut body = Zeroizing::new(Vec::new());
    while let Some(part) = answer.chunk().await.map_err(|cause| cut_off(host, cause))? {
        if body.len() + part.len() > LONGEST_ANSWER {
            return Err(too_long(host, answer.status()));
        }
        append(&mut body, &part);
    }
    let mut response = Response::new(std::mem::take(&mut *body));
    *response.status_mut() = answer.status();
    *response.headers_mut() = std::mem::take(answer.headers_mut());
    Ok(response)
}

/// What comes of the work in this time. A process that stood still meanwhile has not looked at what
/// came, so it gets the time to; the limit of a manager does not end it before that.
async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let started = Instant::now();
    let mut work = pin!(work);
    if let Ok(done) = timeout(limit, &mut work).await {
        return Some(done);
    }
    if started.elapsed() < limit.saturating_add(STOOD_STILL) {
        return None;
    }
    timeout(LAST_LOOK, work).await.ok()
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
    if is_of_proxy(&cause) {
        return proxy_refused(host).with_source(cause.without_url());
    }
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

/// Whether a proxy wants other credentials before it lets a connection through: hyper says it in
/// words alone.
fn is_of_proxy(cause: &reqwest::Error) -> bool {
    let mut cause: Option<&dyn StdError> = Some(cause);
    while let Some(error) = cause {
        if !error.is::<reqwest::Error>() && error.to_string().ends_with(PROXY_REFUSED) {
            return true;
        }
        cause = error.source();
    }
    false
}

fn proxy_refused(host: &str) -> Error {
    let what = format!("a proxy on the way to {host} refused its credentials");
    let status = StatusCode::PROXY_AUTHENTICATION_REQUIRED;
    Error::new(ErrorKind::ProxyRejected, what).with_status(status)
}

fn late(host: &str, limit: Duration) -> Error {
    let what = format!("{host} did not answer in time, which is {} s", limit.as_secs_f64());
    Error::new(ErrorKind::Transport, what).with_answer_lost()
}

/// Why in the end: connection refused, name not known, a certificate that is not trusted.
pub(crate) fn innermost(cause: &reqwest::Error) -> String {
    let mut cause: &dyn StdError = cause;
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

const PROXY_REFUSED: &str = "proxy authorization required"; // hyper-util, for a 407 to a CONNECT
const NEVER: Duration = Duration::from_secs(24 * 60 * 60);
const STOOD_STILL: Duration = Duration::from_millis(250); // a timer is not that late otherwise
const LAST_LOOK: Duration = Duration::from_secs(2); // to read an answer that has come
