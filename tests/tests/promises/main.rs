//! Promises that cross crates and need no server.

#![allow(
    clippy::expect_used,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "these are tests"
)]

mod exchanged_tokens;
mod leaks;
mod secrets;
