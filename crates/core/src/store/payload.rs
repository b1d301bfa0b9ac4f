//! The payload of a record: versioned JSON that only this file writes and reads.
//!
//! Releases of different age share one storage while a fleet is updated. So members are only ever
//! added, each of them optional, and unknown ones are ignored; an older release drops what it does
//! not know at its next write. The version rises only when older readers must stop, because then
//! they leave the record alone and cannot renew it.

use std::time::SystemTime;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zeroize::{Zeroize, Zeroizing};

use crate::access_token::AccessToken;
use crate::clock::{Now, from_unix_millis, unix_millis};
use crate::error::{Error, ErrorKind};
use crate::oauth_error::OAuthError;
use crate::record::{Order, TokenRecord};
use crate::scopes::Scopes;
use crate::secret::Secret;
use crate::store::conflict::{Claim, Holding};
use crate::token_set::TokenSet;

/// What a record says, once it is read.
#[derive(Clone, Debug)]
pub(crate) struct Contents {
    /// Absent in a tombstone, and where nothing but a verdict was ever stored.
    pub(crate) tokens: Option<TokenSet>,
    pub(crate) rejected: Option<StoredVerdict>,
}

/// That the service refused the credentials, and when; nothing derived from the credentials.
#[derive(Clone, Debug)]
pub(crate) struct StoredVerdict {
    pub(crate) at: SystemTime,
    pub(crate) status: Option<StatusCode>,
    pub(crate) code: Option<Box<str>>,
}

/// Why a payload could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    Nonsense,
    Newer,
    Sealed,
}

impl Unreadable {
    /// Somebody can read all but nonsense, so nothing is ever written over it.
    pub(crate) fn must_stay(self) -> bool {
        self != Self::Nonsense
    }
}

impl Contents {
    pub(crate) fn of_tokens(tokens: TokenSet) -> Self {
        Self { tokens: Some(tokens), rejected: None }
    }

    /// What a record with these contents puts forward against another.
    pub(crate) fn claim(&self, record: &TokenRecord, now: Now) -> Claim {
        let serves = |tokens: &TokenSet| tokens.may_serve(now.wall());
        let holding = match &self.tokens {
            None if record.is_tombstone() => Holding::Logout,
            None => Holding::Nothing,
            Some(tokens) if tokens.refresh_token().is_some() => Holding::RefreshToken,
            Some(tokens) => Holding::AccessToken { serves: serves(tokens) },
        };
        Claim { order: record.order(), holding, is_provisional: false }
    }

    pub(crate) fn to_record(&self, order: Order) -> Result<TokenRecord, Error> {
        let mut wire = Wire {
            v: PAYLOAD_VERSION,
            tokens: self.tokens.as_ref().map(WireTokens::from),
            rejected: self.rejected.as_ref().map(WireVerdict::from),
        };
        // Sized in advance, because a vector that grows leaves copies of the secrets behind.
        let mut payload = Zeroizing::new(Vec::with_capacity(wire.estimated_len()));
        let written = serde_json::to_writer(&mut *payload, &wire);
        wire.zeroize();
        written.map_err(|source| {
            Error::new(ErrorKind::Internal, "the tokens cannot be written as JSON")
                .with_source(source)
        })?;
        let keep_until = self.tokens.as_ref().and_then(keep_until);
        Ok(TokenRecord::from_parts(std::mem::take(&mut *payload), order, keep_until, false))
    }

    pub(crate) fn of_record(record: &TokenRecord) -> Result<Self, Unreadable> {
        if record.is_newer() {
            return Err(Unreadable::Newer);
        }
        if record.payload().starts_with(TokenRecord::SEALED_PREFIX) {
            return Err(Unreadable::Sealed);
        }
        if record.is_tombstone() {
            return Ok(Self { tokens: None, rejected: None });
        }
        let Version { v } =
            serde_json::from_slice(record.payload()).map_err(|_| Unreadable::Nonsense)?;
        if v > PAYLOAD_VERSION {
            return Err(Unreadable::Newer);
        }
        let wire: Wire =
            serde_json::from_slice(record.payload()).map_err(|_| Unreadable::Nonsense)?;
        let tokens = wire.tokens.map(TokenSet::try_from).transpose()?;
        let rejected = wire.rejected.map(StoredVerdict::from);
        Ok(Self { tokens, rejected })
    }
}

impl StoredVerdict {
    /// What a process reports that was told by the storage, not by the service.
    pub(crate) fn to_error(&self) -> Error {
        let what = "another process was refused less than a minute ago, so nothing was sent";
        let advice = "if the credentials were corrected since, call credentials_changed(), or wait \
                      a minute";
        let mut error = Error::new(ErrorKind::CredentialsRejected, what).with_advice(advice);
        if let Some(status) = self.status {
            error = error.with_status(status);
        }
        if let Some(code) = &self.code {
            error = error.with_oauth(OAuthError::new(code, None));
        }
        error
    }
}

