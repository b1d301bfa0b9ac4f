//! A login that was begun: what its end is held against.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::Error as _;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokenkeeper::{Now, Scopes, Secret};

/// A login that waits for its callback.
///
/// Keep it in the session of the browser that began the login, by its [`state`](Self::state), for
/// there may be several tabs. Out of reach of other browsers: or somebody lures a person to a
/// callback of a login of their own, and the person goes on in a stranger's account (RFC 6749
/// §10.12). It holds secrets, so a cookie with it must be encrypted. It is for one callback, and
/// [`finish`](crate::AuthorizationCodeLogin::finish) takes it away.
///
/// It survives a restart: serialize it, and let a login with the same client and server finish it.
/// The form has a version; what another version wrote is refused when it is read.
pub struct PendingLogin {
    pub(super) authorization_url: Secret,
    pub(super) authorization_url_ends_at: Option<SystemTime>,
    pub(super) state: Secret,
    pub(super) verifier: Secret,
    pub(super) nonce: Option<Secret>,
    pub(super) redirect_uri: String,
    pub(super) scopes: Scopes,
    /// The fingerprint of client and server.
    pub(super) server: String,
    pub(super) expires_at: SystemTime,
    /// The end by the monotonic clock, which another process does not share.
    pub(super) end: Option<Duration>,
}

impl PendingLogin {
    /// Where to send the browser.
    #[must_use]
    pub fn authorization_url(&self) -> &str {
        self.authorization_url.expose_secret()
    }

    /// Until when the browser may be sent there, if the request was pushed and the server said so
    /// (RFC 9126 §2.2).
    #[must_use]
    pub fn authorization_url_expires_at(&self) -> Option<SystemTime> {
        self.authorization_url_ends_at
    }

    /// What the callback of this login has as its [`state`](crate::Callback::state).
    #[must_use]
    pub fn state(&self) -> &str {
        self.state.expose_secret()
    }

    /// Where the browser comes back to.
    #[must_use]
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// When this login is no longer finished, by the wall clock.
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        self.expires_at
    }

    /// Whether either clock says so: a wall clock that was set back must not make it longer.
    pub(super) fn has_expired(&self, now: Now) -> bool {
        now.wall() >= self.expires_at || self.end.is_some_and(|end| now.mono() >= end)
    }
}

impl fmt::Debug for PendingLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingLogin")
            .field("redirect_uri", &self.redirect_uri.split('?').next())
            .field("scopes", &self.scopes.iter().len())
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

impl Serialize for PendingLogin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut stored = serializer.serialize_struct("PendingLogin", 10)?;
        stored.serialize_field("version", &VERSION)?;
        stored.serialize_field("authorization_url", self.authorization_url.expose_secret())?;
        let ends_at = self.authorization_url_ends_at.map(millis);
        stored.serialize_field("authorization_url_ends_at", &ends_at)?;
        stored.serialize_field("state", self.state.expose_secret())?;
        stored.serialize_field("verifier", self.verifier.expose_secret())?;
        stored.serialize_field("nonce", &self.nonce.as_ref().map(Secret::expose_secret))?;
        stored.serialize_field("redirect_uri", &self.redirect_uri)?;
        stored.serialize_field("scopes", &self.scopes.to_string())?;
        stored.serialize_field("server", &self.server)?;
        stored.serialize_field("expires_at", &millis(self.expires_at))?;
        stored.end()
    }
}

/// The stored form. Times are milliseconds since 1970.
#[derive(Deserialize)]
struct Stored {
    version: u32,
    authorization_url: Text,
    authorization_url_ends_at: Option<u64>,
    state: Text,
    verifier: Text,
    nonce: Option<Text>,
    redirect_uri: String,
    scopes: String,
    server: String,
    expires_at: u64,
}

/// A secret on its way in.
struct Text(Secret);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Secret::from(text)))
    }
}

impl<'de> Deserialize<'de> for PendingLogin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Errors of formats repeat what they found, and that may be a secret.
        let pending = Stored::deserialize(deserializer).ok().and_then(Stored::into_pending);
        pending.ok_or_else(|| {
            D::Error::custom(format_args!(
                "this is no pending login, or one of another version, of which only {VERSION} is \
                 known; begin a new login"
            ))
        })
    }
}

impl Stored {
    fn into_pending(self) -> Option<PendingLogin> {
        let is_whole = !self.state.0.is_empty() && !self.verifier.0.is_empty();
        if self.version != VERSION || !is_whole {
            return None;
        }
        let time = |millis| UNIX_EPOCH.checked_add(Duration::from_millis(millis));
        Some(PendingLogin {
            authorization_url: self.authorization_url.0,
            authorization_url_ends_at: self.authorization_url_ends_at.and_then(time),
            state: self.state.0,
            verifier: self.verifier.0,
            nonce: self.nonce.map(|nonce| nonce.0),
            redirect_uri: self.redirect_uri,
            scopes: Scopes::parse(&self.scopes).ok()?,
            server: self.server,
            expires_at: time(self.expires_at)?,
            end: None,
        })
    }
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

const VERSION: u32 = 1;
