//! Servers by their names: their documents (RFC 8414, OpenID Connect Discovery), services that are
//! known, and builders that start from either.

mod authorization_server;
mod cache;
mod known_server;
mod of_server;
mod server_metadata;
mod services;

pub use authorization_server::AuthorizationServer;
pub use cache::Discovery;
