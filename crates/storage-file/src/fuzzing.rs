//! A way for fuzz targets to what reads files. Not part of the API.

use crate::entries::Entries;
use crate::lease_book::LeaseBook;

/// Reads any bytes as a file of records and as one of leases. What can be read is written as it was.
///
/// # Panics
///
/// If it is not.
pub fn read_files(bytes: &[u8]) {
    if let Ok(entries) = Entries::parse(bytes) {
        assert!(entries.to_bytes().as_slice() == bytes, "records come out of it as they went in");
    }
    if let Ok(book) = LeaseBook::parse(bytes) {
        let again = LeaseBook::parse(&book.to_bytes()).map(|book| book.to_bytes());
        assert!(again == Ok(book.to_bytes()), "leases come out of it as they went in");
    }
}
