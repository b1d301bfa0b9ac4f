//! What a token endpoint said, in the terms of RFC 6749 §5, whatever it really sent.
//!
//! Real services put errors into a 200, lifetimes into strings and scopes into arrays. All of that
//! is settled here, once and without failing: what cannot be understood is left out, and only a
//! missing access token spoils a success.

use std::fmt;

use http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value};
use tokenkeeper::Secret;
use zeroize::{Zeroize, Zeroizing};

use crate::members::Members;

/// How one service deviates where the body cannot tell. All off by default.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Dialect {
    pub(crate) comma_separated_scopes: bool,
    pub(crate) expires_in_milliseconds: bool,
    /// The member with the tokens, where the answer itself has none.
    pub(crate) nested_tokens: Option<&'static str>,
    /// Types that are bearer tokens by another name.
    pub(crate) bearer_names: &'static [&'static str],
}

impl Dialect {
    pub(crate) const STANDARD: Self = Self {
        comma_separated_scopes: false,
        expires_in_milliseconds: false,
        nested_tokens: None,
        bearer_names: &[],
    };
}

/// One answer, read.
pub(crate) enum Answer {
    /// A success (RFC 6749 §5.1).
    Granted(Granted),
    /// An error, with its code where it has one (RFC 6749 §5.2).
    Refused(Refused),
    /// Neither; the text says what is wrong and ends a sentence about the answer.
    Unreadable(&'static str),
}

/// The members that the standard names, as it wants them, and apart from them the others.
pub(crate) struct Granted {
    pub(crate) standard: StandardMembers,
    pub(crate) kept: Kept,
}

/// Serialises to a body in the letter of RFC 6749 §5.1.
#[derive(Serialize)]
pub(crate) struct StandardMembers {
    access_token: String,
    token_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
}

/// What is not in RFC 6749.
#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) id_token: Option<Secret>,
    pub(crate) refresh_expires_in: Option<u64>,
    pub(crate) extra: Map<String, Value>,
}

/// Serialises to a body in the letter of RFC 6749 §5.2.
#[derive(Serialize)]
pub(crate) struct Refused {
    #[serde(rename = "error")]
    pub(crate) code: Option<String>,
    #[serde(rename = "error_description", skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    /// Tokens that came with the refusal nevertheless.
    #[serde(skip)]
    pub(crate) tokens: Vec<Secret>,
}

impl Answer {
    /// Reads any body whatsoever.
    pub(crate) fn read(status: StatusCode, body: &[u8], dialect: Dialect) -> Self {
        if status.is_redirection() {
            return Self::Unreadable("is a redirect, and those are not followed");
        }
        if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            return Self::Unreadable("is of a proxy, which may repeat its own password");
        }
        if body.len() > LONGEST_ANSWER {
            return Self::Unreadable("is longer than 1 MiB");
        }
        let Some(mut members) = Members::read(body) else {
            return Self::Unreadable(if body.is_empty() {
                "is empty"
            } else {
                "is neither a JSON object nor a form"
            });
        };
        if !status.is_success() || is_refusal(&members) {
            return Self::Refused(refused(&mut members));
        }
        granted(members, dialect).map_or(Self::Unreadable("has no access token"), Self::Granted)
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Granted(_) => "Granted",
            Self::Refused(_) => "Refused",
            Self::Unreadable(_) => "Unreadable",
        })
    }
}

/// JSON of what was read from an answer of `length` bytes.
pub(crate) fn to_body(members: &impl Serialize, length: usize) -> Zeroizing<Vec<u8>> {
    // An escape makes a character six times as long at most, so nothing grows and leaves copies.
    let mut body = Zeroizing::new(Vec::with_capacity(length.saturating_mul(6) + NAMES));
    if serde_json::to_writer(&mut *body, members).is_err() {
        body.zeroize();
    }
    body
}

impl Drop for StandardMembers {
    fn drop(&mut self) {
        self.access_token.zeroize();
        self.refresh_token.zeroize();
    }
}

