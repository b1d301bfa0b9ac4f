//! What the standards ask of a client, a module for each.

#[cfg(feature = "device")]
#[path = "../device/mod.rs"]
mod device;
#[cfg(feature = "authorization-code")]
#[path = "../login/mod.rs"]
mod login;
#[path = "../support/mod.rs"]
mod support;

mod rfc6749;
mod rfc6749_authorization_code;
mod rfc6749_callbacks;
mod rfc7009;
mod rfc7523_grant;
mod rfc7636;
mod rfc7662;
mod rfc8414;
mod rfc8628;
mod rfc8693;
mod rfc8705;
mod rfc8707;
mod rfc9068;
mod rfc9126;
mod rfc9207;
mod rfc9449_authorization_code;
mod rfc9700;
