//! Signed JWTs for [`tokenkeeper`].

mod algorithm;
mod jwk;
mod key_pair;
mod pem;
mod signing_key;

use std::fmt::Display;

pub use algorithm::Algorithm;
pub use jwk::PublicJwk;
pub use signing_key::SigningKey;
use tokenkeeper::{Error, ErrorKind};

/// The message never has anything of the key in it.
fn key_error(what: impl Display) -> Error {
    Error::new(ErrorKind::Config, format!("signing key: {what}"))
}
