//! Logins that are approved on another device, at real servers (RFC 8628).

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "these are tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use tokenkeeper::{Clock, ErrorKind, Now, SystemClock, TokenManager, async_trait};
use tokenkeeper_providers::{ClientAuth, DeviceLogin, PendingDeviceLogin};
use tokenkeeper_tests::{Glewlwyd, Person, Wire, server_url};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The real clock, but the first sleeps are over at once: it moves forward by them.
#[derive(Clone, Debug)]
struct Impatient {
    skips: Arc<AtomicUsize>,
    skipped: Arc<Mutex<Duration>>,
    /// Whole seconds, rounded: a pause is what is left of an interval.
    pauses: Arc<Mutex<Vec<u64>>>,
}

impl Impatient {
    fn skipping(count: usize) -> Self {
        let skips = Arc::new(AtomicUsize::new(count));
        Self { skips, skipped: Arc::default(), pauses: Arc::default() }
    }
}

#[async_trait]
impl Clock for Impatient {
    fn now(&self) -> Now {
        SystemClock.now().after(*self.skipped.lock())
    }

    async fn sleep(&self, duration: Duration) {
        self.pauses.lock().push((duration + Duration::from_millis(500)).as_secs());
        let left = self
            .skips
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        match left {
            Ok(_) => *self.skipped.lock() += duration,
            Err(_) => SystemClock.sleep(duration).await,
        }
    }
}

fn at_oidc_provider(client: &str, wire: &Wire, clock: &Impatient) -> DeviceLogin {
    let url = server_url("TOKENKEEPER_OIDC_PROVIDER_URL");
    DeviceLogin::builder("device", &format!("{url}/device/auth"), &format!("{url}/token"))
        .client(client, ClientAuth::basic(format!("{client}-secret")))
        .scopes(["openid", "offline_access"])
        .extra_parameter("prompt", "consent") // or oidc-provider gives no offline access
        .transport(wire.clone())
        .clock(clock.clone())
        .build()
        .unwrap()
}

/// At one of the two servers in it; the codes of `strict` last two seconds.
fn at_glewlwyd(server: &str, wire: &Wire, clock: &Impatient) -> DeviceLogin {
    let url = format!("{}/api/{server}", server_url("TOKENKEEPER_GLEWLWYD_URL"));
    DeviceLogin::builder("device", &format!("{url}/device_authorization"), &format!("{url}/token"))
        .client("basic", ClientAuth::basic("basic-secret"))
        .scopes(["openid"])
        .transport(wire.clone())
        .clock(clock.clone())
        .build()
        .unwrap()
}

/// The codes, with a later end: only the server knows the real one.
fn said_to_last(pending: &PendingDeviceLogin) -> PendingDeviceLogin {
    let mut kept = serde_json::to_value(pending).unwrap();
    let end = kept["expires_at"].as_u64().unwrap();
    kept["expires_at"] = Value::from(end + 3_600_000);
    serde_json::from_value(kept).unwrap()
}

#[tokio::test]
async fn a_login_that_is_approved_at_oidc_provider_brings_tokens_that_can_be_refreshed() {
    let (wire, clock) = (Wire::new(), Impatient::skipping(1));
    let login = at_oidc_provider("basic", &wire, &clock);
    let pending = login.begin().await.unwrap();

    let url = pending.verification_url_complete().unwrap().to_owned();
    Person::alice().approves(&url).await;
    let tokens = login.finish(pending).await.unwrap();

    assert_eq!(*clock.pauses.lock(), [5]); // it gives no interval
    assert!(tokens.access_token().is_some() && tokens.id_token().is_some());
    let manager = TokenManager::new(login.provider("alice").unwrap());
    manager.install(tokens).await.unwrap();
    manager.force_refresh().await.unwrap();
    assert_eq!(wire.exchanges().last().unwrap(), "refresh_token 200");
}

