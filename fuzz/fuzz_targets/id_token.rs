//! Any text in the place of an id token is accepted or refused: as it is, and as the claims of one.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tokenkeeper_providers::fuzzing::accepts_id_token;

fuzz_target!(|input: (&str, &[u8], &[u8])| {
    let (text, header, claims) = input;
    let _ = accepts_id_token(text);
    let [header, claims] = [header, claims].map(base64url);
    let _ = accepts_id_token(&format!("{header}.{claims}.c2ln"));
});

/// Without padding (RFC 4648 §5).
fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - chunk.len()));
        for at in 0..=chunk.len() {
            text.push(char::from(DIGITS[(bits >> (18 - 6 * at)) as usize & 63]));
        }
    }
    text
}
