//! From a success to a set of tokens.

use std::time::SystemTime;

use http::header::DATE;
use http::{HeaderMap, StatusCode};
use tokenkeeper::{AccessToken, Error, ErrorKind, Scopes, Secret, TokenSet};

use crate::answer::{Answer, Granted};
use crate::dialect::Dialect;
use crate::scrub::repeats;

/// What was asked for, and when.
pub(crate) struct Asked<'a> {
    /// Only tokens of these types are taken: a client must not use a type that it does not understand
    /// (RFC 6749 §7.1).
    pub(crate) types: &'a [&'static str],
    /// Whether the request named scopes.
    pub(crate) scopes: bool,
    pub(crate) sent_at: SystemTime,
    /// What an error must not repeat.
    pub(crate) secrets: &'a [&'a Secret],
}

impl Granted {
    /// The tokens, if they are such as were asked for.
    pub(crate) fn into_set(
        self,
        asked: &Asked<'_>,
        headers: &HeaderMap,
    ) -> Result<TokenSet, Error> {
        let known = |known: &&&str| known.eq_ignore_ascii_case(&self.token_type);
        let Some(token_type) = asked.types.iter().find(known) else {
            return Err(self.of_another_type(asked));
        };
        let server_now = server_now(headers, asked.sent_at);
        let token = AccessToken::new(self.access_token, token_type);
        let token = token.map_err(Error::with_answer_lost)?;
        let mut tokens = TokenSet::new(token, asked.sent_at);
        if let Some(lifetime) = self.lifetime {
            tokens = tokens.with_lifetime(lifetime.left(server_now));
        }
        if let Some(refresh_token) = self.refresh_token {
            tokens = tokens.with_refresh_token(refresh_token);
        }
        let refresh_life = self.refresh_lifetime.map(|lifetime| lifetime.left(server_now));
        if let Some(end) = refresh_life.and_then(|life| asked.sent_at.checked_add(life)) {
            tokens = tokens.with_refresh_expires_at(end);
        }
        if let Some(id_token) = self.id_token {
            tokens = tokens.with_id_token(id_token);
        }
        // An empty one grants nothing of what was asked for; where nothing was, it says nothing.
        if let Some(scope) = self.scope.filter(|scope| asked.scopes || !scope.is_empty()) {
            tokens = tokens.with_scopes(Scopes::from_response(scope.split_whitespace()));
        }
        Ok(tokens.with_extra(self.extra))
    }

    fn of_another_type(self, asked: &Asked<'_>) -> Error {
        let mut secrets = vec![&self.access_token];
        secrets.extend(self.refresh_token.iter().chain(&self.id_token));
        secrets.extend(asked.secrets.iter().copied());
        let name = shown_type(&self.token_type, &secrets);
        let what = format!(
            "the answer has {}, and only {} can be used (RFC 6749 §7.1)",
            name.map_or("a token of another type".to_owned(), |name| {
                format!("a token of the type `{name}`")
            }),
            plural(asked.types),
        );
        let error = Error::new(ErrorKind::InvalidResponse, what).with_answer_lost();
        error.with_advice(match (asked.types, name) {
            ([DPOP, ..], _) => "check that the client may bind tokens to a key at this server \
                                (RFC 9449 §5), or do without proof_of_possession"
                .to_owned(),
            (_, Some(name)) if name.eq_ignore_ascii_case(DPOP) => {
                "set the key that the token is bound to with proof_of_possession".to_owned()
            }
            (_, Some(name)) => format!(
                "if the service takes such tokens like bearer tokens, say so with \
                 bearer_tokens_named([\"{name}\"])"
            ),
            (_, None) => "if the service takes such tokens like bearer tokens, give their type to \
                          bearer_tokens_named"
                .to_owned(),
        })
    }
}

/// Reads an answer as a provider would and says whether it had tokens; for fuzzing.
pub(crate) fn has_tokens(status: StatusCode, body: &[u8], dialect: &Dialect) -> bool {
    let Answer::Granted(granted) = Answer::read(status, body, dialect) else {
        return false;
    };
    let sent_at = SystemTime::UNIX_EPOCH;
    let asked = Asked { types: &[BEARER], scopes: true, sent_at, secrets: &[] };
    granted.into_set(&asked, &HeaderMap::new()).is_ok()
}

/// The time on the clock of the service, with which its points in time are compared.
fn server_now(headers: &HeaderMap, sent_at: SystemTime) -> SystemTime {
    let date = headers.get(DATE).and_then(|date| date.to_str().ok());
    date.and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or(sent_at)
}

/// The type, if it looks like one; a foreign server wrote it.
fn shown_type<'a>(kind: &'a str, secrets: &[&Secret]) -> Option<&'a str> {
    let is_word = kind.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    (is_word && kind.len() <= LONGEST_TYPE && !repeats(kind, secrets)).then_some(kind)
}

/// What is asked for, for a message.
fn plural(types: &[&str]) -> &'static str {
    match types {
        [DPOP, ..] => "tokens of the type `DPoP`",
        [NOT_APPLICABLE, ..] => "tokens of the type `N_A`",
        [_, NOT_APPLICABLE] => "bearer tokens and tokens of the type `N_A`",
        _ => "bearer tokens",
    }
}

pub(crate) const BEARER: &str = "Bearer";
pub(crate) const DPOP: &str = "DPoP"; // RFC 9449 §5
pub(crate) const NOT_APPLICABLE: &str = "N_A"; // RFC 8693 §2.2.1
const LONGEST_TYPE: usize = 32; // `urn:…` names are longer and say nothing to most people
