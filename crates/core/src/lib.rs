//! Keeps OAuth2 access tokens fresh. (Work in progress.)

mod access_token;
mod clock;
mod driver;
mod error;
mod identity;
mod manager;
mod manual_clock;
mod memory_storage;
mod oauth_error;
mod observer;
mod policy;
mod provider;
mod record;
mod record_format;
mod scopes;
mod secret;
mod shared_storage;
mod status;
mod storage;
mod token_set;

pub use access_token::AccessToken;
pub use async_trait::async_trait;
pub use clock::{Clock, Now, SystemClock};
pub use error::{Error, ErrorKind, Recovery};
pub use identity::{ProviderIdentity, StorageKey};
pub use manager::{BlockingTokenManager, RefresherHandle, TokenManager, TokenManagerBuilder};
pub use manual_clock::ManualClock;
pub use memory_storage::MemoryStorage;
pub use oauth_error::{ExchangeKind, OAuthError};
pub use observer::{Event, EventKind, Observer};
pub use policy::RefreshPolicy;
pub use provider::{FetchContext, TokenProvider};
pub use record::{Order, TokenRecord};
pub use scopes::Scopes;
pub use secret::Secret;
pub use shared_storage::{
    CasOutcome, Lease, LeaseHandle, LeaseRequest, SharedTokenStorage, Version,
};
pub use status::{Status, StatusStream, TokenState};
pub use storage::TokenStorage;
pub use token_set::TokenSet;
