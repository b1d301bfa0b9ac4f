//! Storages that encrypt: the contract, the format at rest, keys, managers, and what is refused.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod contract;
mod format;
mod forwarding;
mod keys;
mod managers;
mod refusals;
mod sealing;
