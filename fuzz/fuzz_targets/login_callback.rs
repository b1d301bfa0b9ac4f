//! Whatever is called in the place of a redirect URI, reading it ends with a callback or an error.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tokenkeeper_providers::Callback;

fuzz_target!(|text: &str| {
    if let Ok(callback) = Callback::parse(text) {
        assert!(!callback.state().is_empty());
    }
});
