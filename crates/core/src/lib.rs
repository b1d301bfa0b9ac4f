//! Keeps OAuth2 access tokens fresh: one exchange for any number of callers, nothing lost, nothing
//! leaked.
//!
//! A [`TokenManager`] stands between a [`TokenProvider`], which exchanges credentials for tokens,
//! and a [`TokenStorage`], which keeps them. This crate knows no protocol and no HTTP: providers
//! for OAuth2 are in `tokenkeeper-providers`, and both traits are small enough to write your own.
//!
//! # Examples
//!
//! ```
//! use std::time::Duration;
//! use tokenkeeper::{
//!     AccessToken, Error, FetchContext, ProviderIdentity, TokenManager, TokenProvider, TokenSet,
//!     async_trait,
//! };
//!
//! #[derive(Debug)]
//! struct Vending(ProviderIdentity);
//!
//! #[async_trait]
//! impl TokenProvider for Vending {
//!     fn identity(&self) -> &ProviderIdentity {
//!         &self.0
//!     }
//!
//!     async fn fetch_token(&self, cx: &FetchContext<'_>) -> Result<TokenSet, Error> {
//!         let sent_at = cx.ready_to_send()?;
//!         let token = AccessToken::new("from your service", "Bearer")?;
//!         Ok(TokenSet::new(token, sent_at).with_lifetime(Duration::from_secs(900)))
//!     }
//! }
//!
//! # async fn run() -> Result<(), Error> {
//! let manager = TokenManager::new(Vending(ProviderIdentity::new("vending")));
//! let token = manager.token().await?; // clone the manager into as many tasks as you like
//! assert_eq!(token.authorization(), "Bearer from your service");
//! # Ok(())
//! # }
//! # let manager = TokenManager::new(Vending(ProviderIdentity::new("vending")));
//! # manager.blocking().token()?;
//! # Ok::<(), Error>(())
//! ```
//!
//! # What to call
//!
//! | you want | call |
//! |---|---|
//! | a token for a request | [`token`](TokenManager::token) |
//! | one that outlives a long upload | [`token_valid_for`](TokenManager::token_valid_for) |
//! | to answer a 401 | [`replace_rejected`](TokenManager::replace_rejected), with the token that was rejected; send again if it gives one |
//! | to hand in a login | [`install`](TokenManager::install); [`install_if_absent`](TokenManager::install_if_absent) for a refresh token that is given at every start |
//! | to log out | [`revoke`](TokenManager::revoke), or [`clear`](TokenManager::clear) without the service |
//! | a token that is fresh although nobody asks, and to hear of other processes | [`spawn_refresher`](TokenManager::spawn_refresher) |
//! | tokens of many users or tenants | a [`TokenManagerMap`], one manager for each |
//! | to end the process | [`flush`](TokenManager::flush) |
//! | to know how things are | [`status`](TokenManager::status), [`subscribe`](TokenManager::subscribe), an [`Observer`], [`telemetry`] |
//! | to do without async | [`blocking`](TokenManager::blocking) |
//!
//! # When a token is renewed
//!
//! A token is *fresh* for 75 % of its life and costs callers an atomic load and a reading of the
//! clock. Then it is *due*: it is still served at once, and renewed in the background. From 30 s
//! before its end, or the last eighth of its life if that is shorter, callers wait for the
//! renewal, at most 5 s, and then take the old token while it lasts. [`RefreshPolicy`] has the
//! numbers. A token without a known lifetime is served until somebody says that it was rejected.
//!
//! # Spacing
//!
//! Two exchanges of one manager are at least half the issued lifetime apart, clamped to between
//! 1 s and 5 s. Within that time the newest token that was not rejected answers, also where a call
//! asks for a new one. `login`, `install` and `clear` are acts of somebody who means it, and are not
//! spaced; only after a failure `login` waits like everybody else.
//!
//! # When a token is rejected
//!
//! A token that served for five minutes and is then [rejected](TokenManager::replace_rejected) is
//! replaced at once. If it is younger, an API may be saying 401 to everything: the first is
//! replaced at once, the next after 5 s, doubling to 10 min. Meanwhile the newest token answers,
//! although it was rejected, and [`status`](TokenManager::status) shows it as that.
//!
//! # When something fails
//!
//! | the service | refresh token | then |
//! |---|---|---|
//! | is down, slow, busy, or talks nonsense | kept | tried again after 1 s to 60 s, or what `Retry-After` says |
//! | refuses the refresh token | dropped, unless another process stored a newer one | a fetch, if the provider can do that without a person; else a login is asked for |
//! | refuses the credentials | kept | not asked again for 5 s to 10 min, until `install`, `credentials_changed` or `force_refresh` |
//! | wants a person | kept | not asked again until somebody acts |
//! | refuses the request | kept | as for credentials |
//!
//! A token that is still good is served all the while. [`Error::recovery`] says what the caller
//! can do, and [`Error::retry_after`] when to come back.
//!
//! # Where the work is done
//!
//! Exchanges, writes and timers run on one thread of the process, started at the first exchange,
//! never in a caller's future: a caller that is dropped, or a runtime that is shut down, takes no
//! refresh token with it. [`TokenManagerBuilder::driver`] names another runtime.
//! Call [`flush`](TokenManager::flush) before the process ends, and do not carry a manager across
//! `fork`: threads stay behind.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `tracing` | no | spans around exchanges, leases and storage calls, and an event for whatever an [`Observer`] is told: see [`telemetry`] |
//! | `metrics` | no | counters, gauges and histograms for the recorder of the `metrics` crate: see [`telemetry`] |

mod access_token;
mod blocking;
mod builder;
mod clock;
mod config;
mod driver;
mod error;
mod identity;
mod list_keys;
mod loopback;
mod manager;
mod manual_clock;
mod map;
mod memory_storage;
mod oauth_error;
mod observer;
mod policy;
mod provider;
mod record;
mod refresh;
mod refresher;
mod scopes;
mod secret;
mod session;
mod shared;
mod shared_storage;
mod state;
mod status;
mod storage;
mod store;
pub mod telemetry;
mod token_set;

pub use access_token::AccessToken;
pub use async_trait::async_trait;
pub use blocking::BlockingTokenManager;
pub use builder::TokenManagerBuilder;
pub use clock::{Clock, Now, SystemClock};
pub use error::{Error, ErrorKind, Recovery};
pub use identity::{ProviderIdentity, StorageKey};
pub use list_keys::{KeyCursor, KeyPage, ListKeys};
pub use loopback::is_loopback_host;
pub use manager::TokenManager;
pub use manual_clock::ManualClock;
pub use map::{TokenManagerMap, TokenManagerMapBuilder};
pub use memory_storage::MemoryStorage;
pub use oauth_error::{AnswerBody, OAuthError, TokenRequestKind};
pub use observer::{Event, EventKind, Observer};
pub use policy::RefreshPolicy;
pub use provider::{FetchContext, TokenProvider};
pub use record::{Order, TokenRecord};
pub use refresher::RefresherHandle;
pub use scopes::Scopes;
pub use secret::Secret;
pub use shared_storage::{
    CasOutcome, ChangeNotices, Lease, LeaseHandle, LeaseRequest, SharedTokenStorage, Version,
};
pub use status::{Status, StatusStream, TokenState};
pub use storage::TokenStorage;
pub use token_set::TokenSet;
