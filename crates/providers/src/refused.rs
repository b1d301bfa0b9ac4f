//! The code of an error, wherever a service puts it.
//!
//! RFC 6749 §5.2 has it in `error`. Services have objects there, lists, numbers, or the word in
//! another member; some repeat the HTTP status in its place. Several members may hold something, so
//! everything that could be the code is looked at: a word that is known wins over one that is not,
//! and one that says more than `invalid_request` over that.

use http::StatusCode;
use serde_json::{Map, Value};
use tokenkeeper::Secret;

use crate::dialect::Dialect;
use crate::error_codes::known;

/// An error answer (RFC 6749 §5.2).
#[derive(Default)]
pub(crate) struct Refused {
    pub(crate) code: Option<String>,
    pub(crate) description: Option<String>,
    /// Tokens that came with the refusal nevertheless.
    pub(crate) tokens: Vec<Secret>,
}

impl Refused {
    /// From the members of an answer, or from any other JSON.
    pub(crate) fn find(status: StatusCode, dialect: &Dialect, json: Json<'_>) -> Self {
        let mut search = Search { status, dialect, best: None, description: None };
        match json {
            Json::Members(members) => search.members(members),
            Json::Value(value) => search.value(value, Place::Word, 0),
        }
        let code = search.best.map(|(_, code)| code);
        Self { code, description: search.description, tokens: Vec::new() }
    }

    /// Whether the code is one of a standard, or stands for one.
    pub(crate) fn is_known(&self) -> bool {
        self.code.as_deref().is_some_and(|code| known(code).is_some())
    }

    /// The code that is all there is of a text, if it is one that is known.
    pub(crate) fn bare(dialect: &Dialect, text: &str) -> Option<Self> {
        let text = text.trim();
        let one_line = text.len() <= LONGEST_TEXT && !text.contains(['<', '\n']);
        let is_code = one_line && (known(text).is_some() || dialect.ends_refresh_token(text));
        is_code.then(|| Self { code: Some(text.to_owned()), ..Self::default() })
    }
}

/// Where to look.
#[derive(Clone, Copy)]
pub(crate) enum Json<'a> {
    Members(&'a Map<String, Value>),
    Value(&'a Value),
}

/// What is expected in a place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A code, whether it is known or not.
    Code,
    /// A code if it is a word, because numbers there are of another kind.
    Word,
    /// Something else, unless it is a known code.
    Anything,
    /// A sentence, unless it is or begins with a known code.
    Text,
}

/// How good a candidate is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Configured,
    Known,
    /// `invalid_request`, which says nothing.
    General,
    Unknown,
}

struct Search<'a> {
    status: StatusCode,
    dialect: &'a Dialect,
    best: Option<(Rank, String)>,
    description: Option<String>,
}

