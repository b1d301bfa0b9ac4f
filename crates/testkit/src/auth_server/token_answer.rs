//! What the server made of a token request, for tests that ask which token followed from which.

use std::fmt;

use bytes::Bytes;
use serde_json::Value;
use tokenkeeper::Now;

use super::answer::Answer;
use super::received_request::ReceivedRequest;

/// One request to the token endpoint and its answer, whether or not that arrived. `Debug` shows no
/// token.
#[derive(Clone)]
pub struct TokenAnswer {
    request: ReceivedRequest,
    received_at: Now,
    acted_at: Now,
    status: u16,
    body: Bytes,
}

impl TokenAnswer {
    pub(super) fn new(
        request: ReceivedRequest,
        received_at: Now,
        acted_at: Now,
        answer: &Answer,
    ) -> Self {
        let (status, body) = (answer.status.as_u16(), answer.body().clone());
        Self { request, received_at, acted_at, status, body }
    }

    /// What was asked.
    #[must_use]
    pub const fn request(&self) -> &ReceivedRequest {
        &self.request
    }

    /// When the request had arrived, by the clock of the server.
    #[must_use]
    pub const fn received_at(&self) -> Now {
        self.received_at
    }

    /// When the server acted on it, by the clock of the server.
    #[must_use]
    pub const fn acted_at(&self) -> Now {
        self.acted_at
    }

    /// The status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// A member of the answer, if the answer is JSON and that member a string: `refresh_token`, say.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<String> {
        let body: Value = serde_json::from_slice(&self.body).ok()?;
        body.get(name)?.as_str().map(str::to_owned)
    }
}

impl fmt::Debug for TokenAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenAnswer")
            .field("request", &self.request)
            .field("received_at", &self.received_at)
            .field("acted_at", &self.acted_at)
            .field("status", &self.status)
            .field("body", &format_args!("{} bytes", self.body.len()))
            .finish()
    }
}
