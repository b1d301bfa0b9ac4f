//! A login on another device (RFC 8628): for whatever has no browser, or no keyboard.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokenkeeper::{Clock, Error, ErrorKind, FetchContext, SystemClock, TokenSet};

use super::pending_device_login::PendingDeviceLogin;
use super::polling::Pace;
use crate::endpoint_request::Caller;
use crate::endpoint_url::EndpointUrl;
use crate::error_codes::class_of;
use crate::grant::Grant;
use crate::refresh_token::RefreshTokenProvider;
use crate::refusal::{Purpose, retold};
use crate::settings::{Settings, shared_setters};
use crate::token_endpoint::TokenEndpoint;

/// Logs in a person who approves it on another device, such as a telephone (RFC 8628).
///
/// [`begin`](Self::begin) brings a code and a URL to show, [`finish`](Self::finish) waits until
/// they were approved. The tokens go into a manager by
/// [`install`](tokenkeeper::TokenManager::install), and [`provider`](Self::provider) keeps them fresh.
///
/// # Examples
///
/// ```no_run
/// use tokenkeeper::TokenManager;
/// use tokenkeeper_providers::{ClientAuth, DeviceLogin};
///
/// # #[cfg(feature = "reqwest")]
/// # async fn run() -> Result<(), tokenkeeper::Error> {
/// let login = DeviceLogin::builder(
///     "calendar",
///     "https://auth.example.org/device",
///     "https://auth.example.org/token",
/// )
/// .client("tv-app", ClientAuth::none())
/// .scopes(["calendar.read", "offline_access"])
/// .build()?;
///
/// let pending = login.begin().await?;
/// println!("open {} and type in {}", pending.verification_url(), pending.user_code());
/// let tokens = login.finish(pending).await?;
///
/// let manager = TokenManager::new(login.provider("alice")?);
/// manager.install(tokens).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct DeviceLogin {
    endpoint: TokenEndpoint,
    device_authorization_url: EndpointUrl,
    /// For the provider that keeps the tokens fresh.
    settings: Settings,
    clock: Arc<dyn Clock>,
}

impl DeviceLogin {
    /// Starts with a name for the service, as it is to appear in errors and logs, and the URLs of
    /// its device authorization endpoint and its token endpoint.
    #[must_use]
    pub fn builder(
        service_name: &str,
        device_authorization_url: &str,
        token_url: &str,
    ) -> DeviceLoginBuilder {
        DeviceLoginBuilder {
            settings: Settings::new(service_name, token_url),
            device_authorization_url: device_authorization_url.to_owned(),
            clock: Arc::new(SystemClock),
        }
    }

    /// Asks for codes (RFC 8628 §3.1). One request; nothing goes on in the background.
    ///
    /// # Errors
    ///
    /// If the service cannot be reached, refuses, or answers something that has no codes.
    pub async fn begin(&self) -> Result<PendingDeviceLogin, Error> {
        let endpoint = &self.endpoint;
        let scope = endpoint.scopes.to_string();
        let mut form = Vec::new();
        if !scope.is_empty() {
            form.push(("scope", scope.as_str()));
        }
        let parameters = endpoint.parameters.iter();
        form.extend(parameters.map(|(name, value)| (name.as_str(), value.as_str())));
        let url = &self.device_authorization_url;
        let audience = endpoint.audience(url);
        let caller = Caller { client_id: &endpoint.client_id, auth: &endpoint.auth, audience };
        let sent = self.clock.now();
        let request = endpoint.request(url, Purpose::Other("begin a device login"), Vec::new());
        let body = request.post(caller, &form).await?;
        let allow_http = self.settings.allow_http;
        PendingDeviceLogin::read(&body, self.fingerprint(), sent, allow_http).map_err(|lack| {
            let what = format!("the answer of {} {lack}", url.host());
            let error = Error::new(ErrorKind::InvalidResponse, what);
            endpoint.located(error.with_advice(
                "check that the URL is that of a device authorization endpoint, then begin again",
            ))
        })
    }

