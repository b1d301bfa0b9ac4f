//! How logins are set up: the part of the builder about people.

use std::time::Duration;

use super::builder::FakeAuthServerBuilder;

/// # Logins
impl FakeAuthServerBuilder {
    /// Who sits at the browser and approves devices; `alice` by default. They need no password
    /// here.
    pub fn person(mut self, name: &str) -> Self {
        self.person = name.to_owned();
        self
    }

    /// How long a code of the authorization endpoint lives, and a pushed request; a minute by
    /// default.
    pub fn code_lifetime(mut self, lifetime: Duration) -> Self {
        self.config.login.code_lifetime = lifetime;
        self
    }

    /// Refuses authorization requests that were not pushed (RFC 9126 §5).
    pub fn require_pushed_authorization_requests(mut self) -> Self {
        self.config.login.requests_must_be_pushed = true;
        self
    }

    /// How long a device may wait for its person; ten minutes by default.
    pub fn device_code_lifetime(mut self, lifetime: Duration) -> Self {
        self.config.login.device_lifetime = lifetime;
        self
    }

    /// How long a device must wait between two polls; five seconds by default, as in RFC 8628 §3.5.
    /// One that polls sooner, by the clock of the server, is told to slow down and has five seconds
    /// more to wait from then on.
    pub fn polling_interval(mut self, interval: Duration) -> Self {
        self.config.login.polling_interval = interval;
        self
    }

    /// The resources that tokens may be asked for (RFC 8707); others are refused with
    /// `invalid_target`. Without this, any absolute URI without a fragment is fine.
    pub fn allowed_resources<'a>(mut self, resources: impl IntoIterator<Item = &'a str>) -> Self {
        let resources = resources.into_iter().map(str::to_owned).collect();
        self.config.allowed_resources = Some(resources);
        self
    }

    /// The path of the issuer identifier, `/realms/main` say; none by default. It moves the
    /// documents about the server, and nothing else.
    pub fn issuer_path(mut self, path: &str) -> Self {
        self.config.issuer_path = path.trim_end_matches('/').to_owned();
        self
    }
}
