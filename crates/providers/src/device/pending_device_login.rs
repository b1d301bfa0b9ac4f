//! A device login that has begun: what a person is shown, and the secret that is polled with.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use tokenkeeper::{Now, Secret};
use url::Url;

use super::polling::Polls;
use crate::endpoint_url::is_loopback;
use crate::lifetime::seconds;
use crate::members::Members;

/// A login that waits for a person (RFC 8628 §3.2).
///
/// Show the [`user_code`](Self::user_code) and the [`verification_url`](Self::verification_url), or a
/// QR code of [`verification_url_complete`](Self::verification_url_complete), and give it to
/// [`DeviceLogin::finish`](crate::DeviceLogin::finish).
///
/// It can be serialised, so that a program that restarts goes on waiting. What comes out holds the
/// device code, which gets the tokens of whoever approves it: keep it like a password. The form has a
/// version; what another version wrote is refused when it is read. `Debug` shows neither code.
#[derive(Clone)]
pub struct PendingDeviceLogin {
    /// The fingerprint of the login that began it.
    login: String,
    device_code: Secret,
    user_code: String,
    verification_url: String,
    verification_url_complete: Option<String>,
    expires_at: SystemTime,
    /// Clones share them: they are polls of one code.
    polls: Arc<Mutex<Polls>>,
    /// The end by the monotonic clock, which another process does not share.
    end: Option<Duration>,
}

impl PendingDeviceLogin {
    /// What a person types in, as the service wrote it. Nothing in it is invisible, moves a cursor or
    /// turns the text around.
    #[must_use]
    pub fn user_code(&self) -> &str {
        &self.user_code
    }

    /// Where a person types it in: `verification_uri`, with a host that looks like what it is
    /// (`xn--…` where it has other letters than those of ASCII).
    #[must_use]
    pub fn verification_url(&self) -> &str {
        &self.verification_url
    }

    /// A URL with the code in it, for a QR code: `verification_uri_complete`, if the service gave
    /// one. Show the user code beside it, because people compare it (RFC 8628 §3.3.1).
    #[must_use]
    pub fn verification_url_complete(&self) -> Option<&str> {
        self.verification_url_complete.as_deref()
    }

    /// When the codes end, by the wall clock.
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        self.expires_at
    }

    /// Reads the answer to a request that was sent at `sent`. An error says what it lacks.
    pub(crate) fn read(
        body: &[u8],
        login: String,
        sent: Now,
        allow_http: bool,
    ) -> Result<Self, &'static str> {
        let mut members = Members::read(body).ok_or("is neither a JSON object nor a form")?;
        let device_code = take_word(&mut members, "device_code").map(Secret::from);
        let device_code = device_code.ok_or("has no device code")?;
        let user_code = take_word(&mut members, "user_code").ok_or("has no user code")?;
        if user_code.chars().any(deceives) {
            return Err("has a user code that cannot be shown");
        }
        let mut url_in = |names: &[&str]| {
            let mut texts = names.iter().filter_map(|name| members.take_text(name));
            texts.find_map(|text| to_be_opened(text, allow_http))
        };
        let verification_url_complete = url_in(COMPLETE_URLS);
        let verification_url = url_in(URLS).ok_or("has no https URL for the person to open")?;
        let lifetime = members.get("expires_in").and_then(|value| seconds(value, 1));
        let lifetime = lifetime.map_or(USUAL_LIFETIME, Duration::from_secs);
        let end = sent.after(lifetime.min(LONGEST_LIFETIME));
        let interval = members.get("interval").and_then(interval).unwrap_or(USUAL_INTERVAL);
        Ok(Self {
            login,
            device_code,
            user_code,
            verification_url,
            verification_url_complete,
            expires_at: end.wall(),
            polls: Arc::new(Mutex::new(Polls { interval, last: Some(sent.mono()) })),
            end: Some(end.mono()),
        })
    }

    /// The fingerprint of the login that began it.
    pub(crate) fn login(&self) -> &str {
        &self.login
    }

    pub(crate) fn device_code(&self) -> &Secret {
        &self.device_code
    }

    pub(crate) fn polls(&self) -> &Mutex<Polls> {
        &self.polls
    }

    /// The end by the monotonic clock. In the process that began it, a wall clock that is set right
    /// meanwhile, as on devices without a battery, does not end it.
    pub(crate) fn end(&self, now: Now) -> Duration {
        self.end.unwrap_or_else(|| {
            let left = self.expires_at.duration_since(now.wall()).unwrap_or_default();
            now.mono().saturating_add(left.min(LONGEST_LIFETIME))
        })
    }
}

