//! DPoP (RFC 9449): proofs, nonces, token requests, clients, and the key beside the tokens.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod proofs;
mod stored_key;
mod support;
mod through_clients;
mod token_requests;
