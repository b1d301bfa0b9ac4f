//! Whatever a token endpoint answers, reading it ends with tokens or an error.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u16, bool, bool, &[u8])| {
    let (status, commas, milliseconds, body) = input;
    if let Ok(status) = http::StatusCode::from_u16(status) {
        let _ = tokenkeeper_providers::fuzzing::read_answer(status, body, commas, milliseconds);
    }
});
