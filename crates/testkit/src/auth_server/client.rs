//! A client that the server knows, and what it may do.

use serde_json::Value;
use tokenkeeper::{Scopes, Secret};

use super::config::{Config, IdTokenSigning};

/// How a client must prove who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientAuth {
    /// Any way in which the secret is sent once: as a Basic header in either spelling, or in the
    /// body.
    #[default]
    Any,
    /// `client_secret_basic`: id and secret are form-encoded, then put into a Basic header
    /// (RFC 6749 §2.3.1). Both `+` and `%20` are a blank.
    Basic,
    /// A Basic header of id and secret as they are, which is all that some servers take.
    RawBasic,
    /// `client_secret_post`: id and secret are in the body.
    Post,
    /// `none`: a public client, the id is in the body. It cannot use client credentials.
    None,
    /// `private_key_jwt` and the like (RFC 7523 §2.2): a `client_assertion` in the body. Nothing
    /// about it is checked but that it comes only once, and with no `client_id` of another client.
    Assertion,
    /// `private_key_jwt` (RFC 7523 §2.2): a `client_assertion` whose `iss` and `sub` are the
    /// client, whose `aud` is the issuer, the token endpoint or the endpoint that is asked, with
    /// `exp` and a `jti` of its own. The signature is checked if the client has a
    #[cfg_attr(
        feature = "signatures",
        doc = "[public key](crate::FakeAuthServerBuilder::public_key)."
    )]
    #[cfg_attr(not(feature = "signatures"), doc = "public key (feature `signatures`).")]
    PrivateKeyJwt,
    /// `client_secret_jwt`: the same, signed with the secret by HS256. The signature is checked.
    ClientSecretJwt,
}

impl ClientAuth {
    /// The names of its methods (RFC 7591 §2, OpenID Connect Core §9).
    pub(super) const fn methods(self) -> &'static [&'static str] {
        match self {
            Self::Any => &["client_secret_basic", "client_secret_post"],
            Self::Basic | Self::RawBasic => &["client_secret_basic"],
            Self::Post => &["client_secret_post"],
            Self::None => &["none"],
            Self::Assertion | Self::PrivateKeyJwt => &["private_key_jwt"],
            Self::ClientSecretJwt => &["client_secret_jwt"],
        }
    }
}

/// Whether a login of a client must come with a code challenge (RFC 7636). The only method is
/// S256; `plain` is refused always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Pkce {
    /// A login without a challenge is refused (RFC 9700 §2.1.1).
    #[default]
    Required,
    /// A login may come without a challenge. One that comes is checked.
    Optional,
}

#[derive(Clone)]
pub(super) struct Client {
    pub(super) id: String,
    pub(super) secret: Secret,
    pub(super) auth: ClientAuth,
    pub(super) redirect_uris: Vec<String>,
    /// All of them, if it says nothing else.
    pub(super) grants: Option<Vec<String>>,
    /// Those that the server allows, if it says nothing else.
    pub(super) scopes: Option<Scopes>,
    pub(super) pkce: Pkce,
    /// As the server does, if it says nothing else.
    pub(super) id_tokens: Option<IdTokenSigning>,
    /// That it registered itself.
    pub(super) keys: Vec<Value>,
}

impl Client {
    pub(super) fn new(id: &str, secret: &str, auth: ClientAuth) -> Self {
        Self {
            id: id.to_owned(),
            secret: secret.into(),
            auth,
            redirect_uris: Vec::new(),
            grants: None,
            scopes: None,
            pkce: Pkce::default(),
            id_tokens: None,
            keys: Vec::new(),
        }
    }

    /// A party that comes without a name.
    pub(super) fn unnamed() -> Self {
        Self::new("", "", ClientAuth::None)
    }

    pub(super) fn is_public(&self) -> bool {
        self.auth == ClientAuth::None
    }

    /// The secret, unless it has none to keep.
    pub(super) fn own_secret(&self) -> Option<&str> {
        let secret = self.secret.expose_secret();
        (!secret.is_empty() && !self.is_public()).then_some(secret)
    }

    pub(super) fn has_secret(&self, secret: &str) -> bool {
        self.secret.expose_secret() == secret
    }

    pub(super) fn may_use(&self, grant: &str) -> bool {
        self.grants.as_ref().is_none_or(|grants| grants.iter().any(|known| known == grant))
    }

    pub(super) fn signing(&self, config: &Config) -> IdTokenSigning {
        self.id_tokens.unwrap_or(config.id_tokens)
    }
}
