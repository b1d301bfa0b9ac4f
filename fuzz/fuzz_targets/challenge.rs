//! Any `WWW-Authenticate` header is read without a panic (RFC 9110 §11.6.1).

#![no_main]

use http::{HeaderMap, HeaderValue, header::WWW_AUTHENTICATE};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|values: Vec<Vec<u8>>| {
    let mut headers = HeaderMap::new();
    for value in values.iter().take(8) {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(WWW_AUTHENTICATE, value);
        }
    }
    let _ = tokenkeeper_http::challenge_errors(&headers).count();
});
