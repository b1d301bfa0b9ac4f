//! What an API client can rely on: who is logged in, what heals itself, and what ends a session.

use crate::setup::{
    self, CLIENT, PASSWORD, USER, both_wrong, keycloak, provider, refresh_only, seconds, session,
};
use http::Method;
use tokenkeeper::{AccessToken, ErrorKind, ManualClock, MemoryStorage};
use tokenkeeper_mangadex::{Session, Unauthorized};
use tokenkeeper_testkit::{Endpoint, FakeAuthServer, FakeAuthServerBuilder, Fault};

struct LoggedOut {
    server: FakeAuthServer,
    clock: ManualClock,
    session: Session,
}

/// A session that has credentials and has not used them yet.
fn fresh(server: FakeAuthServerBuilder) -> LoggedOut {
    let clock = ManualClock::new();
    let server = server.clock(clock.clone()).start();
    let session = session(provider(&server, setup::credentials()), &clock);
    LoggedOut { server, clock, session }
}

fn is_live(server: &FakeAuthServer, token: &AccessToken) -> bool {
    server.is_live(token.secret().expose_secret())
}

#[tokio::test]
async fn an_anonymous_session_has_no_token_and_sends_nothing() {
    let session = Session::anonymous();

    assert!(session.is_anonymous());
    assert!(session.token().await.unwrap().is_none());
    assert!(session.authorization().await.unwrap().is_none());
    assert!(session.refresh_token().await.unwrap().is_none());
    assert!(session.manager().is_none());
    for end in [session.revoke().await, session.clear().await, session.logout().await] {
        assert!(end.is_ok());
    }
}

#[tokio::test]
async fn an_anonymous_session_refuses_a_request_that_needs_a_login_by_method_and_path() {
    let session = Session::anonymous();

    let error = session.require(Method::POST, "/manga/1/follow?planted=1").await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::LoginRequired);
    let unauthorized = Unauthorized::cause_of(&error).unwrap();
    assert_eq!((unauthorized.method(), unauthorized.path()), (&Method::POST, "/manga/1/follow"));
    assert!(error.to_string().contains("POST /manga/1/follow"), "{error}");
    assert!(!format!("{error:?}").contains("planted"));
}

#[tokio::test]
async fn an_anonymous_session_cannot_log_in_or_take_a_refresh_token() {
    let session = Session::anonymous();

    let login = session.login().await.unwrap_err();
    let install = session.install_refresh_token("rt").await.unwrap_err();

    for error in [login, install] {
        assert_eq!(error.kind(), ErrorKind::LoginRequired);
        let cause = Unauthorized::cause_of(&error).unwrap();
        let path = "/realms/mangadex/protocol/openid-connect/token";
        assert_eq!((cause.method(), cause.path()), (&Method::POST, path));
    }
}

#[tokio::test]
async fn login_proves_the_password_every_time() {
    let LoggedOut { server, session, .. } = fresh(keycloak());

    let first = session.login().await.unwrap();
    let second = session.login().await.unwrap();
    server.set_password(USER, "changed");
    let third = session.login().await.unwrap_err();

    assert!(is_live(&server, &second) && !first.secret().ct_eq(second.secret()));
    assert_eq!(third.kind(), ErrorKind::CredentialsRejected);
    assert_eq!((server.count("password", 200), server.count("password", 400)), (2, 1));
}

#[tokio::test]
async fn the_first_call_logs_in_and_later_ones_do_not() {
    let LoggedOut { server, session, .. } = fresh(keycloak());

    let first = session.require(Method::GET, "/user/me").await.unwrap();
    let header = session.authorization().await.unwrap().unwrap();

    assert!(is_live(&server, &first) && header == first.authorization() && header.is_sensitive());
    assert_eq!(server.exchanges(), 1);
}

#[tokio::test]
async fn a_token_that_was_revoked_heals_by_the_refresh_token() {
    let LoggedOut { server, clock, session } = fresh(keycloak());
    let old = session.token().await.unwrap().unwrap();
    clock.advance(seconds(60));
    server.revoke_all_access_tokens();

    let new = session.replace_rejected(&old).await.unwrap().unwrap();

    assert!(is_live(&server, &new));
    assert_eq!((server.count("password", 200), server.count("refresh_token", 200)), (1, 1));
}

#[tokio::test]
async fn a_hundred_late_answers_401_cause_one_exchange() {
    let LoggedOut { server, clock, session } = fresh(keycloak());
    let old = session.token().await.unwrap().unwrap();
    clock.advance(seconds(60));
    server.revoke_all_access_tokens();

    let mut callers = Vec::new();
    for _ in 0..100 {
        let (session, old) = (session.clone(), old.clone());
        callers.push(tokio::spawn(async move { session.replace_rejected(&old).await }));
    }
    for caller in callers {
        assert!(is_live(&server, &caller.await.unwrap().unwrap().unwrap()));
    }

    assert_eq!(server.count("refresh_token", 200), 1);
    assert_eq!(server.exchanges(), 2);
}

