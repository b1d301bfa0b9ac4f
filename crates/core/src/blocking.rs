//! The manager for threads without a runtime.

use std::sync::Arc;
use std::time::Duration;

use crate::access_token::AccessToken;
use crate::error::Error;
use crate::manager::TokenManager;
use crate::refreshed::Refreshed;
use crate::token_set::TokenSet;

/// [`TokenManager`] with calls that block the thread, for synchronous HTTP clients.
///
/// It shares everything with the manager that it came from, flights too. It may be used inside an
/// async runtime, though it then holds up that runtime's thread; it must not be used on the
/// runtime that was given to [`driver`](crate::TokenManagerBuilder::driver), if that has one thread.
///
/// # Examples
///
/// ```no_run
/// # fn run(manager: tokenkeeper::TokenManager) -> Result<(), tokenkeeper::Error> {
/// let tokens = manager.blocking();
/// std::thread::spawn(move || tokens.token().map(|token| token.authorization()));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct BlockingTokenManager {
    manager: TokenManager,
}

/// `unconstrained`: inside a task of tokio its cooperative budget would run out, and waiting would
/// turn into spinning, because this task never returns to the scheduler while it blocks.
fn block_on<T>(work: impl Future<Output = T>) -> T {
    pollster::block_on(tokio::task::unconstrained(work))
}

impl BlockingTokenManager {
    pub(crate) fn new(manager: TokenManager) -> Self {
        Self { manager }
    }

    /// See [`TokenManager::token`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn token(&self) -> Result<Arc<AccessToken>, Error> {
        block_on(self.manager.token())
    }

    /// See [`TokenManager::token_valid_for`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn token_valid_for(&self, at_least: Duration) -> Result<Arc<AccessToken>, Error> {
        block_on(self.manager.token_valid_for(at_least))
    }

    /// See [`TokenManager::replace_rejected`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn replace_rejected(
        &self,
        rejected: &AccessToken,
    ) -> Result<Option<Arc<AccessToken>>, Error> {
        block_on(self.manager.replace_rejected(rejected))
    }

    /// See [`TokenManager::force_refresh`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn force_refresh(&self) -> Result<Refreshed, Error> {
        block_on(self.manager.force_refresh())
    }

    /// See [`TokenManager::install`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn install(&self, tokens: TokenSet) -> Result<(), Error> {
        block_on(self.manager.install(tokens))
    }

    /// See [`TokenManager::install_if_absent`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn install_if_absent(&self, tokens: TokenSet) -> Result<bool, Error> {
        block_on(self.manager.install_if_absent(tokens))
    }

    /// See [`TokenManager::tokens`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn tokens(&self) -> Result<Option<TokenSet>, Error> {
        block_on(self.manager.tokens())
    }

    /// See [`TokenManager::login`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn login(&self) -> Result<Arc<AccessToken>, Error> {
        block_on(self.manager.login())
    }

    /// See [`TokenManager::clear`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn clear(&self) -> Result<(), Error> {
        block_on(self.manager.clear())
    }

    /// See [`TokenManager::revoke`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn revoke(&self) -> Result<(), Error> {
        block_on(self.manager.revoke())
    }

    /// See [`TokenManager::flush`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn flush(&self) -> Result<(), Error> {
        block_on(self.manager.flush())
    }

    /// The manager itself, for everything that does not wait.
    #[must_use]
    pub fn manager(&self) -> &TokenManager {
        &self.manager
    }
}
