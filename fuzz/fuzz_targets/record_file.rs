//! Whatever is in a file, reading it as one of records or of leases ends, and what is read is written
//! as it was.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    tokenkeeper_storage_file::fuzzing::read_files(bytes);
});