#[tokio::test]
async fn when_both_tokens_are_wrong_the_session_heals_by_the_password() {
    let LoggedOut { server, clock, session } = fresh(keycloak());
    session.manager().unwrap().install(both_wrong(&clock)).await.unwrap();
    let wrong = session.token().await.unwrap().unwrap();

    let new = session.replace_rejected(&wrong).await.unwrap().unwrap();

    assert!(is_live(&server, &new));
    assert_eq!((server.count("refresh_token", 400), server.count("password", 200)), (1, 1));
    assert_eq!(server.exchanges(), 2);
}

#[tokio::test]
async fn when_everything_is_wrong_each_is_tried_once_and_then_nothing() {
    let LoggedOut { server, clock, session } = fresh(keycloak());
    server.set_password(USER, "changed");
    session.manager().unwrap().install(both_wrong(&clock)).await.unwrap();
    let wrong = session.token().await.unwrap().unwrap();

    for _ in 0..100 {
        let error = session.replace_rejected(&wrong).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CredentialsRejected);
        assert!(session.token().await.is_err());
    }

    assert_eq!((server.count("refresh_token", 400), server.count("password", 400)), (1, 1));
    assert_eq!(server.exchanges(), 2);
}

#[tokio::test]
async fn a_token_whose_time_is_up_is_refreshed_before_anybody_sees_it() {
    let LoggedOut { server, clock, session } = fresh(keycloak());
    let old = session.token().await.unwrap().unwrap();
    clock.advance(seconds(365 * 24 * 3_600));

    let new = session.token().await.unwrap().unwrap();

    assert!(is_live(&server, &new) && !is_live(&server, &old));
    assert_eq!(server.count("refresh_token", 200), 1);
}

#[tokio::test]
async fn a_token_is_renewed_30_seconds_before_its_end_and_not_sooner_while_callers_wait() {
    for (age, waits) in [(869, false), (870, true)] {
        let LoggedOut { server, clock, session } = fresh(keycloak());
        let old = session.token().await.unwrap().unwrap();
        clock.advance(seconds(age));

        let token = session.token().await.unwrap().unwrap();

        assert_eq!(!token.secret().ct_eq(old.secret()), waits, "{age}");
        assert!(is_live(&server, &token));
    }
}

#[tokio::test]
async fn a_wrong_password_is_sent_once_for_a_thousand_calls() {
    let clock = ManualClock::new();
    let server = keycloak().clock(clock.clone()).start();
    let session = session(provider(&server, setup::with_password("wrong")), &clock);

    let mut callers = Vec::new();
    for _ in 0..500 {
        let session = session.clone();
        callers.push(tokio::spawn(async move { session.token().await }));
    }
    for caller in callers {
        let error = caller.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CredentialsRejected);
    }
    for _ in 0..500 {
        assert!(session.require(Method::GET, "/user/me").await.is_err());
    }

    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn a_wrong_password_gets_nobody_the_token_of_somebody_else() {
    let clock = ManualClock::new();
    let server = keycloak().user("bob", "bobs").clock(clock.clone()).start();
    let storage = MemoryStorage::new();
    let of = |user: &str, password: &str| {
        let quad = format!("{CLIENT}:{}:{user}:{password}", setup::SECRET).parse().unwrap();
        setup::manager(provider(&server, quad), &clock, storage.clone())
    };

    let alice = of("alice", PASSWORD).token().await.unwrap();
    let bob = of("bob", "wrong").token().await;
    let login = of("alice", "wrong").login().await;

    assert!(is_live(&server, &alice));
    assert_eq!(bob.unwrap_err().kind(), ErrorKind::CredentialsRejected);
    assert_eq!(login.unwrap_err().kind(), ErrorKind::CredentialsRejected);
    let bob = of("bob", "bobs");
    bob.credentials_changed();
    assert!(!bob.token().await.unwrap().secret().ct_eq(alice.secret()));
}

#[tokio::test]
async fn a_thousand_first_calls_are_one_login() {
    let LoggedOut { server, session, .. } = fresh(keycloak());

    let mut callers = Vec::new();
    for _ in 0..1_000 {
        let session = session.clone();
        callers.push(tokio::spawn(async move { session.token().await }));
    }
    for caller in callers {
        assert!(caller.await.unwrap().unwrap().is_some());
    }

    assert_eq!(server.exchanges(), 1);
}

