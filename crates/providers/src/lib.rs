//! OAuth2 grants for [`tokenkeeper`], on the `oauth2` crate.
//!
//! A provider is made here, and a `TokenManager` keeps its tokens fresh. Which one it is depends
//! on who the tokens are for:
//!
//! | for | provider | RFC 6749 |
//! |---|---|---|
//! | the program itself | [`ClientCredentialsProvider`] | §4.4 |
//! | a user who logged in elsewhere | [`RefreshTokenProvider`] | §6 |
//! | a user whose password the program has, where a service leaves no choice | [`PasswordProvider`] | §4.3 |
//!
//! All of them speak to services as they are: lifetimes in strings, errors under a 200, scopes in
//! arrays, forms that call themselves JSON. What an answer means for the next step is decided by
//! [`ErrorKind::of_answer`](tokenkeeper::ErrorKind::of_answer), and codes that services made up
//! count as the standard ones that they stand for.
//!
//! Only bearer tokens are taken (RFC 6749 §7.1): an answer with another type is an
//! [`ErrorKind::InvalidResponse`](tokenkeeper::ErrorKind::InvalidResponse).
//!
//! # Examples
//!
//! ```
//! use tokenkeeper::TokenProvider;
//! use tokenkeeper_providers::{ClientAuth, ClientCredentialsProvider};
//!
//! # #[cfg(feature = "reqwest")] {
//! let provider = ClientCredentialsProvider::builder("billing", "https://auth.example.org/token")
//!     .client("billing-job", ClientAuth::basic("hunter2"))
//!     .scopes(["invoices.read"])
//!     .build()?;
//! // let manager = TokenManager::new(provider);
//! assert!(provider.unattended());
//! # }
//! # Ok::<(), tokenkeeper::Error>(())
//! ```
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `reqwest` | yes | `BundledTransport`: HTTP and TLS without any set-up. Without it, give each provider an [`HttpTransport`] |
//!
//! # Secrets
//!
//! Passwords, client secrets and tokens are in no error, `Debug` or log line, also when a service
//! repeats them: such descriptions are withheld. The copies that this crate makes are overwritten;
//! those in the buffers of the `oauth2` crate and of JSON, HTTP and TLS libraries are out of reach.

mod answer;
#[cfg(feature = "authorization-code")]
mod authorization_code;
#[cfg(feature = "discovery")]
mod authorization_server;
#[cfg(feature = "reqwest")]
mod bundled_transport;
mod client_auth;
mod client_credentials;
#[cfg(feature = "discovery")]
mod discovery;
mod endpoint_request;
mod endpoint_url;
mod error_codes;
#[doc(hidden)]
pub mod fuzzing;
mod id_token;
mod members;
mod oauth2_client;
#[cfg(feature = "discovery")]
mod of_server;
mod password;
mod proof_of_possession;
mod refresh_token;
mod refusal;
#[cfg(feature = "__exchange")]
#[doc(hidden)]
pub mod reqwest_exchange;
mod retry_after;
mod scrub;
#[cfg(feature = "discovery")]
mod server_metadata;
#[cfg(feature = "discovery")]
mod services;
mod settings;
mod token_endpoint;
mod transport;
#[cfg(feature = "reqwest")]
mod transport_options;

#[cfg(feature = "authorization-code")]
pub use authorization_code::{
    AuthorizationCodeLogin, AuthorizationCodeLoginBuilder, AuthorizationRequest, Callback,
    PendingLogin,
};
#[cfg(feature = "discovery")]
pub use authorization_server::AuthorizationServer;
#[cfg(feature = "reqwest")]
pub use bundled_transport::BundledTransport;
pub use client_auth::{AssertionSource, ClientAuth};
pub use client_credentials::{ClientCredentialsBuilder, ClientCredentialsProvider};
#[cfg(feature = "discovery")]
pub use discovery::Discovery;
pub use password::{PasswordBuilder, PasswordProvider};
pub use proof_of_possession::ProofOfPossession;
pub use refresh_token::{RefreshTokenBuilder, RefreshTokenProvider};
pub use transport::HttpTransport;
#[cfg(feature = "reqwest")]
pub use transport_options::TransportOptions;
