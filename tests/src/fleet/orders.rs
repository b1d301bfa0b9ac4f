//! What a member is told when it is started.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokenkeeper::{Error, ErrorKind, RefreshPolicy, StorageKey, TokenManager, TokenStorage};
use tokenkeeper_providers::{BundledTransport, ClientAuth, PasswordProvider, TransportOptions};
use tokenkeeper_storage_file::FileStorage;
use tokenkeeper_storage_redis::RedisStorage;

/// The orders of one member, as JSON in its first argument. What is secret in them is so only to
/// the servers of these tests.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Orders {
    /// Who it is: its `User-Agent`, so that the server can tell members apart.
    pub name: String,
    /// Where the tokens are kept: `file:FOLDER` or `redis://…`.
    pub storage: String,
    /// The token endpoint.
    pub token_url: String,
    /// Where the tokens are good for something; nowhere, where the server has no such place.
    pub resource_url: Option<String>,
    /// Client id and secret.
    pub client: (String, String),
    /// Whether the client sends its secret in the body instead of the header.
    pub posts_secret: bool,
    /// User and password: a login that needs nobody, and brings refresh tokens that rotate.
    pub user: (String, String),
    /// How long anything may take.
    pub timing: Timing,
    /// How many tasks ask for a token all the time.
    pub callers: u32,
    /// How long each of them waits between two calls, in milliseconds.
    pub pause_ms: u64,
}

/// The times of a policy, in milliseconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Timing {
    /// For one exchange.
    pub request_ms: u64,
    /// For one call of the storage.
    pub storage_ms: u64,
    /// For a lease.
    pub lease_ms: u64,
}

impl Timing {
    /// The defaults of the policy.
    pub const USUAL: Self = Self { request_ms: 15_000, storage_ms: 5_000, lease_ms: 30_000 };
    /// A lease that is over soon, so that a process that was stopped can outlast it.
    pub const SHORT: Self = Self { request_ms: 1_000, storage_ms: 500, lease_ms: 2_000 };

    /// How long a lease lasts.
    #[must_use]
    pub const fn lease(self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }

    fn policy(self) -> RefreshPolicy {
        RefreshPolicy::new()
            .with_request_timeout(Duration::from_millis(self.request_ms))
            .with_storage_timeout(Duration::from_millis(self.storage_ms))
            .with_lease_ttl(self.lease())
    }
}

impl Orders {
    /// For the client and the user that a `FakeAuthServer` knows unless it is told otherwise: four
    /// tasks that call every 15 ms.
    #[must_use]
    pub fn new(storage: &str, token_url: &str) -> Self {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        Self {
            name: "nobody".to_owned(),
            storage: storage.to_owned(),
            token_url: token_url.to_owned(),
            resource_url: None,
            client: pair("client", "secret"),
            posts_secret: false,
            user: pair("alice", "wonderland"),
            timing: Timing::USUAL,
            callers: 4,
            pause_ms: 15,
        }
    }

    /// The same for another member.
    #[must_use]
    pub fn named(&self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self.clone() }
    }

    /// The transport of this member.
    ///
    /// # Errors
    ///
    /// Those of [`BundledTransport::new`].
    pub fn transport(&self) -> Result<BundledTransport, Error> {
        BundledTransport::new(TransportOptions::new().with_user_agent(&self.name))
    }

    /// The manager of this member, ready to be built.
    ///
    /// # Errors
    ///
    /// Those of the provider, the transport and the storage.
    pub fn manager(&self) -> Result<tokenkeeper::TokenManagerBuilder, Error> {
        let (client_id, secret) = (&self.client.0, self.client.1.as_str());
        let auth = match self.posts_secret {
            true => ClientAuth::post(secret),
            false => ClientAuth::basic(secret),
        };
        let provider = PasswordProvider::builder("fleet", &self.token_url)
            .client(client_id, auth)
            .user(&self.user.0, self.user.1.as_str())
            .transport(self.transport()?)
            .build()?;
        Ok(TokenManager::builder(provider).storage(self.storage()?).policy(self.timing.policy()))
    }

    /// The storage that all members share.
    ///
    /// # Errors
    ///
    /// Those of the backend; and if the address is of no known kind.
    pub fn storage(&self) -> Result<Box<dyn TokenStorage>, Error> {
        match self.storage.split_once(':') {
            Some(("file", folder)) => Ok(Box::new(FileStorage::directory(folder)?)),
            Some(("redis", _)) => Ok(Box::new(RedisStorage::new(&self.storage)?)),
            _ => Err(Error::new(ErrorKind::Config, "storage: is neither file: nor redis:")),
        }
    }

    /// The key that all members share.
    ///
    /// # Errors
    ///
    /// As [`manager`](Self::manager).
    pub fn key(&self) -> Result<StorageKey, Error> {
        Ok(self.manager()?.build()?.key().clone())
    }
}
