//! Managers whose time is the test's, before servers whose time is real.
//!
//! The manager keeps exchanges seconds apart; a clock that is moved by hand makes that wait take no
//! time. Tokens of the servers live for minutes, so they do not notice.

use std::sync::Arc;
use std::time::Duration;

use tokenkeeper::{
    Clock, Error, FetchContext, ManualClock, MemoryStorage, RefreshPolicy, TokenManager,
    TokenProvider, TokenSet,
};
use tokio::task::JoinSet;

/// After this the manager makes the next exchange that it is asked for.
pub const SPACING: Duration = Duration::from_secs(5);

/// A manager, and the handles that a test moves it by.
#[derive(Debug)]
pub struct Managed {
    /// The manager under test.
    pub manager: TokenManager,
    /// Its clock. It stands still until it is moved.
    pub clock: ManualClock,
    /// Where it keeps its tokens.
    pub storage: MemoryStorage,
}

impl Managed {
    /// A manager with a storage and a clock of its own.
    #[must_use]
    pub fn new(provider: impl TokenProvider) -> Self {
        Self::sharing(provider, MemoryStorage::new(), ManualClock::new())
    }

    /// A manager as another process would have it: on the storage that others use too.
    ///
    /// # Panics
    ///
    /// Never: the policy is the default one.
    #[must_use]
    pub fn sharing(
        provider: impl TokenProvider,
        storage: MemoryStorage,
        clock: ManualClock,
    ) -> Self {
        let manager = TokenManager::builder(provider)
            .storage(storage.clone())
            .clock(clock.clone())
            .policy(RefreshPolicy::new().without_jitter())
            .build()
            .expect("the default policy is valid");
        Self { manager, clock, storage }
    }

    /// Another manager on the same storage and the same clock.
    #[must_use]
    pub fn sibling(&self, provider: impl TokenProvider) -> Self {
        Self::sharing(provider, self.storage.clone(), self.clock.clone())
    }
}

/// Calls as many times at once, in tasks of their own, and gives the results.
///
/// # Panics
///
/// When a call does.
pub async fn at_once<T, F>(calls: usize, call: impl Fn() -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    (0..calls).map(|_| call()).collect::<JoinSet<T>>().join_all().await
}

/// The errors of a hundred callers for whom no time passes: ten at once, ten times over, so that
/// some share a request and others come after it.
///
/// # Panics
///
/// When one of them gets a token.
pub async fn errors_of_a_hundred_callers(manager: &TokenManager) -> Vec<Error> {
    let mut errors = Vec::new();
    for _ in 0..10 {
        let manager = manager.clone();
        let results = at_once(10, move || {
            let manager = manager.clone();
            async move { manager.token().await }
        });
        errors.extend(results.await.into_iter().map(|result| result.expect_err("a refusal")));
    }
    errors
}

/// What the provider brings when nobody manages it.
///
/// # Errors
///
/// The provider's.
pub async fn fetch(provider: &impl TokenProvider) -> Result<TokenSet, Error> {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new());
    provider.fetch_token(&FetchContext::detached(&clock, LIMIT)).await
}

/// What the provider brings for these tokens when nobody manages it.
///
/// # Errors
///
/// The provider's.
pub async fn refresh(provider: &impl TokenProvider, tokens: &TokenSet) -> Result<TokenSet, Error> {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new());
    provider.refresh_token(tokens, &FetchContext::detached(&clock, LIMIT)).await
}

const LIMIT: Duration = Duration::from_secs(15);
