//! Private keys from PEM (RFC 7468), as openssl and the consoles of services write it.

use aws_lc_rs::error::KeyRejected;
use pkcs1::der::Decode as _;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::{PemObject as _, SectionKind};
use tokenkeeper::Error;
use zeroize::Zeroizing;

use crate::algorithm::KeyType;
use crate::key_error;
use crate::key_pair::KeyPair;

/// The first private key in the text, which must be of this type.
pub(crate) fn key_pair(key_type: KeyType, pem: &[u8]) -> Result<KeyPair, Error> {
    if let Some(json) = json(pem) {
        return Err(key_error(json));
    }
    if is_encrypted(pem) {
        return Err(key_error(ENCRYPTED));
    }
    let key = match PrivateKeyDer::from_pem_slice(pem) {
        Ok(key) => Zeroizing::new(key),
        Err(rustls_pki_types::pem::Error::NoItemsFound) => return Err(key_error(no_key(pem))),
        Err(_) => return Err(key_error(MALFORMED)),
    };
    let rejected = match parse(key_type, &key) {
        Some(Ok(key_pair)) => return Ok(key_pair),
        Some(Err(rejected)) => Some(rejected),
        None => None,
    };
    let is = |key_type: &KeyType| matches!(parse(*key_type, &key), Some(Ok(_)));
    Err(match KeyType::ALL.into_iter().find(is) {
        Some(other) => {
            key_error(format!("is {other} key, and the algorithm asks for {key_type} key"))
        }
        None => match unsupported(&key) {
            Some(kind) => key_error(kind),
            None => rejection(key_type, rejected),
        },
    })
}

/// What to say of a key that the library does not take.
pub(crate) fn rejection(key_type: KeyType, rejected: Option<KeyRejected>) -> Error {
    match rejected.map(|rejected| rejected.description_()) {
        Some("TooSmall") => key_error("must have at least 2048 bits (RFC 7518 §3.3)"),
        Some("TooLarge") => key_error("must not have more than 8192 bits"),
        _ => key_error(format!("is damaged, or is not {key_type} key")),
    }
}

fn parse(key_type: KeyType, key: &PrivateKeyDer<'_>) -> Option<Result<KeyPair, KeyRejected>> {
    match key {
        PrivateKeyDer::Pkcs8(der) => Some(KeyPair::from_pkcs8(key_type, der.secret_pkcs8_der())),
        PrivateKeyDer::Sec1(der) => KeyPair::from_sec1(key_type, der.secret_sec1_der()),
        PrivateKeyDer::Pkcs1(der) if key_type == KeyType::Rsa => {
            Some(KeyPair::from_pkcs1(der.secret_pkcs1_der()))
        }
        _ => None,
    }
}

/// What is wrong with a key of a kind that no algorithm here takes. Only PKCS#8 names the kind.
fn unsupported(key: &PrivateKeyDer<'_>) -> Option<&'static str> {
    let PrivateKeyDer::Pkcs8(der) = key else { return None };
    let info = pkcs8::PrivateKeyInfoRef::from_der(der.secret_pkcs8_der()).ok()?;
    match info.algorithm.oid.to_string().as_str() {
        "1.2.840.113549.1.1.10" => Some(RSA_PSS), // RFC 4055 §1.2
        "1.2.840.10040.4.1" => Some("is a DSA key, which no algorithm of JOSE takes"),
        "1.3.101.110" | "1.3.101.111" => Some("is a key for key agreement, which cannot sign"),
        "1.3.101.113" => Some("is an Ed448 key, which is not supported; Ed25519 is"),
        "1.2.840.10045.2.1" => {
            let curve = info.algorithm.parameters_oid().ok()?.to_string();
            let is_known = CURVES.contains(&curve.as_str());
            (!is_known).then_some("is on a curve that is not supported; P-256, P-384 and P-521 are")
        }
        _ => None,
    }
}

/// What is wrong with a text that is JSON, as the key files of some services are.
fn json(text: &[u8]) -> Option<&'static str> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).trim_ascii_start();
    if !text.starts_with(b"{") {
        return None;
    }
    let has = |name: &[u8]| text.windows(name.len()).any(|window| window == name);
    Some(if has(b"\"private_key\"") {
        SERVICE_ACCOUNT
    } else if has(b"\"kty\"") {
        "is a JWK; SigningKey::from_jwk reads it"
    } else {
        "is JSON and not PEM (`-----BEGIN PRIVATE KEY-----`)"
    })
}

/// PKCS#8 says it in its label, the older formats in a line below (RFC 1421 §4.6.1.1).
fn is_encrypted(pem: &[u8]) -> bool {
    pem.split(|byte| *byte == b'\n').any(|line| {
        line.starts_with(b"-----BEGIN ENCRYPTED")
            || (line.starts_with(b"Proc-Type:") && line.trim_ascii_end().ends_with(b"ENCRYPTED"))
    })
}

fn no_key(pem: &[u8]) -> &'static str {
    let has = |text: &[u8]| pem.windows(text.len()).any(|window| window == text);
    if has(b"BEGIN OPENSSH PRIVATE KEY") {
        return OPENSSH;
    }
    if ["", "EC ", "RSA "].iter().any(|kind| has(format!("BEGIN {kind}PRIVATE KEY").as_bytes())) {
        return MALFORMED;
    }
    let mut sections = <(SectionKind, Vec<u8>)>::pem_slice_iter(pem);
    match sections.next() {
        Some(Ok((SectionKind::PublicKey, _))) => "is a public key; signing takes the private one",
        Some(Ok((SectionKind::Certificate, _))) => {
            "is a certificate; signing takes the private key that belongs to it"
        }
        _ => "has no private key in PEM (`-----BEGIN PRIVATE KEY-----`)",
    }
}

/// Also what a mark at the beginning of a file (BOM), an indented block and a variable without line
/// ends make of it.
const MALFORMED: &str = "is not well-formed PEM; each of its lines must be a line of its own, with \
                         nothing before it";
pub(crate) const SERVICE_ACCOUNT: &str = "is the JSON file of a service account; parse it, and give the text of its member \
     `private_key` to SigningKey::from_pem";
const RSA_PSS: &str = "is an RSA key for RSASSA-PSS alone (id-RSASSA-PSS), which is not supported; a \
                       plain RSA key (`openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072`) \
                       signs with PS256 too";
const CURVES: [&str; 3] = ["1.2.840.10045.3.1.7", "1.3.132.0.34", "1.3.132.0.35"];
const OPENSSH: &str = "is in the format of OpenSSH; convert it first (`ssh-keygen -p -m PKCS8 -f key`, \
                       which does nothing for Ed25519), or make a new one with openssl";
const ENCRYPTED: &str = "is encrypted; decrypt it first (`openssl pkey -in key.pem -out plain.pem`), \
                         and keep it where only the program can read it";
