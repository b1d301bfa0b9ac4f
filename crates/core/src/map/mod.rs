//! One manager per tenant or user, made when it is first asked for and dropped when it is idle.
//!
//! `slots` keeps the managers and says which of them may go, `once` sees to it that one is made
//! once however many ask, and `owners` that no two keys share tokens.
//!
//! A manager is dropped only if the map alone holds it and nothing in it would be missed (see
//! `eviction`), so at any time there is at most one for a key, and one that was dropped
//! leaves its tokens in the storage, where the next one finds them. The storage is the map's: also
//! what is only in memory stays.

mod builder;
mod eviction;
mod once;
mod owners;
mod slots;

use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::task::JoinSet;

pub use self::builder::TokenManagerMapBuilder;
use self::once::Once;
use self::owners::Owners;
use self::slots::{Found, Kept, Slots};
use crate::config::Config;
use crate::error::{Error, ErrorKind};
use crate::manager::TokenManager;
use crate::provider::TokenProvider;
use crate::status::Status;

/// One [`TokenManager`] per tenant or user, on one storage. Clones share everything.
///
/// [`get`](Self::get) makes the manager of a key when it is first asked for. Each has exchanges,
/// pauses and errors of its own; no key waits for another.
///
/// # Identities
///
/// Tokens are stored by the [identity](TokenProvider::identity) of the provider, not by the key of
/// the map. So everything that tells two keys apart must be in the identity, most often as the
/// subject or tenant. A second key whose provider has the identity of the first gets an error, and
/// never its tokens. That is noticed in one process, and not across restarts: ask for two keys in
/// a test.
///
/// For that the map remembers 20 to 40 bytes of every key that it was ever asked for with success. So
/// ask for users that exist, not for whatever stands in a request.
///
/// # Eviction
///
/// More managers than the [bound](TokenManagerMapBuilder::bound), or managers that were not asked
/// for during the [idle time](TokenManagerMapBuilder::idle_after), are dropped when another one is
/// made, those first that have been idle the longest. Nobody is logged out by that, and nothing is
/// asked of the service: the next `get` makes a manager that reads the tokens from the storage. It
/// knows nothing before it has: [`peek`](TokenManager::peek) finds no token until the first
/// [`token`](TokenManager::token), and while the storage is down, neither does that.
///
/// Never dropped is a manager that
/// - somebody holds, or watches with a [`StatusStream`](crate::StatusStream) or a
///   [refresher](TokenManager::spawn_refresher), so there are never two for one key,
/// - has something under way, or tokens that the storage has not taken yet,
/// - knows what a new one would have to find out at the expense of the service: that an exchange
///   was made a moment ago, that its token was rejected, that the service failed or refused and is
///   not to be asked again yet (for ten minutes after the pause, so that pauses go on growing).
///
/// If too few may go, there are more managers than the bound.
///
/// # Contract for keys
///
/// `Hash`, `Eq`, `Clone` and `Drop` of a key are called under the locks of the map and must not
/// call it. Keys are in no `Debug`, error or event.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use tokenkeeper::{
///     AccessToken, Error, FetchContext, ProviderIdentity, TokenManagerMap, TokenProvider,
///     TokenSet, async_trait,
/// };
///
/// #[derive(Debug)]
/// struct Vending(ProviderIdentity);
///
/// #[async_trait]
/// impl TokenProvider for Vending {
///     fn identity(&self) -> &ProviderIdentity {
///         &self.0
///     }
///
///     async fn fetch_token(&self, cx: &FetchContext<'_>) -> Result<TokenSet, Error> {
///         let sent_at = cx.ready_to_send()?;
///         let token = AccessToken::new("from your service", "Bearer")?;
///         Ok(TokenSet::new(token, sent_at).with_lifetime(Duration::from_secs(900)))
///     }
/// }
///
/// let users = TokenManagerMap::new(|user: &String| {
///     Ok(Vending(ProviderIdentity::new("vending").with("subject", user)))
/// });
/// let token = users.get("alice")?.blocking().token()?; // or get("alice")?.token().await?
/// assert_eq!(token.authorization(), "Bearer from your service");
/// assert_eq!(users.len(), 1);
/// # Ok::<(), Error>(())
/// ```
pub struct TokenManagerMap<K> {
    shared: Arc<Shared<K>>,
}

