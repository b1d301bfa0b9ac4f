//! Keys as JSON (RFC 7517), and the name that a key gives itself (RFC 7638).

use std::borrow::Cow;
use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use tokenkeeper::{Error, ErrorKind, Secret};
use zeroize::Zeroizing;

use crate::algorithm::{Algorithm, KeyType};
use crate::key_error;
use crate::key_pair::{KeyPair, Number, PrivateNumbers, PublicNumbers};
use crate::pem::{SERVICE_ACCOUNT, rejection};

/// A public key as a JWK, with the members that its kind of key requires and no others.
///
/// Serialised, it is also the text whose hash is the thumbprint: no blanks, members in order
/// (RFC 7638 §3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PublicJwk {
    #[serde(skip_serializing_if = "Option::is_none")]
    crv: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    e: Option<Box<str>>,
    kty: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<Box<str>>,
}

impl PublicJwk {
    pub(crate) fn of(key_pair: &KeyPair) -> Result<Self, Error> {
        let key_type = key_pair.key_type();
        let (crv, kty) = (key_type.curve(), key_type.jwk_type());
        let bare = Self { crv, e: None, kty, n: None, x: None, y: None };
        let text = |number: &[u8]| Some(URL_SAFE_NO_PAD.encode(number).into_boxed_str());
        let jwk = key_pair.with_public(|numbers| match numbers {
            PublicNumbers::Ec { x, y } => Self { x: text(x), y: text(y), ..bare },
            PublicNumbers::Rsa { n, e } => Self { n: text(n), e: text(e), ..bare },
            PublicNumbers::Ed25519 { x } => Self { x: text(x), ..bare },
        });
        jwk.map_err(|_| unreadable())
    }

    /// The SHA-256 thumbprint in base64url, 43 characters (RFC 7638).
    #[must_use]
    pub fn thumbprint(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest(&SHA256, self.to_string().as_bytes()))
    }
}

/// The JSON text.
impl fmt::Display for PublicJwk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = serde_json::to_string(self).map_err(|_| fmt::Error)?;
        f.write_str(&json)
    }
}

/// What a private JWK says: the key, and the algorithm and name for it.
pub(crate) struct Parsed {
    pub(crate) key_pair: KeyPair,
    pub(crate) algorithm: Algorithm,
    pub(crate) key_id: Option<Box<str>>,
}

/// Numbers are borrowed, so that no copies of them stay behind.
#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
struct PrivateJwk<'a> {
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    kty: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crv: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alg: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<Cow<'a, str>>,
    #[serde(skip_serializing, rename = "use")]
    purpose: Option<Cow<'a, str>>,
    #[serde(skip_serializing)]
    key_ops: Option<Vec<Cow<'a, str>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    e: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    d: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    q: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dp: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dq: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    qi: Option<&'a str>,
    /// More than two primes.
    #[serde(skip_serializing)]
    oth: Option<IgnoredAny>,
    /// The member of a set, which is no key.
    #[serde(skip_serializing)]
    keys: Option<IgnoredAny>,
    /// The member of a service account, which holds PEM.
    #[serde(skip_serializing)]
    private_key: Option<IgnoredAny>,
}

pub(crate) fn parse(text: &str) -> Result<Parsed, Error> {
    // Its errors would quote the text.
    let jwk: PrivateJwk<'_> = serde_json::from_str(text).map_err(|_| {
        key_error(if text.contains("-----BEGIN ") {
            "is PEM and not a JWK; SigningKey::from_pem reads it"
        } else {
            "is not a JWK (a JSON object)"
        })
    })?;
    let key_type = key_type(&jwk)?;
    if jwk.purpose.as_ref().is_some_and(|purpose| purpose != "sig") {
        return Err(key_error("is not for signatures: its `use` is something else"));
    }
    if jwk.key_ops.as_ref().is_some_and(|operations| !operations.iter().any(|it| it == "sign")) {
        return Err(key_error("is not for signing: its `key_ops` has no `sign`"));
    }
    let algorithm = match jwk.alg {
        None => key_type.usual_algorithm(),
        Some(name) => match Algorithm::from_name(name) {
            Some(algorithm) if algorithm.key_type() == key_type => algorithm,
            _ => {
                let what = format!("is {key_type} key with an `alg` that such keys do not have");
                return Err(key_error(what));
            }
        },
    };
    let numbers = numbers(&jwk, key_type)?;
    let key_pair = KeyPair::from_numbers(key_type, &numbers)
        .map_err(|rejected| rejection(key_type, Some(rejected)))?;
    Ok(Parsed { key_pair, algorithm, key_id: jwk.kid.map(|kid| kid.into()) })
}

