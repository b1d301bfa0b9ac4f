//! A device without a browser asks, and a person approves it elsewhere (RFC 8628).

use std::collections::HashMap;
use std::time::Duration;

use http::StatusCode;
use serde_json::json;
use tokenkeeper::{Now, Scopes};

use super::answer::Answer;
use super::form::Form;
use super::received_request::ReceivedRequest;
use super::state::{Config, State};
use super::token_book::{Family, Grant, SignIn, has_ended, random_token};
use super::token_endpoint::{self, Exchange};

/// Devices that wait for their person, by device code.
#[derive(Default)]
pub(super) struct Devices(HashMap<String, Device>);

struct Device {
    client_id: String,
    user_code: String,
    scopes: Scopes,
    resources: Vec<String>,
    ends: Now,
    interval: Duration,
    polled_at: Option<Now>,
    state: DeviceState,
}

enum DeviceState {
    Waiting,
    Approved { username: String, at: Now },
    Denied,
    Served,
}

impl Devices {
    /// Says what the person makes of this code. Gives whether a device waits for it.
    pub(super) fn settle(&mut self, user_code: &str, approved_by: Option<&str>, now: &Now) -> bool {
        let wanted = letters_of(user_code);
        let mut waiting = self.0.values_mut().filter(|device| {
            let waits = matches!(device.state, DeviceState::Waiting);
            waits && !has_ended(&device.ends, now) && letters_of(&device.user_code) == wanted
        });
        let Some(device) = waiting.next() else { return false };
        device.state = match approved_by {
            Some(username) => DeviceState::Approved { username: username.to_owned(), at: *now },
            None => DeviceState::Denied,
        };
        true
    }
}

/// The device authorization endpoint (RFC 8628 §3.1).
pub(super) fn device_authorization(
    config: &Config,
    state: &mut State,
    request: &ReceivedRequest,
) -> Answer {
    let answer = Form::of_request(request).and_then(|form| {
        let client = state.clients.authenticate(config, request, &form)?;
        let scopes = token_endpoint::granted_scopes(config, &form);
        let scopes = scopes.map_err(|what| Answer::refusal("invalid_scope", what))?;
        let resources = config.resources_of(&form);
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
        let page = config.url.clone() + "/device";
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

impl Exchange<'_> {
    /// One poll of a device (RFC 8628 §3.4).
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
        if last.is_some_and(|last| self.now.since(&last) < device.interval) {
            device.interval += SLOW_DOWN;
            return Err(Answer::refusal("slow_down", "the device polls too often"));
        }
        let (username, at) = match &device.state {
            DeviceState::Approved { username, at } => (username.clone(), *at),
            DeviceState::Waiting => {
                let what = "nobody has approved the device yet";
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

/// People leave out the dash and write small letters.
fn letters_of(user_code: &str) -> String {
    user_code.chars().filter(char::is_ascii_alphabetic).map(|c| c.to_ascii_uppercase()).collect()
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
