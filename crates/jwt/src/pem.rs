//! Private keys from PEM (RFC 7468), as openssl and the consoles of services write it.

use aws_lc_rs::error::KeyRejected;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::{PemObject as _, SectionKind};
use tokenkeeper::Error;
use zeroize::Zeroizing;

use crate::algorithm::KeyType;
use crate::key_error;
use crate::key_pair::KeyPair;

/// The first private key in the text, which must be of this type.
pub(crate) fn key_pair(key_type: KeyType, pem: &[u8]) -> Result<KeyPair, Error> {
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
        None => rejection(key_type, rejected),
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
const OPENSSH: &str = "is in the format of OpenSSH; convert it first (`ssh-keygen -p -m PKCS8 -f key`, \
                       which does nothing for Ed25519), or make a new one with openssl";
const ENCRYPTED: &str = "is encrypted; decrypt it first (`openssl pkey -in key.pem -out plain.pem`), \
                         and keep it where only the program can read it";