impl fmt::Debug for PendingDeviceLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingDeviceLogin")
            .field("device_code", &self.device_code)
            .field("expires_at", &self.expires_at)
            .field("interval", &self.polls.lock().interval)
            .finish_non_exhaustive()
    }
}

/// The stored form. Times are milliseconds, the end since 1970.
#[derive(Deserialize, Serialize)]
struct Stored {
    version: u32,
    login: String,
    #[serde(deserialize_with = "read_secret", serialize_with = "write_secret")]
    device_code: Secret,
    user_code: String,
    verification_url: String,
    verification_url_complete: Option<String>,
    expires_at: u64,
    interval: u64,
}

impl Serialize for PendingDeviceLogin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { login, device_code, user_code, verification_url, .. } = self.clone();
        let verification_url_complete = self.verification_url_complete.clone();
        let since_1970 = self.expires_at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (expires_at, interval) = (millis(since_1970), millis(self.polls.lock().interval));
        let stored = Stored {
            version: VERSION,
            login,
            device_code,
            user_code,
            verification_url,
            verification_url_complete,
            expires_at,
            interval,
        };
        stored.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PendingDeviceLogin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Errors of formats repeat what they found, and that may be a secret.
        let pending = Stored::deserialize(deserializer).ok().and_then(Stored::into_pending);
        pending.ok_or_else(|| {
            D::Error::custom(format_args!(
                "this is no pending device login, or one of another version, of which only \
                 {VERSION} is known; begin a new login"
            ))
        })
    }
}

impl Stored {
    fn into_pending(self) -> Option<PendingDeviceLogin> {
        if self.version != VERSION || self.device_code.expose_secret().is_empty() {
            return None;
        }
        let interval = Duration::from_millis(self.interval).max(SHORTEST_INTERVAL);
        Some(PendingDeviceLogin {
            login: self.login,
            device_code: self.device_code,
            user_code: self.user_code,
            verification_url: self.verification_url,
            verification_url_complete: self.verification_url_complete,
            expires_at: UNIX_EPOCH.checked_add(Duration::from_millis(self.expires_at))?,
            polls: Arc::new(Mutex::new(Polls { interval, last: None })),
            end: None,
        })
    }
}

/// A text with something in it, or a number, as some services write codes of digits alone.
fn take_word(members: &mut Members, name: &str) -> Option<String> {
    match members.take(name)? {
        Value::String(text) if !text.is_empty() => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn read_secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    String::deserialize(deserializer).map(Secret::from)
}

fn write_secret<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The URL, if a person may be sent there: it comes from a stranger, and a password is typed in
/// there. What stands before an `@` looks like a host.
fn to_be_opened(text: String, allow_http: bool) -> Option<String> {
    if text.chars().any(|c| deceives(c) || c.is_whitespace()) {
        return None;
    }
    let url = Url::parse(&text).ok()?;
    let is_safe = match url.scheme() {
        "https" => true,
        "http" => allow_http || is_loopback(&url),
        _ => false,
    };
    let is_plain = url.username().is_empty() && url.password().is_none();
    (is_safe && is_plain).then(|| if text.is_ascii() { text } else { url.into() })
}

/// Whether a screen shows something else than what is there: characters that command a terminal, are
/// invisible, or turn the text around.
fn deceives(c: char) -> bool {
    let is_unseen = matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    c.is_control() || is_unseen
}

/// Never shorter than what the service wrote, nor than a second.
fn interval(value: &Value) -> Option<Duration> {
    let seconds = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let seconds = seconds.filter(|seconds: &f64| *seconds > 0.0)?;
    let interval = Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST_LIFETIME);
    Some(interval.clamp(SHORTEST_INTERVAL, LONGEST_LIFETIME))
}

const VERSION: u32 = 1;

/// Google has the second one.
const URLS: &[&str] = &["verification_uri", "verification_url"];
const COMPLETE_URLS: &[&str] = &["verification_uri_complete", "verification_url_complete"];
const USUAL_INTERVAL: Duration = Duration::from_secs(5); // RFC 8628 §3.2
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1); // a fraction would be a flood
const USUAL_LIFETIME: Duration = Duration::from_secs(15 * 60); // what most services say
const LONGEST_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60); // beyond it is a mistake
