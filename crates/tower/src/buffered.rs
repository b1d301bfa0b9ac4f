//! Bodies of which nobody knows whether they are a few bytes or a stream without an end.
//!
//! `axum::body::Body`, `tonic::body::Body` and other boxed bodies do not say. What a caller has
//! already put into one is there at the first look, so that is taken out and kept; whatever would
//! have to be waited for is not.

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use crate::keep_body::{KeepBody, sealed};

/// Keeps what is there of any body, for [`TokenLayer::bodies`](crate::TokenLayer::bodies).
///
/// Before a request is sent, it takes out of the body what is ready, without waiting, until the
/// body has ended or the limit is passed. A body that has ended can be sent again. Any other is a
/// stream: what was taken out goes first, the rest follows as it comes, and if the token turns out
/// to be rejected the caller gets the 401. So does a gateway's caller whose body arrived later than
/// its head; where that matters, read short bodies before they come here, with
/// `http_body_util::Limited` for instance.
///
/// It is made with the function that makes a body of the client's type out of a [`Buffered`] one:
/// `Buffering::new(axum::body::Body::new)`, `Buffering::new(tonic::body::Body::new)`,
/// `Buffering::new(BoxBody::new)`. That function most often allocates, once for each body that is
/// not empty.
pub struct Buffering<B: Body> {
    wrap: fn(Buffered<B>) -> B,
    limit: usize,
}

impl<B: Body> Buffering<B> {
    /// Keeps bodies of up to 64 KiB.
    pub const fn new(wrap: fn(Buffered<B>) -> B) -> Self {
        Self { wrap, limit: DEFAULT_LIMIT }
    }

    /// The longest body that is kept, in bytes. So much memory a request may hold until its answer
    /// is there.
    ///
    /// # Default
    ///
    /// 64 KiB.
    #[must_use]
    pub const fn with_limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }
}

impl<B> KeepBody<B> for Buffering<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    type Kept = Whole;

    fn keep(&self, body: B) -> (B, Option<Whole>) {
        if body.is_end_stream() {
            return (body, Some(Whole { data: Bytes::new(), trailers: None }));
        }
        let body = Buffered::collect(body, self.limit);
        let whole = body.whole();
        ((self.wrap)(body), whole)
    }

    fn restore(&self, kept: Whole) -> B {
        (self.wrap)(Buffered { data: kept.data, trailers: kept.trailers, rest: Rest::Ended })
    }
}

impl<B: Body> sealed::Sealed for Buffering<B> {}

impl<B: Body> Clone for Buffering<B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B: Body> Copy for Buffering<B> {}

impl<B: Body> fmt::Debug for Buffering<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffering").field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// A body that ended while it was looked at.
#[derive(Clone)]
pub struct Whole {
    data: Bytes,
    trailers: Option<HeaderMap>,
}

impl fmt::Debug for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Whole").field("bytes", &self.data.len()).finish_non_exhaustive()
    }
}

/// A body whose beginning was taken out already. It gives that first, in one piece, and then the
/// rest as it comes: data, trailers and errors.
pub struct Buffered<B: Body> {
    data: Bytes,
    trailers: Option<HeaderMap>,
    rest: Rest<B, B::Error>,
}

enum Rest<B, E> {
    Ended,
    Failed(E),
    Stream(B),
}

impl<B> Buffered<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    /// Takes out what is there.
    ///
    /// A body that is not ready wants to wake somebody; it is asked again, with the right waker,
    /// before anybody waits for it.
    fn collect(mut body: B, limit: usize) -> Self {
        let mut cx = Context::from_waker(Waker::noop());
        let (mut data, mut trailers) = (Joined::default(), None);
        let mut frames = 0;
        let rest = loop {
            if data.len() > limit || frames == MOST_FRAMES {
                break Rest::Stream(body);
            }
            // One of hyper's with a known length is at its end before it is ready to say so.
            if body.is_end_stream() {
                break Rest::Ended;
            }
            frames += 1;
            match Pin::new(&mut body).poll_frame(&mut cx) {
                Poll::Pending => break Rest::Stream(body),
                Poll::Ready(None) => break Rest::Ended,
                Poll::Ready(Some(Err(error))) => break Rest::Failed(error),
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(bytes) => data.push(bytes),
                    Err(frame) => {
                        trailers = frame.into_trailers().ok();
                        break Rest::Ended;
                    }
                },
            }
        };
        Self { data: data.into_bytes(), trailers, rest }
    }

    fn whole(&self) -> Option<Whole> {
        matches!(self.rest, Rest::Ended)
            .then(|| Whole { data: self.data.clone(), trailers: self.trailers.clone() })
    }
}

impl<B> Body for Buffered<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if !self.data.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(mem::take(&mut self.data)))));
        }
        if let Rest::Stream(body) = &mut self.rest {
            return Pin::new(body).poll_frame(cx);
        }
        if let Rest::Failed(error) = mem::replace(&mut self.rest, Rest::Ended) {
            return Poll::Ready(Some(Err(error)));
        }
        Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_empty()
            && self.trailers.is_none()
            && match &self.rest {
                Rest::Ended => true,
                Rest::Failed(_) => false,
                Rest::Stream(body) => body.is_end_stream(),
            }
    }

    fn size_hint(&self) -> SizeHint {
        let there = self.data.len() as u64;
        let mut hint = SizeHint::new();
        match &self.rest {
            // With an exact size HTTP/1.1 has no place for trailers (RFC 9112 §7.1.2).
            Rest::Ended if self.trailers.is_none() => hint.set_exact(there),
            Rest::Ended | Rest::Failed(_) => hint.set_lower(there),
            Rest::Stream(body) => {
                let rest = body.size_hint();
                hint.set_lower(there.saturating_add(rest.lower()));
                if let Some(upper) = rest.upper() {
                    hint.set_upper(there.saturating_add(upper));
                }
            }
        }
        hint
    }
}

/// Only the rest is ever pinned.
impl<B: Body + Unpin> Unpin for Buffered<B> {}

impl<B: Body> fmt::Debug for Buffered<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffered")
            .field("bytes", &self.data.len())
            .field("is_stream", &matches!(self.rest, Rest::Stream(_)))
            .finish_non_exhaustive()
    }
}

/// Pieces that become one. The first is not copied, and most often it is the only one.
#[derive(Default)]
struct Joined {
    first: Bytes,
    more: BytesMut,
}

impl Joined {
    fn len(&self) -> usize {
        self.first.len() + self.more.len()
    }

    fn push(&mut self, bytes: Bytes) {
        if self.first.is_empty() && self.more.is_empty() {
            self.first = bytes;
            return;
        }
        self.more.extend_from_slice(&mem::take(&mut self.first));
        self.more.extend_from_slice(&bytes);
    }

    fn into_bytes(self) -> Bytes {
        if self.more.is_empty() { self.first } else { self.more.freeze() }
    }
}

const DEFAULT_LIMIT: usize = 64 * 1024; // messages and forms; uploads are streams
const MOST_FRAMES: usize = 1024; // a body may be always ready, with frames of nothing
