//! How a token goes onto a request, and what its service means by a refusal.

use std::fmt::Debug;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, StatusCode};
use tokenkeeper::{AccessToken, Error};

use crate::challenge;
use crate::target::Target;

/// How a token goes onto a request. [`Bearer`](crate::Bearer) is what nearly everybody wants, and
/// [`CustomHeader`](crate::CustomHeader) what some services ask for.
///
/// # Contract
///
/// - It is called for every request, from any thread, and must not block.
/// - What it sets is in headers, because only those can be left out again on another host, and in
///   none but [`header`](Self::header) and [`further_headers`](Self::further_headers).
/// - A wrapper forwards every method.
pub trait Presenter: Debug + Send + Sync + 'static {
    /// The header that holds the token. A request that has it already is left alone.
    fn header(&self) -> &HeaderName;

    /// Headers that go with the token, such as a proof: they too stay behind wherever the token does.
    ///
    /// # Default
    ///
    /// None.
    fn further_headers(&self) -> &[HeaderName] {
        &[]
    }

    /// Puts the token onto a request, in the place of what its headers hold. It is called anew for
    /// every attempt.
    ///
    /// # Errors
    ///
    /// If the token is of a type that cannot be presented like this (RFC 6749 §7.1). The request is
    /// not sent then.
    fn present(
        &self,
        token: &AccessToken,
        target: &Target<'_>,
        headers: &mut HeaderMap,
    ) -> Result<(), Error>;

    /// Puts the token onto a request that was refused, after [`Reaction::Represent`]. `refusal` are
    /// the headers of the answer to this very request: what they ask for may hold for it alone.
    ///
    /// # Default
    ///
    /// [`present`](Self::present).
    ///
    /// # Errors
    ///
    /// As [`present`](Self::present).
    fn present_again(
        &self,
        token: &AccessToken,
        target: &Target<'_>,
        refusal: &HeaderMap,
        headers: &mut HeaderMap,
    ) -> Result<(), Error> {
        let _ = refusal;
        self.present(token, target, headers)
    }

    /// What to do about an answer between 400 and 499 to a request that the token was on.
    fn on_challenge(
        &self,
        target: &Target<'_>,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Reaction;

    /// Hears of every answer to a request that the token was on, also of those that succeed, and
    /// before [`on_challenge`](Self::on_challenge) is asked: a server may say there how the next
    /// token has to be presented.
    ///
    /// # Default
    ///
    /// Does nothing.
    fn on_answer(&self, target: &Target<'_>, status: StatusCode, headers: &HeaderMap) {
        let _ = (target, status, headers);
    }
}

/// What to do about a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reaction {
    /// The token was rejected: get another one, and send the request again with that.
    ReplaceToken,
    /// The token is good, but was presented wrongly: present it again, and send the request again.
    Represent,
    /// The caller gets the answer as it is.
    GiveUp,
}

impl Reaction {
    /// What an answer asks for where a token is presented in no special way, as by
    /// [`Bearer`](crate::Bearer).
    ///
    /// Only a 401 is about the token. One whose challenge names `insufficient_scope` or
    /// `invalid_request` would come again with any other token (RFC 6750 §3.1), and one with
    /// `Retry-After` is about time. A challenge that cannot be read is one that says nothing.
    #[must_use]
    pub fn usual(status: StatusCode, headers: &HeaderMap) -> Self {
        challenge::reaction(status, headers)
    }
}

macro_rules! forward_presenter {
    ($($pointer:ident),*) => {$(
        impl<T: Presenter + ?Sized> Presenter for $pointer<T> {
            fn header(&self) -> &HeaderName {
                (**self).header()
            }

            fn further_headers(&self) -> &[HeaderName] {
                (**self).further_headers()
            }

            fn present(
                &self,
                token: &AccessToken,
                target: &Target<'_>,
                headers: &mut HeaderMap,
            ) -> Result<(), Error> {
                (**self).present(token, target, headers)
            }

            fn present_again(
                &self,
                token: &AccessToken,
                target: &Target<'_>,
                refusal: &HeaderMap,
                headers: &mut HeaderMap,
            ) -> Result<(), Error> {
                (**self).present_again(token, target, refusal, headers)
            }

            fn on_challenge(
                &self,
                target: &Target<'_>,
                status: StatusCode,
                headers: &HeaderMap,
            ) -> Reaction {
                (**self).on_challenge(target, status, headers)
            }

            fn on_answer(&self, target: &Target<'_>, status: StatusCode, headers: &HeaderMap) {
                (**self).on_answer(target, status, headers);
            }
        }
    )*};
}

forward_presenter!(Arc, Box);
