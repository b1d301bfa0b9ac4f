//! Getting a token: what callers wait in, and the flight that they wait for.
//!
//! `wait` decides for one caller. A `flight` is one token request that any number of callers wait
//! for. `renewal` is what it does: read the storage, take the lease, make the token request, publish.

pub(crate) mod flight;
mod gate;
pub(crate) mod publish;
pub(crate) mod renewal;
pub(crate) mod token_request;
pub(crate) mod wait;
