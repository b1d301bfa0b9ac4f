//! The requests that redirects ask for (RFC 9110 §15.4, and what browsers do).

use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, LOCATION,
    PROXY_AUTHORIZATION, TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderName, Method, StatusCode};
use reqwest::{Request, Response, Url};
use tokenkeeper_http::{TokenChoice, TokenRoutes};

use crate::kept_request::KeptRequest;
use crate::sending::target_of;

/// Whose token each request of a chain of redirects gets.
pub(crate) struct Hops {
    /// What the request that it began with said, and where that went, once there are more.
    chosen: TokenChoice,
    began: Option<Url>,
    met_stranger: bool,
}

impl Hops {
    pub(crate) fn new(chosen: TokenChoice) -> Self {
        Self { chosen, began: None, met_stranger: false }
    }

    /// Whether a request was sent before the one that is next.
    pub(crate) fn are_under_way(&self) -> bool {
        self.began.is_some()
    }

    /// The next request, without a token. `None` if this is no redirect, or one that cannot be
    /// followed.
    pub(crate) fn follow(
        &mut self,
        routes: &TokenRoutes,
        kept: &KeptRequest,
        response: &Response,
    ) -> Option<Request> {
        let (method, with_body) = method_after(response.status(), kept.method())?;
        let from = kept.url()?;
        let location = str::from_utf8(response.headers().get(LOCATION)?.as_bytes()).ok()?;
        let to = from.join(location).ok()?;
        target_of(&method, &to).ok()?; // neither mail nor files are followed
        let mut headers = kept.headers().clone();
        if !with_body {
            leave_behind(&mut headers, PAYLOAD);
        }
        if from.origin() != to.origin() {
            leave_behind(&mut headers, PRIVATE);
            routes.headers().for_each(|header| drop(headers.remove(header)));
        }
        self.met_stranger |= !target_of(&method, &from).is_ok_and(|from| routes.knows(&from));
        let next = kept.made(method, to, headers, with_body)?;
        self.began.get_or_insert(from);
        Some(next)
    }

    /// What a request says about its token.
    pub(crate) fn choice_for(&self, routes: &TokenRoutes, request: &Request) -> TokenChoice {
        match (&self.began, &self.chosen) {
            (None, chosen) => chosen.clone(),
            _ if self.met_stranger => TokenChoice::Without,
            (Some(began), TokenChoice::Of(_)) if !on_one_route(routes, began, request.url()) => {
                TokenChoice::OfRoute
            }
            (_, chosen) => chosen.clone(),
        }
    }
}

fn on_one_route(routes: &TokenRoutes, one: &Url, other: &Url) -> bool {
    match (target_of(&Method::GET, one), target_of(&Method::GET, other)) {
        (Ok(one), Ok(other)) => routes.on_one_route(&one, &other),
        _ => false,
    }
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

fn leave_behind<const N: usize>(headers: &mut HeaderMap, names: [HeaderName; N]) {
    names.iter().for_each(|name| drop(headers.remove(name)));
}

const PAYLOAD: [HeaderName; 4] =
    [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING, TRANSFER_ENCODING];
/// What is meant for one origin.
const PRIVATE: [HeaderName; 4] = [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, HOST];