/// The private key as a JWK, with its algorithm and name.
pub(crate) fn private_jwk(
    key_pair: &KeyPair,
    algorithm: Algorithm,
    key_id: Option<&str>,
) -> Result<Secret, Error> {
    let numbers = key_pair.private().map_err(|_| unreadable())?;
    let text = numbers.map(|number| {
        // Reserved first: a text that has to grow leaves a copy behind.
        let mut text = Zeroizing::new(String::with_capacity(number.len() * 4 / 3 + 4));
        URL_SAFE_NO_PAD.encode_string(&**number, &mut text);
        text
    });
    let key_type = key_pair.key_type();
    let bare = PrivateJwk {
        kty: Some(key_type.jwk_type()),
        crv: key_type.curve(),
        alg: Some(algorithm.as_str()),
        kid: key_id.map(Cow::Borrowed),
        ..PrivateJwk::default()
    };
    let jwk = match &text {
        PrivateNumbers::Ec { x, y, d } => PrivateJwk { x: Some(x), y: Some(y), d: Some(d), ..bare },
        PrivateNumbers::Ed25519 { x, d } => PrivateJwk { x: Some(x), d: Some(d), ..bare },
        PrivateNumbers::Rsa { n, e, d, p, q, dp, dq, qi } => PrivateJwk {
            n: Some(n),
            e: Some(e),
            d: Some(d),
            p: Some(p),
            q: Some(q),
            dp: Some(dp),
            dq: Some(dq),
            qi: Some(qi),
            ..bare
        },
    };
    let mut json = Zeroizing::new(Vec::with_capacity(
        LONGEST_KEY + key_id.map_or(0, |key_id| key_id.len() * LONGEST_ESCAPE),
    ));
    serde_json::to_writer(&mut *json, &jwk).map_err(|_| unreadable())?;
    std::str::from_utf8(&json).map(Secret::from).map_err(|_| unreadable())
}

fn key_type(jwk: &PrivateJwk<'_>) -> Result<KeyType, Error> {
    let known = |key_type: &KeyType| {
        Some(key_type.jwk_type()) == jwk.kty
            && (key_type.curve() == jwk.crv || *key_type == KeyType::Rsa)
    };
    KeyType::ALL.into_iter().find(known).ok_or_else(|| {
        key_error(match jwk.kty {
            None if jwk.keys.is_some() => "is a set of keys; take the one to sign with out of it",
            None if jwk.private_key.is_some() => SERVICE_ACCOUNT,
            None => "is not a JWK: it has no `kty`",
            Some("oct") => "is a shared secret; an HmacKey is made of one",
            Some("EC" | "OKP") => {
                "is on a curve that is not supported (`crv`): P-256, P-384, P-521 and Ed25519 are"
            }
            Some(_) => "is of a kind that is not supported (`kty`): EC, OKP and RSA are",
        })
    })
}

fn numbers(jwk: &PrivateJwk<'_>, key_type: KeyType) -> Result<PrivateNumbers<Number>, Error> {
    if jwk.d.is_none() {
        return Err(key_error("is a public key (no `d`); signing takes the private one"));
    }
    let number = |name: &str, text: Option<&str>| {
        let text = text.ok_or_else(|| key_error(format!("lacks the member `{name}`")))?;
        match URL_SAFE_NO_PAD.decode(text) {
            Ok(number) => Ok(Zeroizing::new(number)),
            Err(_) => Err(key_error(format!("has a member `{name}` that is not base64url"))),
        }
    };
    // Some programs write a zero in front, because others take a number without it for a negative
    // one (RFC 7518 §6.3.1.1).
    let least = |name: &str, text: Option<&str>| {
        let mut number = number(name, text)?;
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        number.drain(..zeros);
        Ok::<_, Error>(number)
    };
    let exact = |name: &str, text: Option<&str>| {
        let number = number(name, text)?;
        let length = match key_type {
            KeyType::P384 => 48,
            KeyType::P521 => 66,
            _ => 32,
        };
        if number.len() == length {
            return Ok(number);
        }
        // RFC 7518 §6.2.1.2: leading zeros stay.
        Err(key_error(format!("has a member `{name}` that is not {length} bytes long")))
    };
    Ok(match key_type {
        KeyType::P256 | KeyType::P384 | KeyType::P521 => PrivateNumbers::Ec {
            x: exact("x", jwk.x)?,
            y: exact("y", jwk.y)?,
            d: exact("d", jwk.d)?,
        },
        KeyType::Ed25519 => {
            PrivateNumbers::Ed25519 { x: exact("x", jwk.x)?, d: exact("d", jwk.d)? }
        }
        KeyType::Rsa if jwk.oth.is_some() => {
            return Err(key_error("has more than two primes, which is not supported"));
        }
        KeyType::Rsa => PrivateNumbers::Rsa {
            n: least("n", jwk.n)?,
            e: least("e", jwk.e)?,
            d: least("d", jwk.d)?,
            p: least("p", jwk.p)?,
            q: least("q", jwk.q)?,
            dp: least("dp", jwk.dp)?,
            dq: least("dq", jwk.dq)?,
            qi: least("qi", jwk.qi)?,
        },
    })
}

fn unreadable() -> Error {
    Error::new(ErrorKind::Internal, "signing key: the library does not give its numbers")
}

const LONGEST_KEY: usize = 8 * 1024; // RSA of 8192 bits in base64 takes some 6300 bytes
const LONGEST_ESCAPE: usize = 6; // one byte becomes \u001f
