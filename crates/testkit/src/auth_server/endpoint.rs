//! The parts of the server, and their paths.

use std::fmt;

/// A part of the server that faults and gates can be set for on their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// The token endpoint (RFC 6749 §3.2).
    Token,
    /// The revocation endpoint (RFC 7009 §2).
    Revocation,
    /// The protected resource (RFC 6750).
    Resource,
    /// The authorization endpoint (RFC 6749 §3.1).
    Authorization,
    /// The pushed authorization request endpoint (RFC 9126 §2).
    PushedAuthorization,
    /// The device authorization endpoint (RFC 8628 §3.1).
    DeviceAuthorization,
    /// The introspection endpoint (RFC 7662 §2).
    Introspection,
    /// The `UserInfo` endpoint (OpenID Connect Core §5.3).
    UserInfo,
    /// The page where a person enters the code of a device (RFC 8628 §3.3).
    DevicePage,
    /// The client registration endpoint (RFC 7591 §3).
    Registration,
    /// Both documents about the server (RFC 8414 §3, OpenID Connect Discovery §4), and its keys.
    Metadata,
}

/// The name in a sentence.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token => "token endpoint",
            Self::Revocation => "revocation",
            Self::Resource => "resource",
            Self::Authorization => "authorization",
            Self::PushedAuthorization => "pushed authorization",
            Self::DeviceAuthorization => "device authorization",
            Self::Introspection => "introspection",
            Self::UserInfo => "user info",
            Self::DevicePage => "device page",
            Self::Registration => "registration",
            Self::Metadata => "metadata",
        })
    }
}

pub(super) const AUTHORIZATION_PATH: &str = "/authorize";
pub(super) const PAR_PATH: &str = "/par";
pub(super) const DEVICE_PATH: &str = "/device_authorization";
pub(super) const INTROSPECTION_PATH: &str = "/introspect";
pub(super) const KEYS_PATH: &str = "/jwks";
pub(super) const USER_INFO_PATH: &str = "/userinfo";
pub(super) const DEVICE_PAGE_PATH: &str = "/device";
pub(super) const REGISTRATION_PATH: &str = "/register";
