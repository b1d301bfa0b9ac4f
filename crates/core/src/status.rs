//! How a manager is doing, for health endpoints and dashboards.

use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};
use std::{fmt, mem};

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::error::Error;
use crate::shared::Core;

/// How a manager was doing when it was asked. It holds no secret.
#[derive(Clone, Debug)]
pub struct Status {
    pub(crate) service_name: Arc<str>,
    pub(crate) token: TokenState,
    pub(crate) expires_at: Option<SystemTime>,
    pub(crate) expires_in: Option<Duration>,
    pub(crate) token_age: Option<Duration>,
    pub(crate) has_refresh_token: bool,
    pub(crate) needs_login: bool,
    pub(crate) exchanging: bool,
    pub(crate) unpersisted: Option<Error>,
    pub(crate) last_error: Option<Error>,
    pub(crate) paused_for: Option<Duration>,
}

/// What `token()` would find.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenState {
    /// No token: nothing was fetched or installed yet, or it was cleared.
    Absent,
    /// A token that is served without a second thought.
    Fresh,
    /// A token that is served, and due for renewal.
    Due,
    /// A token that a resource server rejected.
    Rejected,
    /// A token whose time is up.
    Expired,
}

impl Status {
    /// The service whose tokens the manager keeps.
    #[must_use]
    pub fn service_name(&self) -> &str {
        &self.service_name
    }

    /// What `token()` would find.
    #[must_use]
    pub fn token_state(&self) -> TokenState {
        self.token
    }

    /// When the access token ends; `None` without one, or when the service gave no lifetime.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.expires_at
    }

    /// How much of the access token's life was left when the status was asked for, by the clock
    /// that says the less; zero once it is over. `None` as for [`expires_at`](Self::expires_at).
    #[must_use]
    pub fn expires_in(&self) -> Option<Duration> {
        self.expires_in
    }

    /// How long ago the access token was asked for, when the status was: the time since the last
    /// success, of this process or of the one whose token it took over, by the wall clock. `None`
    /// without a token.
    #[must_use]
    pub fn token_age(&self) -> Option<Duration> {
        self.token_age
    }

    /// Whether there is a refresh token.
    #[must_use]
    pub fn has_refresh_token(&self) -> bool {
        self.has_refresh_token
    }

    /// Whether only a person can bring the next token. Known once the storage was read, which the
    /// first `token()` does.
    #[must_use]
    pub fn needs_login(&self) -> bool {
        self.needs_login
    }

    /// Whether an exchange, or a look into the storage, is under way.
    #[must_use]
    pub fn is_requesting(&self) -> bool {
        self.exchanging
    }

    /// Why the newest tokens are in memory only, if they are. The write is tried again.
    #[must_use]
    pub fn unpersisted(&self) -> Option<&Error> {
        self.unpersisted.as_ref()
    }

    /// The last failure, while nothing has succeeded since.
    #[must_use]
    pub fn last_error(&self) -> Option<&Error> {
        self.last_error.as_ref()
    }

    /// How long the manager will not ask the service again, after a failure, or because young tokens
    /// keep [being rejected](crate#when-a-token-is-rejected).
    #[must_use]
    pub fn paused_for(&self) -> Option<Duration> {
        self.paused_for
    }
}

/// One line for a health endpoint, as in `billing: token fresh, 88 s old, good for 812 s`.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let token = match self.token {
            TokenState::Absent => "no token",
            TokenState::Fresh => "token fresh",
            TokenState::Due => "token due for renewal",
            TokenState::Rejected => "token rejected",
            TokenState::Expired => "token expired",
        };
        write!(f, "{}: {token}", self.service_name)?;
        if let Some(age) = self.token_age {
            write!(f, ", {} s old", age.as_secs())?;
        }
        if let (TokenState::Fresh | TokenState::Due, Some(left)) = (self.token, self.expires_in) {
            write!(f, ", good for {} s", left.as_secs())?;
        }
        if self.needs_login {
            f.write_str(", login needed")?;
        }
        if self.exchanging {
            f.write_str(", exchanging")?;
        }
        if self.unpersisted.is_some() {
            f.write_str(", not persisted")?;
        }
        if let Some(pause) = self.paused_for {
            write!(f, ", paused for {} s", pause.as_millis().div_ceil(1_000))?;
        }
        let Some(error) = &self.last_error else { return Ok(()) };
        f.write_str(if self.paused_for.is_some() { ": " } else { ", last error: " })?;
        error.write_unnamed(f)
    }
}

impl Core {
    pub(crate) fn status(&self) -> Status {
        let (now, can) = (self.clock.now(), self.abilities());
        self.state.lock().status(&self.service_name, now, can)
    }
}

/// Tells of changes of a manager's status. It does not keep the manager alive.
#[derive(Debug)]
pub struct StatusStream {
    core: Weak<Core>,
    changes: watch::Receiver<u64>,
    last: Mutex<Status>,
}

impl StatusStream {
    pub(crate) fn new(core: &Arc<Core>, changes: watch::Receiver<u64>) -> Self {
        Self { core: Arc::downgrade(core), changes, last: Mutex::new(core.status()) }
    }

    /// The status now, or the last one if the manager is gone.
    #[must_use]
    pub fn current(&self) -> Status {
        match self.core.upgrade() {
            Some(core) => {
                let now = core.status();
                let before = mem::replace(&mut *self.last.lock(), now.clone());
                drop(before); // outside the lock: what an error was made of may call back
                now
            }
            None => self.last.lock().clone(),
        }
    }

    /// Waits for a change. Changes that come in quick succession count as one. `false` when the
    /// manager is gone.
    ///
    /// That a token falls due or ends with time is not a change; it shows in
    /// [`current`](Self::current).
    ///
    /// # Cancel safety
    ///
    /// No change is missed when the wait is dropped.
    pub async fn changed(&mut self) -> bool {
        self.changes.changed().await.is_ok()
    }
}
