//! The glewlwyd that `cargo xtask test` started.

use tokio::sync::{Mutex, MutexGuard};

use crate::server_url;

/// The server for one test, which has it alone: on SQLite, two requests at a time that both write get
/// each other's row numbers now and then, and one of them is answered with 500.
#[derive(Debug)]
pub struct Glewlwyd {
    url: String,
    _alone: MutexGuard<'static, ()>,
}

impl Glewlwyd {
    /// Waits for the other tests of this process.
    pub async fn alone() -> Self {
        let alone = ALONE.lock().await;
        Self { url: server_url("TOKENKEEPER_GLEWLWYD_URL"), _alone: alone }
    }

    /// The issuer, below which all its endpoints are.
    #[must_use]
    pub fn issuer(&self) -> String {
        format!("{}/api/oidc", self.url)
    }

    /// The issuer for which codes live for a second or two, and a DPoP proof needs a nonce. It has
    /// the same users and clients.
    #[must_use]
    pub fn strict_issuer(&self) -> String {
        format!("{}/api/strict", self.url)
    }
}

static ALONE: Mutex<()> = Mutex::const_new(());
