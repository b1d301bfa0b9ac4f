//! What a server says of a token (RFC 7662).

mod client;
mod introspected;

pub use client::{Introspection, IntrospectionBuilder};
pub use introspected::Introspected;
