//! Tokens in a header of the service's own, with a prefix of its own.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use parking_lot::Mutex;
use tokenkeeper::{AccessToken, Error, ErrorKind};
use zeroize::Zeroizing;

use crate::bearer::not_bearer;
use crate::presenter::{Presenter, Reaction};
use crate::target::Target;

/// The token in another header, or behind another word, than `Authorization: Bearer …`.
///
/// A token of any type goes there, except those that need a proof beside them, such as DPoP's.
///
/// HTTP clients that follow redirects take this header along to any host, unless it is
/// `Authorization`. (That they leave behind at a hop to another host, but not all of them for good.)
/// An integration that cannot see redirects refuses this presenter.
///
/// # Examples
///
/// ```
/// use tokenkeeper_http::CustomHeader;
///
/// let key = CustomHeader::new("x-api-key", "")?; // X-Api-Key: <token>
/// let token = CustomHeader::new("authorization", "Token")?; // Authorization: Token <token>
/// # Ok::<(), tokenkeeper::Error>(())
/// ```
#[derive(Debug)]
pub struct CustomHeader {
    name: HeaderName,
    prefix: Box<str>,
    last: Mutex<Option<Last>>,
}

/// The header of the newest token: built once, as that of the token itself.
#[derive(Debug)]
struct Last {
    of: HeaderValue,
    value: HeaderValue,
}

impl CustomHeader {
    /// A header with the given name. A prefix is followed by a blank; an empty one by nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the name is no header name, or if the prefix does not fit into a
    /// header.
    pub fn new(name: &str, prefix: &str) -> Result<Self, Error> {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
            Error::new(ErrorKind::Config, "header: is not the name of a header, such as x-api-key")
        })?;
        if HeaderValue::from_str(prefix).is_err() || prefix.trim() != prefix {
            let what = "header: the prefix must be visible characters, without blanks around them";
            return Err(Error::new(ErrorKind::Config, what));
        }
        Ok(Self { name, prefix: prefix.into(), last: Mutex::new(None) })
    }

    fn value(&self, token: &AccessToken) -> Result<HeaderValue, Error> {
        let of = token.authorization();
        let mut last = self.last.lock();
        if let Some(last) = &*last
            // As long as it is kept here, nobody else's bytes can be at this address.
            && std::ptr::eq(last.of.as_bytes(), of.as_bytes())
        {
            return Ok(last.value.clone());
        }
        let value = self.build(token)?;
        *last = Some(Last { of, value: value.clone() });
        Ok(value)
    }

    fn build(&self, token: &AccessToken) -> Result<HeaderValue, Error> {
        let secret = token.secret().expose_secret();
        let mut line = Zeroizing::new(Vec::with_capacity(self.prefix.len() + 1 + secret.len()));
        if !self.prefix.is_empty() {
            line.extend_from_slice(self.prefix.as_bytes());
            line.push(b' ');
        }
        line.extend_from_slice(secret.as_bytes());
        // `from_owner` keeps the zeroizing vector, so the last clone of the header overwrites it.
        let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(line)).map_err(|_| {
            Error::new(ErrorKind::InvalidResponse, "the access token does not fit into a header")
        })?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl Presenter for CustomHeader {
    fn header(&self) -> &HeaderName {
        &self.name
    }

    fn present(
        &self,
        token: &AccessToken,
        _target: &Target<'_>,
        headers: &mut HeaderMap,
    ) -> Result<(), Error> {
        if NEED_A_PROOF.iter().any(|name| name.eq_ignore_ascii_case(token.token_type())) {
            return Err(not_bearer(token));
        }
        headers.insert(self.name.clone(), self.value(token)?);
        Ok(())
    }

    fn on_challenge(
        &self,
        _target: &Target<'_>,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Reaction {
        Reaction::usual(status, headers)
    }
}

/// Types of tokens that are worth nothing alone, or are no access tokens at all (RFC 9449, RFC 8693
/// §2.2.1). Of any other type whoever names the header says that it belongs there.
const NEED_A_PROOF: [&str; 4] = ["DPoP", "PoP", "MAC", "N_A"];
