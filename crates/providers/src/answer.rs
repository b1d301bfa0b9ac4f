//! What a token endpoint said, in the terms of RFC 6749 §5, whatever it really sent.
//!
//! Real services put errors into a 200, lifetimes into strings and scopes into arrays. All of that
//! is settled here, once and without failing: what cannot be understood is left out, and only a
//! missing access token spoils a success.

use std::borrow::Cow;
use std::fmt;

use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};
use tokenkeeper::Secret;
use zeroize::Zeroize;

use crate::coding::encoded_in;
use crate::dialect::Dialect;
use crate::lifetime::Lifetime;
use crate::members::{Members, wipe};
use crate::refused::{Json, Refused};

/// One answer, read.
pub(crate) enum Answer {
    /// A success (RFC 6749 §5.1).
    Granted(Granted),
    /// An error, with its code where it has one (RFC 6749 §5.2).
    Refused(Refused),
    /// Neither.
    Unreadable(Unreadable),
}

/// The members that the standards name, read, and apart from them the others.
pub(crate) struct Granted {
    pub(crate) access_token: Secret,
    /// In small letters.
    pub(crate) token_type: String,
    pub(crate) lifetime: Option<Lifetime>,
    pub(crate) refresh_token: Option<Secret>,
    pub(crate) refresh_lifetime: Option<Lifetime>,
    pub(crate) id_token: Option<Secret>,
    /// Separated by blanks; empty if the service says that there are none.
    pub(crate) scope: Option<String>,
    pub(crate) extra: Map<String, Value>,
}

/// Why an answer cannot be read. The text ends a sentence about the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    Empty,
    Other(Cow<'static, str>),
}

impl Unreadable {
    pub(crate) fn why(&self) -> &str {
        match self {
            Self::Empty => "is empty",
            Self::Other(why) => why,
        }
    }
}

impl Answer {
    /// Reads any body whatsoever.
    pub(crate) fn read(status: StatusCode, body: &[u8], dialect: &Dialect) -> Self {
        if status.is_redirection() {
            return unreadable("is a redirect, and those are not followed");
        }
        if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            return unreadable("is of a proxy, which may repeat its own password");
        }
        if body.len() > LONGEST_ANSWER {
            return unreadable("is longer than 1 MiB");
        }
        let Some(mut members) = Members::read(body) else {
            return without_members(status, body, dialect);
        };
        if !status.is_success() || is_refusal(&members) {
            let mut refused = Refused::find(status, dialect, Json::Members(members.as_map()));
            let tokens = ["access_token", "refresh_token", "id_token"].into_iter();
            let tokens = tokens.filter_map(|name| members.take_text(name));
            refused.tokens = tokens.map(Secret::from).collect();
            return Self::Refused(refused);
        }
        granted(members, dialect).map_or(unreadable("has no access token"), Self::Granted)
    }
}

