//! What happens inside a manager, told to whoever wants to know.

use std::fmt::{self, Debug};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::error::Error;
use crate::identity::StorageKey;
use crate::oauth_error::TokenRequestKind;

/// Hears of every event of the managers that it was given to.
///
/// # Contract
///
/// - It is called outside every lock, on the driver or in the caller's thread, and must not block.
/// - It may call back into the manager's synchronous methods.
/// - A panic in it is caught and forgotten.
pub trait Observer: Debug + Send + Sync + 'static {
    /// Something happened.
    fn on_event(&self, event: &Event);
}

macro_rules! forward_observer {
    ($($pointer:ident),*) => {$(
        impl<T: Observer + ?Sized> Observer for $pointer<T> {
            fn on_event(&self, event: &Event) {
                (**self).on_event(event);
            }
        }
    )*};
}

forward_observer!(Arc, Box);

/// One event, and the manager that it happened in.
#[derive(Clone, Debug)]
pub struct Event {
    service_name: Arc<str>,
    key: Arc<StorageKey>,
    kind: EventKind,
}

impl Event {
    pub(crate) fn new(service_name: Arc<str>, key: Arc<StorageKey>, kind: EventKind) -> Self {
        Self { service_name, key, kind }
    }

    /// The service whose tokens the manager keeps.
    #[must_use]
    pub fn service_name(&self) -> &str {
        &self.service_name
    }

    /// The storage key of the manager.
    #[must_use]
    pub fn key(&self) -> &StorageKey {
        &self.key
    }

    /// What happened.
    #[must_use]
    pub fn kind(&self) -> &EventKind {
        &self.kind
    }
}

/// One line: the service, and what happened.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.service_name, self.kind)
    }
}

/// What can happen.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EventKind {
    /// A provider is about to be called.
    TokenRequestStarted {
        /// Which of its calls.
        exchange: TokenRequestKind,
    },
    /// A provider brought tokens.
    TokenRequestSucceeded {
        /// Which of its calls.
        exchange: TokenRequestKind,
        /// How long the call took.
        took: Duration,
        /// When the new access token ends, if that is known.
        expires_at: Option<SystemTime>,
    },
    /// A provider failed.
    TokenRequestFailed {
        /// Which of its calls.
        exchange: TokenRequestKind,
        /// How long the call took.
        took: Duration,
        /// What went wrong.
        error: Error,
    },
    /// A refresh was sent and its answer never arrived. If the service rotated the refresh token,
    /// the new one is lost; the stored one will be tried again.
    AnswerLost {
        /// What went wrong.
        error: Error,
    },
    /// The lease that lets one process of a fleet make the exchange was waited for.
    LeaseWaited {
        /// How long; next to nothing where no other process wanted it.
        took: Duration,
        /// Whether this process has it now. If not, another process brought the token meanwhile, a
        /// login or logout came in between, or the storage failed.
        taken: bool,
    },
    /// A newer token was found in the storage.
    Adopted,
    /// `clear` or `install` overtook an exchange, and its tokens were dropped.
    Overtaken,
    /// The service refused the refresh token, and nobody had stored a newer one.
    RefreshTokenDropped,
    /// The record in the storage cannot be read.
    RecordUnreadable {
        /// Whether a newer version of tokenkeeper wrote it; then it is never overwritten.
        newer: bool,
    },
    /// A storage call failed.
    StorageFailed {
        /// `get`, `set`, `load`, `compare_and_set`, `lease`, `renew`, `release` or `notices`.
        call: &'static str,
        /// What went wrong.
        error: Error,
    },
    /// A write that had failed before succeeded.
    WriteRecovered,
    /// A resource server rejected the current token.
    Rejected {
        /// Whether it was rejected within five minutes of being published.
        young: bool,
    },
    /// The service issued a token that had been rejected before.
    RejectedTokenReissued,
    /// Tokens from a login were installed.
    Installed,
    /// Tokens were cleared, here, or elsewhere and a refresher was told.
    Cleared,
    /// A provider or storage panicked; the panic was caught.
    Panicked {
        /// Which call.
        call: &'static str,
    },
}

macro_rules! names {
    ($($kind:ident => $name:literal,)*) => {
        impl EventKind {
            /// The names of all kinds, for whoever counts them one by one.
            #[cfg(feature = "metrics")]
            pub(crate) const NAMES: &[&str] = &[$($name),*];

            /// The name of the kind in metrics, and in traces behind `tokenkeeper.`. Names are
            /// stable.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self {
                    $(Self::$kind { .. } => $name,)*
                }
            }
        }
    };
}

names! {
    TokenRequestStarted => "token_request_started",
    TokenRequestSucceeded => "token_request_succeeded",
    TokenRequestFailed => "token_request_failed",
    AnswerLost => "answer_lost",
    LeaseWaited => "lease_waited",
    Adopted => "adopted",
    Overtaken => "overtaken",
    RefreshTokenDropped => "refresh_token_dropped",
    RecordUnreadable => "record_unreadable",
    StorageFailed => "storage_failed",
    WriteRecovered => "write_recovered",
    Rejected => "rejected",
    RejectedTokenReissued => "rejected_token_reissued",
    Installed => "installed",
    Cleared => "cleared",
    Panicked => "panicked",
}

/// One line, without the service.
impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TokenRequestStarted { exchange } => write!(f, "{exchange} started"),
            Self::TokenRequestSucceeded { exchange, took, .. } => {
                write!(f, "{exchange} succeeded after {} ms", took.as_millis())
            }
            Self::TokenRequestFailed { exchange, took, error } => {
                write!(f, "{exchange} failed after {} ms: ", took.as_millis())?;
                error.write_unnamed(f)
            }
            Self::AnswerLost { .. } => f.write_str(
                "the answer to a refresh was lost; the stored refresh token will be tried again",
            ),
            Self::LeaseWaited { took, taken: true } => {
                write!(f, "the lease was taken after {} ms", took.as_millis())
            }
            Self::LeaseWaited { took, taken: false } => {
                write!(f, "the wait for the lease ended without it after {} ms", took.as_millis())
            }
            Self::Adopted => f.write_str("tokens were taken over from the storage"),
            Self::Overtaken => f.write_str("a login or logout overtook an exchange"),
            Self::RefreshTokenDropped => f.write_str("the refresh token was refused and dropped"),
            Self::RecordUnreadable { newer: true } => {
                f.write_str("a newer version wrote the stored record; it is left as it is")
            }
            Self::RecordUnreadable { newer: false } => {
                f.write_str("the stored record cannot be read")
            }
            Self::StorageFailed { call, error } => {
                write!(f, "the storage call `{call}` failed: ")?;
                error.write_unnamed(f)
            }
            Self::WriteRecovered => f.write_str("a write that had failed succeeded"),
            Self::Rejected { young: true } => f.write_str("a new token was rejected"),
            Self::Rejected { young: false } => f.write_str("the token was rejected"),
            Self::RejectedTokenReissued => {
                f.write_str("the service issued a token that had been rejected")
            }
            Self::Installed => f.write_str("tokens from a login were installed"),
            Self::Cleared => f.write_str("the tokens were cleared"),
            Self::Panicked { call } => write!(f, "{call} panicked"),
        }
    }
}