    /// Waits until the login was approved, and returns the tokens.
    ///
    /// The first poll comes after one interval, which the service chooses (5 s if it does not).
    /// `slow_down` makes it 5 s longer for good (RFC 8628 §3.5). Clones of `pending` share the
    /// interval and the time of the last poll, so that two waits ask no more often than one.
    /// Connections that fail, servers that are busy and pages of proxies are waited out, with pauses
    /// that double up to a minute. No pause is shorter than `Retry-After` says, except before the
    /// last poll: just before the codes end there is always one, however long the pause.
    ///
    /// Await it in a tokio runtime, unless the [`clock`](DeviceLoginBuilder::clock) needs none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::LoginRequired`] with a sentence that says which, if the login was declined, if it
    /// was not approved in time, or if the service does not take the code any more:
    /// [`begin`](Self::begin) again, but not before the person asks for it. Also if `pending` was
    /// begun by a login with other settings; nothing is sent then. Other kinds as for any token
    /// request.
    ///
    /// # Cancel safety
    ///
    /// Dropping it ends the polling, and nothing goes on. The codes stay good until they end, so
    /// a clone of `pending` can be waited for. If a poll was under way, its answer may have had the tokens.
    pub async fn finish(&self, pending: PendingDeviceLogin) -> Result<TokenSet, Error> {
        if pending.login() != self.fingerprint() {
            let what = "the device login was begun with other settings";
            return Err(self.must_begin_again(what));
        }
        let cx = FetchContext::detached(&self.clock, POLL_TIMEOUT);
        let now = self.clock.now();
        let last_call = pending.end(now).saturating_sub(LAST_CALL);
        let mut pace = Pace::new(pending.polls(), now.mono());
        let mut lost: Option<Error> = None;
        loop {
            let now = self.clock.now().mono();
            let left = last_call.saturating_sub(now);
            self.clock.sleep(pace.pause(now).min(left)).await;
            let now = self.clock.now().mono();
            let is_last = now >= last_call;
            if !pace.take_turn(now, is_last) {
                continue;
            }
            match self.endpoint.fetch(Grant::DeviceCode(pending.device_code()), &cx).await {
                Ok(tokens) => return Ok(tokens),
                Err(error) => {
                    let failure = error.oauth().is_none().then(|| error.clone());
                    if let Some(error) = lost.take_if(|_| is_spent(&error)) {
                        return Err(error);
                    }
                    lost = lost.or_else(|| failure.clone().filter(Error::answer_lost));
                    let now = self.clock.now().mono();
                    pace.take_note(error, now).map_err(|error| self.explained(error))?;
                    if is_last {
                        return Err(self.expired(failure));
                    }
                }
            }
        }
    }

    /// A provider that keeps the tokens of this user fresh, with the same settings. `subject` is any
    /// word that tells users apart; it is not sent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the subject is empty or has control characters.
    pub fn provider(&self, subject: impl Into<String>) -> Result<RefreshTokenProvider, Error> {
        RefreshTokenProvider::of_login(self.settings.clone(), subject)
    }

    fn fingerprint(&self) -> String {
        self.endpoint.identity.fingerprint()
    }

    fn must_begin_again(&self, what: &'static str) -> Error {
        let error = Error::new(ErrorKind::LoginRequired, what);
        self.endpoint.located(error.with_advice(BEGIN_AGAIN))
    }

    fn expired(&self, failure: Option<Error>) -> Error {
        match failure {
            Some(failure) => {
                let what = "the code of the device login expired while the service did not answer";
                self.must_begin_again(what).with_source(failure)
            }
            None => {
                self.must_begin_again("the device login was not approved before its code expired")
            }
        }
    }

    /// The end of the login in words, if the answer means that.
    fn explained(&self, error: Error) -> Error {
        let host = self.endpoint.url.host();
        let what = match error.oauth().map(|oauth| class_of(oauth.code())) {
            Some("access_denied") => format!("{host} says that the device login was declined"),
            Some("expired_token") => {
                format!("{host} says that the code of the device login has expired")
            }
            Some("invalid_grant") => format!(
                "{host} does not take the code of the device login: it was used, has expired, or \
                 belongs to another client"
            ),
            _ => return error,
        };
        retold(&error, ErrorKind::LoginRequired, what).with_advice(BEGIN_AGAIN)
    }
}

/// Builds a [`DeviceLogin`].
#[derive(Clone)]
pub struct DeviceLoginBuilder {
    pub(crate) settings: Settings,
    device_authorization_url: String,
    clock: Arc<dyn Clock>,
}

impl DeviceLoginBuilder {
    shared_setters!();

    /// Sends the scopes with refreshes too, for services that want them again. They must not
    /// exceed what was granted (RFC 6749 §6).
    ///
    /// # Default
    ///
    /// Left out, which keeps what was granted.
    #[must_use]
    pub fn scopes_on_refresh(mut self) -> Self {
        self.settings.scopes_on_refresh = true;
        self
    }

    /// The clock that polls wait by, and that the end of the codes is counted by.
    ///
    /// # Default
    ///
    /// [`SystemClock`], which sleeps in a tokio runtime.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Checks everything that was given. Nothing is sent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], with the name of the field that is wrong and without its value.
    pub fn build(self) -> Result<DeviceLogin, Error> {
        let Self { settings, device_authorization_url: url, clock } = self;
        let device_authorization_url =
            EndpointUrl::parse("device authorization URL", &url, settings.allow_http)
                .map_err(|error| error.at_service(&settings.service_name))?;
        let endpoint = settings.clone().finish("device_code")?;
        Ok(DeviceLogin { endpoint, device_authorization_url, settings, clock })
    }
}

/// Whatever was given may be a secret in the wrong place, so only the name is shown.
impl fmt::Debug for DeviceLoginBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceLoginBuilder")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Whether the service says that the code was used: then the tokens were in an answer before.
fn is_spent(error: &Error) -> bool {
    error.oauth().is_some_and(|oauth| class_of(oauth.code()) == "invalid_grant")
}

const LAST_CALL: Duration = Duration::from_secs(1); // so that the last poll arrives before the end
const BEGIN_AGAIN: &str = "begin a new login";
const POLL_TIMEOUT: Duration = Duration::from_secs(30); // the transport has a limit of its own
