//! Bodies that can be sent twice.

use bytes::Bytes;
use http_body_util::{Either, Empty, Full};

/// A request body of which a copy can be made before it is sent.
///
/// Implement it for a body of your own, or let [`Buffering`](crate::Buffering) keep what is there
/// of any body.
///
/// # Contract
///
/// - The copy is the body as it is: the same bytes, the same trailers.
/// - It is asked of every request that a token goes onto, so it should cost next to nothing.
///   [`Bytes`] and [`Full<Bytes>`](Full) share their bytes; a `String` or `Vec` is copied.
pub trait ReplayBody: Sized {
    /// The copy; `None` if there can be none.
    fn try_clone(&self) -> Option<Self>;
}

macro_rules! replay_clones {
    ($($body:ty),* $(,)?) => {$(
        impl ReplayBody for $body {
            fn try_clone(&self) -> Option<Self> {
                Some(self.clone())
            }
        }
    )*};
}

replay_clones!((), Bytes, String, Vec<u8>, &'static str, &'static [u8]);

impl<D> ReplayBody for Empty<D> {
    fn try_clone(&self) -> Option<Self> {
        Some(Self::new())
    }
}

impl<D: Clone> ReplayBody for Full<D> {
    fn try_clone(&self) -> Option<Self> {
        Some(self.clone())
    }
}

impl<B: ReplayBody> ReplayBody for Option<B> {
    fn try_clone(&self) -> Option<Self> {
        match self {
            Some(body) => body.try_clone().map(Some),
            None => Some(None),
        }
    }
}

impl<L: ReplayBody, R: ReplayBody> ReplayBody for Either<L, R> {
    fn try_clone(&self) -> Option<Self> {
        match self {
            Self::Left(body) => body.try_clone().map(Self::Left),
            Self::Right(body) => body.try_clone().map(Self::Right),
        }
    }
}
