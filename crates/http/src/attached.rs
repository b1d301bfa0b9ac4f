//! A request that a token is on, until its answer is understood.

use std::fmt;
use std::sync::{Arc, OnceLock};

use http::{HeaderMap, StatusCode};
use tokenkeeper::{AccessToken, Error, TokenManager};

use crate::presenter::Reaction;
use crate::route::CheckedRoute;
use crate::target::Target;

/// A token that is on a request: what is needed to understand the answer.
#[derive(Clone)]
pub struct Attached {
    route: Arc<CheckedRoute>,
    manager: TokenManager,
    token: Arc<AccessToken>,
    is_replay: bool,
    /// The headers of the refusal after which the same token is presented again.
    refusal: OnceLock<HeaderMap>,
}

impl Attached {
    pub(crate) fn new(
        route: Arc<CheckedRoute>,
        manager: TokenManager,
        token: Arc<AccessToken>,
    ) -> Self {
        Self { route, manager, token, is_replay: false, refusal: OnceLock::new() }
    }

    /// The first attempt.
    pub(crate) fn put_on(
        self,
        target: &Target<'_>,
        headers: &mut HeaderMap,
    ) -> Result<Option<Self>, Error> {
        self.present(target, headers)?;
        Ok(Some(self))
    }

    /// Puts the token onto the request. [`TokenRoutes::attach`](crate::TokenRoutes::attach) did that for the
    /// first attempt.
    ///
    /// # Errors
    ///
    /// If the token is of a type that the route's presenter does not present.
    pub fn present(&self, target: &Target<'_>, headers: &mut HeaderMap) -> Result<(), Error> {
        let presenter = &self.route.presenter;
        let presented = match self.refusal.get().filter(|_| self.is_replay) {
            Some(refusal) => presenter.present_again(&self.token, target, refusal, headers),
            None => presenter.present(&self.token, target, headers),
        };
        presented.map_err(|error| error.at_service(self.manager.service_name()))
    }

    /// Whether an answer like this one to this request could lead to a replay: whether it is worth
    /// while to keep a copy.
    #[must_use]
    pub fn may_replay(&self) -> bool {
        self.route.replays && !self.is_replay
    }

    /// What the answer to the first attempt asks for. `target` is where the request went, without
    /// redirects. The presenter hears of the answer.
    #[must_use]
    pub fn reaction(
        &self,
        target: &Target<'_>,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Reaction {
        self.take_notice(target, status, headers);
        if self.is_replay || !status.is_client_error() {
            return Reaction::GiveUp;
        }
        let reaction = self.route.presenter.on_challenge(target, status, headers);
        if reaction == Reaction::Represent {
            self.refusal.get_or_init(|| headers.clone());
        }
        reaction
    }

    /// Lets the presenter hear of an answer that nothing is asked about: that to the replay, and any
    /// for which [`reaction`](Self::reaction) is not called.
    pub fn take_notice(&self, target: &Target<'_>, status: StatusCode, headers: &HeaderMap) {
        self.route.presenter.on_answer(target, status, headers);
    }

    /// What the one replay is sent with: it still has to be [presented](Self::present). `None` if
    /// the caller gets the answer that is there: nothing was asked for, the route sends nothing
    /// twice, or there is no other token. What an exchange failed with is in the manager's status
    /// and events.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the token stays rejected, and a token request goes on for others.
    pub async fn renew(self, reaction: Reaction) -> Option<Self> {
        let token = match self.renewal(reaction) {
            Renewal::None => return None,
            Renewal::SameToken => Arc::clone(&self.token),
            Renewal::OtherToken => self.manager.replace_rejected(&self.token).await.ok()??,
        };
        Some(self.replay(token))
    }

    /// [`renew`](Self::renew) for threads without a runtime.
    #[must_use]
    pub fn renew_blocking(self, reaction: Reaction) -> Option<Self> {
        let token = match self.renewal(reaction) {
            Renewal::None => return None,
            Renewal::SameToken => Arc::clone(&self.token),
            Renewal::OtherToken => self.manager.blocking().replace_rejected(&self.token).ok()??,
        };
        Some(self.replay(token))
    }

    /// The same token on a request that may be replayed once more: for integrations that send a
    /// request again after a delay.
    #[must_use]
    pub fn into_first_attempt(self) -> Self {
        Self { is_replay: false, ..self }
    }

    /// For a request that cannot be sent again: its token was rejected all the same, and no other
    /// request shall get it.
    pub fn give_up(&self, reaction: Reaction) {
        if reaction == Reaction::ReplaceToken {
            self.manager.invalidate(&self.token);
        }
    }

    fn renewal(&self, reaction: Reaction) -> Renewal {
        match reaction {
            Reaction::GiveUp => Renewal::None,
            _ if !self.may_replay() => {
                self.give_up(reaction);
                Renewal::None
            }
            Reaction::ReplaceToken => Renewal::OtherToken,
            Reaction::Represent => Renewal::SameToken,
        }
    }

    fn replay(self, token: Arc<AccessToken>) -> Self {
        Self { token, is_replay: true, ..self }
    }

    /// The manager that the token is of.
    #[must_use]
    pub fn manager(&self) -> &TokenManager {
        &self.manager
    }

    /// The token.
    #[must_use]
    pub fn token(&self) -> &Arc<AccessToken> {
        &self.token
    }
}

enum Renewal {
    None,
    SameToken,
    OtherToken,
}

impl fmt::Debug for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attached")
            .field("service_name", &self.manager.service_name())
            .field("is_replay", &self.is_replay)
            .finish_non_exhaustive()
    }
}
