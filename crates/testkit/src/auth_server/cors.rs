//! Answers that scripts of other origins may read (the CORS protocol of the Fetch standard).

use http::{HeaderName, HeaderValue, Method, StatusCode, header};

use super::answer::Answer;
use super::config::Config;
use super::endpoint::Endpoint;
use super::received_request::ReceivedRequest;

/// The answer to a browser that asks before it sends what the script wants.
pub(super) fn preflight(
    config: &Config,
    endpoint: Option<Endpoint>,
    request: &ReceivedRequest,
) -> Option<Answer> {
    let asks = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if !asks || !is_for_scripts(config, endpoint?) {
        return None;
    }
    let wanted = request.headers().get(header::ACCESS_CONTROL_REQUEST_HEADERS);
    let wanted = wanted.map(HeaderValue::to_str).and_then(Result::ok).unwrap_or("authorization");
    let answer = Answer::empty(StatusCode::NO_CONTENT)
        .with(header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST")
        .with(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted);
    Some(open(answer))
}

pub(super) fn allow(config: &Config, endpoint: Endpoint, answer: Answer) -> Answer {
    if is_for_scripts(config, endpoint) { open(answer) } else { answer }
}

fn open(answer: Answer) -> Answer {
    answer
        .with(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")
        .with(header::ACCESS_CONTROL_EXPOSE_HEADERS, "DPoP-Nonce, Retry-After, WWW-Authenticate")
        .with(HeaderName::from_static("cross-origin-resource-policy"), "cross-origin")
}

/// Pages that people look at are for no script (RFC 9700 §2.6).
fn is_for_scripts(config: &Config, endpoint: Endpoint) -> bool {
    let is_page = matches!(endpoint, Endpoint::Authorization | Endpoint::DevicePage);
    config.allows_cors && !is_page
}
