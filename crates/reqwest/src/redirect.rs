//! The request that a redirect asks for (RFC 9110 §15.4, and what browsers do).

use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, LOCATION,
    PROXY_AUTHORIZATION, TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderName, Method, StatusCode};
use reqwest::{Request, Response, Url};
use tokenkeeper_http::{Attach, TokenChoice};

use crate::kept_request::KeptRequest;
use crate::sending::target_of;

/// The next request, without a token, and what it says about one. `None` if this is no redirect, or
/// one that cannot be followed.
pub(crate) fn follow(
    attach: &Attach,
    kept: &KeptRequest,
    response: &Response,
    choice: &TokenChoice,
) -> Option<(Request, TokenChoice)> {
    let (method, with_body) = method_after(response.status(), kept.method())?;
    let from = kept.url()?;
    let location = str::from_utf8(response.headers().get(LOCATION)?.as_bytes()).ok()?;
    let to = from.join(location).ok()?;
    let mut headers = kept.headers().clone();
    if !with_body {
        leave_behind(&mut headers, PAYLOAD);
    }
    if from.origin() != to.origin() {
        leave_behind(&mut headers, PRIVATE);
        attach.headers().for_each(|header| drop(headers.remove(header)));
    }
    let choice = choice_after(attach, kept.method(), (&from, &to), choice)?;
    Some((kept.made(method, to, headers, with_body)?, choice))
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

fn choice_after(
    attach: &Attach,
    method: &Method,
    (from, to): (&Url, &Url),
    choice: &TokenChoice,
) -> Option<TokenChoice> {
    // Neither mail nor files are followed, because they have no target.
    let (from, to) = (target_of(method, from).ok()?, target_of(method, to).ok()?);
    Some(match choice {
        _ if !attach.knows(&from) => TokenChoice::Without,
        TokenChoice::Of(_) if !attach.on_one_route(&from, &to) => TokenChoice::OfRoute,
        choice => choice.clone(),
    })
}

fn leave_behind<const N: usize>(headers: &mut HeaderMap, names: [HeaderName; N]) {
    names.iter().for_each(|name| drop(headers.remove(name)));
}

const PAYLOAD: [HeaderName; 4] =
    [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING, TRANSFER_ENCODING];
/// What is meant for one origin.
const PRIVATE: [HeaderName; 4] = [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, HOST];
