//! What the server counted.

use std::collections::BTreeMap;
use std::fmt;

use super::endpoint::Endpoint;

/// What a [`FakeAuthServer`](crate::FakeAuthServer) saw since it started or was reset. `Display`
/// says it in plain words.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    pub(super) requests: usize,
    pub(super) exchanges: usize,
    pub(super) by_grant: BTreeMap<(String, u16), usize>,
    pub(super) answers: BTreeMap<(Endpoint, u16), usize>,
    pub(super) lost_answers: usize,
    pub(super) reuses: usize,
    pub(super) in_flight: usize,
    pub(super) max_in_flight: usize,
}

impl Stats {
    /// All requests, to whatever path, from the moment they arrived.
    #[must_use]
    pub const fn requests(&self) -> usize {
        self.requests
    }

    /// Requests to the token endpoint, from the moment they arrived, whatever became of them.
    #[must_use]
    pub const fn exchanges(&self) -> usize {
        self.exchanges
    }

    /// Requests to the token endpoint of this `grant_type` that came to this status. An answer
    /// that a fault kept from arriving counts with the status that it had.
    #[must_use]
    pub fn count(&self, grant_type: &str, status: u16) -> usize {
        self.by_grant.get(&(grant_type.to_owned(), status)).copied().unwrap_or(0)
    }

    /// Requests to this endpoint that came to this status.
    #[must_use]
    pub fn answers(&self, endpoint: Endpoint, status: u16) -> usize {
        if endpoint == Endpoint::Token {
            let counts = self.by_grant.iter().filter(|((_, answered), _)| *answered == status);
            return counts.map(|(_, count)| count).sum();
        }
        self.answers.get(&(endpoint, status)).copied().unwrap_or(0)
    }

    /// Every count at once: the `grant_type` of a token request or the name of another endpoint,
    /// the status, and how many requests came to it.
    #[must_use]
    pub fn answered(&self) -> Vec<(String, u16, usize)> {
        let grants = self.by_grant.iter();
        let grants = grants.map(|((grant, status), count)| (grant.clone(), *status, *count));
        let others = self.answers.iter();
        let others =
            others.map(|((endpoint, status), count)| (endpoint.to_string(), *status, *count));
        grants.chain(others).collect()
    }

    /// Requests to the revocation endpoint that came to this status.
    #[must_use]
    pub fn revocations(&self, status: u16) -> usize {
        self.answers(Endpoint::Revocation, status)
    }

    /// Requests to the protected resource that came to this status.
    #[must_use]
    pub fn resource(&self, status: u16) -> usize {
        self.answers(Endpoint::Resource, status)
    }

    /// Answers that a fault kept from arriving whole.
    #[must_use]
    pub const fn lost_answers(&self) -> usize {
        self.lost_answers
    }

    /// How often a refresh token came that had been spent before.
    #[must_use]
    pub const fn reuses(&self) -> usize {
        self.reuses
    }

    /// How many requests to the token endpoint are under way.
    #[must_use]
    pub const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// How many requests to the token endpoint were under way at once, at most.
    #[must_use]
    pub const fn max_in_flight(&self) -> usize {
        self.max_in_flight
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} requests, {} of them to the token endpoint (at most {} at once)",
            self.requests, self.exchanges, self.max_in_flight
        )?;
        for ((grant, status), count) in &self.by_grant {
            write!(f, "; {grant} answered {status}: {count}")?;
        }
        for ((endpoint, status), count) in &self.answers {
            write!(f, "; {endpoint} answered {status}: {count}")?;
        }
        write!(f, "; answers lost: {}; refresh tokens reused: {}", self.lost_answers, self.reuses)
    }
}
