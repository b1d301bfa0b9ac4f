//! The key pairs of the cryptographic library, and their numbers.
//!
//! The only file that knows how the library wants its keys. The library overwrites them when they
//! are dropped.

use aws_lc_rs::encoding::{AsBigEndian as _, AsDer as _, EcPrivateKeyBin, Pkcs8V1Der};
use aws_lc_rs::error::{KeyRejected, Unspecified};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPairComponents, KeySize};
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaEncoding,
    RsaKeyPair, RsaPublicKeyComponents,
};
use pkcs1::der::Decode as _;
use pkcs1::der::asn1::UintRef;
use zeroize::Zeroizing;

use crate::algorithm::{Algorithm, KeyType};

/// A private key and its public half.
pub(crate) enum KeyPair {
    Ec(KeyType, EcdsaKeyPair),
    Rsa(RsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// The numbers of a public key, as a JWK has them.
pub(crate) enum PublicNumbers<'a> {
    Ec { x: &'a [u8], y: &'a [u8] },
    Rsa { n: &'a [u8], e: &'a [u8] },
    Ed25519 { x: &'a [u8] },
}

/// The numbers of a private key, public ones included, as a JWK has them.
pub(crate) enum PrivateNumbers<D> {
    Ec { x: D, y: D, d: D },
    Rsa { n: D, e: D, d: D, p: D, q: D, dp: D, dq: D, qi: D },
    Ed25519 { x: D, d: D },
}

impl<D> PrivateNumbers<D> {
    pub(crate) fn map<T>(&self, change: impl Fn(&D) -> T) -> PrivateNumbers<T> {
        match self {
            Self::Ec { x, y, d } => PrivateNumbers::Ec { x: change(x), y: change(y), d: change(d) },
            Self::Ed25519 { x, d } => PrivateNumbers::Ed25519 { x: change(x), d: change(d) },
            Self::Rsa { n, e, d, p, q, dp, dq, qi } => PrivateNumbers::Rsa {
                n: change(n),
                e: change(e),
                d: change(d),
                p: change(p),
                q: change(q),
                dp: change(dp),
                dq: change(dq),
                qi: change(qi),
            },
        }
    }
}

pub(crate) type Number = Zeroizing<Vec<u8>>;

impl KeyPair {
    pub(crate) fn generate(key_type: KeyType) -> Result<Self, Unspecified> {
        Ok(match (key_type, ecdsa(key_type)) {
            (_, Some(ecdsa)) => Self::Ec(key_type, EcdsaKeyPair::generate(ecdsa)?),
            (KeyType::Ed25519, None) => Self::Ed25519(Ed25519KeyPair::generate()?),
            (_, None) => Self::Rsa(RsaKeyPair::generate(KeySize::Rsa3072)?),
        })
    }

    /// From PKCS#8.
    pub(crate) fn from_pkcs8(key_type: KeyType, der: &[u8]) -> Result<Self, KeyRejected> {
        Ok(match (key_type, ecdsa(key_type)) {
            (_, Some(ecdsa)) => Self::Ec(key_type, EcdsaKeyPair::from_pkcs8(ecdsa, der)?),
            (KeyType::Ed25519, None) => Self::Ed25519(Ed25519KeyPair::from_pkcs8(der)?),
            (_, None) => Self::Rsa(RsaKeyPair::from_pkcs8(der)?),
        })
    }

    /// From `RSAPrivateKey` (RFC 8017 §A.1.2).
    pub(crate) fn from_pkcs1(der: &[u8]) -> Result<Self, KeyRejected> {
        RsaKeyPair::from_der(der).map(Self::Rsa)
    }

    /// From `ECPrivateKey` (RFC 5915 §3). None for a key type without a curve of that kind.
    pub(crate) fn from_sec1(key_type: KeyType, der: &[u8]) -> Option<Result<Self, KeyRejected>> {
        let key_pair = EcdsaKeyPair::from_private_key_der(ecdsa(key_type)?, der);
        Some(key_pair.map(|key_pair| Self::Ec(key_type, key_pair)))
    }

    /// From the numbers; they must fit together.
    pub(crate) fn from_numbers(
        key_type: KeyType,
        numbers: &PrivateNumbers<Number>,
    ) -> Result<Self, KeyRejected> {
        match (numbers, ecdsa(key_type)) {
            (PrivateNumbers::Ec { x, y, d }, Some(ecdsa)) => {
                let point = [&[UNCOMPRESSED], &***x, &***y].concat();
                let key_pair = EcdsaKeyPair::from_private_key_and_public_key(ecdsa, d, &point)?;
                Ok(Self::Ec(key_type, key_pair))
            }
            (PrivateNumbers::Rsa { n, e, d, p, q, dp, dq, qi }, _) => {
                RsaKeyPair::from_components(&KeyPairComponents {
                    public_key: RsaPublicKeyComponents { n, e },
                    d: &***d,
                    p: &***p,
                    q: &***q,
                    dP: &***dp,
                    dQ: &***dq,
                    qInv: &***qi,
                })
                .map(Self::Rsa)
            }
            (PrivateNumbers::Ed25519 { x, d }, _) => {
                Ed25519KeyPair::from_seed_and_public_key(d, x).map(Self::Ed25519)
            }
            (PrivateNumbers::Ec { .. }, None) => Err(Unspecified.into()),
        }
    }

    pub(crate) fn key_type(&self) -> KeyType {
        match self {
            Self::Ec(key_type, _) => *key_type,
            Self::Rsa(_) => KeyType::Rsa,
            Self::Ed25519(_) => KeyType::Ed25519,
        }
    }

    /// The signature as a JWS has it: for ECDSA both numbers one after the other (RFC 7518 §3.4).
    pub(crate) fn sign(
        &self,
        algorithm: Algorithm,
        message: &[u8],
    ) -> Result<Vec<u8>, Unspecified> {
        let random = SystemRandom::new();
        Ok(match self {
            Self::Ec(_, key_pair) => key_pair.sign(&random, message)?.as_ref().to_vec(),
            Self::Ed25519(key_pair) => key_pair.try_sign(message)?.as_ref().to_vec(),
            Self::Rsa(key_pair) => {
                let mut signature = vec![0; key_pair.public_modulus_len()];
                key_pair.sign(rsa(algorithm)?, &random, message, &mut signature)?;
                signature
            }
        })
    }

    /// Calls with the numbers of the public key.
    pub(crate) fn with_public<T>(
        &self,
        use_numbers: impl FnOnce(PublicNumbers<'_>) -> T,
    ) -> Result<T, Unspecified> {
        match self {
            Self::Ec(_, key_pair) => {
                let (x, y) = coordinates(key_pair.public_key().as_ref())?;
                Ok(use_numbers(PublicNumbers::Ec { x, y }))
            }
            Self::Rsa(key_pair) => {
                let der = key_pair.public_key().as_ref();
                let public = pkcs1::RsaPublicKey::from_der(der).map_err(|_| Unspecified)?;
                let (n, e): (UintRef<'_>, UintRef<'_>) = (public.modulus, public.public_exponent);
                Ok(use_numbers(PublicNumbers::Rsa { n: n.as_bytes(), e: e.as_bytes() }))
            }
            Self::Ed25519(key_pair) => {
                Ok(use_numbers(PublicNumbers::Ed25519 { x: key_pair.public_key().as_ref() }))
            }
        }
    }

    /// The numbers of the private key, public ones included.
    pub(crate) fn private(&self) -> Result<PrivateNumbers<Number>, Unspecified> {
        match self {
            Self::Ec(_, key_pair) => {
                let (x, y) = coordinates(key_pair.public_key().as_ref())?;
                let d: EcPrivateKeyBin<'_> = key_pair.private_key().as_be_bytes()?;
                let number = |bytes: &[u8]| Zeroizing::new(bytes.to_vec());
                Ok(PrivateNumbers::Ec { x: number(x), y: number(y), d: number(d.as_ref()) })
            }
            Self::Rsa(key_pair) => {
                let der: Pkcs8V1Der<'_> = key_pair.as_der()?;
                rsa_numbers(der.as_ref()).map_err(|_| Unspecified)
            }
            Self::Ed25519(key_pair) => {
                let seed = key_pair.seed()?.as_be_bytes()?;
                let x = key_pair.public_key().as_ref().to_vec();
                let d = Zeroizing::new(seed.as_ref().to_vec());
                Ok(PrivateNumbers::Ed25519 { x: Zeroizing::new(x), d })
            }
        }
    }
}

fn rsa_numbers(pkcs8: &[u8]) -> Result<PrivateNumbers<Number>, pkcs1::der::Error> {
    let outer = pkcs8::PrivateKeyInfoRef::from_der(pkcs8)?;
    let key = pkcs1::RsaPrivateKey::from_der(outer.private_key.as_bytes())?;
    let number = |uint: UintRef<'_>| Zeroizing::new(uint.as_bytes().to_vec());
    Ok(PrivateNumbers::Rsa {
        n: number(key.modulus),
        e: number(key.public_exponent),
        d: number(key.private_exponent),
        p: number(key.prime1),
        q: number(key.prime2),
        dp: number(key.exponent1),
        dq: number(key.exponent2),
        qi: number(key.coefficient),
    })
}

/// Both halves of an uncompressed point (SEC 1 §2.3.3).
fn coordinates(point: &[u8]) -> Result<(&[u8], &[u8]), Unspecified> {
    let (first, halves) = point.split_first().ok_or(Unspecified)?;
    if *first != UNCOMPRESSED {
        return Err(Unspecified);
    }
    halves.split_at_checked(halves.len() / 2).ok_or(Unspecified)
}

fn ecdsa(key_type: KeyType) -> Option<&'static EcdsaSigningAlgorithm> {
    match key_type {
        KeyType::P256 => Some(&signature::ECDSA_P256_SHA256_FIXED_SIGNING),
        KeyType::P384 => Some(&signature::ECDSA_P384_SHA384_FIXED_SIGNING),
        KeyType::P521 => Some(&signature::ECDSA_P521_SHA512_FIXED_SIGNING),
        KeyType::Rsa | KeyType::Ed25519 => None,
    }
}

fn rsa(algorithm: Algorithm) -> Result<&'static dyn RsaEncoding, Unspecified> {
    match algorithm {
        Algorithm::Rs256 => Ok(&signature::RSA_PKCS1_SHA256),
        Algorithm::Rs384 => Ok(&signature::RSA_PKCS1_SHA384),
        Algorithm::Rs512 => Ok(&signature::RSA_PKCS1_SHA512),
        Algorithm::Ps256 => Ok(&signature::RSA_PSS_SHA256),
        Algorithm::Ps384 => Ok(&signature::RSA_PSS_SHA384),
        Algorithm::Ps512 => Ok(&signature::RSA_PSS_SHA512),
        _ => Err(Unspecified),
    }
}

const UNCOMPRESSED: u8 = 4; // the first byte of a point with both coordinates
