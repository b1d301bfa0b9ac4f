//! The two ways of keeping a body for a second attempt.

use crate::replay_body::ReplayBody;

/// How a body is kept for a second attempt: [`Cloning`] or [`Buffering`](crate::Buffering).
pub trait KeepBody<B>: Clone + sealed::Sealed {
    /// What is kept until the answer is there.
    type Kept;

    /// The body to send, and what it can be made of again if it has to be sent once more.
    fn keep(&self, body: B) -> (B, Option<Self::Kept>);

    /// The body of the second attempt.
    fn restore(&self, kept: Self::Kept) -> B;
}

/// Keeps a copy of bodies that say how, by [`ReplayBody`]. This is what a new
/// [`TokenLayer`](crate::TokenLayer) does.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cloning(());

impl Cloning {
    pub(crate) const fn new() -> Self {
        Self(())
    }
}

impl<B: ReplayBody> KeepBody<B> for Cloning {
    type Kept = B;

    fn keep(&self, body: B) -> (B, Option<B>) {
        let copy = body.try_clone();
        (body, copy)
    }

    fn restore(&self, kept: B) -> B {
        kept
    }
}

impl sealed::Sealed for Cloning {}

pub(crate) mod sealed {
    pub trait Sealed {}
}
