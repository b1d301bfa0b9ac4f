//! What a scripted provider does at one call.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokenkeeper::{Error, ErrorKind, OAuthError, Secret, TokenSet};

use crate::gate::Gate;

/// One step in the script of a [`ScriptedProvider`](crate::ScriptedProvider).
///
/// A call goes through three moments, and a gate can be put at each: before it asks whether it may
/// send, after that but before the imagined service acts, and after the service has acted but
/// before the answer arrives.
#[derive(Clone, Debug)]
#[must_use = "a step does nothing until it is given to a provider"]
pub struct Step {
    pub(crate) outcome: Outcome,
    pub(crate) before_sending: Option<Gate>,
    pub(crate) before_acting: Option<Gate>,
    pub(crate) before_answering: Option<Gate>,
}

#[derive(Clone)]
pub(crate) enum Outcome {
    Issue,
    IssueFor(Option<Duration>),
    SameAccessToken,
    Tokens(Box<TokenSet>),
    Answer(AnswerFn),
    Fail(Error),
    LoseAnswer,
    Panic,
    Hang,
}

type AnswerFn = Arc<dyn Fn(&ScriptedCall) -> Result<TokenSet, Error> + Send + Sync>;

/// What a step that runs a function is told of the call.
#[derive(Clone, Debug)]
pub struct ScriptedCall {
    pub(crate) sent_at: SystemTime,
    pub(crate) refresh_token: Option<Secret>,
}

impl ScriptedCall {
    /// What [`FetchContext::ready_to_send`](tokenkeeper::FetchContext::ready_to_send) returned.
    #[must_use]
    pub fn sent_at(&self) -> SystemTime {
        self.sent_at
    }

    /// The refresh token that is spent; `None` in a fetch.
    #[must_use]
    pub fn refresh_token(&self) -> Option<&Secret> {
        self.refresh_token.as_ref()
    }
}

impl Step {
    /// Issues the next numbered tokens, with the lifetime of the provider. This is what happens
    /// where nothing is scripted.
    pub const fn issue() -> Self {
        Self::of(Outcome::Issue)
    }

    /// Issues the next numbered tokens with this lifetime; `None` leaves it out of the answer.
    pub const fn issue_for(lifetime: Option<Duration>) -> Self {
        Self::of(Outcome::IssueFor(lifetime))
    }

    /// Issues the access token of the last answer once more, with a new refresh token.
    pub const fn same_access_token() -> Self {
        Self::of(Outcome::SameAccessToken)
    }

    /// Answers with these tokens, as they are.
    pub fn tokens(tokens: TokenSet) -> Self {
        Self::of(Outcome::Tokens(Box::new(tokens)))
    }

    /// Answers with what the function makes of the call.
    pub fn answer(
        make: impl Fn(&ScriptedCall) -> Result<TokenSet, Error> + Send + Sync + 'static,
    ) -> Self {
        Self::of(Outcome::Answer(Arc::new(make)))
    }

    /// Fails, and the imagined service has not acted: the refresh token is not spent.
    pub const fn fail(error: Error) -> Self {
        Self::of(Outcome::Fail(error))
    }

    /// Fails as a service that answers `invalid_grant` to a refresh.
    pub fn refuse_refresh() -> Self {
        Self::fail(refused_refresh())
    }

    /// Fails as a service that refuses a password or client secret.
    pub fn refuse_credentials() -> Self {
        let what = "the scripted service refused the credentials";
        Self::fail(
            Error::new(ErrorKind::CredentialsRejected, what)
                .with_status(http::StatusCode::BAD_REQUEST)
                .with_oauth(OAuthError::new("invalid_grant", None)),
        )
    }

    /// Fails as a service that is overloaded (503).
    pub fn unavailable() -> Self {
        let what = "the scripted service is unavailable";
        Self::fail(
            Error::new(ErrorKind::Unavailable, what)
                .with_status(http::StatusCode::SERVICE_UNAVAILABLE),
        )
    }

    /// The service acts, and spends the refresh token, but the answer is lost.
    pub const fn lose_answer() -> Self {
        Self::of(Outcome::LoseAnswer)
    }

    /// Panics once it may send.
    pub const fn panic() -> Self {
        Self::of(Outcome::Panic)
    }

    /// Never completes, and the service does not act.
    pub const fn hang() -> Self {
        Self::of(Outcome::Hang)
    }

    /// Waits at the gate before it asks whether it may send.
    pub fn held_before_sending(mut self, gate: &Gate) -> Self {
        self.before_sending = Some(gate.clone());
        self
    }

    /// Waits at the gate after it was sent and before the service acts.
    pub fn held(mut self, gate: &Gate) -> Self {
        self.before_acting = Some(gate.clone());
        self
    }

    /// Waits at the gate after the service acted and before the answer arrives.
    pub fn held_before_answering(mut self, gate: &Gate) -> Self {
        self.before_answering = Some(gate.clone());
        self
    }

    const fn of(outcome: Outcome) -> Self {
        Self { outcome, before_sending: None, before_acting: None, before_answering: None }
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Issue => "Issue",
            Self::IssueFor(_) => "IssueFor",
            Self::SameAccessToken => "SameAccessToken",
            Self::Tokens(_) => "Tokens",
            Self::Answer(_) => "Answer",
            Self::Fail(_) => "Fail",
            Self::LoseAnswer => "LoseAnswer",
            Self::Panic => "Panic",
            Self::Hang => "Hang",
        })
    }
}

pub(crate) fn refused_refresh() -> Error {
    Error::new(ErrorKind::RefreshRejected, "the scripted service refused the refresh token")
        .with_status(http::StatusCode::BAD_REQUEST)
        .with_oauth(OAuthError::new("invalid_grant", None))
}
