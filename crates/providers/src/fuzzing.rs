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

/// Holds any text against what a login expects of an id token; says whether it was accepted. Never
/// panics.
#[cfg(feature = "authorization-code")]
#[must_use]
pub fn accepts_id_token(text: &str) -> bool {
    crate::authorization_code::is_accepted(text)
}

/// Reads any answer to the beginning of a device login; gives the user code if there is a login.
/// Never panics.
#[cfg(feature = "device")]
#[must_use]
pub fn read_device_answer(body: &[u8]) -> Option<String> {
    let sent = tokenkeeper::Now::new(std::time::UNIX_EPOCH, std::time::Duration::ZERO);
    let pending = crate::PendingDeviceLogin::read(body, String::new(), sent, false).ok()?;
    Some(pending.user_code().to_owned())
}
