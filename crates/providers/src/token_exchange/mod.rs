//! Tokens in exchange for others (RFC 8693).

mod provider;
mod token_source;
mod token_type;

pub use provider::{TokenExchangeBuilder, TokenExchangeProvider};
pub use token_source::TokenSource;
pub use token_type::TokenTypeUri;
