//! Whatever somebody puts into the variable is credentials or an error that does not repeat it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tokenkeeper_mangadex::Credentials;

fuzz_target!(|text: &str| {
    let _ = text.parse::<Credentials>();
});