fn granted(mut members: Members, dialect: Dialect) -> Option<Granted> {
    if let Some(name) = dialect.nested_tokens {
        members.lift_tokens(name);
    }
    let mut access_token = members.take_text("access_token")?;
    if access_token.contains(char::REPLACEMENT_CHARACTER) {
        access_token.zeroize();
        return None;
    }
    let token_type = match members.take("token_type") {
        None | Some(Value::Null) => BEARER.to_owned(),
        Some(Value::String(name)) if name.trim().is_empty() => BEARER.to_owned(),
        Some(Value::String(name)) if dialect.bearer_names.contains(&name.trim()) => {
            BEARER.to_owned()
        }
        Some(Value::String(name)) => name.trim().to_ascii_lowercase(),
        Some(_) => "?".to_owned(),
    };
    let divisor = if dialect.expires_in_milliseconds { MILLIS_PER_SECOND } else { 1 };
    let expires_in = members.take("expires_in").and_then(|value| seconds(&value, divisor));
    let ends: Vec<_> = REFRESH_EXPIRES_IN.iter().filter_map(|name| members.take(name)).collect();
    let refresh_token = members.take_text("refresh_token");
    let id_token = members.take_text("id_token").map(Secret::from);
    let scope = members.take("scope").and_then(|value| scope(&value, dialect));
    let kept = Kept {
        id_token,
        refresh_expires_in: ends.iter().find_map(|value| seconds(value, 1)),
        extra: members.into_rest(),
    };
    let standard = StandardMembers { access_token, token_type, expires_in, refresh_token, scope };
    Some(Granted { standard, kept })
}

/// A lifetime in whole seconds. Zero, negative and unreadable ones are unknown: a service that says
/// 0 means that the token does not end.
pub(crate) fn seconds(value: &Value, divisor: u64) -> Option<u64> {
    let (whole, fraction) = match value {
        Value::Number(number) => (number.as_u64(), number.as_f64()),
        Value::String(text) => (text.trim().parse().ok(), text.trim().parse().ok()),
        _ => (None, None),
    };
    if let Some(whole) = whole {
        return (whole > 0).then(|| (whole / divisor).max(1));
    }
    let fraction = fraction.filter(|seconds: &f64| seconds.is_finite() && *seconds > 0.0)?;
    Some((fraction as u64 / divisor).max(1)) // the conversion stops at the ends of its range
}

