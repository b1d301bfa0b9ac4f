//! What needs a process of its own: one that stands still, one on a system without certificates.
//!
//! Each test starts this program again with the name of a test and an address in the environment;
//! without that, the test that is started does its part against a server of its own.

#![cfg(all(feature = "reqwest", unix))]

mod certificates;
mod freeze;
mod program;