/// A record that says: cleared.
pub(crate) fn tombstone(order: Order, keep_until: SystemTime) -> TokenRecord {
    TokenRecord::from_parts(Vec::new(), order, Some(keep_until), true)
}

/// The end of the refresh token if known; of the access token only where there is no refresh token.
fn keep_until(tokens: &TokenSet) -> Option<SystemTime> {
    match tokens.refresh_token() {
        Some(_) => tokens.refresh_expires_at(),
        None => tokens.expires_at(),
    }
}

#[derive(Deserialize)]
struct Version {
    v: u32,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    v: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tokens: Option<WireTokens>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rejected: Option<WireVerdict>,
}

/// Times are milliseconds since 1970.
#[derive(Serialize, Deserialize)]
struct WireTokens {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    access_token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refresh_expires_at: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id_token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scopes: Option<Vec<String>>,
    requested_at: u64,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    extra: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
struct WireVerdict {
    at: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<String>,
}

impl Wire {
    /// An upper bound of the length in most cases: escapes may still make it grow.
    fn estimated_len(&self) -> usize {
        let tokens = self.tokens.as_ref().map_or(0, |tokens| {
            let texts = [&tokens.access_token, &tokens.refresh_token, &tokens.id_token];
            let texts: usize = texts.into_iter().flatten().map(String::len).sum();
            let scopes: usize = tokens.scopes.iter().flatten().map(|s| s.len() + 3).sum();
            texts + scopes + serde_json::to_string(&tokens.extra).map_or(0, |extra| extra.len())
        });
        512 + tokens
    }

    fn zeroize(&mut self) {
        if let Some(tokens) = &mut self.tokens {
            tokens.zeroize();
        }
    }
}

impl WireTokens {
    fn zeroize(&mut self) {
        self.access_token.zeroize();
        self.refresh_token.zeroize();
        self.id_token.zeroize();
    }
}

impl Drop for WireTokens {
    fn drop(&mut self) {
        self.zeroize();
    }
}

impl From<&TokenSet> for WireTokens {
    fn from(tokens: &TokenSet) -> Self {
        let text = |secret: &Secret| secret.expose_secret().to_owned();
        let access = tokens.access_token();
        Self {
            access_token: access.map(|token| text(token.secret())),
            token_type: access.map(|token| token.token_type().to_owned()),
            expires_at: tokens.expires_at().map(unix_millis),
            refresh_token: tokens.refresh_token().map(text),
            refresh_expires_at: tokens.refresh_expires_at().map(unix_millis),
            id_token: tokens.id_token().map(text),
            scopes: tokens.scopes().map(|scopes| scopes.iter().map(str::to_owned).collect()),
            requested_at: unix_millis(tokens.requested_at()),
            extra: tokens.extra().clone(),
        }
    }
}

impl TryFrom<WireTokens> for TokenSet {
    type Error = Unreadable;

    fn try_from(mut wire: WireTokens) -> Result<Self, Unreadable> {
        let requested_at = from_unix_millis(wire.requested_at);
        let mut tokens = match wire.access_token.take() {
            Some(secret) => {
                let token_type = wire.token_type.as_deref().unwrap_or("Bearer");
                let token =
                    AccessToken::new(secret, token_type).map_err(|_| Unreadable::Nonsense)?;
                TokenSet::new(token, requested_at)
                    .with_expires_at(wire.expires_at.map(from_unix_millis))
            }
            None => TokenSet::empty(requested_at),
        };
        if let Some(secret) = wire.refresh_token.take() {
            tokens = tokens.with_refresh_token(secret);
        }
        if let Some(at) = wire.refresh_expires_at {
            tokens = tokens.with_refresh_expires_at(from_unix_millis(at));
        }
        if let Some(secret) = wire.id_token.take() {
            tokens = tokens.with_id_token(secret);
        }
        if let Some(scopes) = wire.scopes.take() {
            tokens = tokens.with_scopes(Scopes::from_response(scopes));
        }
        Ok(tokens.with_extra(std::mem::take(&mut wire.extra)))
    }
}

impl From<&StoredVerdict> for WireVerdict {
    fn from(verdict: &StoredVerdict) -> Self {
        Self {
            at: unix_millis(verdict.at),
            status: verdict.status.map(|status| status.as_u16()),
            code: verdict.code.as_deref().map(str::to_owned),
        }
    }
}

impl From<WireVerdict> for StoredVerdict {
    fn from(wire: WireVerdict) -> Self {
        Self {
            at: from_unix_millis(wire.at),
            status: wire.status.and_then(|status| StatusCode::from_u16(status).ok()),
            code: wire.code.map(String::into_boxed_str),
        }
    }
}

const PAYLOAD_VERSION: u32 = 1;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(millis: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
    }

