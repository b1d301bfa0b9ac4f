//! Promises that cross crates and need no server.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "these are tests"
)]

mod exchanged_tokens;
mod leaks;
mod secrets;