impl Answer {
    /// The same, where a coding or character set is what keeps the answer from being read.
    pub(crate) fn explained(self, headers: &HeaderMap) -> Self {
        match self {
            Self::Unreadable(Unreadable::Other(why)) if why == NO_MEMBERS => {
                let why = encoded_in(headers).map_or(why, Cow::Owned);
                Self::Unreadable(Unreadable::Other(why))
            }
            answer => answer,
        }
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

const fn unreadable(why: &'static str) -> Answer {
    Answer::Unreadable(Unreadable::Other(Cow::Borrowed(why)))
}

/// A body that is neither a JSON object nor a form: it may be a code alone, or a list.
fn without_members(status: StatusCode, body: &[u8], dialect: &Dialect) -> Answer {
    if body.trim_ascii().is_empty() {
        return Answer::Unreadable(Unreadable::Empty);
    }
    if let Ok(mut json) = serde_json::from_slice::<Value>(body) {
        let refused = Refused::find(status, dialect, Json::Value(&json));
        wipe(&mut json);
        if !status.is_success() || refused.is_known() {
            return Answer::Refused(refused);
        }
    } else if let Some(refused) =
        std::str::from_utf8(body).ok().and_then(|text| Refused::bare(dialect, text))
    {
        return Answer::Refused(refused);
    }
    unreadable(NO_MEMBERS)
}

fn granted(mut members: Members, dialect: &Dialect) -> Option<Granted> {
    if let Some(name) = &dialect.nested_tokens {
        members.lift_tokens(name);
    }
    let mut access_token = members.take_text("access_token")?;
    if access_token.contains(char::REPLACEMENT_CHARACTER) {
        access_token.zeroize();
        return None;
    }
    let token_type = match members.take("token_type") {
        None | Some(Value::Null) => BEARER.to_owned(),
        Some(Value::String(name)) => match name.trim() {
            "" => BEARER.to_owned(),
            name if dialect.bearer_names.iter().any(|known| known.eq_ignore_ascii_case(name)) => {
                BEARER.to_owned()
            }
            name => name.to_ascii_lowercase(),
        },
        Some(_) => "?".to_owned(),
    };
    let divisor = if dialect.expires_in_milliseconds { MILLIS_PER_SECOND } else { 1 };
    let expires_in = members.take("expires_in");
    let lifetime = expires_in.and_then(|value| Lifetime::expected(&value, divisor)).or_else(|| {
        let point = |name: &&str| Lifetime::point(members.get(name)?);
        EXPIRES_AT.iter().find_map(point)
    });
    let ends: Vec<_> = REFRESH_EXPIRES_IN.iter().filter_map(|name| members.take(name)).collect();
    let refresh_token = members.take_text("refresh_token").map(Secret::from);
    let id_token = members.take_text("id_token").map(Secret::from);
    let scope = members.take("scope").and_then(|value| scope(&value, dialect));
    Some(Granted {
        access_token: Secret::from(access_token),
        token_type,
        lifetime,
        refresh_token,
        refresh_lifetime: ends.iter().find_map(|value| Lifetime::expected(value, 1)),
        id_token,
        scope,
        extra: members.into_rest(),
    })
}

/// Scopes, separated by blanks: from a text or an array of texts.
fn scope(value: &Value, dialect: &Dialect) -> Option<String> {
    let texts: Vec<&str> = match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    let gap = |c: char| c.is_whitespace() || (dialect.comma_separated_scopes && c == ',');
    let words: Vec<&str> =
        texts.iter().flat_map(|text| text.split(gap)).filter(|word| !word.is_empty()).collect();
    Some(words.join(" "))
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

pub(crate) const LONGEST_ANSWER: usize = 1 << 20; // a token response is a few KiB
const NO_MEMBERS: &str = "is neither a JSON object nor a form";
const MILLIS_PER_SECOND: u64 = 1_000;
const BEARER: &str = "bearer";

/// What services have in the place of `expires_in`, or beside it.
const EXPIRES_AT: &[&str] =
    &["expires_at", "expires_on", "expiresAt", "expiresIn", "expires", "expiry", "expiration"];

/// Keycloak; Microsoft and GitHub; Intuit.
const REFRESH_EXPIRES_IN: &[&str] =
    &["refresh_expires_in", "refresh_token_expires_in", "x_refresh_token_expires_in"];

#[cfg(test)]
mod tests {
    use super::*;

    fn lifetime(json: &str, dialect: &Dialect) -> Option<u64> {
        lifetime_of(&format!(r#""expires_in":{json}"#), dialect)
    }

    fn lifetime_of(members: &str, dialect: &Dialect) -> Option<u64> {
        let body = format!(r#"{{"access_token":"a",{members}}}"#);
        let now = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_893_456_000);
        match Answer::read(StatusCode::OK, body.as_bytes(), dialect) {
            Answer::Granted(granted) => {
                granted.lifetime.map(|lifetime| lifetime.left(now).as_secs())
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_point_in_time_counts_where_no_lifetime_can_be_read() {
        let table = [
            (r#""expires_at":1893459600"#, Some(3_600)),
            (r#""expires_on":"1893459600""#, Some(3_600)),
            (r#""expires_at":"2030-01-01T01:00:00Z""#, Some(3_600)),
            (r#""expires_in":null,"expires_at":1893459600"#, Some(3_600)),
            (r#""expires_in":"soon","expires_on":1893459600"#, Some(3_600)),
            (r#""expires_in":60,"expires_at":1893459600"#, Some(60)),
            (r#""expires_in":1893459600"#, Some(3_600)),
            (r#""expires_at":{}"#, None),
        ];
        for (members, seconds) in table {
            assert_eq!(lifetime_of(members, &Dialect::STANDARD), seconds, "{members}");
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
            assert_eq!(lifetime(json, &Dialect::STANDARD), seconds, "{json}");
        }
    }

    #[test]
    fn milliseconds_are_a_switch() {
        let dialect = Dialect { expires_in_milliseconds: true, ..Dialect::STANDARD };

        assert_eq!(lifetime("900000", &dialect), Some(900));
        assert_eq!(lifetime("\"1500\"", &dialect), Some(1));
        assert_eq!(lifetime("3", &dialect), Some(1));
        assert_eq!(lifetime("0", &dialect), None);
    }

    #[test]
    fn commas_separate_scopes_only_where_that_is_said() {
        let commas = Dialect { comma_separated_scopes: true, ..Dialect::STANDARD };

        assert_eq!(scope(&"a,b c".into(), &Dialect::STANDARD).as_deref(), Some("a,b c"));
        assert_eq!(scope(&"a,b c".into(), &commas).as_deref(), Some("a b c"));
        assert_eq!(scope(&" ".into(), &commas).as_deref(), Some(""));
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
            let answer = Answer::read(StatusCode::OK, body.as_bytes(), &Dialect::STANDARD);
            assert!(matches!(answer, Answer::Granted(_)), "{no_error}");
        }
    }

    #[test]
    fn an_access_token_that_is_no_text_is_missing() {
        for token in ["7", "\"\"", "null", "[\"a\"]", "{}"] {
            let body = format!(r#"{{"access_token":{token},"expires_in":"NaN"}}"#);
            let answer = Answer::read(StatusCode::OK, body.as_bytes(), &Dialect::STANDARD);
            assert!(matches!(answer, Answer::Unreadable(_)), "{token}");
        }
    }

    #[test]
    fn a_code_is_found_wherever_it_stands() {
        let table = [
            (r#"{"error":"invalid_grant"}"#, Some("invalid_grant")),
            (
                r#"{"error":{"type":"invalid_request_error","code":"invalid_grant"}}"#,
                Some("invalid_grant"),
            ),
            (
                r#"{"error":{"type":"invalid_request","code":"invalid_grant"}}"#,
                Some("invalid_grant"),
            ),
            (r#"{"error":"Bad Request","code":"invalid_grant"}"#, Some("invalid_grant")),
            (r#"{"status":400,"message":"no","error":"invalid_request"}"#, Some("invalid_request")),
            (
                r#"{"error":{"errors":[{"reason":"invalid_grant"}],"code":400}}"#,
                Some("invalid_grant"),
            ),
            (r#"{"errors":[{"code":"oops"},{"code":"invalid_grant"}]}"#, Some("invalid_grant")),
            (r#"[{"error":"invalid_grant"}]"#, Some("invalid_grant")),
            (r#"["invalid_grant"]"#, Some("invalid_grant")),
            (r#""invalid_grant""#, Some("invalid_grant")),
            ("invalid_grant\n", Some("invalid_grant")),
            ("error=invalid_grant", Some("invalid_grant")),
            (r#"{"detail":{"error":"invalid_grant"}}"#, Some("invalid_grant")),
            (r#"{"message":"invalid_grant"}"#, Some("invalid_grant")),
            (r#"{"error":"refresh_token_reused"}"#, Some("refresh_token_reused")),
            (r#"{"code":"refresh_token_reused","message":"used"}"#, Some("refresh_token_reused")),
            (
                r#"{"error":{"message":"m","code":191,"type":"OAuthException"}}"#,
                Some("OAuthException"),
            ),
            (r#"{"errcode":40029,"errmsg":"m"}"#, Some("40029")),
            (r#"{"error":"Bad Request","status":400}"#, None),
            (r#"{"error":{"code":400,"message":"Bad Request"}}"#, None),
            (r#"{"message":"The refresh token is invalid"}"#, None),
            (r#"{"message":"Access Denied"}"#, None),
            (r#"{"code":1020}"#, None),
            ("{}", None),
            ("[]", None),
            ("null", None),
        ];
        for (body, expected) in table {
            match Answer::read(StatusCode::BAD_REQUEST, body.as_bytes(), &Dialect::STANDARD) {
                Answer::Refused(refused) => assert_eq!(refused.code.as_deref(), expected, "{body}"),
                other => panic!("{body}: {other:?}"),
            }
        }
        for body in ["<html>invalid_grant</html>", "Refresh token expired", "{\"error\":"] {
            let answer = Answer::read(StatusCode::BAD_REQUEST, body.as_bytes(), &Dialect::STANDARD);
            assert!(matches!(answer, Answer::Unreadable(Unreadable::Other(_))), "{body}");
        }
    }

    #[test]
    fn a_code_that_was_named_for_a_service_wins() {
        let dialect = Dialect {
            refresh_rejected_by: crate::dialect::words(["Token-Gone"]),
            ..Dialect::STANDARD
        };
        let body = br#"{"error":"invalid_client","reason":"token_gone"}"#;

        match Answer::read(StatusCode::BAD_REQUEST, body, &dialect) {
            Answer::Refused(refused) => assert_eq!(refused.code.as_deref(), Some("token_gone")),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_redirect_is_not_read() {
        let body = br#"{"error":"invalid_grant"}"#;

        let answer = Answer::read(StatusCode::FOUND, body, &Dialect::STANDARD);

        assert!(matches!(answer, Answer::Unreadable(_)));
    }
}
