//! Codings and character sets of answers.
//!
//! A request without `Accept-Encoding` allows every coding (RFC 9110 §12.5.3), and an answer that
//! cannot be decoded is lost, with the rotated refresh token in it. So none is asked for, and one
//! that comes nevertheless is named.

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};

pub(crate) const IDENTITY: HeaderValue = HeaderValue::from_static("identity");

/// How an answer that cannot be read is encoded, to end a sentence about it.
pub(crate) fn encoded_in(headers: &HeaderMap) -> Option<String> {
    let coding = headers.get(CONTENT_ENCODING).and_then(|value| name(value.to_str().ok()?));
    if let Some(coding) = coding.filter(|coding| !coding.eq_ignore_ascii_case("identity")) {
        return Some(format!("is encoded as {coding}, although it was asked for without a coding"));
    }
    let kind = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let mut parameters = kind.split(';').skip(1).filter_map(|text| text.split_once('='));
    let (_, charset) = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))?;
    let charset = name(charset.trim().trim_matches('"'))?;
    let is_read = READ.iter().any(|known| known.eq_ignore_ascii_case(charset));
    (!is_read).then(|| format!("is in the character set {charset}, and only UTF-8 can be read"))
}

/// The name, if it looks like one; a foreign server wrote it.
fn name(text: &str) -> Option<&str> {
    let is_of_names = |b: u8| b.is_ascii_alphanumeric() || b"-_. ,".contains(&b);
    let text = text.trim();
    (!text.is_empty() && text.len() <= LONGEST_NAME && text.bytes().all(is_of_names))
        .then_some(text)
}

const READ: &[&str] = &["utf-8", "utf8", "us-ascii"];
const LONGEST_NAME: usize = 32; // bytes
