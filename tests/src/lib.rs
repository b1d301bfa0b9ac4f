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
mod glewlwyd;
#[cfg(feature = "interop")]
pub mod interop_table;
#[cfg(feature = "interop")]
mod keycloak;
mod keycloak_pages;
mod keyring_daemon;
mod managed;
mod oidc_provider;
#[cfg(doctest)]
mod pages;
mod person;
mod redis_server;
mod wire;

pub use glewlwyd::Glewlwyd;
#[cfg(feature = "interop")]
pub use keycloak::Keycloak;
pub use keyring_daemon::KeyringDaemon;
pub use managed::{Managed, SPACING, at_once, errors_of_a_hundred_callers, fetch, refresh};
pub use oidc_provider::OidcProvider;
pub use person::Person;
pub use redis_server::RedisServer;
pub use wire::{OnlyPath, Wire, json_of, post_form};

/// The base URL of a server that `cargo xtask test` started, from the environment.
///
/// # Panics
///
/// Without it: a test that needs a server must not pass where there is none.
#[must_use]
pub fn server_url(variable: &str) -> String {
    server_setting(variable)
}

/// A private key in PEM, PKCS #8, whose public half the servers know: that of the client `key` at
/// `oidc-provider`, and of `key <algorithm>` at glewlwyd. There are `ES256`, `RS256` (for `PS256` too)
/// and `EdDSA`.
///
/// # Panics
///
/// Without the folder of the keys, or without such a key in it.
#[must_use]
pub fn client_key(algorithm: &str) -> Vec<u8> {
    let folder = server_setting("TOKENKEEPER_CLIENT_KEYS");
    std::fs::read(format!("{folder}/{algorithm}.pem")).expect("a key of that algorithm")
}

fn server_setting(variable: &str) -> String {
    env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} is not set; run these tests with `cargo xtask test`")
    })
}