/// Scopes, separated by blanks: from a text or an array of texts.
fn scope(value: &Value, dialect: Dialect) -> Option<String> {
    let texts: Vec<&str> = match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    let gap = |c: char| c.is_whitespace() || (dialect.comma_separated_scopes && c == ',');
    let words: Vec<&str> =
        texts.iter().flat_map(|text| text.split(gap)).filter(|word| !word.is_empty()).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// Whether a body under a 2xx is an error nevertheless.
fn is_refusal(members: &Members) -> bool {
    let says_something = |value: &Value| match value {
        Value::String(text) => !text.trim().is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::Bool(there_is_one) => *there_is_one,
        Value::Null => false,
    };
    members.get("error").is_some_and(says_something)
        || (members.get("access_token").is_none()
            && members.get("errors").is_some_and(says_something))
        || members.get("errcode").is_some_and(says_something)
        || members.get("ok") == Some(&Value::Bool(false))
}

fn refused(members: &mut Members) -> Refused {
    let (mut code, mut description) = (None, None);
    for holder in ["error", "errors"] {
        let first = match members.get(holder) {
            Some(Value::Array(items)) => items.first(),
            other => other,
        };
        match first {
            Some(Value::Object(error)) => {
                code = code.or_else(|| OBJECT_CODES.iter().find_map(|n| word(error.get(*n)?)));
                description =
                    description.or_else(|| OBJECT_TEXTS.iter().find_map(|n| word(error.get(*n)?)));
            }
            Some(value) => code = code.or_else(|| word(value)),
            None => {}
        }
    }
    code = code.or_else(|| members.get("errcode").and_then(word));
    for name in ["error_description", "errmsg"] {
        description = members.get(name).and_then(word).or(description);
    }
    let tokens = ["access_token", "refresh_token", "id_token"].into_iter();
    let tokens = tokens.filter_map(|name| members.take_text(name)).map(Secret::from).collect();
    Refused { code, description, tokens }
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

pub(crate) const LONGEST_ANSWER: usize = 1 << 20; // a token response is a few KiB
const NAMES: usize = 256; // the names of the members and what stands between them
const MILLIS_PER_SECOND: u64 = 1_000;
const BEARER: &str = "bearer";

/// Keycloak; Microsoft and GitHub; Intuit.
const REFRESH_EXPIRES_IN: &[&str] =
    &["refresh_expires_in", "refresh_token_expires_in", "x_refresh_token_expires_in"];

/// Members of an error object that name the error, the most telling first.
const OBJECT_CODES: &[&str] = &["errorType", "type", "error", "code", "status"];
const OBJECT_TEXTS: &[&str] = &["message", "error_description", "description"];

#[cfg(test)]
mod tests {
    use super::*;

    fn lifetime(json: &str, dialect: Dialect) -> Option<u64> {
        let body = format!(r#"{{"access_token":"a","expires_in":{json}}}"#);
        match Answer::read(StatusCode::OK, body.as_bytes(), dialect) {
            Answer::Granted(granted) => granted.standard.expires_in,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn lifetimes_are_read_from_whatever_holds_them_and_nonsense_is_unknown() {
        let table = [
            ("3600", Some(3600)),
            ("\"3600\"", Some(3600)),
            ("\" 3600 \"", Some(3600)),
            ("3599.9", Some(3599)),
            ("\"3599.9\"", Some(3599)),
            ("0.2", Some(1)),
            ("0", None),
            ("\"0\"", None),
            ("-5", None),
            ("null", None),
            ("\"soon\"", None),
            ("\"NaN\"", None),
            ("\"inf\"", None),
            ("true", None),
            ("{}", None),
            ("[3600]", None),
            ("1e999", None),
            ("1e30", Some(u64::MAX)),
            ("18446744073709551615", Some(u64::MAX)),
        ];
        for (json, seconds) in table {
            assert_eq!(lifetime(json, Dialect::default()), seconds, "{json}");
        }
    }

    #[test]
    fn milliseconds_are_a_switch() {
        let dialect = Dialect { expires_in_milliseconds: true, ..Dialect::default() };

        assert_eq!(lifetime("900000", dialect), Some(900));
        assert_eq!(lifetime("\"1500\"", dialect), Some(1));
        assert_eq!(lifetime("3", dialect), Some(1));
        assert_eq!(lifetime("0", dialect), None);
    }

    #[test]
    fn commas_separate_scopes_only_where_that_is_said() {
        let commas = Dialect { comma_separated_scopes: true, ..Dialect::default() };

        assert_eq!(scope(&"a,b c".into(), Dialect::default()).as_deref(), Some("a,b c"));
        assert_eq!(scope(&"a,b c".into(), commas).as_deref(), Some("a b c"));
        assert_eq!(scope(&" ".into(), commas), None);
    }

    #[test]
    fn members_that_say_that_there_was_no_error_do_not_spoil_a_success() {
        for no_error in [
            r#""error":null"#,
            r#""error":"""#,
            r#""error":false"#,
            r#""errcode":0"#,
            r#""ok":true"#,
        ] {
            let body = format!(r#"{{"access_token":"a",{no_error}}}"#);
            let answer = Answer::read(StatusCode::OK, body.as_bytes(), Dialect::default());
            assert!(matches!(answer, Answer::Granted(_)), "{no_error}");
        }
    }

    #[test]
    fn an_access_token_that_is_no_text_is_missing() {
        for token in ["7", "\"\"", "null", "[\"a\"]", "{}"] {
            let body = format!(r#"{{"access_token":{token},"expires_in":"NaN"}}"#);
            let answer = Answer::read(StatusCode::OK, body.as_bytes(), Dialect::default());
            assert!(matches!(answer, Answer::Unreadable(_)), "{token}");
        }
    }

    #[test]
    fn a_redirect_is_not_read() {
        let body = br#"{"error":"invalid_grant"}"#;

        let answer = Answer::read(StatusCode::FOUND, body, Dialect::default());

        assert!(matches!(answer, Answer::Unreadable(_)));
    }
}
