//! The layer: which requests get a token, what a refusal leads to, and what other layers see.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "../api/mod.rs"]
mod api;
mod echo;

mod attaching;
mod bodies;
mod grpc;
mod readiness;
mod real_server;
mod redirects;
mod redirects_between_routes;
mod replay;
