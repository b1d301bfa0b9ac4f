//! What stays as it was built.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tokenkeeper::{Clock, Scopes, SystemClock};

use super::endpoint::{
    AUTHORIZATION_PATH, DEVICE_PAGE_PATH, DEVICE_PATH, Endpoint, INTROSPECTION_PATH, KEYS_PATH,
    PAR_PATH, REGISTRATION_PATH, USER_INFO_PATH,
};

#[derive(Clone)]
pub(super) struct Config {
    pub(super) token_path: String,
    pub(super) revocation_path: String,
    pub(super) resource_prefix: String,
    pub(super) public_paths: Vec<String>,
    /// Scheme, host and port, as clients see them.
    pub(super) url: String,
    pub(super) issuer_path: String,
    pub(super) login: LoginSettings,
    pub(super) allowed_resources: Option<Vec<String>>,
    pub(super) dpop: DpopSettings,
    pub(super) trusted_issuers: Vec<String>,
    /// By client or issuer.
    pub(super) public_keys: Vec<(String, Value)>,
    pub(super) id_tokens: IdTokenSigning,
    pub(super) signs_user_info: bool,
    pub(super) signs_introspection: bool,
    pub(super) registration: Option<RegistrationSettings>,
    /// Lets scripts of every origin read the answers.
    pub(super) allows_cors: bool,
    pub(super) states_lifetime: bool,
    pub(super) issues_refresh_tokens: bool,
    pub(super) refreshes_client_credentials: bool,
    pub(super) allowed_scopes: Option<Scopes>,
    pub(super) extra: Map<String, Value>,
    pub(super) clock: Arc<dyn Clock>,
}

/// What stays as it was built, about logins.
#[derive(Clone, Debug)]
pub(super) struct LoginSettings {
    pub(super) code_lifetime: Duration,
    pub(super) requests_must_be_pushed: bool,
    pub(super) device_lifetime: Duration,
    pub(super) polling_interval: Duration,
}

/// What stays as it was built, about proofs of possession.
#[derive(Clone, Debug, Default)]
pub(super) struct DpopSettings {
    pub(super) required: bool,
    pub(super) demands_nonces: bool,
}

/// What stays as it was built, about clients that register themselves.
#[derive(Clone, Default)]
pub(super) struct RegistrationSettings {
    /// What a registration must come with (RFC 7591 §3), if anything.
    pub(super) initial_access_token: Option<String>,
}

/// How ID tokens are signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum IdTokenSigning {
    /// With the secret of the client (HS256, OpenID Connect Core §10.1), and not at all (`none`)
    /// where the client is public.
    #[default]
    ClientSecret,
    /// Not at all: `alg` is `none`.
    Unsigned,
    /// With an RSA key of 2048 bits (RS256), as most servers do.
    #[cfg(feature = "signatures")]
    Rs256,
    /// With a key on the curve P-256 (ES256).
    #[cfg(feature = "signatures")]
    Es256,
    /// With an Ed25519 key (`EdDSA`, RFC 8037).
    #[cfg(feature = "signatures")]
    EdDsa,
}

impl IdTokenSigning {
    /// The name of the algorithm (RFC 7518 §3.1, RFC 8037 §3.1).
    pub(super) const fn algorithm(self, client_has_secret: bool) -> &'static str {
        match self {
            Self::ClientSecret if client_has_secret => "HS256",
            Self::ClientSecret | Self::Unsigned => "none",
            #[cfg(feature = "signatures")]
            Self::Rs256 => "RS256",
            #[cfg(feature = "signatures")]
            Self::Es256 => "ES256",
            #[cfg(feature = "signatures")]
            Self::EdDsa => "EdDSA",
        }
    }

    /// The one with an algorithm of that name; `None` for what is not offered.
    pub(super) fn of_algorithm(name: &str) -> Option<Self> {
        Some(match name {
            "HS256" => Self::ClientSecret,
            "none" => Self::Unsigned,
            #[cfg(feature = "signatures")]
            "RS256" => Self::Rs256,
            #[cfg(feature = "signatures")]
            "ES256" => Self::Es256,
            #[cfg(feature = "signatures")]
            "EdDSA" => Self::EdDsa,
            _ => return None,
        })
    }
}

impl Default for LoginSettings {
    fn default() -> Self {
        Self {
            code_lifetime: Duration::from_secs(60),
            requests_must_be_pushed: false,
            device_lifetime: Duration::from_secs(600),
            polling_interval: Duration::from_secs(5),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            token_path: "/token".to_owned(),
            revocation_path: "/revoke".to_owned(),
            resource_prefix: "/api".to_owned(),
            public_paths: Vec::new(),
            url: String::new(),
            issuer_path: String::new(),
            login: LoginSettings::default(),
            allowed_resources: None,
            dpop: DpopSettings::default(),
            trusted_issuers: Vec::new(),
            public_keys: Vec::new(),
            id_tokens: IdTokenSigning::default(),
            signs_user_info: false,
            signs_introspection: false,
            registration: None,
            allows_cors: false,
            states_lifetime: true,
            issues_refresh_tokens: true,
            refreshes_client_credentials: false,
            allowed_scopes: None,
            extra: Map::new(),
            clock: Arc::new(SystemClock),
        }
    }
}

impl Config {
    pub(super) fn issuer(&self) -> String {
        self.url.clone() + &self.issuer_path
    }

    pub(super) fn token_url(&self) -> String {
        self.url.clone() + &self.token_path
    }

    pub(super) fn keys_of(&self, party: &str) -> impl Iterator<Item = &Value> {
        self.public_keys.iter().filter(move |(owner, _)| owner == party).map(|(_, key)| key)
    }

    /// RFC 8414 §3.1 puts the path of the issuer last, OpenID Connect Discovery §4 first.
    pub(super) fn metadata_paths(&self) -> [String; 2] {
        let path = &self.issuer_path;
        [
            format!("/.well-known/oauth-authorization-server{path}"),
            format!("{path}/.well-known/openid-configuration"),
        ]
    }

    /// The part of the server that this path belongs to, if it belongs to one.
    pub(super) fn endpoint_of(&self, path: &str) -> Option<Endpoint> {
        if path == self.token_path {
            return Some(Endpoint::Token);
        }
        if path == self.revocation_path {
            return Some(Endpoint::Revocation);
        }
        let below = path.strip_prefix(self.resource_prefix.as_str());
        if below.is_some_and(|below| below.is_empty() || below.starts_with('/')) {
            return Some(Endpoint::Resource);
        }
        match path {
            AUTHORIZATION_PATH => Some(Endpoint::Authorization),
            PAR_PATH => Some(Endpoint::PushedAuthorization),
            DEVICE_PATH => Some(Endpoint::DeviceAuthorization),
            DEVICE_PAGE_PATH => Some(Endpoint::DevicePage),
            INTROSPECTION_PATH => Some(Endpoint::Introspection),
            USER_INFO_PATH => Some(Endpoint::UserInfo),
            REGISTRATION_PATH => self.registration.as_ref().map(|_| Endpoint::Registration),
            KEYS_PATH => Some(Endpoint::Metadata),
            _ => {
                let is_known = self.metadata_paths().iter().any(|known| known == path);
                is_known.then_some(Endpoint::Metadata)
            }
        }
    }
}
