//! What a provider brings back from one exchange.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use crate::access_token::AccessToken;
use crate::scopes::Scopes;
use crate::secret::Secret;

/// Everything that a token endpoint answered (RFC 6749 §5.1).
///
/// What a refresh answer leaves out (refresh token, its end, scopes, id token) the manager takes
/// over from the set before it; a provider reports only what it received.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use tokenkeeper::{AccessToken, TokenSet};
///
/// let sent_at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
/// let tokens = TokenSet::new(AccessToken::new("abc", "Bearer")?, sent_at)
///     .with_lifetime(Duration::from_secs(900))
///     .with_refresh_token("def");
/// assert_eq!(tokens.expires_at(), Some(sent_at + Duration::from_secs(900)));
/// # Ok::<(), tokenkeeper::Error>(())
/// ```
#[derive(Clone)]
pub struct TokenSet {
    access_token: Option<Arc<AccessToken>>,
    refresh_token: Option<Secret>,
    refresh_expires_at: Option<SystemTime>,
    id_token: Option<Secret>,
    scopes: Option<Scopes>,
    requested_at: SystemTime,
    extra: Map<String, Value>,
}

impl TokenSet {
    /// A set with an access token and nothing else. `requested_at` is when the request was sent:
    /// [`FetchContext::ready_to_send`](crate::FetchContext::ready_to_send) returns it.
    #[must_use]
    pub fn new(access_token: AccessToken, requested_at: SystemTime) -> Self {
        Self { access_token: Some(Arc::new(access_token)), ..Self::empty(requested_at) }
    }

    /// A set with nothing but a refresh token, from a login elsewhere; valid for
    /// [`TokenManager::install`](crate::TokenManager::install).
    #[must_use]
    pub fn from_refresh_token(refresh_token: impl Into<Secret>) -> Self {
        Self::empty(SystemTime::UNIX_EPOCH).with_refresh_token(refresh_token)
    }

    pub(crate) fn empty(requested_at: SystemTime) -> Self {
        Self {
            access_token: None,
            refresh_token: None,
            refresh_expires_at: None,
            id_token: None,
            scopes: None,
            requested_at,
            extra: Map::new(),
        }
    }

    /// `expires_in`: how long the access token lives, counted from `requested_at`. Without it the
    /// lifetime is unknown, and so it is if the end lies beyond what the platform can name.
    #[must_use]
    pub fn with_lifetime(self, lifetime: Duration) -> Self {
        let expires_at = self.requested_at.checked_add(lifetime);
        self.with_expires_at(expires_at)
    }

    /// When the access token ends; `None` if that is unknown.
    #[must_use]
    pub fn with_expires_at(mut self, expires_at: Option<SystemTime>) -> Self {
        self.access_token = self
            .access_token
            .map(|token| Arc::new(Arc::unwrap_or_clone(token).expiring(expires_at)));
        self
    }

    /// `refresh_token`.
    #[must_use]
    pub fn with_refresh_token(mut self, refresh_token: impl Into<Secret>) -> Self {
        self.refresh_token = Some(refresh_token.into());
        self
    }

    /// When the refresh token ends. Without it, that is unknown; it is never taken for expired.
    #[must_use]
    pub fn with_refresh_expires_at(mut self, at: SystemTime) -> Self {
        self.refresh_expires_at = Some(at);
        self
    }

    /// `id_token` (OpenID Connect), unverified.
    #[must_use]
    pub fn with_id_token(mut self, id_token: impl Into<Secret>) -> Self {
        self.id_token = Some(id_token.into());
        self
    }

    /// What was granted: the `scope` of the answer, or what was requested where the answer to a
    /// first request leaves it out (RFC 6749 §5.1).
    #[must_use]
    pub fn with_scopes(mut self, scopes: Scopes) -> Self {
        self.access_token = self
            .access_token
            .map(|token| Arc::new(Arc::unwrap_or_clone(token).scoped(scopes.clone())));
        self.scopes = Some(scopes);
        self
    }

    /// All other members of the answer. They are stored with the tokens, and kept out of `Debug`.
    #[must_use]
    pub fn with_extra(mut self, extra: Map<String, Value>) -> Self {
        self.extra = extra;
        self
    }

    /// The access token; absent in a set that came [from a refresh token](Self::from_refresh_token).
    #[must_use]
    pub fn access_token(&self) -> Option<&Arc<AccessToken>> {
        self.access_token.as_ref()
    }

    /// The refresh token, if there is one.
    #[must_use]
    pub fn refresh_token(&self) -> Option<&Secret> {
        self.refresh_token.as_ref()
    }

    /// When the refresh token ends, if that is known.
    #[must_use]
    pub fn refresh_expires_at(&self) -> Option<SystemTime> {
        self.refresh_expires_at
    }

