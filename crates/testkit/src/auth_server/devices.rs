//! Devices that wait for their person (RFC 8628).

use std::collections::HashMap;
use std::time::Duration;

use tokenkeeper::{Now, Scopes};

use super::token_book::has_ended;

/// By device code.
#[derive(Default)]
pub(super) struct Devices(pub(super) HashMap<String, Device>);

pub(super) struct Device {
    pub(super) client_id: String,
    pub(super) user_code: String,
    pub(super) scopes: Scopes,
    pub(super) resources: Vec<String>,
    pub(super) ends: Now,
    pub(super) interval: Duration,
    pub(super) polled_at: Option<Now>,
    pub(super) state: DeviceState,
}

pub(super) enum DeviceState {
    Waiting,
    Approved { username: String, at: Now },
    Denied,
    Served,
}

impl Devices {
    /// The device that waits for a person to enter this code.
    pub(super) fn waiting(&mut self, user_code: &str, now: &Now) -> Option<&mut Device> {
        let wanted = letters_of(user_code);
        self.0.values_mut().find(|device| {
            let waits = matches!(device.state, DeviceState::Waiting);
            waits && !has_ended(&device.ends, now) && letters_of(&device.user_code) == wanted
        })
    }

    /// Says what the person makes of this code. Gives whether a device waits for it.
    pub(super) fn settle(&mut self, user_code: &str, approved_by: Option<&str>, now: &Now) -> bool {
        let Some(device) = self.waiting(user_code, now) else { return false };
        device.state = match approved_by {
            Some(username) => DeviceState::Approved { username: username.to_owned(), at: *now },
            None => DeviceState::Denied,
        };
        true
    }
}

/// People leave out the dash and write small letters.
fn letters_of(user_code: &str) -> String {
    user_code.chars().filter(char::is_ascii_alphabetic).map(|c| c.to_ascii_uppercase()).collect()
}
