//! The algorithms that a key can sign with, and the keys that they are for.

use std::fmt;

/// How a [`SigningKey`](crate::SigningKey) signs: a name of the JOSE registry (RFC 7518 §3.1).
///
/// Those with a shared secret are not among them; an [`HmacKey`](crate::HmacKey) has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256: short signatures, and what most servers take.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// ECDSA on P-521 with SHA-512.
    Es512,
    /// RSASSA-PKCS1-v1_5 with SHA-256: what every server takes.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// Ed25519 under the name of RFC 8037, which more servers know.
    EdDsa,
    /// Ed25519 under the name of RFC 9864, which says the curve.
    Ed25519,
}

/// Which keys an algorithm takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyType {
    P256,
    P384,
    P521,
    Rsa,
    Ed25519,
}

impl Algorithm {
    /// The name in the header of a JWT.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::EdDsa => "EdDSA",
            Self::Ed25519 => "Ed25519",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }

    pub(crate) const fn key_type(self) -> KeyType {
        match self {
            Self::Es256 => KeyType::P256,
            Self::Es384 => KeyType::P384,
            Self::Es512 => KeyType::P521,
            Self::Rs256 | Self::Rs384 | Self::Rs512 => KeyType::Rsa,
            Self::Ps256 | Self::Ps384 | Self::Ps512 => KeyType::Rsa,
            Self::EdDsa | Self::Ed25519 => KeyType::Ed25519,
        }
    }

    const ALL: [Self; 11] = [
        Self::Es256,
        Self::Es384,
        Self::Es512,
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::EdDsa,
        Self::Ed25519,
    ];
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl KeyType {
    pub(crate) const ALL: [Self; 5] =
        [Self::P256, Self::P384, Self::P521, Self::Rsa, Self::Ed25519];

    /// What a key of this type signs with if nothing else is said.
    pub(crate) const fn usual_algorithm(self) -> Algorithm {
        match self {
            Self::P256 => Algorithm::Es256,
            Self::P384 => Algorithm::Es384,
            Self::P521 => Algorithm::Es512,
            Self::Rsa => Algorithm::Rs256,
            Self::Ed25519 => Algorithm::EdDsa,
        }
    }

    /// `crv` of a JWK (RFC 7518 §6.2.1.1, RFC 8037 §2).
    pub(crate) const fn curve(self) -> Option<&'static str> {
        match self {
            Self::P256 => Some("P-256"),
            Self::P384 => Some("P-384"),
            Self::P521 => Some("P-521"),
            Self::Ed25519 => Some("Ed25519"),
            Self::Rsa => None,
        }
    }

    /// `kty` of a JWK (RFC 7518 §6.1, RFC 8037 §2).
    pub(crate) const fn jwk_type(self) -> &'static str {
        match self {
            Self::P256 | Self::P384 | Self::P521 => "EC",
            Self::Ed25519 => "OKP",
            Self::Rsa => "RSA",
        }
    }
}

/// With its article: "an RSA", as in "an RSA key".
impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::P256 => "a P-256",
            Self::P384 => "a P-384",
            Self::P521 => "a P-521",
            Self::Rsa => "an RSA",
            Self::Ed25519 => "an Ed25519",
        })
    }
}