#[tokio::test]
async fn a_forced_refresh_replaces_a_good_token_and_a_failing_one_keeps_it() {
    let LoggedOut { server, clock, session } = fresh(keycloak());
    let old = session.token().await.unwrap().unwrap();
    let manager = session.manager().unwrap();
    clock.advance(seconds(60));

    let new = manager.force_refresh().await.unwrap();
    clock.advance(seconds(60));
    server.fail_next(1, Fault::Unavailable(None));
    let failed = manager.force_refresh().await;

    assert!(!new.secret().ct_eq(old.secret()) && failed.is_err());
    assert!(session.token().await.unwrap().unwrap().secret().ct_eq(new.secret()));
}

#[tokio::test]
async fn a_failing_realm_costs_neither_the_tokens_nor_a_password() {
    let LoggedOut { server, clock, session } = fresh(keycloak());
    session.token().await.unwrap();
    clock.advance(seconds(1_000));

    server.fail_next(1, Fault::Unavailable(None));
    let error = session.token().await.unwrap_err();
    let pause = error.retry_after().unwrap();
    assert_eq!(session.token().await.unwrap_err().kind(), ErrorKind::Unavailable);
    clock.advance(pause);
    let token = session.token().await.unwrap().unwrap();

    assert!(is_live(&server, &token));
    assert_eq!((server.count("refresh_token", 503), server.count("refresh_token", 200)), (1, 1));
    assert_eq!(server.count("password", 200), 1);
}

#[tokio::test]
async fn nobody_asks_again_before_the_realm_says_so() {
    let LoggedOut { server, clock, session } = fresh(keycloak());
    let after = tokenkeeper_testkit::RetryAfter::Seconds(30);
    server.fail_next(1, Fault::TooManyRequests(Some(after)));

    let first = session.token().await.unwrap_err();
    clock.advance(seconds(29));
    let second = session.token().await;
    clock.advance(seconds(1));
    let third = session.token().await;

    assert_eq!(first.kind(), ErrorKind::Unavailable);
    assert!(second.is_err() && third.is_ok());
    assert_eq!(server.exchanges(), 2);
}

#[tokio::test]
async fn ever_shorter_tokens_do_not_become_a_storm_of_refreshes() {
    let LoggedOut { server, clock, session } = fresh(keycloak().token_lifetime(seconds(4)));

    for _ in 0..240 {
        session.token().await.unwrap();
        session.manager().unwrap().flush().await.unwrap();
        clock.advance(std::time::Duration::from_millis(250));
    }

    // A minute of 4-second tokens, each renewed after 3 s.
    assert!((15..=21).contains(&server.exchanges()), "{}", server.exchanges());
}

#[tokio::test]
async fn a_session_lives_on_a_refresh_token_and_the_client_alone() {
    let clock = ManualClock::new();
    let server = keycloak().clock(clock.clone()).start();
    let session = session(refresh_only(&server), &clock);
    let from_elsewhere = server.issue_refresh_token(CLIENT, USER);

    let without = session.token().await.unwrap_err();
    session.install_refresh_token(from_elsewhere).await.unwrap();
    let token = session.token().await.unwrap().unwrap();

    assert_eq!(without.kind(), ErrorKind::LoginRequired);
    assert!(is_live(&server, &token));
    assert_eq!(server.exchanges(), 1);
    assert_eq!(session.login().await.unwrap_err().kind(), ErrorKind::LoginRequired);
}

#[tokio::test]
async fn a_refused_refresh_token_without_a_password_asks_for_a_login() {
    let clock = ManualClock::new();
    let server = keycloak().clock(clock.clone()).start();
    let session = session(refresh_only(&server), &clock);
    session.install_refresh_token("blah").await.unwrap();

    for _ in 0..10 {
        let error = session.token().await.unwrap_err();
        assert_eq!(error.recovery(), tokenkeeper::Recovery::Reauthenticate);
    }

    assert_eq!(server.exchanges(), 1);
}

#[tokio::test]
async fn with_both_the_refresh_token_goes_first_and_the_password_helps_out() {
    let LoggedOut { server, clock, session } = fresh(keycloak());
    session.install_refresh_token(server.issue_refresh_token(CLIENT, USER)).await.unwrap();

    session.token().await.unwrap();
    assert_eq!((server.count("refresh_token", 200), server.count("password", 200)), (1, 0));
    server.kill_refresh_tokens();
    clock.advance(seconds(1_000));
    let token = session.token().await.unwrap().unwrap();

    assert!(is_live(&server, &token));
    assert_eq!((server.count("refresh_token", 400), server.count("password", 200)), (1, 1));
}

