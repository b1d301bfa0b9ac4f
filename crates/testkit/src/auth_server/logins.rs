//! The part of the server about people who log in.

use serde_json::Value;

use super::browser::Browser;
use super::endpoint::{AUTHORIZATION_PATH, DEVICE_PATH, PAR_PATH};
use super::people::Decision;
use super::server::FakeAuthServer;

/// # Logins
impl FakeAuthServer {
    /// The issuer identifier, as in `iss` and in the documents about the server.
    #[must_use]
    pub fn issuer(&self) -> String {
        self.shared.config.issuer()
    }

    /// The authorization endpoint.
    #[must_use]
    pub fn authorization_url(&self) -> String {
        self.url() + AUTHORIZATION_PATH
    }

    /// The pushed authorization request endpoint.
    #[must_use]
    pub fn pushed_authorization_request_url(&self) -> String {
        self.url() + PAR_PATH
    }

    /// The device authorization endpoint.
    #[must_use]
    pub fn device_authorization_url(&self) -> String {
        self.url() + DEVICE_PATH
    }

    /// A browser.
    #[must_use]
    pub const fn browser(&self) -> Browser {
        Browser::new()
    }

    /// Puts someone else at the browser from now on.
    pub fn set_person(&self, name: &str) {
        self.shared.state.lock().people.at_browser = name.to_owned();
    }

    /// What becomes of the next `count` authorization requests that are in order, after those that
    /// were said before. All others are approved.
    pub fn decide_next(&self, count: usize, decision: Decision) {
        let mut state = self.shared.state.lock();
        state.people.decisions.extend(std::iter::repeat_n(decision, count));
    }

    /// The person enters this code and approves the device. Gives whether a device waited for it.
    pub fn approve_device(&self, user_code: &str) -> bool {
        let now = self.shared.config.clock.now();
        let mut state = self.shared.state.lock();
        let person = state.people.at_browser.clone();
        state.devices.settle(user_code, Some(&person), &now)
    }

    /// The person enters this code and declines. Gives whether a device waited for it.
    pub fn deny_device(&self, user_code: &str) -> bool {
        let now = self.shared.config.clock.now();
        self.shared.state.lock().devices.settle(user_code, None, &now)
    }

    /// Every ID token from now on has this claim with this value, right or wrong; null leaves the
    /// claim out.
    pub fn set_id_token_claim(&self, name: &str, value: impl Into<Value>) {
        let mut state = self.shared.state.lock();
        state.id_token_claims.insert(name.to_owned(), value.into());
    }
}
