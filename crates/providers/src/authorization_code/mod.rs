//! Logins of people in a browser (RFC 6749 §4.1), with PKCE and a state of their own, always.
//!
//! A login is begun and finished by two calls that may be hours and processes apart, so what connects
//! them is a value that can be stored: [`PendingLogin`]. It knows which client and server it belongs
//! to, and everything that comes back is held against it before a code is sent anywhere: state, issuer
//! (RFC 9207), time. Requests are built here and not by the `oauth2` crate, because the same
//! parameters go either into a URL or into a form that is pushed (RFC 9126).

mod authorization_request;
mod builder;
mod callback;
mod id_token_check;
mod id_token_claims;
mod login;
mod logout;
mod pending_login;
mod pushed_request;
mod redirect_uri;

pub use authorization_request::AuthorizationRequest;
pub use builder::AuthorizationCodeLoginBuilder;
pub use callback::Callback;
pub(crate) use id_token_check::is_accepted;
pub use id_token_claims::IdTokenClaims;
pub use login::AuthorizationCodeLogin;
pub use pending_login::PendingLogin;
