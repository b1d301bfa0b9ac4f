//! What has to be known of a request after the client has taken it.
//!
//! A clone of the whole request would be allocated for each one, and hardly any is sent twice. So
//! URL and headers are copied into what earlier requests left, and a body is shared.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Version};
use http_body::Body as _;
use reqwest::{Body, Request, Response, Url};
use tokenkeeper::{Clock, SystemClock};
use tokenkeeper_http::{HeaderCopy, SpareHeaders};

use crate::spare_urls::{SpareUrls, UrlCopy};

/// Where copies of requests go, and come from again. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spares {
    headers: SpareHeaders,
    urls: SpareUrls,
}

/// A request as it was before it had a token.
pub(crate) struct KeptRequest {
    method: Method,
    url: UrlCopy,
    headers: HeaderCopy,
    body: KeptBody,
    version: Version,
    time_left: Option<Duration>,
}

enum KeptBody {
    None,
    Bytes(Bytes),
    /// It went with the first attempt.
    Stream,
}

impl KeptRequest {
    pub(crate) fn of(request: &mut Request, spares: &Spares) -> Self {
        Self {
            method: request.method().clone(),
            url: spares.urls.copy_of(request.url().as_str()),
            headers: spares.headers.copy_of(request.headers()),
            body: KeptBody::share(request.body_mut()),
            version: request.version(),
            time_left: request.timeout().copied(),
        }
    }

    /// Executes the request that was kept, or one that was made of it. The time that passes is
    /// taken off what is left for further ones.
    pub(crate) async fn timed<T>(&mut self, execution: impl Future<Output = T>) -> T {
        let Some(left) = self.time_left else { return execution.await };
        let started = SystemClock.now();
        let outcome = execution.await;
        self.time_left = Some(left.saturating_sub(SystemClock.now().since(&started)));
        outcome
    }

    /// Whether the request can be sent again as it was, in the time that is left.
    pub(crate) fn can_be_repeated(&self) -> bool {
        !matches!(self.body, KeptBody::Stream) && !self.time_is_up()
    }

    pub(crate) fn time_is_up(&self) -> bool {
        self.time_left.is_some_and(|left| left.is_zero())
    }

    pub(crate) fn method(&self) -> &Method {
        &self.method
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.headers.headers()
    }

    /// The URL, read anew: a rare request is worth an allocation.
    pub(crate) fn url(&self) -> Option<Url> {
        Url::parse(&self.url).ok()
    }

    /// The request once more, with these headers.
    pub(crate) fn again(&self, headers: HeaderMap) -> Option<Request> {
        self.made(self.method.clone(), self.url()?, headers, true)
    }

    /// Another request in its place. `None` if the body is wanted and gone.
    pub(crate) fn made(
        &self,
        method: Method,
        url: Url,
        headers: HeaderMap,
        with_body: bool,
    ) -> Option<Request> {
        let mut request = Request::new(method, url);
        *request.headers_mut() = headers;
        *request.version_mut() = self.version;
        *request.timeout_mut() = self.time_left;
        if with_body {
            *request.body_mut() = match &self.body {
                KeptBody::None => None,
                KeptBody::Bytes(bytes) => Some(bytes.clone().into()),
                KeptBody::Stream => return None,
            };
        }
        Some(request)
    }

    /// Whether the answer came from the URL that was asked.
    pub(crate) fn has_url_of(&self, response: &Response) -> bool {
        let url = response.url().as_str();
        // Fragments are not sent, and a middleware that answers by itself names no URL.
        without_fragment(url) == without_fragment(&self.url) || url == NO_URL
    }

    /// Whether the answer came from the origin that was asked.
    pub(crate) fn has_origin_of(&self, response: &Response) -> bool {
        self.has_url_of(response)
            || self.url().is_some_and(|asked| asked.origin() == response.url().origin())
    }
}

impl KeptBody {
    /// Takes bytes out of the body, without a copy, and puts them back.
    fn share(body: &mut Option<Body>) -> Self {
        let Some(whole) = body else { return Self::None };
        if whole.as_bytes().is_none() {
            return Self::Stream;
        }
        let mut cx = Context::from_waker(Waker::noop());
        // A body that is not a stream has all of its bytes in its first frame.
        let bytes = match Pin::new(whole).poll_frame(&mut cx) {
            Poll::Ready(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
            _ => Bytes::new(),
        };
        *body = Some(bytes.clone().into());
        Self::Bytes(bytes)
    }
}

fn without_fragment(url: &str) -> &str {
    url.split_once('#').map_or(url, |(before, _)| before)
}

const NO_URL: &str = "http://no.url.provided.local/"; // what reqwest says of a response without one
