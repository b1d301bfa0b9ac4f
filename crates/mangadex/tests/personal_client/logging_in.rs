//! Sessions that a user logs in to later, and sessions that go on where another process was.

use crate::setup::{
    self, CLIENT, USER, credentials, keycloak, provider, refresh_only, seconds, with_password,
};
use tokenkeeper::{ErrorKind, ManualClock, MemoryStorage};
use tokenkeeper_mangadex::{MangadexProvider, Session};
use tokenkeeper_testkit::{FakeAuthServer, Fault};

async fn log_in(session: &Session, provider: MangadexProvider) -> Result<(), tokenkeeper::Error> {
    session.log_in_with(provider, |manager| manager).await.map(drop)
}

#[tokio::test]
async fn a_user_logs_in_to_an_anonymous_session_that_is_running() {
    let server = keycloak().start();
    let session = Session::anonymous();
    let clone = session.clone();

    log_in(&session, provider(&server, credentials())).await.unwrap();

    let token = clone.token().await.unwrap().unwrap();
    assert!(server.is_live(token.secret().expose_secret()));
    assert_eq!(server.exchanges(), 1);
}

#[tokio::test]
async fn a_refused_password_leaves_the_session_anonymous_and_the_next_one_is_tried() {
    let server = keycloak().start();
    let session = Session::anonymous();

    let error = log_in(&session, provider(&server, with_password("wrong"))).await.unwrap_err();
    let was_anonymous = session.is_anonymous();
    log_in(&session, provider(&server, credentials())).await.unwrap();

    assert_eq!(error.kind(), ErrorKind::CredentialsRejected);
    assert!(was_anonymous && !session.is_anonymous());
}

#[tokio::test]
async fn a_session_that_has_a_login_takes_another_user_only_after_a_logout() {
    let server = keycloak().start();
    let session = Session::new(provider(&server, credentials()));
    session.token().await.unwrap();

    let error = log_in(&session, provider(&server, credentials())).await.unwrap_err();
    session.logout().await.unwrap();
    log_in(&session, provider(&server, credentials())).await.unwrap();

    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("`logout`"), "{error}");
    assert_eq!(server.count("password", 200), 2);
}

#[tokio::test]
async fn of_two_logins_at_once_one_is_the_session_s_and_the_other_is_told() {
    let server = keycloak().start();
    let session = Session::anonymous();
    let held = server.hold();

    let logins = [0, 1].map(|_| {
        let (session, provider) = (session.clone(), provider(&server, credentials()));
        tokio::spawn(async move { log_in(&session, provider).await })
    });
    held.arrived(2).await;
    held.release();
    let mut refused = Vec::new();
    for login in logins {
        refused.extend(login.await.unwrap().err());
    }

    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].kind(), ErrorKind::Config);
    assert!(session.token().await.unwrap().is_some());
}

#[tokio::test]
async fn an_anonymous_session_is_told_how_it_gets_credentials_and_not_to_log_in() {
    let session = Session::anonymous();

    for error in [
        session.login().await.unwrap_err(),
        session.install_refresh_token("rt").await.unwrap_err(),
        session.require(http::Method::GET, "/user/me").await.unwrap_err(),
    ] {
        let text = error.to_string();
        assert!(text.ends_with("give it credentials with `Session::log_in_as`"), "{text}");
    }
}

fn start(server: &FakeAuthServer, clock: &ManualClock, storage: &MemoryStorage) -> Session {
    Session::configured(refresh_only(server), |manager| {
        manager.clock(clock.clone()).storage(storage.clone())
    })
    .unwrap()
}

#[tokio::test]
async fn a_refresh_token_that_is_given_at_every_start_is_spent_once() {
    let clock = ManualClock::new();
    let server = keycloak().clock(clock.clone()).start();
    let storage = MemoryStorage::new();
    let given = server.issue_refresh_token(CLIENT, USER);

    let mut installed = Vec::new();
    for _ in 0..3 {
        let session = start(&server, &clock, &storage);
        installed.push(session.install_refresh_token(given.clone()).await.unwrap());
        session.token().await.unwrap().unwrap();
        session.manager().unwrap().flush().await.unwrap();
        clock.advance(seconds(1_000));
    }

    assert_eq!(installed, [true, false, false]);
    assert_eq!((server.count("refresh_token", 200), server.reuses()), (3, 0));
}

#[tokio::test]
async fn a_refresh_token_of_another_login_takes_the_place_of_the_one_before_when_it_is_insisted_on()
{
    let clock = ManualClock::new();
    let server = keycloak().clock(clock.clone()).start();
    let session = setup::session(refresh_only(&server), &clock);
    session.install_refresh_token(server.issue_refresh_token(CLIENT, USER)).await.unwrap();
    session.token().await.unwrap();
    server.kill_refresh_tokens();

    let other = server.issue_refresh_token(CLIENT, USER);
    session.danger_replace_refresh_token(other).await.unwrap();
    clock.advance(seconds(1_000));
    let token = session.token().await.unwrap().unwrap();

    assert!(server.is_live(token.secret().expose_secret()));
}

#[tokio::test]
async fn a_realm_that_is_down_leaves_the_session_anonymous() {
    let server = keycloak().start();
    server.fail_next(1, Fault::Unavailable(None));
    let session = Session::anonymous();

    let error = log_in(&session, provider(&server, credentials())).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(session.is_anonymous());
}
