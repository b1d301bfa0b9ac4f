//! Cells where alice lets a device in, or not.

use std::time::Duration;

use tokenkeeper::{Clock, ErrorKind, SystemClock, TokenSet};
use tokenkeeper_providers::{DeviceLogin, PendingDeviceLogin};

use super::asking_clock::AskingClock;
use super::people::refused;
use super::{Client, InteropServer, access_token, metadata, takes};

/// Tokens for a device that asked too early once.
pub async fn device_login(server: &dyn InteropServer) {
    let clock = AskingClock::with_free_sleeps(1);

    let tokens = waited_for_alice(server, &clock, POLLING_INTERVAL).await;

    assert!(takes(server, access_token(&tokens)).await);
    assert_eq!(clock.sleeps().len(), 2);
}

/// Tokens for a device that asked too often, and waits longer from then on.
pub async fn device_told_to_slow_down(server: &dyn InteropServer) {
    let clock = AskingClock::with_free_sleeps(2);

    let slower = POLLING_INTERVAL + Duration::from_secs(5);
    let tokens = waited_for_alice(server, &clock, slower).await;

    assert!(takes(server, access_token(&tokens)).await);
    assert_eq!(clock.sleeps(), [POLLING_INTERVAL, POLLING_INTERVAL, slower]);
}

/// A code that ended before anybody came. It is the server that says so: the device believes that it
/// has time.
pub async fn refuses_an_expired_device_code(server: &dyn InteropServer) {
    let (issuer, client) = server.short_lived();
    let clock = AskingClock::with_free_sleeps(9);
    let login = device(server, &issuer, client, &clock).await;
    let pending = login.begin().await.expect("codes");
    let left = pending.expires_at().duration_since(clock.now().wall()).expect("some time");
    SystemClock.sleep(left + MARGIN).await; // the server has a clock of its own

    let error = refused(login.finish(with_an_hour_more(&pending)).await);

    assert_eq!(error.kind(), ErrorKind::LoginRequired);
    assert!(error.oauth().is_some(), "{error}");
    assert!(error.to_string().contains("expired"), "{error}");
}

/// A device that alice does not know.
pub async fn refuses_a_denied_device(server: &dyn InteropServer) {
    let clock = AskingClock::with_free_sleeps(9);
    let login = device(server, &server.issuer(), server.client(), &clock).await;
    let pending = login.begin().await.expect("codes");
    server.denies(pending.verification_url_complete().expect("a URL")).await;

    let error = refused(login.finish(pending).await);

    assert_eq!(error.kind(), ErrorKind::LoginRequired);
    assert!(error.to_string().contains("declined"), "{error}");
}

/// Polls until the clock holds it up, and once more when alice has come and this real time is over.
async fn waited_for_alice(
    server: &dyn InteropServer,
    clock: &AskingClock,
    before_the_last: Duration,
) -> TokenSet {
    let login = device(server, &server.issuer(), server.client(), clock).await;
    let pending = login.begin().await.expect("codes");
    let url = pending.verification_url_complete().expect("a URL").to_owned();
    let alice = async {
        clock.asked_for_more().await;
        server.approves(&url).await;
        SystemClock.sleep(before_the_last + MARGIN).await; // the server has a clock of its own
        clock.let_go();
    };

    let (tokens, ()) = tokio::join!(login.finish(pending), alice);

    tokens.expect("tokens")
}

async fn device(
    server: &dyn InteropServer,
    issuer: &str,
    Client { id, auth }: Client,
    clock: &AskingClock,
) -> DeviceLogin {
    DeviceLogin::of_server("interop", &*metadata(issuer).await)
        .expect("endpoints")
        .client(id, auth)
        .scopes(server.login_scopes().iter().copied())
        .clock(clock.clone())
        .build()
        .expect("settings")
}

fn with_an_hour_more(pending: &PendingDeviceLogin) -> PendingDeviceLogin {
    let mut stored = serde_json::to_value(pending).expect("a login that can be stored");
    let end = stored["expires_at"].as_u64().expect("a time");
    stored["expires_at"] = (end + 3_600_000).into();
    serde_json::from_value(stored).expect("the same login")
}

const POLLING_INTERVAL: Duration = Duration::from_secs(1); // as the servers that have one are set up
const MARGIN: Duration = Duration::from_millis(1_100); // they count in whole seconds
