//! What the server answers, and how much of it arrives.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use hyper::body::{Body, Frame};
use serde_json::{Value, json};

/// A whole answer, before a fault may spoil it.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Answer {
    pub(super) fn new(status: StatusCode, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
            .with(header::CONTENT_TYPE, content_type)
    }

    pub(super) fn empty(status: StatusCode) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new() }
    }

    /// JSON that no cache may keep (RFC 6749 §5.1).
    pub(super) fn json(status: StatusCode, value: &Value) -> Self {
        Self::new(status, "application/json", value.to_string())
            .with(header::CACHE_CONTROL, "no-store")
            .with(header::PRAGMA, "no-cache")
    }

    /// An error object (RFC 6749 §5.2).
    pub(super) fn oauth_error(status: StatusCode, code: &str, description: &str) -> Self {
        Self::json(status, &json!({"error": code, "error_description": sayable(description)}))
    }

    /// 400 with an error object.
    pub(super) fn refusal(code: &str, description: &str) -> Self {
        Self::oauth_error(StatusCode::BAD_REQUEST, code, description)
    }

    /// Adds a header; what cannot be one is left out.
    pub(super) fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    pub(super) fn with_body(mut self, body: &[u8]) -> Self {
        self.body = Bytes::copy_from_slice(body);
        self
    }

    /// Adds a header of any name; what cannot be one is left out.
    pub(super) fn with_parsed(self, name: &str, value: &str) -> Self {
        match HeaderName::from_bytes(name.as_bytes()) {
            Ok(name) => self.with(name, value),
            Err(_) => self,
        }
    }

    pub(super) fn body(&self) -> &Bytes {
        &self.body
    }

    pub(super) fn whole(self) -> Response<AnswerBody> {
        let length = self.body.len();
        let body = AnswerBody { chunks: VecDeque::from([self.body]), filler: 0, end: End::Whole };
        response(self.status, self.headers, Some(length), body)
    }

    /// Announces the whole length, sends half of it and closes the connection.
    pub(super) fn truncated(mut self) -> Response<AnswerBody> {
        let length = self.body.len().max(2);
        self.body.truncate(self.body.len() / 2);
        let body = AnswerBody { chunks: VecDeque::from([self.body]), filler: 0, end: End::Flush };
        response(self.status, self.headers, Some(length), body)
    }

    /// Sends the body and then so many more bytes, without announcing a length.
    pub(super) fn followed_by(self, filler: usize) -> Response<AnswerBody> {
        let body = AnswerBody { chunks: VecDeque::from([self.body]), filler, end: End::Whole };
        response(self.status, self.headers, None, body)
    }
}

/// What an error description may hold (RFC 6749 §5.2, RFC 6750 §3).
pub(super) fn sayable(text: &str) -> String {
    let is_sayable = |c: &char| (' '..='~').contains(c) && !['"', '\\'].contains(c);
    text.chars().map(|c| if is_sayable(&c) { c } else { '?' }).collect()
}

fn response(
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    length: Option<usize>,
    body: AnswerBody,
) -> Response<AnswerBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().extend(headers);
    if let Some(length) = length {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    response
}

/// The bytes of an answer, as far as they are sent.
#[derive(Debug)]
pub(super) struct AnswerBody {
    chunks: VecDeque<Bytes>,
    filler: usize,
    end: End,
}

#[derive(Debug)]
enum End {
    Whole,
    /// One pause before the cut, in which hyper writes out what it has.
    Flush,
    Cut,
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if let Some(chunk) = self.chunks.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        if self.filler > 0 {
            let length = self.filler.min(FILLER.len());
            self.filler -= length;
            let chunk = Bytes::from_static(FILLER).slice(..length);
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        match self.end {
            End::Whole => Poll::Ready(None),
            End::Flush => {
                self.end = End::Cut;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            End::Cut => Poll::Ready(Some(Err(Cut))),
        }
    }
}

/// Makes hyper close the connection.
#[derive(Debug)]
pub(super) struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is cut on purpose")
    }
}

impl std::error::Error for Cut {}

static FILLER: &[u8] = &[b'a'; 64 * 1024];
