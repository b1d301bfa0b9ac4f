//! What the tests in this package share; the tests are in `tests/tests`.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "code of tests, where a panic is the report"
)]

use std::env;

#[cfg(feature = "fleet")]
pub mod fleet;
mod keyring_daemon;
mod managed;
mod oidc_provider;
mod redis_server;
mod wire;

pub use keyring_daemon::KeyringDaemon;
pub use managed::{Managed, SPACING, at_once, errors_of_a_hundred_callers, fetch, refresh};
pub use oidc_provider::OidcProvider;
pub use redis_server::RedisServer;
pub use wire::{Wire, json_of, post_form};

/// The example in the README is a test too.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// So are those in the pages.
#[cfg(doctest)]
#[doc = include_str!("../../docs/choosing-a-storage.md")]
struct ChoosingAStorage;

/// The base URL of a server that `cargo xtask test` started, from the environment.
///
/// # Panics
///
/// Without it: a test that needs a server must not pass where there is none.
#[must_use]
pub fn server_url(variable: &str) -> String {
    server_setting(variable)
}

fn server_setting(variable: &str) -> String {
    env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} is not set; run these tests with `cargo xtask test --only interop`")
    })
}
