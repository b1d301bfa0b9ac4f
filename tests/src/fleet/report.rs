//! What a member tells the test that started it: one line of JSON each.

use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// One line of a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Report {
    /// The manager told its observers of something.
    Happened {
        /// When, in milliseconds since 1970.
        at: u64,
        /// What.
        what: Happening,
    },
    /// In this time no caller of the process had a token that was good.
    Gap(Span),
    /// In this time the process did not run, although it wanted to.
    Stall(Span),
    /// What a caller got instead of a token.
    Error(String),
    /// All counts so far.
    Counts(Counts),
}

/// What a manager went through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Happening {
    /// An exchange is about to be made.
    TokenRequestStarted,
    /// A refresh brought tokens.
    Refreshed,
    /// A login brought tokens.
    LoggedIn,
    /// An exchange failed.
    TokenRequestFailed(String),
    /// A refresh was sent and its answer did not arrive.
    AnswerLost,
    /// What somebody else exchanged was taken over.
    Adopted,
    /// The service refused the refresh token.
    RefreshTokenDropped,
    /// A call of the storage failed.
    StorageFailed(String),
    /// A write that had failed succeeded.
    WriteRecovered,
    /// A resource rejected the token.
    Rejected,
    /// Something that should not happen here.
    Other(String),
}

/// A time from one point to another, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Where it begins.
    pub from: u64,
    /// Where it ends.
    pub to: u64,
}

impl Span {
    /// How long it is, in milliseconds.
    #[must_use]
    pub const fn length(self) -> u64 {
        self.to.saturating_sub(self.from)
    }

    /// How much of it is left without those times. They may overlap.
    #[must_use]
    pub fn without(self, others: &[Self]) -> u64 {
        let mut others: Vec<Self> = others.to_vec();
        others.sort_by_key(|other| other.from);
        let (mut left, mut from) = (0, self.from);
        for other in others {
            left += other.from.min(self.to).saturating_sub(from);
            from = from.max(other.to);
        }
        left + self.to.saturating_sub(from)
    }
}

/// What a member counted since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Calls of `token()` that came back.
    pub calls: u64,
    /// Tokens among the results.
    pub tokens: u64,
    /// Errors among the results.
    pub errors: u64,
    /// Tokens that were over when the call for them was made.
    pub expired: u64,
    /// Tokens that the resource took.
    pub accepted: u64,
    /// Tokens that the resource refused before their time was up.
    pub refused: u64,
}

/// Writes one line, if anybody still reads it.
pub(super) fn tell(report: &Report) {
    if let Ok(mut line) = serde_json::to_string(report) {
        line.push('\n');
        let _ = io::stdout().write_all(line.as_bytes());
    }
}

/// Milliseconds since 1970.
#[must_use]
pub fn unix_millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_overlaps_is_taken_away_once() {
        let span = |from, to| Span { from, to };
        let gap = span(100, 200);

        assert_eq!(gap.without(&[]), 100);
        assert_eq!(gap.without(&[span(0, 50), span(200, 300)]), 100);
        assert_eq!(gap.without(&[span(150, 160), span(120, 155)]), 60);
        assert_eq!(gap.without(&[span(0, 300)]), 0);
    }
}
