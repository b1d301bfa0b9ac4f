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
//! # The minimum interval
//!
//! Two token requests of one manager are at least half the issued lifetime apart, clamped to between
//! 1 s and 5 s. Within that time the newest token that serves answers, also where a call asks for a
//! new one, and [`Refreshed::is_new`] tells; where none serves, the error says when to ask again.
//! `login`, `install` and `clear` are not held up by it; only after a failure `login` waits like
//! every other call.
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
//! | refuses the refresh token (`invalid_grant`) | dropped, unless another process stored a newer one | a fetch, if the provider can do that without a person; else a login is asked for |
//! | refuses a refresh in other words that may mean the refresh token | kept until a fetch succeeds | a fetch, paced as for credentials, if the provider can do that without a person; else a login is asked for, and the token is tried again after 1 min to 1 h |
//! | answers a refresh with a 4xx that has no OAuth error (a gateway) | kept | as if it were down; after three in a row over a minute as in the line above |
//! | refuses the credentials | kept | not asked again for 5 s to 10 min, until `install`, `credentials_changed` or `force_refresh` |
//! | cannot be reached because a proxy refuses its credentials | kept | as for credentials; other processes are not told |
//! | wants a person | kept | not asked again until a person logs in, here or elsewhere |
//! | refuses the request | kept | as for credentials; as if it were down where the endpoint has answered properly before and the answer has no OAuth error |
//! | issues tokens that have ended when they come | the new one kept | as if it were down; the error has both times |
//!
//! A token that is still good is served all the while. [`Error::recovery`] says what the caller
//! can do, and [`Error::retry_after`] when to come back.
//!
//! # Where the work is done
//!
//! Exchanges, writes and timers run on one thread of the process, started at the first exchange,
//! never in a caller's future: a caller that is dropped, or a runtime that is shut down, takes no
//! refresh token with it. [`TokenManagerBuilder::driver`] names another runtime.
//! Call [`flush`](TokenManager::flush) before the process ends. A child made by `fork` gets a thread
//! of its own; a manager that was used before the fork says so in the child, because the threads that
//! it waits for stay behind.
//!
//! # Words
//!
//! | word | means |
//! |---|---|
//! | token request | one request to the token endpoint, whatever the grant |
//! | flight | one piece of work that any number of callers wait for: a renewal, a login, a logout |
//! | advisory, mandatory | the two points in a token's life: from one it is renewed in the background, from the other callers wait |
//! | order: epoch, generation | what records are compared by: a login or logout raises the epoch, a token request the generation |
//! | tombstone | the record that a logout leaves for 30 days |
//! | lease | the right of one process to spend the stored refresh token, for a time |
//! | adopt | take over tokens that another process stored |
//! | owed | a write that the storage refused, and that is repeated |
//! | verdict | an answer that will be the same until something is corrected |
//! | young | said of a token that is rejected within five minutes of being published |
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
mod panics;
mod policy;
mod provider;
mod record;
mod refresh;
mod refreshed;
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
pub use refreshed::Refreshed;
pub use refresher::RefresherHandle;
pub use scopes::Scopes;
pub use secret::Secret;
pub use shared_storage::{
    CasOutcome, ChangeNotices, Lease, LeaseHandle, LeaseRequest, SharedTokenStorage, Version,
};
pub use status::{Status, StatusStream, TokenState};
pub use storage::TokenStorage;
pub use token_set::TokenSet;