struct Shared<K> {
    provider_of: Box<ProviderOf<K>>,
    config: Config,
    bound: usize,
    idle_after: Duration,
    slots: RwLock<Slots<K>>,
    once: Once<K>,
    owners: Owners,
}

/// What makes the provider of a key.
type ProviderOf<K> = dyn Fn(&K) -> Result<Arc<dyn TokenProvider>, Error> + Send + Sync;

impl<K: Hash + Eq + Clone + Send + Sync + 'static> TokenManagerMap<K> {
    /// A map with the defaults of [`builder`](Self::builder). Starts nothing.
    #[must_use]
    pub fn new<P: TokenProvider>(
        provider_of: impl Fn(&K) -> Result<P, Error> + Send + Sync + 'static,
    ) -> Self {
        // The default policy is valid.
        TokenManagerMapBuilder::new(provider_of).build_valid()
    }

    /// A builder, to choose storage, policy, clock, driver and observers of all managers, the bound
    /// and the idle time.
    ///
    /// `provider_of` makes the provider of a key. It is called outside every lock, for different
    /// keys at once, and once for a key: whoever asks for the same key meanwhile waits, blocking
    /// the thread, and gets the same manager or the same error. An error is not kept: the next
    /// `get` calls it again. It must not ask the map for its own key, nor for one whose closure asks
    /// for it in turn, and should not take long: what has to be looked up somewhere, a secret say,
    /// is better looked up by the provider when it makes an exchange.
    pub fn builder<P: TokenProvider>(
        provider_of: impl Fn(&K) -> Result<P, Error> + Send + Sync + 'static,
    ) -> TokenManagerMapBuilder<K> {
        TokenManagerMapBuilder::new(provider_of)
    }

    /// The manager of this key, made if there is none. Starts nothing.
    ///
    /// For a key that is known this costs a hash, a read lock and a reading of the clock, and
    /// allocates nothing. Do not keep the manager for longer than it is used, or it cannot be
    /// dropped when it is idle.
    ///
    /// A map of `String` can be asked with a `&str`.
    ///
    /// # Errors
    ///
    /// The error of the closure that makes providers;
    /// [`Config`](crate::ErrorKind::Config) if another key has a provider of the same
    /// [identity](Self#identities); [`Internal`](crate::ErrorKind::Internal) if the closure panics.
    pub fn get<Q>(&self, key: &Q) -> Result<TokenManager, Error>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        match self.shared.find(key) {
            Some(manager) => Ok(manager),
            None => {
                let key = key.to_owned();
                self.shared.once.join(&key, || self.shared.find_or_make(&key))
            }
        }
    }

    /// Drops the manager of this key, and all that it has learned, so that the next
    /// [`get`](Self::get) makes a provider anew, out of new credentials say. The stored tokens
    /// stay; to log out, [`revoke`](TokenManager::revoke) or [`clear`](TokenManager::clear) first.
    ///
    /// Returns whether it is gone already. Not while somebody else holds or watches it, also the
    /// task of its last exchange, nor while it has something under way, or tokens that the storage
    /// has not taken. Until then [`get`](Self::get) gives it out, so that there are never two; the
    /// first one after that makes another.
    ///
    /// A verdict on credentials that stands in a shared storage outlives it for a minute, unless
    /// the new manager is told that [they were changed](TokenManager::credentials_changed).
    pub fn remove<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let (removed, is_gone) = self.shared.slots.write().remove(key);
        drop(removed); // outside the lock: the provider is a stranger's
        is_gone
    }

    /// Drops the managers that may go and were not asked for during the
    /// [idle time](TokenManagerMapBuilder::idle_after), and those above the bound, as making
    /// another one does now and then. Returns how many. For a timer of a program that makes no new
    /// ones for hours.
    pub fn evict_idle(&self) -> usize {
        let now = self.shared.config.clock.now();
        let evicted =
            self.shared.slots.write().sweep(now, self.shared.bound, self.shared.idle_after);
        evicted.len()
    }

    /// How many managers there are now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.slots.read().len()
    }

    /// Whether there is no manager now.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How the managers are doing that there are now, in no particular order: a snapshot, for
    /// dashboards. Users whose manager was dropped are not in it. Does not count as use.
    #[must_use]
    pub fn statuses(&self) -> Vec<(K, Status)> {
        let managers = self.shared.slots.read().managers();
        managers.into_iter().map(|(key, manager)| (key, manager.status())).collect()
    }

    /// [Flushes](TokenManager::flush) all managers at once. Call it before the process ends, when
    /// nobody asks for tokens any more.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any await point, when a deadline is over say: nothing is aborted.
    ///
    /// # Errors
    ///
    /// The storage's, if writes are still failing. The error of one manager is given as it is; of
    /// several, the message says how many, and the cause is one of theirs. Whose tokens it is about
    /// is in [`statuses`](Self::statuses).
    pub async fn flush(&self) -> Result<(), Error> {
        let managers = self.shared.slots.read().managers();
        let busy = managers.into_iter().filter(|(_, manager)| manager.owes_work());
        let mut flushes = JoinSet::new();
        for (_, manager) in busy {
            let driver = self.shared.config.driver.handle()?;
            flushes.spawn_on(async move { manager.flush().await }, &driver);
        }
        let total = flushes.len();
        let mut errors = Vec::new();
        while let Some(flushed) = flushes.join_next().await {
            let gone = |_| Error::new(ErrorKind::Internal, "the driver was shut down");
            errors.extend(flushed.map_err(gone).and_then(|result| result).err());
        }
        let failed = errors.len();
        match errors.into_iter().next() {
            None => Ok(()),
            Some(error) if failed == 1 => Err(error),
            Some(error) => {
                let what = format!(
                    "{failed} of the {total} managers that had something to write could not"
                );
                Err(Error::new(error.kind(), what).with_source(error))
            }
        }
    }
}

