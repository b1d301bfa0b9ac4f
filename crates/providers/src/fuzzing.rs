//! A way for fuzz targets to what reads the answers of foreign servers. Not part of the API.

use http::StatusCode;

use crate::dialect::Dialect;

/// Reads any body under any status; says whether there were tokens in it. Never panics.
#[must_use]
pub fn read_answer(status: StatusCode, body: &[u8], commas: bool, milliseconds: bool) -> bool {
    let dialect = Dialect {
        comma_separated_scopes: commas,
        expires_in_milliseconds: milliseconds,
        ..Dialect::STANDARD
    };
    crate::granted::has_tokens(status, body, &dialect)
}
