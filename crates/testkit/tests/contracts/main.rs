//! The contract suites: storages that keep the contract pass them, and broken ones fail.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "clippy takes only functions marked as tests for tests"
)]

mod broken;
mod defects;
mod imitation;
mod keepers;
mod shared_backends;