#[tokio::test]
async fn an_empty_refresh_token_is_refused_and_changes_nothing() {
    let LoggedOut { server, session, .. } = fresh(keycloak());
    session.token().await.unwrap();

    let error = session.install_refresh_token("").await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Config);
    session.token().await.unwrap();
    assert_eq!(server.exchanges(), 1);
}

#[tokio::test]
async fn the_refresh_token_comes_out_as_it_was_rotated_last() {
    let LoggedOut { server, clock, session } = fresh(keycloak());
    session.token().await.unwrap();
    let first = session.refresh_token().await.unwrap().unwrap();
    clock.advance(seconds(1_000));
    session.token().await.unwrap();
    let second = session.refresh_token().await.unwrap().unwrap();
    drop(session);

    let resumed = setup::session(refresh_only(&server), &clock);
    resumed.install_refresh_token(second.clone()).await.unwrap();
    let token = resumed.token().await.unwrap().unwrap();

    assert!(is_live(&server, &token) && !first.ct_eq(&second));
    assert_eq!(server.reuses(), 0);
}

#[tokio::test]
async fn logout_revokes_the_tokens_and_leaves_nobody() {
    let LoggedOut { server, session, .. } = fresh(keycloak());
    let token = session.token().await.unwrap().unwrap();

    session.logout().await.unwrap();

    assert!(session.is_anonymous() && !is_live(&server, &token));
    assert!(session.token().await.unwrap().is_none());
    assert_eq!((server.stats().revocations(200), server.exchanges()), (2, 1));
}

#[tokio::test]
async fn a_logout_that_mangadex_did_not_hear_changes_nothing() {
    let LoggedOut { server, session, .. } = fresh(keycloak());
    let token = session.token().await.unwrap().unwrap();
    server.fail_next_at(Endpoint::Revocation, 1, Fault::Unavailable(None));

    let error = session.logout().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(session.token().await.unwrap().unwrap().secret().ct_eq(token.secret()));
    session.logout().await.unwrap();
    assert!(session.is_anonymous() && !is_live(&server, &token));
}

#[tokio::test]
async fn forget_tells_mangadex_nothing_and_leaves_nobody() {
    let LoggedOut { server, session, .. } = fresh(keycloak());
    let token = session.token().await.unwrap().unwrap();
    let clone = session.clone();
    let requests = server.requests();

    session.forget().await.unwrap();

    assert!(clone.is_anonymous() && is_live(&server, &token));
    assert!(clone.require(Method::GET, "/user/me").await.is_err());
    assert_eq!(server.requests(), requests);
}

#[tokio::test]
async fn a_manager_taken_out_before_cannot_log_in_after_the_session_has_ended() {
    let LoggedOut { server, session, .. } = fresh(keycloak());
    session.token().await.unwrap();
    let manager = session.manager().unwrap();

    session.forget().await.unwrap();

    assert_eq!(manager.token().await.unwrap_err().kind(), ErrorKind::LoginRequired);
    assert_eq!(manager.login().await.unwrap_err().kind(), ErrorKind::LoginRequired);
    assert!(!format!("{manager:?}").contains(CLIENT));
    assert_eq!(server.exchanges(), 1);
}

#[tokio::test]
async fn a_login_under_way_does_not_bring_a_forgotten_session_back() {
    let LoggedOut { server, session, .. } = fresh(keycloak());
    let manager = session.manager().unwrap();
    let held = server.hold();
    let waiting = {
        let session = session.clone();
        tokio::spawn(async move { session.token().await })
    };
    held.arrived(1).await;

    session.forget().await.unwrap();
    held.release();

    assert!(waiting.await.unwrap().is_err());
    manager.flush().await.unwrap();
    assert!(manager.tokens().await.unwrap().is_none());
    assert_eq!(server.exchanges(), 1);
}

#[tokio::test]
async fn clear_and_revoke_keep_the_credentials_for_the_next_login() {
    let LoggedOut { server, session, .. } = fresh(keycloak());
    let first = session.token().await.unwrap().unwrap();

    session.clear().await.unwrap();
    let second = session.token().await.unwrap().unwrap();
    session.revoke().await.unwrap();
    let third = session.token().await.unwrap().unwrap();

    assert!(is_live(&server, &first), "clear tells nobody");
    assert!(!is_live(&server, &second) && is_live(&server, &third));
    assert_eq!(server.count("password", 200), 3);
}

#[tokio::test]
async fn debug_shows_who_it_is_and_no_secret() {
    let LoggedOut { server: _server, session, .. } = fresh(keycloak());
    let token = session.token().await.unwrap().unwrap();

    let shown = format!("{session:?} {session:#?} {:?}", Session::anonymous());

    assert!(shown.contains(USER) && shown.contains("anonymous: true"), "{shown}");
    assert!(!shown.contains("planted") && !shown.contains(token.secret().expose_secret()));
}
