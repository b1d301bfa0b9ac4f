//! What a manager knows. Pure bookkeeping under one lock: nothing here waits, and nothing calls out.
//!
//! `decide` is what a caller gets, `transitions` is all that changes the state, `view` is what
//! others are shown of it. The fields are visible in this folder only.

mod current;
mod decide;
mod doubt;
mod transitions;
mod view;

pub(crate) mod backoff;
pub(crate) mod lifetimes;
pub(crate) mod rejections;

use std::sync::Arc;
use std::time::SystemTime;

use self::backoff::Backoff;
pub(crate) use self::current::{Age, CurrentTokens, same_token};
pub(crate) use self::decide::{Abilities, Decision};
use self::doubt::{Doubt, GatewayRefusals};
use self::rejections::Rejections;
pub(crate) use self::transitions::{Adoption, Issued, Meaning};
use crate::clock::Now;
use crate::error::Error;
use crate::record::Order;
use crate::refresh::flight::Flight;
use crate::store::Write;

#[derive(Debug, Default)]
pub(crate) struct State {
    /// The newest tokens; rejected and ended ones too, for their refresh token.
    current: Option<CurrentTokens>,
    /// Tokens were cleared, and no caller has asked for one since.
    is_cleared: bool,
    /// Of the current tokens, or of what cleared them.
    order: Order,
    /// The order was given without having read the storage; see `store::conflict`.
    is_provisional: bool,
    /// The storage was read at least once.
    has_read: bool,
    /// The flight that counts. One that was overtaken may still be under way.
    flight: Option<Arc<Flight>>,
    /// When the request of the last successful token request was sent, and the life that it brought.
    requested_at: Option<Now>,
    last_life: Option<std::time::Duration>,
    /// When a storage was last read only to see whether it has a token that lives longer.
    looked_at: Option<Now>,
    backoff: Backoff,
    rejections: Rejections,
    doubt: Option<Doubt>,
    gateway: GatewayRefusals,
    /// The endpoint has answered in the words of OAuth2 before.
    has_answered: bool,
    /// The credentials were corrected: a verdict in the storage is about the old ones.
    doubts_stored_verdict: bool,
    /// When this manager stored a verdict of its own, which it need not be told.
    own_verdict_at: Option<SystemTime>,
    /// What the storage should hold and does not.
    owed: Option<OwedWrite>,
    /// A task on the driver is about to write what is owed.
    retries_writes: bool,
    /// Tasks on the driver that must end before a process should.
    tasks: usize,
}

/// The one write that a storage refused. It only ever grows: see [`State::owe`].
#[derive(Debug)]
pub(crate) struct OwedWrite {
    pub(crate) write: Write,
    pub(crate) error: Error,
}
