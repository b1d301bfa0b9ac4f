//! Signed JWTs for [`tokenkeeper`]: how a client proves who it is without sending a secret, and how
//! it says on whose behalf it asks (RFC 7523).
//!
//! | you want | take |
//! |---|---|
//! | `private_key_jwt` | [`private_key_jwt`], or [`JwtAssertion::for_client`] with more to say |
//! | `client_secret_jwt` | [`client_secret_jwt`] |
//! | the JWT bearer grant, as of a service account | [`JwtAssertion::for_subject`] |
//! | a key in memory | [`SigningKey`], from PEM, from a JWK, or generated |
//! | a key in a key service | a [`Signer`] of your own |
//!
//! # Examples
//!
//! ```
//! use tokenkeeper_jwt::{Algorithm, SigningKey, private_key_jwt};
//!
//! # let pem = "-----BEGIN PRIVATE KEY-----
//! # MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgevZzL1gdAFr88hb2
//! # OF/2NxApJCzGCEDdfSp6VQO30hyhRANCAAQRWz+jn65BtOMvdyHKcvjBeBSDZH2r
//! # 1RTwjmYSi9R/zpBnuQ4EiMnCqfMPWiZqB4QdbAd0E7oH50VpuZ1P087G
//! # -----END PRIVATE KEY-----";
//! // let pem = std::fs::read_to_string("client-key.pem")?;
//! let key = SigningKey::from_pem(Algorithm::Es256, pem.as_bytes())?.with_key_id("2026");
//! println!("register this at the server: {}", key.public_jwk());
//! // ClientCredentialsProvider::builder(..).client("billing-job", private_key_jwt(key)) …
//! let auth = private_key_jwt(key);
//! assert_eq!(format!("{auth:?}"), "ClientAuth(assertion)");
//! # Ok::<(), tokenkeeper::Error>(())
//! ```
//!
//! # When a key changes
//!
//! Register the new key beside the old one, each with a `kid`; start the program with the new one;
//! then take the old one off the list of the server. A program that must not be started anew gives
//! [`ClientAuth::assertion`](tokenkeeper_providers::ClientAuth::assertion) an
//! [`AssertionSource`](tokenkeeper_providers::AssertionSource) of its own, which passes each call on to
//! the [`JwtAssertion`] of the day.
//!
//! # Secrets
//!
//! No key, and nothing of its text, is in an error or `Debug`. The cryptographic library overwrites
//! its keys when they are dropped, and so does this crate with the copies that it makes; the PEM or
//! JWK text belongs to the caller, and the line buffer of the PEM reader is out of reach.

mod algorithm;
mod assertion;
mod hmac_key;
mod jwk;
mod key_pair;
mod pem;
mod signer;
mod signing_key;

use std::fmt::Display;

use tokenkeeper::{Error, ErrorKind};

pub use algorithm::Algorithm;
pub use assertion::{JwtAssertion, client_secret_jwt, private_key_jwt};
pub use hmac_key::HmacKey;
pub use jwk::PublicJwk;
pub use signer::Signer;
pub use signing_key::SigningKey;

/// The message never has anything of the key in it.
fn key_error(what: impl Display) -> Error {
    Error::new(ErrorKind::Config, format!("signing key: {what}"))
}
