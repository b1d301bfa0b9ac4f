//! Whatever a storage returns is a record, and comes out of it as it went in.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tokenkeeper::TokenRecord;

fuzz_target!(|bytes: &[u8]| {
    let record = TokenRecord::from_bytes(bytes);
    let again = TokenRecord::from_bytes(&record.to_bytes());
    assert_eq!((record.payload(), record.order()), (again.payload(), again.order()));
});
