//! The login itself: port, browser, callback, tokens, page, in this order.

use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokenkeeper::{Clock, Error, ErrorKind, Secret, SystemClock, TokenManager, TokenSet};
use tokenkeeper_providers::{AuthorizationCodeLogin, AuthorizationRequest};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use url::Url;

use crate::accept_loop::AcceptLoop;
use crate::browser::{Browser, SystemBrowser};
use crate::callback_handler::CallbackHandler;
use crate::listener::{Host, Listener};
use crate::page::Page;
use crate::turned_away::TurnedAway;

/// Logs a person in with the browser of this machine (RFC 8252).
///
/// Each [`log_in`](Self::log_in) opens a port of its own, shows the authorization page, and ends when
/// the browser has come back with an answer to it. What else reaches the port is turned away, and the
/// login goes on.
///
/// # Default
///
/// A free port of 127.0.0.1, the path `/callback`, five minutes for the person, and the browser of
/// the operating system. Register `http://127.0.0.1/callback` at the server, which has to accept any
/// port (RFC 8252 §7.3), or [name the port](Self::port).
pub struct LoopbackLogin {
    login: AuthorizationCodeLogin,
    request: AuthorizationRequest,
    host: Host,
    port: u16,
    path: String,
    timeout: Duration,
    browser: Option<Arc<dyn Browser>>,
    show_url: Option<ShowUrl>,
    clock: Arc<dyn Clock>,
}

type ShowUrl = Arc<dyn Fn(&str) + Send + Sync>;

impl LoopbackLogin {
    /// Around a login by code. The redirect URI that it was given is not used.
    #[must_use]
    pub fn new(login: AuthorizationCodeLogin) -> Self {
        Self {
            login,
            request: AuthorizationRequest::new(),
            host: Host::V4,
            port: 0,
            path: "/callback".to_owned(),
            timeout: FIVE_MINUTES,
            browser: Some(Arc::new(SystemBrowser)),
            show_url: None,
            clock: Arc::new(SystemClock),
        }
    }

    /// What to ask for beside the usual: scopes, `prompt`, `login_hint`. Its redirect URI is not used.
    #[must_use]
    pub fn request(mut self, request: AuthorizationRequest) -> Self {
        self.request = request;
        self
    }

    /// Waits at `[::1]` instead of 127.0.0.1.
    #[must_use]
    pub fn ipv6(mut self) -> Self {
        self.host = Host::V6;
        self
    }

    /// Says `localhost` in the redirect URI, for servers that take no address.
    ///
    /// RFC 8252 §8.3 advises against it: what that name means is up to the resolver of the browser.
    /// The port is opened at both loopback addresses.
    #[must_use]
    pub fn danger_localhost(mut self) -> Self {
        self.host = Host::Localhost;
        self
    }

    /// Waits at this port and no other, for servers that want it registered. Default: a free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The path of the redirect URI, from its first slash. Default: `/callback`.
    ///
    /// A program that logs in to several servers gives each a path of its own (RFC 8252 §8.10).
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// How long the person has, from the moment the page is opened. Default: five minutes. More than
    /// ten need a longer
    /// [`login_lifetime`](tokenkeeper_providers::AuthorizationCodeLoginBuilder::login_lifetime) too.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Opens the page with this. Default: [`SystemBrowser`].
    #[must_use]
    pub fn browser(mut self, browser: impl Browser) -> Self {
        self.browser = Some(Arc::new(browser));
        self
    }

    /// Opens no browser: [`show_url_with`](Self::show_url_with) alone says where to log in.
    #[must_use]
    pub fn without_browser(mut self) -> Self {
        self.browser = None;
        self
    }

    /// Hands the URL to `show` too, before a browser is opened: to print it for a person who sees no
    /// window come up. It is then no error if none can be opened.
    ///
    /// The URL is for that person alone, and must be opened on this machine. It belongs in no log.
    #[must_use]
    pub fn show_url_with(mut self, show: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.show_url = Some(Arc::new(show));
        self
    }

    /// Measures the time limits by this clock. Default: [`SystemClock`].
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The login that this was made around, for its
    /// [`provider`](AuthorizationCodeLogin::provider).
    #[must_use]
    pub fn login(&self) -> &AuthorizationCodeLogin {
        &self.login
    }

    /// Has the person log in, and gives the tokens for
    /// [`TokenManager::install`](tokenkeeper::TokenManager::install).
    ///
    /// Runs on tokio, with its I/O and time enabled.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::LoginRequired`]: the person declined, did not come back in time, or the server
    ///   did not accept the login.
    /// - [`ErrorKind::Unsupported`]: no browser could be opened, and the URL is not shown.
    /// - [`ErrorKind::Config`]: the port is taken, the path cannot be one, or there is no runtime.
    /// - Whatever the token endpoint and the other endpoints of the server can lead to.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the port. A code that was being exchanged at that moment is spent;
    /// begin a new login.
    pub async fn log_in(&self) -> Result<TokenSet, Error> {
        self.attempt().await.map_err(|error| error.at_service(self.login.service_name()))
    }

