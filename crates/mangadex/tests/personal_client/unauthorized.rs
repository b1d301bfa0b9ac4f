//! What a request that needs a login ends with, where there is none that MangaDex takes.

use crate::setup::{USER, credentials, keycloak, provider};
use http::{Method, StatusCode};
use tokenkeeper::ErrorKind;
use tokenkeeper_mangadex::{Session, Unauthorized};
use tokenkeeper_testkit::{FakeAuthServer, Fault};

fn fresh() -> (FakeAuthServer, Session) {
    let server = keycloak().start();
    let session = Session::new(provider(&server, credentials()));
    (server, session)
}

fn me() -> Unauthorized {
    Unauthorized::new(Method::GET, "/user/me")
}

#[tokio::test]
async fn a_request_gets_the_manager_of_a_login_or_is_named_where_there_is_none() {
    let (server, session) = fresh();

    let manager = session.require_manager(Method::GET, "/user/me").unwrap();
    let anonymous =
        Session::anonymous().require_manager(Method::GET, "/user/me?planted=1").unwrap_err();

    let token = manager.token().await.unwrap();
    assert!(server.is_live(token.secret().expose_secret()));
    assert_eq!(anonymous.kind(), ErrorKind::LoginRequired);
    assert_eq!(Unauthorized::cause_of(&anonymous), Some(&me()));
}

#[tokio::test]
async fn a_request_whose_login_was_refused_is_named_in_the_error() {
    let (server, session) = fresh();
    server.set_password(USER, "changed");

    let error = session.require(Method::GET, "/user/me").await.unwrap_err();

    assert_eq!(
        (error.kind(), Unauthorized::cause_of(&error)),
        (ErrorKind::CredentialsRejected, Some(&me()))
    );
    assert_eq!(error.oauth().map(|oauth| oauth.code()), Some("invalid_grant"));
}

#[tokio::test]
async fn a_realm_that_is_down_says_nothing_about_the_login() {
    let (server, session) = fresh();
    server.fail_next(1, Fault::Unavailable(None));

    let error = session.require(Method::GET, "/user/me").await.unwrap_err();

    assert_eq!((error.kind(), Unauthorized::cause_of(&error)), (ErrorKind::Unavailable, None));
}

#[tokio::test]
async fn a_401_that_nothing_could_heal_says_why_there_is_no_better_token() {
    let (server, session) = fresh();
    let rejected = session.token().await.unwrap().unwrap();
    server.revoke_all_access_tokens();
    server.kill_refresh_tokens();
    server.set_password(USER, "changed");
    session.replace_rejected(&rejected).await.unwrap_err();

    let error = session.refused(Method::GET, "/user/me");

    assert_eq!(
        (error.kind(), Unauthorized::cause_of(&error)),
        (ErrorKind::CredentialsRejected, Some(&me()))
    );
    assert!(format!("{error:?}").contains("GET /user/me needs a login"), "{error:?}");
}

#[tokio::test]
async fn a_401_to_a_token_that_seemed_good_asks_for_a_login() {
    let (_server, session) = fresh();
    session.token().await.unwrap();

    let error = session.refused(Method::GET, "/user/me");

    assert_eq!(
        (error.kind(), error.status()),
        (ErrorKind::LoginRequired, Some(StatusCode::UNAUTHORIZED))
    );
    assert_eq!(Unauthorized::cause_of(&error), Some(&me()));
}

#[tokio::test]
async fn a_401_of_a_session_that_has_ended_meanwhile_is_that_of_an_anonymous_one() {
    let (_server, session) = fresh();
    session.forget().await.unwrap();

    let error = session.refused(Method::GET, "/user/me");

    assert_eq!((error.kind(), error.status()), (ErrorKind::LoginRequired, None));
    assert_eq!(Unauthorized::cause_of(&error), Some(&me()));
}
