//! Storages in a keyring: the contract, deaths in the middle of a write, and what people are told.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod contract;
mod crash_safety;
mod errors;
mod fake_keyring;
mod secrets;
mod turns;
