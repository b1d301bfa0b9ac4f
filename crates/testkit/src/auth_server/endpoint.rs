//! The parts of the server, and which path leads to which.

use std::fmt;

use super::state::Config;

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
    /// Both documents about the server (RFC 8414 §3, OpenID Connect Discovery §4), and its keys.
    Metadata,
}

impl Endpoint {
    /// The part of the server that this path belongs to, if it belongs to one.
    pub(super) fn of_path(path: &str, config: &Config) -> Option<Self> {
        if path == config.token_path {
            return Some(Self::Token);
        }
        if path == config.revocation_path {
            return Some(Self::Revocation);
        }
        let below = path.strip_prefix(config.resource_prefix.as_str());
        if below.is_some_and(|below| below.is_empty() || below.starts_with('/')) {
            return Some(Self::Resource);
        }
        match path {
            AUTHORIZATION_PATH => Some(Self::Authorization),
            PAR_PATH => Some(Self::PushedAuthorization),
            DEVICE_PATH => Some(Self::DeviceAuthorization),
            INTROSPECTION_PATH => Some(Self::Introspection),
            USER_INFO_PATH => Some(Self::UserInfo),
            KEYS_PATH => Some(Self::Metadata),
            _ if config.metadata_paths().iter().any(|known| known == path) => Some(Self::Metadata),
            _ => None,
        }
    }
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
