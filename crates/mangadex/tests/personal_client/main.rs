//! Logins with a personal client: credentials, realm, session, and what goes over the wire.

#![allow(clippy::unwrap_used, reason = "a panic is the report")]

#[cfg(feature = "reqwest")]
mod auth_check;
mod credentials;
mod logging_in;
mod logout;
mod realm;
mod resolver;
mod session;
mod setup;
mod unauthorized;
mod wire;
