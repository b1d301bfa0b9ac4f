//! What a service says of a user.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;
use tokenkeeper::{Error, ErrorKind};

/// Claims about a user (OpenID Connect Core §5.1), or what a service has in their place.
#[derive(Clone)]
pub struct UserClaims(Value);

impl UserClaims {
    pub(crate) fn read(body: &[u8]) -> Result<Self, Error> {
        match serde_json::from_slice(body) {
            Ok(claims @ (Value::Object(_) | Value::Array(_))) => Ok(Self(claims)),
            _ => {
                let what = "the answer about the user is no JSON object; signed ones \
                            (application/jwt) are not read";
                Err(Error::new(ErrorKind::InvalidResponse, what)
                    .with_advice("check the userinfo URL, and what the client is registered for"))
            }
        }
    }

    /// `sub`: the user, for this server, for ever. A server of OpenID Connect always sends it.
    #[must_use]
    pub fn sub(&self) -> Option<&str> {
        self.text("/sub")
    }

    /// What tells the user from all others: [`sub`](Self::sub), else `id` as other services have it,
    /// a text or a number. Where it has another place, [`pointer`](Self::pointer) gets it.
    #[must_use]
    pub fn id(&self) -> Option<Cow<'_, str>> {
        match (self.sub(), self.pointer("/id")) {
            (Some(sub), _) => Some(Cow::Borrowed(sub)),
            (None, Some(Value::String(id))) if !id.is_empty() => Some(Cow::Borrowed(id)),
            (None, Some(Value::Number(id))) => Some(Cow::Owned(id.to_string())),
            _ => None,
        }
    }

    /// `email`. Where the answer is a list of addresses, as GitHub's `/user/emails` is, the primary
    /// one of them.
    ///
    /// An address belongs to the user only if it is [verified](Self::email_verified), and even then
    /// it may belong to somebody else tomorrow: users are told apart by [`id`](Self::id).
    #[must_use]
    pub fn email(&self) -> Option<&str> {
        text(self.with_email()?.get("email"))
    }

    /// `email_verified`: whether the service has checked that the address is the user's; in a list of
    /// addresses, `verified`. `None` if it does not say.
    ///
    /// Outside a list, `verified` is often said of the account, and does not count. A service that
    /// says it of the address, as Discord does, is asked by [`get`](Self::get).
    #[must_use]
    pub fn email_verified(&self) -> Option<bool> {
        let name = if self.0.is_array() { "verified" } else { "email_verified" };
        match self.with_email()?.get(name)? {
            Value::Bool(verified) => Some(*verified),
            Value::String(text) => text.parse().ok(), // Amazon Cognito
            _ => None,
        }
    }

    /// Any claim by its name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// A value anywhere, by a JSON pointer (RFC 6901): `/user/id` is what Slack has for `sub`.
    #[must_use]
    pub fn pointer(&self, pointer: &str) -> Option<&Value> {
        self.0.pointer(pointer)
    }

    fn text(&self, pointer: &str) -> Option<&str> {
        text(self.pointer(pointer))
    }

    fn with_email(&self) -> Option<&Value> {
        match &self.0 {
            Value::Array(addresses) => addresses.iter().find(|one| one["primary"] == true),
            claims => Some(claims),
        }
    }
}

/// How much there is, because what it says is about a person.
impl fmt::Debug for UserClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = match &self.0 {
            Value::Object(members) => members.len(),
            Value::Array(items) => items.len(),
            _ => 0,
        };
        write!(f, "UserClaims({count} members)")
    }
}

fn text(value: Option<&Value>) -> Option<&str> {
    value?.as_str().filter(|text| !text.is_empty())
}
