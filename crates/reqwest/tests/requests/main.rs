//! Requests of a `reqwest` client: which get a token (M14), where redirects take it, what is sent
//! twice, and what nothing shows (M11).

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

#[cfg(feature = "middleware")]
#[path = "../setup/mod.rs"]
mod setup;
#[cfg(any(feature = "middleware", feature = "transport"))]
#[allow(dead_code, reason = "each feature uses a part of it")]
mod tls;

#[cfg(feature = "middleware")]
mod bad_days;
#[cfg(feature = "middleware")]
mod client;
#[cfg(feature = "middleware")]
mod connections;
#[cfg(feature = "middleware")]
mod following_clients;
#[cfg(feature = "middleware")]
mod redirects;
#[cfg(feature = "middleware")]
mod redirects_between_routes;
#[cfg(feature = "middleware")]
mod replay;
#[cfg(all(feature = "middleware", feature = "transport"))]
mod secrets;
#[cfg(feature = "transport")]
mod transport;
#[cfg(feature = "middleware")]
mod which_requests;
