//! The requests that redirects ask for (RFC 9110 §15.4, and what browsers do).

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, TRANSFER_ENCODING};
use http::{HeaderName, Method, StatusCode};
use reqwest::{Request, Response};
use tokenkeeper_http::RedirectChain;

use crate::kept_request::KeptRequest;
use crate::sending::target_of;

/// The next request, without a token. `None` if this is no redirect, or one that cannot be followed.
pub(crate) fn next_request(
    chain: &mut RedirectChain,
    kept: &KeptRequest,
    response: &Response,
) -> Option<Request> {
    let (method, with_body) = method_after(response.status(), kept.method())?;
    let from = kept.url()?;
    let location = str::from_utf8(response.headers().get(LOCATION)?.as_bytes()).ok()?;
    let to = from.join(location).ok()?;
    let mut next = chain.clone();
    next.follow(
        &target_of(kept.method(), &from).ok()?,
        &target_of(&method, &to).ok()?, // neither mail nor files are followed
    );
    let mut headers = kept.headers().clone();
    if !with_body {
        PAYLOAD.iter().for_each(|name| drop(headers.remove(name)));
    }
    next.strip(&mut headers);
    let request = kept.made(method, to, headers, with_body)?;
    *chain = next;
    Some(request)
}

/// The method of the next request, and whether it has the body of this one.
fn method_after(status: StatusCode, method: &Method) -> Option<(Method, bool)> {
    match status {
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND if method == Method::POST => {
            Some((Method::GET, false))
        }
        StatusCode::SEE_OTHER if method == Method::HEAD => Some((Method::HEAD, false)),
        StatusCode::SEE_OTHER => Some((Method::GET, false)),
        StatusCode::MOVED_PERMANENTLY
        | StatusCode::FOUND
        | StatusCode::TEMPORARY_REDIRECT
        | StatusCode::PERMANENT_REDIRECT => Some((method.clone(), true)),
        _ => None,
    }
}

const PAYLOAD: [HeaderName; 4] =
    [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING, TRANSFER_ENCODING];