    fn full() -> TokenSet {
        let mut extra = Map::new();
        extra.insert("athlete".to_owned(), Value::from(1_234_567_890_987_654_321_u64));
        TokenSet::new(AccessToken::new("at \"quoted\" ü", "DPoP").unwrap(), at(1_000))
            .with_lifetime(Duration::from_millis(900_001))
            .with_refresh_token("rt")
            .with_refresh_expires_at(at(5_000_000))
            .with_id_token("id")
            .with_scopes(Scopes::parse("a b").unwrap())
            .with_extra(extra)
    }

    #[test]
    fn everything_that_was_stored_comes_back() {
        let record = Contents::of_tokens(full()).to_record(Order::new(1, 2)).unwrap();

        let back = Contents::of_record(&record).unwrap().tokens.unwrap();

        let (a, b) = (full(), back);
        assert_eq!(
            a.access_token().unwrap().authorization(),
            b.access_token().unwrap().authorization()
        );
        assert!(a.refresh_token().unwrap().ct_eq(b.refresh_token().unwrap()));
        assert!(a.id_token().unwrap().ct_eq(b.id_token().unwrap()));
        assert_eq!(
            (a.expires_at(), a.refresh_expires_at(), a.requested_at(), a.scopes(), a.extra()),
            (b.expires_at(), b.refresh_expires_at(), b.requested_at(), b.scopes(), b.extra())
        );
    }

    #[test]
    fn golden_bytes_can_be_read_and_are_written_by_every_release() {
        let golden = concat!(
            r#"{"tokenkeeper":1,"order":{"epoch":1,"generation":2},"keep_until":5000000,"#,
            r#""tombstone":false}"#,
            "\n",
            r#"{"v":1,"tokens":{"access_token":"at \"quoted\" ü","token_type":"DPoP","#,
            r#""expires_at":901001,"refresh_token":"rt","refresh_expires_at":5000000,"#,
            r#""id_token":"id","scopes":["a","b"],"requested_at":1000,"#,
            r#""extra":{"athlete":1234567890987654321}}}"#,
        );

        let record = Contents::of_tokens(full()).to_record(Order::new(1, 2)).unwrap();

        assert_eq!(std::str::from_utf8(&record.to_bytes()).unwrap(), golden);
    }

    #[test]
    fn members_that_a_later_release_adds_are_ignored() {
        let later = concat!(
            r#"{"tokenkeeper":1,"order":{"epoch":1,"generation":2,"new":0},"keep_until":null,"#,
            r#""tombstone":false,"new":0}"#,
            "\n",
            r#"{"v":1,"new":{},"tokens":{"access_token":"at","requested_at":1000,"new":[]},"#,
            r#""rejected":{"at":1,"new":""}}"#,
        );

        let record = TokenRecord::from_bytes(later.as_bytes());

        assert_eq!(record.order(), Order::new(1, 2));
        let contents = Contents::of_record(&record).unwrap();
        assert!(contents.tokens.is_some() && contents.rejected.is_some());
    }

    #[test]
    fn a_record_is_kept_as_long_as_its_refresh_token_never_as_its_access_token() {
        let keep =
            |tokens| Contents::of_tokens(tokens).to_record(Order::default()).unwrap().keep_until();

        assert_eq!(keep(full()), Some(at(5_000_000)));
        assert_eq!(keep(full().without_refresh_token()), Some(at(901_001)));
        assert_eq!(keep(full().without_refresh_token().with_refresh_token("rt")), None);
    }

    #[test]
    fn nonsense_newer_formats_and_what_a_wrapper_sealed_are_told_apart() {
        let read = |payload: &str| {
            let record =
                TokenRecord::from_parts(payload.as_bytes().to_vec(), Order::default(), None, false);
            Contents::of_record(&record).map(|_| ())
        };

        assert_eq!(read(""), Err(Unreadable::Nonsense));
        assert_eq!(read("{\"v\":1,\"tokens\":{}}"), Err(Unreadable::Nonsense));
        assert_eq!(
            read("{\"v\":1,\"tokens\":{\"access_token\":\"\",\"requested_at\":1}}"),
            Err(Unreadable::Nonsense)
        );
        assert_eq!(read("{\"v\":2,\"anything\":[]}"), Err(Unreadable::Newer));
        assert_eq!(read("tkenc\u{1}anything"), Err(Unreadable::Sealed));
        assert_eq!(read("{\"v\":1}"), Ok(()));
    }

    #[test]
    fn a_verdict_survives_storage_and_names_nothing_of_the_credential() {
        let verdict = StoredVerdict {
            at: at(77),
            status: Some(StatusCode::UNAUTHORIZED),
            code: Some("invalid_client".into()),
        };
        let contents = Contents { tokens: None, rejected: Some(verdict) };

        let record = contents.to_record(Order::new(0, 1)).unwrap();
        let back = Contents::of_record(&record).unwrap().rejected.unwrap();

        assert_eq!(back.at, at(77));
        assert_eq!(back.to_error().status(), Some(StatusCode::UNAUTHORIZED));
        assert_eq!(back.to_error().oauth().unwrap().code(), "invalid_client");
    }
}
