//! Which requests get a token, how it goes onto them, and what a refusal leads to (M14).

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "../setup/mod.rs"]
mod setup;

mod after_a_refusal;
mod presenters;
mod redirects;
mod rfc6750;
mod where_tokens_go;
