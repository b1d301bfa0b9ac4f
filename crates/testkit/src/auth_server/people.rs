//! Who sits at the browser, and what they say to a login.

use std::collections::VecDeque;

/// What becomes of one request to the authorization endpoint that is in order.
///
/// The answers that are wrong on purpose are what an attacker, or a server that was mixed up with
/// another, would send to the redirect URI.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decision {
    /// The person logs in and consents to everything that is asked.
    #[default]
    Approve,
    /// The person consents to these scopes alone, separated by blanks, as far as they were asked.
    ApproveOnly(String),
    /// The person declines: `access_denied`.
    Decline,
    /// The server refuses with this error code (RFC 6749 §4.1.2.1, OpenID Connect Core §3.1.2.6):
    /// `login_required`, `temporarily_unavailable`, …
    Refuse(String),
    /// Approves, with another `state` than was sent.
    WrongState,
    /// Approves, without `state`.
    NoState,
    /// Approves, with the `iss` of another server (RFC 9207).
    WrongIssuer,
    /// Approves, without `iss`.
    NoIssuer,
}

pub(super) struct People {
    pub(super) at_browser: String,
    pub(super) decisions: VecDeque<Decision>,
}

impl People {
    pub(super) fn decide(&mut self) -> Decision {
        self.decisions.pop_front().unwrap_or_default()
    }
}
