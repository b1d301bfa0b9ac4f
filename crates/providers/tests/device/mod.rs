//! A device login whose clock and answers a test has in hand.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokenkeeper::{Clock, Error, ErrorKind, ManualClock, Now, TokenSet, async_trait};
use tokenkeeper_providers::{ClientAuth, DeviceLogin, DeviceLoginBuilder, PendingDeviceLogin};

use crate::support::{Playback, TOKEN_URL};

pub(crate) const DEVICE_URL: &str = "https://auth.example.org/device";
pub(crate) const CODES: &str = r#"{"device_code":"dc-1","user_code":"WDJB-MJHT",
    "verification_uri":"https://auth.example.org/go",
    "verification_uri_complete":"https://auth.example.org/go?user_code=WDJB-MJHT",
    "expires_in":600,"interval":7}"#;
pub(crate) const PENDING: &str = r#"{"error":"authorization_pending"}"#;
pub(crate) const SLOW_DOWN: &str = r#"{"error":"slow_down"}"#;

/// A clock on which every sleep is over at once, and remembered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hurried {
    pub(crate) clock: ManualClock,
    pauses: Arc<Mutex<Vec<u64>>>,
}

impl Hurried {
    /// In seconds.
    pub(crate) fn pauses(&self) -> Vec<u64> {
        self.pauses.lock().unwrap().clone()
    }
}

#[async_trait]
impl Clock for Hurried {
    fn now(&self) -> Now {
        self.clock.now()
    }

    async fn sleep(&self, duration: Duration) {
        self.pauses.lock().unwrap().push(duration.as_secs());
        self.clock.advance(duration);
    }
}

pub(crate) fn builder(playback: &Playback) -> DeviceLoginBuilder {
    DeviceLogin::builder("svc", DEVICE_URL, TOKEN_URL)
        .client("tv", ClientAuth::none())
        .transport(playback.clone())
}

pub(crate) fn login(playback: &Playback, clock: &Hurried) -> DeviceLogin {
    builder(playback).clock(clock.clone()).build().unwrap()
}

/// Begins with codes that last ten minutes and an interval of 7 s, and waits for these answers.
pub(crate) async fn finish(
    answers: impl FnOnce(Playback) -> Playback,
) -> (Result<TokenSet, Error>, Vec<u64>, Playback) {
    let clock = Hurried::default();
    let playback = answers(Playback::of(&[CODES]));
    let login = login(&playback, &clock);
    let pending = login.begin().await.unwrap();
    let outcome = login.finish(pending).await;
    (outcome, clock.pauses(), playback)
}

pub(crate) async fn begin(body: &str) -> Result<PendingDeviceLogin, Error> {
    builder(&Playback::of(&[body])).build().unwrap().begin().await
}

pub(crate) fn unreachable() -> Error {
    Error::new(ErrorKind::Transport, "could not connect to auth.example.org")
}
