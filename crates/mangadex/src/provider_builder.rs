//! Putting a provider together out of a login and what may differ from MangaDex's own.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokenkeeper::{Error, TokenProvider};
use tokenkeeper_providers::{ClientAuth, HttpTransport, PasswordProvider, RefreshTokenProvider};

use crate::api::Api;
use crate::credentials::Credentials;
use crate::personal_client::{PersonalClient, check};
use crate::provider::MangadexProvider;
use crate::realm::{Realm, checked_base};
use crate::{API_ORIGIN, DEFAULT_LIFETIME, SERVICE_NAME};

/// Builds a [`MangadexProvider`].
#[derive(Clone)]
pub struct MangadexProviderBuilder {
    login: Login,
    realm: Realm,
    transport: Option<Arc<dyn HttpTransport>>,
    default_lifetime: Duration,
    api_origin: String,
}

/// What there is to exchange.
#[derive(Clone, Debug)]
pub(crate) enum Login {
    Password(Credentials),
    RefreshOnly { client: PersonalClient, user: String },
}

impl MangadexProviderBuilder {
    pub(crate) fn new(login: Login) -> Self {
        let realm = Realm::default();
        let api_origin = API_ORIGIN.to_owned();
        Self { login, realm, transport: None, default_lifetime: DEFAULT_LIFETIME, api_origin }
    }

    /// The realm. Default: that of MangaDex.
    #[must_use]
    pub fn realm(mut self, realm: Realm) -> Self {
        self.realm = realm;
        self
    }

    /// What sends the requests to the realm; those to the API are not its business. It must set
    /// a `User-Agent` and no `Via`, or MangaDex refuses them.
    ///
    /// # Default
    ///
    /// With the feature `reqwest`, a
    /// [`BundledTransport`](https://docs.rs/tokenkeeper-providers) that calls itself
    /// `tokenkeeper-mangadex/<version>`; without it, one must be given.
    #[must_use]
    pub fn transport(mut self, transport: impl HttpTransport) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// How long an access token lives if the answer does not say. Default: [`DEFAULT_LIFETIME`].
    #[must_use]
    pub fn default_lifetime(mut self, lifetime: Duration) -> Self {
        self.default_lifetime = lifetime;
        self
    }

    /// Where the API is, for [`Session::is_authenticated`](crate::Session::is_authenticated).
    /// Default: [`API_ORIGIN`].
    #[must_use]
    pub fn api_origin(mut self, origin: impl Into<String>) -> Self {
        self.api_origin = origin.into();
        self
    }

    /// The provider. Nothing is sent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](tokenkeeper::ErrorKind::Config) if the lifetime is absurd, the API origin
    /// is no https URL (plain http is for loopback hosts only), the user of
    /// [`refresh_only`](MangadexProvider::refresh_only) is empty, or there is no transport.
    pub fn build(self) -> Result<MangadexProvider, Error> {
        let (token_url, revocation_url) = (self.realm.token_url(), self.realm.revocation_url());
        let transport = match self.transport {
            Some(transport) => Some(transport),
            None => bundled()?,
        };
        let origin = checked_base("API origin", &self.api_origin)?;
        let api = Api { origin, transport: transport.clone() };
        let post = |client: &PersonalClient| ClientAuth::post(client.secret().clone());
        let inner: Arc<dyn TokenProvider> = match self.login {
            Login::Password(credentials) => {
                let client = credentials.client();
                let mut builder = PasswordProvider::builder(SERVICE_NAME, &token_url)
                    .client(client.id(), post(client))
                    .user(credentials.username(), credentials.password().clone())
                    .default_lifetime(self.default_lifetime)
                    .revocation_url(revocation_url);
                if let Some(transport) = transport {
                    builder = builder.transport(transport);
                }
                Arc::new(builder.build()?)
            }
            Login::RefreshOnly { client, user } => {
                check("user", &user)?;
                let mut builder = RefreshTokenProvider::builder(SERVICE_NAME, &token_url)
                    .client(client.id(), post(&client))
                    .subject(user)
                    .default_lifetime(self.default_lifetime)
                    .revocation_url(revocation_url);
                if let Some(transport) = transport {
                    builder = builder.transport(transport);
                }
                Arc::new(builder.build()?)
            }
        };
        Ok(MangadexProvider::new(inner, self.realm, api))
    }
}

impl fmt::Debug for MangadexProviderBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MangadexProviderBuilder")
            .field("login", &self.login)
            .field("realm", &self.realm)
            .field("transport", &self.transport)
            .field("default_lifetime", &self.default_lifetime)
            .finish()
    }
}

#[cfg(feature = "reqwest")]
fn bundled() -> Result<Option<Arc<dyn HttpTransport>>, Error> {
    use tokenkeeper_providers::{BundledTransport, TransportOptions};

    let user_agent = concat!("tokenkeeper-mangadex/", env!("CARGO_PKG_VERSION"));
    let options = TransportOptions::new().with_user_agent(user_agent);
    Ok(Some(Arc::new(BundledTransport::new(options)?)))
}

/// The providers know what to say where there is none.
#[cfg(not(feature = "reqwest"))]
fn bundled() -> Result<Option<Arc<dyn HttpTransport>>, Error> {
    Ok(None)
}
