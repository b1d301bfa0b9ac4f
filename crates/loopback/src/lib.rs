//! Logs a person in with the browser of this machine (RFC 8252), for [`tokenkeeper`].
//!
//! For command-line tools and desktop programs. [`LoopbackLogin`] opens a port that only this machine
//! can reach, has the browser show the login page of the server, and takes the answer that the
//! browser comes back with. The tokens go into a manager, which keeps them fresh and, with a storage
//! that lasts, spares the person the next login.
//!
//! # Examples
//!
//! ```no_run
//! use tokenkeeper::TokenManager;
//! use tokenkeeper_loopback::LoopbackLogin;
//! use tokenkeeper_providers::{AuthorizationCodeLogin, ClientAuth};
//!
//! # async fn run() -> Result<(), tokenkeeper::Error> {
//! let authorize = "https://auth.example.org/authorize";
//! let login = AuthorizationCodeLogin::builder("calendar", authorize, "https://auth.example.org/token")
//!     .client("calendar-cli", ClientAuth::none()) // what is in a program is no secret (RFC 8252 §8.5)
//!     .issuer("https://auth.example.org")
//!     .scopes(["calendar.read", "offline_access"])
//!     .build()?;
//! let login = LoopbackLogin::new(login).show_url_with(|url| eprintln!("Log in at {url}"));
//!
//! let manager = TokenManager::new(login.login().provider("me")?); // give it a storage that lasts
//! login.log_in_to(&manager).await?;
//! let token = manager.token().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What the server must know
//!
//! A public client with the redirect URI `http://127.0.0.1/callback`. Servers accept it with any port
//! (RFC 8252 §7.3). For those that do not there is [`port`](LoopbackLogin::port), for those that know
//! no address [`danger_localhost`](LoopbackLogin::danger_localhost).
//!
//! # Which requests count
//!
//! Every program on this machine can send requests to the port. Only a GET of the path with the
//! `state` of this login counts. Everything else gets an error page and changes nothing: other
//! states, other methods, other names in `Host` (DNS rebinding), icons and prefetches, connections
//! that are slow, silent or many. The port closes when the login has ended, also when its future is
//! dropped.
//!
//! What a program gives to a browser, other users of the machine may see in the list of processes,
//! the `state` too. They cannot use the code of the person without the PKCE verifier; to keep them
//! from slipping in one of their own, let the server have the request
//! ([PAR](tokenkeeper_providers::AuthorizationCodeLoginBuilder::pushed_authorization_request_url)).
//!
//! # Without a browser
//!
//! On a server, in a container or over `ssh` the browser is on another machine and cannot come back.
//! Use a device code there.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `reqwest` | yes | the bundled transport of `tokenkeeper-providers`, for the token endpoint |

mod accept_loop;
mod browser;
mod callback_handler;
mod listener;
mod loopback_login;
mod page;
mod turned_away;

pub use browser::{Browser, SystemBrowser};
pub use loopback_login::LoopbackLogin;