impl Search<'_> {
    fn members(&mut self, members: &Map<String, Value>) {
        for (name, place) in TOP {
            if let Some(value) = members.get(*name) {
                self.value(value, *place, 0);
            }
        }
        let first = |names: &[&str]| names.iter().find_map(|name| word(members.get(*name)?));
        self.description = first(DESCRIPTIONS).or(self.description.take());
        self.description = self.description.take().or_else(|| first(TEXTS));
    }

    fn object(&mut self, error: &Map<String, Value>, place: Place, depth: usize) {
        let names = OBJECT_CODES.iter().map(|name| (name, place));
        let others = OBJECT_OTHERS.iter().map(|name| (name, Place::Anything));
        for (name, place) in names.chain(others).chain([(&"message", Place::Text)]) {
            if let Some(value) = error.get(*name) {
                self.value(value, place, depth);
            }
        }
        for value in error.values().filter(|value| value.is_object() || value.is_array()) {
            self.value(value, Place::Anything, depth);
        }
        if self.description.is_none() {
            self.description = OBJECT_TEXTS.iter().find_map(|name| word(error.get(*name)?));
        }
    }

    fn value(&mut self, value: &Value, place: Place, depth: usize) {
        match value {
            Value::String(text) => self.consider(text, place),
            Value::Number(number) if place == Place::Code => {
                self.consider(&number.to_string(), place);
            }
            Value::Array(items) if depth < DEEPEST => {
                for item in items.iter().take(MOST_ITEMS) {
                    self.value(item, place, depth + 1);
                }
            }
            Value::Object(error) if depth < DEEPEST => self.object(error, place, depth + 1),
            _ => {}
        }
    }

    fn consider(&mut self, text: &str, place: Place) {
        let text = text.trim();
        let rank = if text.is_empty() || place == Place::Text && !begins_with_code(text) {
            return;
        } else if self.dialect.ends_refresh_token(text) {
            Rank::Configured
        } else {
            match known(text) {
                Some("invalid_request") => Rank::General,
                Some(_) => Rank::Known,
                None if place == Place::Code && !self.repeats_status(text) => Rank::Unknown,
                None if place == Place::Word && is_word(text) && !self.repeats_status(text) => {
                    Rank::Unknown
                }
                None => return,
            }
        };
        if self.best.as_ref().is_none_or(|(best, _)| rank < *best) {
            self.best = Some((rank, text.to_owned()));
        }
    }

    /// `"error": "Not Found"` and `"error": 404` say what the status has said.
    fn repeats_status(&self, text: &str) -> bool {
        let letters = |text: &str| {
            let letters = text.chars().filter(char::is_ascii_alphanumeric);
            letters.map(|c| c.to_ascii_lowercase()).collect::<String>()
        };
        let reason = self.status.canonical_reason().unwrap_or_default();
        text == self.status.as_str() || letters(text) == letters(reason)
    }
}

/// Whether the first word is spelled as codes are, and not as a sentence is.
fn begins_with_code(text: &str) -> bool {
    let head = text.split([':', ';', ',', ' ']).next().unwrap_or_default();
    head.contains('_') && !head.contains(char::is_uppercase)
}

fn is_word(text: &str) -> bool {
    let is_of_words = |c: char| c.is_ascii_alphanumeric() || "_-.:".contains(c);
    text.len() <= LONGEST_WORD
        && text.chars().all(is_of_words)
        && text.chars().any(|c| c.is_ascii_alphabetic())
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Members of an answer, the most telling first.
const TOP: &[(&str, Place)] = &[
    ("error", Place::Code),
    ("errors", Place::Code),
    ("errcode", Place::Code),
    ("error_code", Place::Word),
    ("errorCode", Place::Word),
    ("code", Place::Word),
    ("__type", Place::Word),
    ("error_type", Place::Anything),
    ("errorType", Place::Anything),
    ("type", Place::Anything),
    ("err", Place::Anything),
    ("name", Place::Anything),
    ("reason", Place::Anything),
    ("status", Place::Anything),
    ("title", Place::Text),
    ("message", Place::Text),
    ("msg", Place::Text),
    ("error_description", Place::Text),
    ("errmsg", Place::Text),
    ("detail", Place::Anything),
    ("details", Place::Anything),
    ("fault", Place::Anything),
    ("data", Place::Anything),
    ("response", Place::Anything),
    ("result", Place::Anything),
    ("body", Place::Anything),
];

/// Members of an error object that name the error, the most telling first.
const OBJECT_CODES: &[&str] = &[
    "errorType",
    "type",
    "error",
    "code",
    "status",
    "error_code",
    "errorCode",
    "errorcode",
    "__type",
];
const OBJECT_OTHERS: &[&str] = &["reason", "name"];
const OBJECT_TEXTS: &[&str] = &["message", "error_description", "description"];
const DESCRIPTIONS: &[&str] = &["errmsg", "error_description"];
const TEXTS: &[&str] = &["message", "msg", "detail"];

const DEEPEST: usize = 4; // an object in a list in an object in an envelope
const MOST_ITEMS: usize = 8;
const LONGEST_TEXT: usize = 200; // bytes
const LONGEST_WORD: usize = 64; // bytes
