//! Logins to [MangaDex](https://mangadex.org) with a personal client, on [`tokenkeeper`].
//!
//! MangaDex runs a Keycloak realm, and a personal client gets its tokens there by the password
//! grant: client secret in the body, refresh token afterwards, access tokens for 15 minutes. This
//! crate knows that and little else; what keeps tokens fresh is a [`TokenManager`].
//!
//! | you have | take |
//! |---|---|
//! | credentials, and want tokens | [`manager`] |
//! | the same, with a realm, storage, transport or clock of your own | [`MangadexProvider`] and `TokenManager::builder` |
//! | an API client with anonymous users, logins and logouts | [`Session`] |
//! | credentials somewhere: an argument, the environment, a keyring | [`Resolver`] |
//!
//! # Examples
//!
//! ```no_run
//! use tokenkeeper_mangadex::{Resolver, manager};
//!
//! # async fn run() -> Result<(), tokenkeeper::Error> {
//! // MANGADEX_CREDENTIALS=personal-client-…:client secret:user name:password
//! let credentials = Resolver::new().resolve()?;
//! let tokens = manager(credentials)?;
//! let header = tokens.token().await?.authorization(); // for every request to API_ORIGIN
//! # Ok(())
//! # }
//! ```
//!
//! The example `mangadex_client` in the repository is an API client as a program would have it: a
//! [`Session`], `reqwest` with the middleware of `tokenkeeper-reqwest`, and a rate limit that token
//! requests do not count against.
//!
//! # The password grant
//!
//! RFC 9700 §2.4 forbids this grant wherever there is a choice: it shows the password to the
//! program and knows no second factor. MangaDex offers personal clients nothing else, so this is a
//! forced exception. The password is sent once; from then on the tokens live on their refresh
//! token, and the password is sent again only when the service refuses that one. A program that
//! should keep no password logs in once, takes the refresh token out of the [`Session`], and goes
//! on with [`MangadexProvider::refresh_only`].
//!
//! # Coming from animedex or AsyncDex
//!
//! | there | here |
//! |---|---|
//! | `get_bearer_token(creds)` | [`manager`]`(creds)?.token().await?`; keep the manager, it is the cache |
//! | `get_bearer_token(creds, force_refresh=True)` | `manager.force_refresh().await?` |
//! | `resolve_credentials(arg)` | [`Resolver::given`], then [`Resolver::resolve`] |
//! | `selftest()` | [`selftest`] |
//! | `auth-required` | [`ErrorKind::CredentialsRejected`] and [`ErrorKind::LoginRequired`]: those whose [`recovery`](Error::recovery) is [`Reauthenticate`](tokenkeeper::Recovery::Reauthenticate) |
//! | `upstream-error` | [`ErrorKind::Transport`] and [`ErrorKind::Unavailable`] |
//! | `upstream-decode`, `upstream-shape` | [`ErrorKind::InvalidResponse`] |
//! | `bad-args` | [`ErrorKind::Config`] |
//! | `MangadexClient(anonymous=True)` | [`Session::anonymous`] |
//! | `client.login(username, password)` | [`Session::log_in_as`], or [`Session::login`] with the credentials that it has |
//! | `MangadexClient(refresh_token=…)` | [`Session::install_refresh_token`], at every start |
//! | `GET /auth/check`, and a logout on `isAuthenticated: false` | [`Session::is_authenticated`] |
//! | `logout(delete_tokens, clear_login_info)` | the table at [`Session`] |
//! | `Unauthorized(method, path)` | [`Unauthorized`] |
//!
//! [`ErrorKind::CredentialsRejected`]: tokenkeeper::ErrorKind::CredentialsRejected
//! [`ErrorKind::LoginRequired`]: tokenkeeper::ErrorKind::LoginRequired
//! [`ErrorKind::Transport`]: tokenkeeper::ErrorKind::Transport
//! [`ErrorKind::Unavailable`]: tokenkeeper::ErrorKind::Unavailable
//! [`ErrorKind::InvalidResponse`]: tokenkeeper::ErrorKind::InvalidResponse
//! [`ErrorKind::Config`]: tokenkeeper::ErrorKind::Config
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `reqwest` | yes | HTTP and TLS without any set-up. Without it, give the provider a [transport](MangadexProviderBuilder::transport) |

mod api;
mod credential_store;
mod credentials;
mod personal_client;
mod provider;
mod provider_builder;
mod realm;
mod resolver;
mod selftest;
mod session;
mod unauthorized;

pub use credential_store::{CredentialStore, MemoryCredentialStore};
pub use credentials::{Credentials, CredentialsBuilder};
pub use personal_client::PersonalClient;
pub use provider::MangadexProvider;
pub use provider_builder::MangadexProviderBuilder;
pub use realm::Realm;
pub use resolver::{GivenCredentials, Resolver};
pub use selftest::selftest;
pub use session::Session;
pub use unauthorized::Unauthorized;

use std::time::Duration;

use tokenkeeper::{Error, TokenManager};

/// A manager for these credentials at MangaDex, with its tokens in memory. Nothing is sent yet.
///
/// For a realm, storage, transport or clock of your own, build a [`MangadexProvider`] and give it
/// to `TokenManager::builder`.
///
/// # Errors
///
/// [`ErrorKind::Config`](tokenkeeper::ErrorKind::Config) if there is no transport: only without
/// the feature `reqwest`.
///
/// # Examples
///
/// ```
/// use tokenkeeper_mangadex::{Credentials, manager};
///
/// let credentials: Credentials = "personal-client-1:client secret:alice:hunter2".parse()?;
/// let tokens = manager(credentials)?;
/// assert_eq!(tokens.service_name(), "MangaDex");
/// # Ok::<(), tokenkeeper::Error>(())
/// ```
#[doc(alias = "get_bearer_token")]
pub fn manager(credentials: Credentials) -> Result<TokenManager, Error> {
    Ok(TokenManager::new(MangadexProvider::builder(credentials).build()?))
}

/// Where the API is, and the only origin that tokens belong to. It differs from that of the realm.
pub const API_ORIGIN: &str = "https://api.mangadex.org";

/// How long an access token lives if the answer does not say, and the documentation of MangaDex
/// does not promise that it will.
pub const DEFAULT_LIFETIME: Duration = Duration::from_secs(15 * 60);

/// What the service is called in errors, logs and identities.
const SERVICE_NAME: &str = "MangaDex";

/// The program in the README is a test too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