#[tokio::test]
async fn a_login_that_nobody_has_approved_yet_is_asked_for_again_at_oidc_provider() {
    let (wire, clock) = (Wire::new(), Impatient::skipping(3));
    let login = at_oidc_provider("basic", &wire, &clock);
    let pending = login.begin().await.unwrap();

    let url = pending.verification_url_complete().unwrap().to_owned();
    let person = async {
        while wire.exchanges().len() < 3 {
            SystemClock.sleep(Duration::from_millis(20)).await;
        }
        Person::alice().approves(&url).await;
    };
    let (tokens, ()) = tokio::join!(login.finish(pending), person);

    assert!(tokens.is_ok());
    let exchanges = wire.exchanges();
    assert_eq!(exchanges[1..3], [format!("{GRANT} 400"), format!("{GRANT} 400")]);
    assert_eq!(*exchanges.last().unwrap(), format!("{GRANT} 200"));
    assert!(clock.pauses.lock().iter().all(|pause| *pause == 5));
}

#[tokio::test]
async fn a_login_that_is_declined_at_oidc_provider_says_so() {
    let (wire, clock) = (Wire::new(), Impatient::skipping(1));
    let login = at_oidc_provider("basic", &wire, &clock);
    let pending = login.begin().await.unwrap();

    Person::alice().denies(pending.verification_url_complete().unwrap()).await;
    let error = login.finish(pending).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::LoginRequired);
    assert_eq!(error.oauth().unwrap().code(), "access_denied");
    assert!(error.to_string().contains("was declined"), "{error}");
}

#[tokio::test]
async fn a_code_that_has_expired_ends_the_login_at_both() {
    let _glewlwyd = Glewlwyd::alone().await;
    for which in ["short-lived", "strict"] {
        let (wire, clock) = (Wire::new(), Impatient::skipping(0));
        let login = match which {
            "strict" => at_glewlwyd("strict", &wire, &clock),
            _ => at_oidc_provider(which, &wire, &clock),
        };
        let pending = login.begin().await.unwrap();
        SystemClock.sleep(Duration::from_secs(3)).await; // more than either of them lasts

        let error = login.finish(said_to_last(&pending)).await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::LoginRequired, "{which}: {error}");
        assert_eq!(error.status().unwrap(), 400, "{which}");
        assert!(error.to_string().ends_with("; begin a new login"), "{which}: {error}");
    }
}

#[tokio::test]
async fn a_code_is_good_for_one_login_at_both() {
    let _glewlwyd = Glewlwyd::alone().await;
    for (which, code) in [("oidc-provider", "invalid_grant"), ("glewlwyd", "access_denied")] {
        let (wire, clock) = (Wire::new(), Impatient::skipping(1));
        let login = match which {
            "glewlwyd" => at_glewlwyd("oidc", &wire, &clock),
            _ => at_oidc_provider("basic", &wire, &clock),
        };
        let pending = login.begin().await.unwrap();
        Person::alice().approves(pending.verification_url_complete().unwrap()).await;

        assert!(login.finish(pending.clone()).await.is_ok(), "{which}");
        let error = login.finish(pending).await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::LoginRequired, "{which}: {error}");
        assert_eq!(error.oauth().unwrap().code(), code, "{which}");
    }
}

#[tokio::test]
async fn glewlwyd_says_slow_down_and_is_asked_more_slowly_for_good() {
    let _glewlwyd = Glewlwyd::alone().await;
    let (wire, clock) = (Wire::new(), Impatient::skipping(2));
    let login = at_glewlwyd("oidc", &wire, &clock);
    let pending = login.begin().await.unwrap();

    let url = pending.verification_url_complete().unwrap().to_owned();
    let person = async {
        while wire.exchanges().len() < 3 {
            SystemClock.sleep(Duration::from_millis(20)).await;
        }
        Person::alice().approves(&url).await;
    };
    let (tokens, ()) = tokio::join!(login.finish(pending), person);

    assert!(tokens.is_ok(), "{tokens:?}");
    assert_eq!(clock.pauses.lock()[..3], [1, 1, 6]);
    assert_eq!(*wire.exchanges().last().unwrap(), format!("{GRANT} 200"));
}
