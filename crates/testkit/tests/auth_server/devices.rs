//! What the server makes of devices that a person approves elsewhere.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests fail by panicking")]

use std::time::Duration;

use crate::wire::{Reply, get, post};
use tokenkeeper::ManualClock;
use tokenkeeper_testkit::{ClientAuth, Endpoint, FakeAuthServer};

fn server(clock: &ManualClock) -> FakeAuthServer {
    FakeAuthServer::builder().client("tv", "", ClientAuth::None).clock(clock.clone()).start()
}

fn begin(server: &FakeAuthServer) -> Reply {
    post(&server.device_authorization_url(), &[], "client_id=tv&scope=films")
}

fn poll(server: &FakeAuthServer, device_code: &str) -> Reply {
    let grant = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code";
    let body = format!("grant_type={grant}&client_id=tv&device_code={device_code}");
    post(&server.token_url(), &[], &body)
}

const INTERVAL: Duration = Duration::from_secs(5);

#[test]
fn a_device_gets_tokens_once_its_person_has_approved() {
    let clock = ManualClock::new();
    let server = server(&clock);
    let begun = begin(&server);
    let code = begun.text("device_code");

    let early = poll(&server, &code);
    let approved = server.approve_device(&begun.text("user_code").to_lowercase().replace('-', ""));
    clock.advance(INTERVAL);
    let tokens = poll(&server, &code);
    clock.advance(INTERVAL);

    assert_eq!((early.status, early.text("error")), (400, "authorization_pending".into()));
    assert!(approved && !server.approve_device(&begun.text("user_code")));
    assert_eq!((tokens.status, tokens.text("scope")), (200, "films".into()));
    let resource = get(&server.resource_url(), &tokens.text("access_token"));
    assert_eq!(resource.text("username"), "alice");
    assert_eq!(poll(&server, &code).text("error"), "invalid_grant");
    assert_eq!(server.stats().answers(Endpoint::DeviceAuthorization, 200), 1);
}

#[test]
fn what_a_device_shows_says_where_and_how_long() {
    let server = server(&ManualClock::new());

    let begun = begin(&server).json();

    let (page, complete) =
        (begun["verification_uri"].as_str(), &begun["verification_uri_complete"]);
    let user_code = begun["user_code"].as_str().unwrap();
    assert_eq!(complete, &format!("{}?user_code={user_code}", page.unwrap()));
    assert_eq!((&begun["expires_in"], &begun["interval"]), (&600.into(), &5.into()));
    assert_eq!(user_code.len(), 9);
}

#[test]
fn a_device_that_polls_too_soon_must_wait_longer_from_then_on() {
    let clock = ManualClock::new();
    let server = server(&clock);
    let code = begin(&server).text("device_code");
    let poll_after = |seconds| {
        clock.advance(Duration::from_secs(seconds));
        poll(&server, &code).text("error")
    };

    assert_eq!(poll_after(0), "authorization_pending");
    assert_eq!(poll_after(4), "slow_down");
    assert_eq!(poll_after(9), "slow_down");
    assert_eq!(poll_after(15), "authorization_pending");
}

#[test]
fn a_device_learns_that_it_was_declined_or_forgotten() {
    let clock = ManualClock::new();
    let server = server(&clock);
    let (declined, forgotten) = (begin(&server), begin(&server));

    assert!(server.deny_device(&declined.text("user_code")));
    assert_eq!(poll(&server, &declined.text("device_code")).text("error"), "access_denied");
    clock.advance(Duration::from_secs(600));

    assert_eq!(poll(&server, &forgotten.text("device_code")).text("error"), "expired_token");
    assert!(!server.approve_device(&forgotten.text("user_code")));
    assert_eq!(poll(&server, "stranger").text("error"), "invalid_grant");
}

#[test]
fn an_approved_device_gets_its_tokens_however_soon_it_polls() {
    let server = server(&ManualClock::new());
    let begun = begin(&server);
    let code = begun.text("device_code");
    let (first, second) = (poll(&server, &code), poll(&server, &code));

    server.approve_device(&begun.text("user_code"));

    assert_eq!(first.text("error"), "authorization_pending");
    assert_eq!(second.text("error"), "slow_down", "while the person has not decided");
    assert_eq!(poll(&server, &code).status, 200);
    let declined = begin(&server);
    poll(&server, &declined.text("device_code"));
    server.deny_device(&declined.text("user_code"));
    assert_eq!(poll(&server, &declined.text("device_code")).text("error"), "access_denied");
}

#[test]
fn a_person_approves_or_denies_a_device_on_its_page() {
    let server = server(&ManualClock::new());
    let page = server.url() + "/device";
    let [approved, denied] = [begin(&server), begin(&server)];
    let decide = |begun: &Reply, decision: &str| {
        post(&page, &[], &format!("user_code={}&decision={decision}", begun.text("user_code")))
    };

    let shown = server.browser().open(&approved.text("verification_uri_complete"));
    assert_eq!(shown.status(), 200);
    assert!(shown.body().contains(&approved.text("user_code")) && shown.body().contains("films"));
    assert_eq!(decide(&approved, "approve").status, 200);
    assert_eq!(decide(&denied, "deny").status, 200);

    assert_eq!(poll(&server, &approved.text("device_code")).status, 200);
    assert_eq!(poll(&server, &denied.text("device_code")).text("error"), "access_denied");
    assert_eq!(decide(&approved, "approve").status, 404, "it waits no more");
    let planted = server.browser().open(&format!("{page}?user_code=%3Cscript%3E"));
    assert!(planted.status() == 404 && !planted.body().contains("<script>"));
    assert_eq!(server.stats().answers(Endpoint::DevicePage, 200), 3);
}
