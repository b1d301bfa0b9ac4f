//! OAuth2 grants for [`tokenkeeper`], on the `oauth2` crate.
//!
//! A provider is made here, and a `TokenManager` keeps its tokens fresh. Which one it is depends
//! on who the tokens are for:
//!
//! | for | provider | standard |
//! |---|---|---|
//! | the program itself | [`ClientCredentialsProvider`] | RFC 6749 §4.4 |
//! | a user with a browser | `AuthorizationCodeLogin`, then its `RefreshTokenProvider` | RFC 6749 §4.1 |
//! | a user who logged in elsewhere | [`RefreshTokenProvider`] | RFC 6749 §6 |
//! | a user whose password the program has, where a service leaves no choice | [`PasswordProvider`] | RFC 6749 §4.3 |
//! | a user with another device at hand | `DeviceLogin` | RFC 8628 |
//! | the subject of a signed assertion | `JwtBearerProvider` | RFC 7523 §2.1 |
//! | the subject of another token | `TokenExchangeProvider` | RFC 8693 |
//!
//! All of them speak to services as they are: lifetimes in strings, errors under a 200, scopes in
//! arrays, forms that call themselves JSON.
//!
//! What an answer means for the next step is decided by one table,
//! [`ErrorKind::of_answer`](tokenkeeper::ErrorKind::of_answer). Codes that services made up count as
//! the standard ones that they stand for, in any spelling (`invalidGrant`, `INVALID_GRANT`). Where
//! several members could hold the code (`error`, its `code` or `type`, `errors`, `error_code`, a
//! body that is nothing but the code), a known one wins. A word that repeats the HTTP status, such
//! as `"error": "Not Found"`, is none. `refresh_rejected_by` on a builder adds codes by which a
//! service ends a refresh token.
//!
//! A lifetime is read from `expires_in`: seconds, in a number or text. A number from 10⁹ on is a
//! point in time in seconds since 1970, from 10¹¹ on in milliseconds; dates of RFC 3339 are read
//! too. Where there is none, `expires_at` and `expires_on` are read in the same way. Points in time
//! are compared with the `Date` of the answer. `"scope": ""` says that no scope was granted, where
//! some were asked for.
//!
//! Only tokens of a type that can be used are taken (RFC 6749 §7.1): bearer tokens, `DPoP` where a
//! key is set, and `N_A` where a token exchange asks for what is no access token. An answer with
//! another type is an [`ErrorKind::InvalidResponse`](tokenkeeper::ErrorKind::InvalidResponse).
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
//! assert!(provider.non_interactive());
//! # }
//! # Ok::<(), tokenkeeper::Error>(())
//! ```
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `reqwest` | yes | `BundledTransport`: HTTP and TLS without any set-up. Without it, give each provider an [`HttpTransport`] |
//! | `authorization-code` | no | `AuthorizationCodeLogin`: logins through a browser (RFC 6749 §4.1) with PKCE, pushed requests, issuer and id token checked |
//! | `device` | no | `DeviceLogin`: logins that are approved on another device |
//! | `discovery` | no | `AuthorizationServer`, `Discovery`: providers from the name of a server |
//! | `introspection` | no | `Introspection`: what a token is worth |
//! | `jwt-bearer` | no | `JwtBearerProvider`: tokens for a signed assertion |
//! | `token-exchange` | no | `TokenExchangeProvider`: tokens for other tokens |
//! | `user-info` | no | `UserInfo`: who a token belongs to |
//!
//! # Servers by their names
//!
//! A server that describes itself (RFC 8414, OpenID Connect Discovery) need not be described again:
//! every builder has `discover`, which takes the name of the server, and `of_server`, which takes
//! what was discovered, read from a file, or written down here for services such as GitHub and
//! Slack. Setters come after it, and win.
//!
//! ```
//! # #[cfg(all(feature = "discovery", feature = "reqwest"))]
//! # async fn run() -> Result<(), tokenkeeper::Error> {
//! use tokenkeeper_providers::{ClientAuth, ClientCredentialsProvider};
//!
//! let provider = ClientCredentialsProvider::discover("billing", "https://auth.example.org")
//!     .await?
//!     .client("billing-job", ClientAuth::basic("hunter2"))
//!     .build()?;
//! # Ok(())
//! # }
//! ```
//!
//! # Secrets
//!
//! Passwords, client secrets and tokens are in no error, `Debug` or log line, also when a service
//! repeats them: such descriptions are withheld. The copies that this crate makes are overwritten;
//! those in the buffers of the `oauth2` crate and of JSON, HTTP and TLS libraries are out of reach.

mod answer;
#[cfg(feature = "authorization-code")]
mod authorization_code;
#[cfg(feature = "reqwest")]
mod bundled_transport;
mod client_auth;
mod client_credentials;
mod coding;
#[cfg(feature = "device")]
mod device;
mod dialect;
#[cfg(feature = "discovery")]
mod discovery;
mod endpoint_request;
mod endpoint_url;
mod error_codes;
#[doc(hidden)]
pub mod fuzzing;
mod grant;
mod granted;
mod id_token;
#[cfg(feature = "introspection")]
mod introspection;
#[cfg(feature = "jwt-bearer")]
mod jwt_bearer;
mod lifetime;
mod members;
mod oauth2_client;
mod password;
mod proof_of_possession;
mod refresh_token;
mod refusal;
mod refused;
#[cfg(feature = "__exchange")]
#[doc(hidden)]
pub mod reqwest_exchange;
mod retry_after;
mod scrub;
mod settings;
mod token_endpoint;
#[cfg(feature = "token-exchange")]
mod token_exchange;
mod transport;
#[cfg(feature = "reqwest")]
mod transport_options;
#[cfg(feature = "user-info")]
mod user_info;

#[cfg(feature = "authorization-code")]
pub use authorization_code::{
    AuthorizationCodeLogin, AuthorizationCodeLoginBuilder, AuthorizationRequest, Callback,
    IdTokenClaims, PendingLogin,
};
#[cfg(feature = "reqwest")]
pub use bundled_transport::BundledTransport;
pub use client_auth::{AssertionSource, ClientAuth};
pub use client_credentials::{ClientCredentialsBuilder, ClientCredentialsProvider};
#[cfg(feature = "device")]
pub use device::{DeviceLogin, DeviceLoginBuilder, PendingDeviceLogin};
#[cfg(feature = "discovery")]
pub use discovery::{AuthorizationServer, Discovery};
#[cfg(feature = "introspection")]
pub use introspection::{Introspected, Introspection, IntrospectionBuilder};
#[cfg(feature = "jwt-bearer")]
pub use jwt_bearer::{JwtBearerBuilder, JwtBearerProvider};
pub use password::{PasswordBuilder, PasswordProvider};
pub use proof_of_possession::ProofOfPossession;
pub use refresh_token::{RefreshTokenBuilder, RefreshTokenProvider};
#[cfg(feature = "token-exchange")]
pub use token_exchange::{TokenExchangeBuilder, TokenExchangeProvider, TokenSource, TokenTypeUri};
pub use transport::HttpTransport;
#[cfg(feature = "reqwest")]
pub use transport_options::TransportOptions;
#[cfg(feature = "user-info")]
pub use user_info::{UserClaims, UserInfo, UserInfoBuilder};
