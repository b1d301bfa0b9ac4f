//! The grants, and the ways in which a client proves who it is.

use std::sync::atomic::{AtomicU32, Ordering};

use tokenkeeper::{Error, Secret, async_trait};
use tokenkeeper_providers::{AssertionSource, ClientAuth};
use tokenkeeper_testkit::ClientAuth as ServerAuth;

use super::plants::Plants;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grant {
    ClientCredentials,
    Password,
    RefreshToken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Auth {
    Basic,
    RawBasic,
    Post,
    None,
    Assertion,
}

impl Auth {
    pub(crate) const ALL: [Self; 5] =
        [Self::Basic, Self::RawBasic, Self::Post, Self::None, Self::Assertion];

    pub(crate) fn of_client(self, plants: &Plants) -> ClientAuth {
        let secret = plants.client_secret.as_str();
        match self {
            Self::Basic => ClientAuth::basic(secret),
            Self::RawBasic => ClientAuth::basic_raw(secret),
            Self::Post => ClientAuth::post(secret),
            Self::None => ClientAuth::none(),
            Self::Assertion => ClientAuth::assertion(Signer::new(&plants.assertion)),
        }
    }

    pub(crate) fn of_server(self) -> ServerAuth {
        match self {
            Self::Basic => ServerAuth::Basic,
            Self::RawBasic => ServerAuth::RawBasic,
            Self::Post => ServerAuth::Post,
            Self::None => ServerAuth::None,
            Self::Assertion => ServerAuth::Assertion,
        }
    }
}

/// Assertions that are secret up to the counter behind them.
#[derive(Debug)]
pub(crate) struct Signer {
    secret: Secret,
    count: AtomicU32,
}

impl Signer {
    pub(crate) fn new(secret: &str) -> Self {
        Self { secret: secret.into(), count: AtomicU32::new(0) }
    }
}

#[async_trait]
impl AssertionSource for Signer {
    async fn assertion(&self, _audience: &str) -> Result<Secret, Error> {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        Ok(Secret::from(format!("{}{count}", self.secret.expose_secret())))
    }
}
