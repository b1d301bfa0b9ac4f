//! Keys and signed text, RFC by RFC.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests fail by panicking")]

mod rfc7468;
mod rfc7515;
mod rfc7517;
mod rfc7518;
mod rfc7523;
mod rfc7638;
mod rfc8037;
mod secrets;
mod support;
