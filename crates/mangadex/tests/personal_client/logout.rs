//! What happens beside a logout that takes its time.

use crate::setup::{self, keycloak, provider, session};
use tokenkeeper::{ErrorKind, ManualClock};
use tokenkeeper_testkit::{Endpoint, Fault};

#[tokio::test]
async fn nobody_logs_in_while_a_logout_is_under_way() {
    let clock = ManualClock::new();
    let server = keycloak().clock(clock.clone()).start();
    let session = session(provider(&server, setup::credentials()), &clock);
    session.token().await.unwrap();
    let held = server.hold_at(Endpoint::Revocation);

    let logout = tokio::spawn({
        let session = session.clone();
        async move { session.logout().await }
    });
    held.arrived(1).await;
    let error = session.login().await.unwrap_err();
    held.release();
    logout.await.unwrap().unwrap();

    assert_eq!(error.kind(), ErrorKind::LoginRequired);
    assert_eq!(server.count("password", 200), 1);
}

#[tokio::test]
async fn after_a_logout_that_failed_logins_are_possible_again() {
    let clock = ManualClock::new();
    let server = keycloak().clock(clock.clone()).start();
    let session = session(provider(&server, setup::credentials()), &clock);
    session.token().await.unwrap();
    server.fail_next_at(Endpoint::Revocation, 1, Fault::Unavailable(None));
    session.logout().await.unwrap_err();

    session.login().await.unwrap();

    assert_eq!(server.count("password", 200), 2);
}
