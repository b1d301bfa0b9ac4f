//! The members of an answer, whatever it calls itself.
//!
//! Content types lie, so the body decides: a JSON object or a form. Every member is parsed on its
//! own: a number out of range or half a surrogate pair somewhere must not cost the token next to it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Map, Value};
use url::form_urlencoded;
use zeroize::Zeroize;

/// Names and values of an answer; the values are overwritten when dropped.
pub(crate) struct Members(Map<String, Value>);

impl Members {
    /// Reads a JSON object, or a form that has something of a token response in it; else `None`.
    pub(crate) fn read(body: &[u8]) -> Option<Self> {
        let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
        let mut text = String::from_utf8_lossy(body);
        let members = read_json(text.trim()).or_else(|| read_form(text.trim()));
        if let Cow::Owned(text) = &mut text {
            text.zeroize();
        }
        members
    }

    /// Reads a JSON object, where nothing else is allowed.
    #[cfg(any(feature = "discovery", feature = "introspection"))]
    pub(crate) fn from_json(body: &[u8]) -> Option<Self> {
        let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
        read_json(std::str::from_utf8(body).ok()?.trim())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    pub(crate) fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// Takes a member out if it is a text with something in it, and drops it otherwise.
    pub(crate) fn take_text(&mut self, name: &str) -> Option<String> {
        match self.0.remove(name) {
            Some(Value::String(text)) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name)
    }

    /// Takes tokens and what belongs to them out of the object in a member: they take the place of
    /// those of the answer if it has none, and are dropped otherwise.
    pub(crate) fn lift_tokens(&mut self, name: &str) {
        let Some(Value::Object(holder)) = self.0.get_mut(name) else { return };
        let of_tokens = |name: &&str| holder.remove_entry(*name);
        let mut lifted = Members(OF_TOKENS.iter().filter_map(of_tokens).collect());
        if self.get("access_token").is_none() && lifted.get("access_token").is_some() {
            // A scope or lifetime beside the object is not that of the token in it.
            OF_TOKENS.iter().for_each(|name| drop(self.0.remove(*name)));
            self.0.append(&mut lifted.0);
        }
    }

    /// What was not taken.
    pub(crate) fn into_rest(mut self) -> Map<String, Value> {
        std::mem::take(&mut self.0)
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        self.0.values_mut().for_each(wipe);
    }
}

fn read_json(text: &str) -> Option<Members> {
    let raw: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
    let parsed = raw.into_iter().filter_map(|(name, raw)| {
        let value = serde_json::from_str(raw.get()).ok()?;
        Some((name, value))
    });
    Some(Members(parsed.collect()))
}

fn read_form(text: &str) -> Option<Members> {
    if text.starts_with(['<', '{', '[', '"']) || !text.contains('=') {
        return None;
    }
    let mut members = Members(Map::new());
    for (name, value) in form_urlencoded::parse(text.as_bytes()) {
        // A repeated name is against RFC 6749 §3.2; the first one counts.
        let place = members.0.entry(name.into_owned());
        place.or_insert_with(|| Value::String(value.into_owned()));
    }
    let is_answer = TELLING.iter().any(|name| members.0.contains_key(*name));
    is_answer.then_some(members)
}

/// Overwrites every text within.
pub(crate) fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What belongs to a token (RFC 6749 §5.1).
const OF_TOKENS: &[&str] = &[
    "access_token",
    "token_type",
    "expires_in",
    "expires_at",
    "expires_on",
    "refresh_token",
    "id_token",
    "scope",
];

/// A form has at least one of these; any text with an equals sign would be one otherwise.
const TELLING: &[&str] = &["access_token", "device_code", "error"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_does_not_parse_is_left_out_and_the_others_stay() {
        let bodies: [&[u8]; 4] = [
            br#"{"access_token":"a","n":1e999}"#,
            br#"{"access_token":"a","s":"\ud800"}"#,
            b"{\"access_token\":\"a\",\"s\":\"\xe4\"}",
            b"\xef\xbb\xbf {\"access_token\":\"a\"}\r\n",
        ];
        for body in bodies {
            let members = Members::read(body).unwrap();
            assert_eq!(members.get("access_token"), Some(&Value::from("a")));
        }
    }

    #[test]
    fn depth_without_end_costs_only_the_member_that_has_it() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        let body = format!(r#"{{"access_token":"a","deep":{deep}}}"#);

        let members = Members::read(body.as_bytes()).unwrap();

        assert!(members.get("access_token").is_some());
        assert!(members.get("deep").is_none());
    }

    #[test]
    fn what_is_neither_an_object_nor_a_form_of_tokens_is_nothing() {
        let bodies = ["", "[]", "null", "\"access_token=a\"", "<p access_token=\"a\">", "a=b"];
        for body in bodies {
            assert!(Members::read(body.as_bytes()).is_none(), "{body}");
        }
    }
}
