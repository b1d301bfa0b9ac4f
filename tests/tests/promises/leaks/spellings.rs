//! A secret as servers and printers spell it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use form_urlencoded::byte_serialize;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// Raw, in JSON, as Rust prints it, form-encoded, percent-encoded, in base64 of both alphabets at
/// every alignment, and in Basic credentials.
pub(crate) fn spellings(secret: &str) -> Vec<String> {
    let form: String = byte_serialize(secret.as_bytes()).collect();
    let percent: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let units: String = secret.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    let mut all = vec![
        secret.to_owned(),
        inner(&serde_json::to_string(secret).unwrap()),
        inner(&format!("{secret:?}")),
        units,
        form.replace('+', "%20"),
        utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(),
        percent.to_ascii_lowercase(),
        percent,
        STANDARD.encode(format!("{CLIENT_ID}:{secret}")),
        STANDARD.encode(format!("{CLIENT_ID}:{}", form.replace('+', "%20"))),
        STANDARD.encode(&form),
        form,
    ];
    for prefix in ["", "x", "xy"] {
        for engine in [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD] {
            all.push(engine.encode(format!("{prefix}{secret}")));
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}

pub(crate) fn hex(secret: &str) -> String {
    secret.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// What is between the quotes.
fn inner(quoted: &str) -> String {
    quoted.get(1..quoted.len() - 1).unwrap().to_owned()
}

pub(crate) const CLIENT_ID: &str = "client-1";