impl<K: Hash + Eq + Clone> Shared<K> {
    fn find<Q>(&self, key: &Q) -> Option<TokenManager>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let now = self.config.clock.now();
        self.slots.read().find(key, now)
    }

    fn find_or_make(&self, key: &K) -> Result<TokenManager, Error> {
        let now = self.config.clock.now();
        let found = self.slots.write().find_needed(key, now);
        match found {
            Found::Manager(manager) => return Ok(manager),
            Found::Nothing(removed) => drop(removed),
        }
        let made = catch_unwind(AssertUnwindSafe(|| self.make(key)));
        let (manager, non_interactive) = made.unwrap_or_else(|_panic| {
            let what = "the closure that makes the provider of a key panicked";
            Err(Error::new(ErrorKind::Internal, what))
        })?;
        let now = self.config.clock.now();
        let (key, kept) = (key.clone(), Kept::new(manager.clone(), non_interactive, now));
        let evicted = self.slots.write().put(key, kept, now, self.bound, self.idle_after);
        drop(evicted); // outside the lock: their providers are a stranger's
        Ok(manager)
    }

    /// A manager for the key, and whether its provider needs nobody.
    fn make(&self, key: &K) -> Result<(TokenManager, bool), Error> {
        let provider = (self.provider_of)(key)?;
        let identity = provider.identity();
        let storage_key = identity.storage_key();
        if !self.owners.claim(&storage_key, key) {
            let what = "two keys of the map have providers of the same identity, and would get \
                        each other's tokens";
            let error = Error::new(ErrorKind::Config, what).at_service(identity.service_name());
            return Err(error.with_advice(
                "put what tells them apart, the subject or tenant, into the identity",
            ));
        }
        let non_interactive = provider.non_interactive();
        Ok((self.config.clone().manager(provider, storage_key), non_interactive))
    }
}

impl<K> Clone for TokenManagerMap<K> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

/// Without the keys, which may be names of people.
impl<K> fmt::Debug for TokenManagerMap<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let managers = self.shared.slots.read().len();
        f.debug_struct("TokenManagerMap")
            .field("managers", &managers)
            .field("bound", &self.shared.bound)
            .field("idle_after", &self.shared.idle_after)
            .field("storage", &self.shared.config.storage)
            .finish_non_exhaustive()
    }
}