    /// Has the person log in, and hands the tokens to `manager`, whose provider is that of
    /// [`login`](Self::login).
    ///
    /// `Ok` means that the manager has the tokens in memory. Where its storage failed, they are not
    /// stored yet: the manager tries again on its own, its
    /// [status](tokenkeeper::TokenManager::status) says so, and
    /// [`flush`](tokenkeeper::TokenManager::flush) waits for it.
    ///
    /// # Errors
    ///
    /// Those of [`log_in`](Self::log_in) and of
    /// [`TokenManager::install`](tokenkeeper::TokenManager::install).
    ///
    /// # Cancel safety
    ///
    /// That of [`log_in`](Self::log_in).
    pub async fn log_in_to(&self, manager: &TokenManager) -> Result<(), Error> {
        manager.install(self.log_in().await?).await
    }

    async fn attempt(&self) -> Result<TokenSet, Error> {
        if Handle::try_current().is_err() {
            let what = "the login was not awaited in a tokio runtime";
            let advice = "await it in one that has I/O and time enabled";
            return Err(Error::new(ErrorKind::Config, what).with_advice(advice));
        }
        if !is_path(&self.path) {
            return Err(Error::new(
                ErrorKind::Config,
                "path of the redirect URI: must begin with a slash, and have no blanks, query or fragment",
            ));
        }
        if self.browser.is_none() && self.show_url.is_none() {
            let what = "without_browser() opens no page, and no show_url_with(..) shows the URL";
            let advice = "call show_url_with(..) on the LoopbackLogin, or leave it a browser";
            return Err(Error::new(ErrorKind::Config, what).with_advice(advice));
        }
        let listener = Listener::bind(self.host, self.port).await?;
        let redirect_uri = format!("http://{}{}", listener.authority(), self.path);
        let request = self.request.clone().redirect_uri(&redirect_uri);
        let pending = self.login.begin_with(&request).await?;

        let (callbacks, mut callback) = mpsc::channel(1);
        let (ended, outcome) = watch::channel(None);
        let handler = CallbackHandler::new(
            self.login.service_name(),
            (listener.authority(), &self.path),
            Secret::from(pending.state()),
            callbacks,
            outcome,
        );
        let mut accept_loop = AcceptLoop::new(listener, handler, self.clock.clone());
        let login = async {
            let callback = tokio::select! {
                biased;
                Some(callback) = callback.recv() => callback,
                error = self.show(pending.authorization_url()) => return Err(Unfinished::Failed(error)),
                () = self.clock.sleep(self.timeout) => return Err(Unfinished::TimedOut),
            };
            self.login.finish(pending, &callback).await.map_err(Unfinished::Failed)
        };
        let result = tokio::select! {
            result = login => result,
            never = accept_loop.run() => match never {},
        };
        let result = result.map_err(|unfinished| match unfinished {
            Unfinished::Failed(error) => error,
            Unfinished::TimedOut => self.no_callback(&redirect_uri, accept_loop.turned_away()),
        });
        ended.send_replace(Some(page_of(&result)));
        accept_loop.close().await;
        result
    }

    fn no_callback(&self, redirect_uri: &str, came: &TurnedAway) -> Error {
        let waited = self.timeout.as_secs_f64();
        let what = format!(
            "no callback of this login reached {redirect_uri} within {waited} s; {came} came instead"
        );
        Error::new(ErrorKind::LoginRequired, what).with_advice(
            "begin a new login, and open its page in a browser on this machine; if the person did \
             log in, check that the server has this redirect URI for the client",
        )
    }

    /// Shows the page. Ends only if the person sees none.
    async fn show(&self, url: &str) -> Error {
        if let Some(show) = &self.show_url {
            show(url);
        }
        let opened = match &self.browser {
            Some(browser) => browser.open(url).await,
            None => Ok(()),
        };
        match opened {
            Err(error) if self.show_url.is_none() => error,
            _ => std::future::pending().await,
        }
    }
}

impl fmt::Debug for LoopbackLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopbackLogin")
            .field("login", &self.login)
            .field("request", &self.request)
            .field("host", &self.host)
            .field("port", &self.port)
            .field("path", &self.path)
            .field("timeout", &self.timeout)
            .field("browser", &self.browser)
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

/// Whether a request for this path arrives with this path: browsers tidy up dots and quotes.
fn is_path(path: &str) -> bool {
    let url = Url::parse(&format!("http://{}{path}", Ipv4Addr::LOCALHOST));
    path.starts_with('/')
        && url.is_ok_and(|url| {
            url.path() == path && url.query().is_none() && url.fragment().is_none()
        })
}

/// Why there are no tokens.
enum Unfinished {
    TimedOut,
    Failed(Error),
}

fn page_of(result: &Result<TokenSet, Error>) -> Page {
    match result {
        Ok(_) => Page::LoggedIn,
        Err(error) => match error.oauth().map(tokenkeeper::OAuthError::code) {
            Some("access_denied") => Page::Declined,
            _ => Page::Failed,
        },
    }
}

const FIVE_MINUTES: Duration = Duration::from_secs(300);