    /// The id token, if there is one. It is not verified.
    #[must_use]
    pub fn id_token(&self) -> Option<&Secret> {
        self.id_token.as_ref()
    }

    /// What was granted, if the answer or the request said so.
    #[must_use]
    pub fn scopes(&self) -> Option<&Scopes> {
        self.scopes.as_ref()
    }

    /// When the request was sent.
    #[must_use]
    pub fn requested_at(&self) -> SystemTime {
        self.requested_at
    }

    /// When the access token ends, if that is known.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.access_token.as_ref().and_then(|token| token.expires_at())
    }

    /// How long the access token was to live when it was asked for, if that is known.
    #[must_use]
    pub fn lifetime(&self) -> Option<Duration> {
        let expires_at = self.expires_at()?;
        Some(expires_at.duration_since(self.requested_at).unwrap_or_default())
    }

    /// The other members of the answer.
    #[must_use]
    pub fn extra(&self) -> &Map<String, Value> {
        &self.extra
    }

    /// Takes over from `previous` what a refresh answer left out (RFC 6749 §6).
    pub(crate) fn carry_over(mut self, previous: &Self) -> Self {
        let rotated = match (&self.refresh_token, &previous.refresh_token) {
            (Some(new), Some(old)) => !new.ct_eq(old),
            (Some(_), None) => true,
            (None, _) => false,
        };
        if self.refresh_token.is_none() {
            self.refresh_token.clone_from(&previous.refresh_token);
        }
        if !rotated && self.refresh_expires_at.is_none() {
            self.refresh_expires_at = previous.refresh_expires_at;
        }
        if self.id_token.is_none() {
            self.id_token.clone_from(&previous.id_token);
        }
        match &previous.scopes {
            Some(scopes) if self.scopes.is_none() => self.with_scopes(scopes.clone()),
            _ => self,
        }
    }

    /// Whether there is a refresh token, or an access token whose time is not up.
    pub(crate) fn may_serve(&self, now: SystemTime) -> bool {
        let is_alive = |token: &Arc<AccessToken>| token.expires_at().is_none_or(|end| now < end);
        self.refresh_token.is_some() || self.access_token.as_ref().is_some_and(is_alive)
    }

    pub(crate) fn without_refresh_token(mut self) -> Self {
        self.refresh_token = None;
        self.refresh_expires_at = None;
        self
    }
}

/// Scopes and extra members are counted: they are what a service wrote, and some repeat what they
/// were sent.
impl fmt::Debug for TokenSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSet")
            .field("access_token", &self.access_token)
            .field("refresh_token", &self.refresh_token)
            .field("refresh_expires_at", &self.refresh_expires_at)
            .field("id_token", &self.id_token)
            .field("scopes", &self.scopes.as_ref().map(|scopes| scopes.iter().len()))
            .field("requested_at", &self.requested_at)
            .field("extra", &format_args!("{} members", self.extra.len()))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set() -> TokenSet {
        TokenSet::new(AccessToken::new("at", "Bearer").unwrap(), at(0))
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_refresh_answer_without_a_refresh_token_keeps_the_old_one_and_its_end() {
        let old = set()
            .with_refresh_token("rt1")
            .with_refresh_expires_at(at(99))
            .with_id_token("id")
            .with_scopes(Scopes::parse("a b").unwrap());

        let new = set().carry_over(&old);

        assert_eq!(new.refresh_token().unwrap().expose_secret(), "rt1");
        assert_eq!(new.refresh_expires_at(), Some(at(99)));
        assert_eq!(new.id_token().unwrap().expose_secret(), "id");
        assert_eq!(new.access_token().unwrap().scopes().to_string(), "a b");
    }

    #[test]
    fn a_rotated_refresh_token_does_not_inherit_the_end_of_the_old_one() {
        let old = set().with_refresh_token("rt1").with_refresh_expires_at(at(99));

        let new = set().with_refresh_token("rt2").carry_over(&old);

        assert_eq!(new.refresh_token().unwrap().expose_secret(), "rt2");
        assert_eq!(new.refresh_expires_at(), None);
    }

    #[test]
    fn an_absurd_lifetime_is_an_unknown_one() {
        assert_eq!(set().with_lifetime(Duration::MAX).expires_at(), None);
    }

    #[test]
    fn debug_shows_no_secret_and_no_extra_member() {
        let mut extra = Map::new();
        extra.insert("k".to_owned(), Value::from("planted-1"));
        let set =
            set().with_refresh_token("planted-2").with_id_token("planted-3").with_extra(extra);

        assert!(!format!("{set:?}").contains("planted"));
    }
}
