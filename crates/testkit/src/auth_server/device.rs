//! A device without a browser asks, and a person approves it elsewhere (RFC 8628).

use std::time::Duration;

use http::StatusCode;
use serde_json::json;

use super::answer::Answer;
use super::config::Config;
use super::devices::{Device, DeviceState};
use super::endpoint::DEVICE_PAGE_PATH;
use super::form::Form;
use super::received_request::ReceivedRequest;
use super::requested;
use super::state::State;
use super::token_book::{Family, Grant, SignIn, has_ended, random_token};
use super::token_endpoint::{DEVICE_CODE, TokenRequest};

/// The device authorization endpoint (RFC 8628 §3.1).
pub(super) fn device_authorization(
    config: &Config,
    state: &mut State,
    request: &ReceivedRequest,
) -> Answer {
    let answer = Form::of_request(request).and_then(|form| {
        let client = state.clients.authenticate(config, request, &form)?;
        if !client.may_use(DEVICE_CODE) {
            let what = "this client may not use the device grant";
            return Err(Answer::refusal("unauthorized_client", what));
        }
        let scopes = requested::granted_scopes(config, &client, &form);
        let scopes = scopes.map_err(|what| Answer::refusal("invalid_scope", what))?;
        let resources = requested::resources(config, &form);
        let resources = resources.map_err(|what| Answer::refusal("invalid_target", what))?;
        let (lifetime, interval) = (config.login.device_lifetime, config.login.polling_interval);
        let device = Device {
            client_id: client.id,
            user_code: random_user_code(),
            scopes,
            resources,
            ends: config.clock.now().after(lifetime),
            interval,
            polled_at: None,
            state: DeviceState::Waiting,
        };
        let page = config.url.clone() + DEVICE_PAGE_PATH;
        let device_code = random_token("device");
        let body = json!({
            "device_code": device_code,
            "user_code": device.user_code,
            "verification_uri": page,
            "verification_uri_complete": format!("{page}?user_code={}", device.user_code),
            "expires_in": lifetime.as_secs(),
            "interval": interval.as_secs(),
        });
        state.devices.0.insert(device_code, device);
        Ok(Answer::json(StatusCode::OK, &body))
    });
    answer.unwrap_or_else(|refusal| refusal)
}

impl TokenRequest<'_> {
    /// One poll of a device (RFC 8628 §3.4). Whether it came too soon matters only while the person
    /// has not decided: several pollers of one code would starve each other otherwise.
    pub(super) fn device_code(&mut self) -> Result<Answer, Answer> {
        let code = self.form.require("device_code")?;
        let device = self.state.devices.0.get_mut(code);
        let device = device.filter(|device| device.client_id == self.client.id);
        let Some(device) = device else {
            let what = "the device code was not issued to this client";
            return Err(Answer::refusal("invalid_grant", what));
        };
        if has_ended(&device.ends, &self.now) {
            return Err(Answer::refusal("expired_token", "the device code has expired"));
        }
        let last = device.polled_at.replace(self.now);
        let is_early = last.is_some_and(|last| self.now.since(&last) < device.interval);
        let (username, at) = match &device.state {
            DeviceState::Approved { username, at } => (username.clone(), *at),
            DeviceState::Waiting if is_early => {
                device.interval += SLOW_DOWN;
                return Err(Answer::refusal("slow_down", "the device polls too often"));
            }
            DeviceState::Waiting => {
                let what = "no person has approved the device yet";
                return Err(Answer::refusal("authorization_pending", what));
            }
            DeviceState::Denied => {
                return Err(Answer::refusal("access_denied", "the person declined"));
            }
            DeviceState::Served => {
                return Err(Answer::refusal("invalid_grant", "the device code was used before"));
            }
        };
        device.state = DeviceState::Served;
        let (scopes, resources) = (device.scopes.clone(), device.resources.clone());
        let family = Family {
            client_id: self.client.id.clone(),
            username: Some(username),
            scopes: scopes.clone(),
            resources: resources.clone(),
            sign_in: Some(SignIn { at }),
            actor: None,
            key: self.key_of_family(),
        };
        let grant = Grant { scopes, resources, key: self.key.clone() };
        let family = self.state.book.open_family(family);
        Ok(self.answer(family, grant, true))
    }
}

/// Eight letters that are no word and look unlike digits (RFC 8628 §6.1).
fn random_user_code() -> String {
    let mut letters = std::iter::repeat_with(|| fastrand::choice(*b"BCDFGHJKLMNPQRSTVWXZ"))
        .flatten()
        .map(char::from);
    let half = |letters: &mut dyn Iterator<Item = char>| letters.take(4).collect::<String>();
    format!("{}-{}", half(&mut letters), half(&mut letters))
}

const SLOW_DOWN: Duration = Duration::from_secs(5); // RFC 8628 §3.5
