//! Any answer to the beginning of a device login ends with a login or an error, and what a person is
//! shown commands no terminal.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    if let Some(user_code) = tokenkeeper_providers::fuzzing::read_device_answer(body) {
        assert!(!user_code.is_empty() && !user_code.chars().any(char::is_control));
    }
});
