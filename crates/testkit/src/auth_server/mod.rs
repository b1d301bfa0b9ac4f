//! A real authorization server in the test process.
//!
//! Faults between a client and a server happen on the wire, and a mock of the client's own
//! transport cannot show what the client makes of them. So this is a server with a socket, whose
//! every fault, delay and verdict a test can order and count.
//!
//! From the bottom up: what is configured (`config`, `endpoint`, `client`), what came (`form`,
//! `received_request`), what the server remembers (`token_book`, `codes`, `devices`, `dpop`,
//! `signing`; together `state`), what each endpoint does, `listener`, `server` and `builder`.

mod answer;
mod assertion;
mod assertion_grants;
mod authorization;
mod browser;
mod builder;
mod claims;
mod client;
mod client_settings;
mod clients;
mod code_grant;
mod codes;
mod config;
mod cors;
mod device;
mod device_page;
mod devices;
mod dpop;
mod endpoint;
mod fault;
mod form;
mod id_token;
mod introspection;
mod jwt;
mod listener;
mod login_request;
mod login_settings;
mod logins;
mod metadata;
mod people;
mod proof_settings;
mod received_request;
mod registration;
mod requested;
mod resource;
mod revocation;
mod server;
mod signature;
mod signing;
#[cfg(feature = "signatures")]
mod signing_key;
mod signing_settings;
mod state;
mod stats;
mod token_answer;
mod token_book;
mod token_endpoint;
mod user_info;

pub use browser::{Browser, Page};
pub use builder::FakeAuthServerBuilder;
pub use client::{ClientAuth, Pkce};
pub use config::IdTokenSigning;
pub use endpoint::Endpoint;
pub use fault::{EchoForm, Fault, RetryAfter};
pub use people::Decision;
pub use received_request::ReceivedRequest;
pub use server::{FakeAuthServer, HeldRequests};
pub use stats::Stats;
pub use token_answer::TokenAnswer;
