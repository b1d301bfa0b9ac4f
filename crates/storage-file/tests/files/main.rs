//! Storages in files: the contract, files that are damaged or unsafe, callers that give up, managers.
//!
//! Tests that start this program anew are in binaries of their own, because they do it by name.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod contract;
mod damaged_files;
mod dropped_calls;
mod listing;
mod managers;
#[cfg(unix)]
mod private_files;
mod scratch;
mod support;
#[cfg(target_os = "linux")]
mod unwritable_records;
