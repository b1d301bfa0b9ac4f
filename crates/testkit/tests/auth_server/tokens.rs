//! What the server does when nothing is made to go wrong.

use std::time::Duration;

use crate::wire::{PASSWORD, Reply, exchange, get, post, send};
use tokenkeeper::ManualClock;
use tokenkeeper_testkit::{ClientAuth, FakeAuthServer};

fn refresh(server: &FakeAuthServer, token: &str) -> Reply {
    exchange(&server.token_url(), &format!("grant_type=refresh_token&refresh_token={token}"))
}

#[test]
fn a_password_buys_an_access_token_that_the_resource_takes() {
    let server = FakeAuthServer::start();

    let reply = exchange(&server.token_url(), PASSWORD);
    let resource = get(&format!("{}/manga/1", server.resource_url()), &reply.text("access_token"));

    assert_eq!((reply.status, reply.json()["expires_in"].as_u64()), (200, Some(900)));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(reply.text("token_type"), "Bearer");
    assert_eq!((resource.status, resource.text("username")), (200, "alice".to_owned()));
    assert_eq!(server.count("password", 200), 1);
}

#[test]
fn client_credentials_buy_no_refresh_token() {
    let server = FakeAuthServer::start();

    let reply = exchange(&server.token_url(), "grant_type=client_credentials");

    assert_eq!(reply.status, 200);
    assert!(reply.json().get("refresh_token").is_none());
}

#[test]
fn a_wrong_password_and_an_unknown_user_are_invalid_grants() {
    let server = FakeAuthServer::start();

    for user in ["username=alice&password=no", "username=bob&password=wonderland"] {
        let reply = exchange(&server.token_url(), &format!("grant_type=password&{user}"));
        assert_eq!((reply.status, reply.text("error")), (400, "invalid_grant".to_owned()));
    }
}

#[test]
fn a_refresh_token_is_rotated_and_the_old_access_token_stays_good() {
    let server = FakeAuthServer::start();
    let first = exchange(&server.token_url(), PASSWORD);

    let second = refresh(&server, &first.text("refresh_token"));

    assert_eq!(second.status, 200);
    assert_ne!(second.text("refresh_token"), first.text("refresh_token"));
    assert!(server.is_live(&first.text("access_token")));
    assert!(server.is_live(&second.text("access_token")));
}

#[test]
fn a_refresh_token_that_comes_twice_kills_its_family_and_no_other() {
    let server = FakeAuthServer::start();
    let other = exchange(&server.token_url(), PASSWORD);
    let first = exchange(&server.token_url(), PASSWORD);
    let second = refresh(&server, &first.text("refresh_token"));

    let replay = refresh(&server, &first.text("refresh_token"));

    assert_eq!((replay.status, replay.text("error")), (400, "invalid_grant".to_owned()));
    assert_eq!(server.reuses(), 1);
    assert!(!server.is_live(&second.text("access_token")));
    assert_eq!(refresh(&server, &second.text("refresh_token")).status, 400);
    assert_eq!(refresh(&server, &other.text("refresh_token")).status, 200);
}

#[test]
fn within_the_grace_period_a_spent_refresh_token_is_taken_again() {
    let clock = ManualClock::new();
    let server =
        FakeAuthServer::builder().clock(clock.clone()).reuse_grace(Duration::from_secs(10)).start();
    let first = exchange(&server.token_url(), PASSWORD);
    refresh(&server, &first.text("refresh_token"));

    let in_time = refresh(&server, &first.text("refresh_token"));
    clock.advance(Duration::from_secs(10));
    let late = refresh(&server, &first.text("refresh_token"));

    assert_eq!((in_time.status, late.status, server.reuses()), (200, 400, 1));
}

#[test]
fn without_rotation_the_refresh_token_is_left_out_and_stays_good() {
    let server = FakeAuthServer::builder().without_rotation().start();
    let first = exchange(&server.token_url(), PASSWORD);

    for _ in 0..2 {
        let next = refresh(&server, &first.text("refresh_token"));
        assert_eq!((next.status, next.text("refresh_token").as_str()), (200, ""));
    }
    assert_eq!(server.reuses(), 0);
}

#[test]
fn tokens_end_when_their_time_is_up() {
    let clock = ManualClock::new();
    let server = FakeAuthServer::builder()
        .clock(clock.clone())
        .token_lifetime(Duration::from_secs(60))
        .refresh_lifetime(Duration::from_secs(600))
        .start();
    let tokens = exchange(&server.token_url(), PASSWORD);
    let access = tokens.text("access_token");

    clock.advance(Duration::from_millis(59_999));
    assert_eq!(get(&server.resource_url(), &access).status, 200);
    clock.advance(Duration::from_millis(1));
    assert_eq!(get(&server.resource_url(), &access).status, 401);
    clock.advance(Duration::from_secs(540));

    assert_eq!(tokens.json()["refresh_expires_in"], 600);
    assert_eq!(refresh(&server, &tokens.text("refresh_token")).text("error"), "invalid_grant");
}

#[test]
fn tests_can_end_tokens_without_waiting() {
    let server = FakeAuthServer::start();
    let tokens = exchange(&server.token_url(), PASSWORD);
    let other = exchange(&server.token_url(), PASSWORD);

    assert!(server.revoke_access(&tokens.text("access_token")));
    assert!(!server.revoke_access(&tokens.text("access_token")));
    assert_eq!(server.live_access_tokens(), 1);
    server.expire_access_tokens();
    assert_eq!(server.live_access_tokens(), 0);
    assert_eq!(refresh(&server, &tokens.text("refresh_token")).status, 200);
    server.kill_refresh_tokens();

    assert_eq!(refresh(&server, &other.text("refresh_token")).status, 400);
    assert_eq!((server.live_access_tokens(), server.reuses()), (1, 0));
}

#[test]
fn a_token_from_a_login_elsewhere_can_be_refreshed() {
    let server = FakeAuthServer::start();

    let token = server.issue_refresh_token("client", "alice");

    assert_eq!(refresh(&server, &token).status, 200);
}

#[test]
fn each_client_must_prove_itself_in_its_own_way() {
    use base64::Engine;
    let server = FakeAuthServer::builder()
        .client("c", "se cret+%:ä", ClientAuth::Basic)
        .client("raw", "se:cret+%", ClientAuth::RawBasic)
        .client("post", "p", ClientAuth::Post)
        .client("public", "", ClientAuth::None)
        .start();
    let basic =
        |text: &str| format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text));
    let by_header = |credentials: &str| {
        post(&server.token_url(), &[("authorization", &basic(credentials))], PASSWORD).status
    };
    let by_body = |fields: &str| {
        let body = format!("{PASSWORD}&{fields}");
        post(&server.token_url(), &[], &body).status
    };

    assert_eq!(by_header("c:se%20cret%2B%25%3A%C3%A4"), 200);
    assert_eq!(by_header("c:se+cret%2B%25%3A%C3%A4"), 200);
    assert_eq!(by_header("c:se cret+%:ä"), 401);
    assert_eq!(by_header("raw:se:cret+%"), 200);
    assert_eq!(by_header("raw:se%3Acret%2B%25"), 401);
    assert_eq!(by_header("post:p"), 401);
    assert_eq!(by_body("client_id=post&client_secret=p"), 200);
    assert_eq!(by_body("client_id=post&client_secret=x"), 401);
    assert_eq!(by_body("client_id=c&client_secret=se%20cret%2B%25%3A%C3%A4"), 401);
    assert_eq!(by_body("client_id=public"), 200);
    assert_eq!(by_body("client_id=public&client_secret=x"), 401);
    assert_eq!(by_body("a=b"), 401);
}

#[test]
fn a_refused_client_is_told_so_and_challenged() {
    let server = FakeAuthServer::start();

    let reply = post(&server.token_url(), &[], PASSWORD);

    assert_eq!((reply.status, reply.text("error")), (401, "invalid_client".to_owned()));
    assert!(reply.header("www-authenticate").unwrap().starts_with("Basic realm="));
}

#[test]
fn an_assertion_is_taken_once() {
    let server = FakeAuthServer::builder().client("jwt", "", ClientAuth::Assertion).start();
    let body = "grant_type=client_credentials&client_id=jwt&client_assertion=a.b.c&\
                client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

    assert_eq!(post(&server.token_url(), &[], body).status, 200);
    assert_eq!(post(&server.token_url(), &[], body).status, 401);
}

#[test]
fn requests_that_break_the_rules_of_the_endpoint_are_refused() {
    let server = FakeAuthServer::start();
    let url = server.token_url();
    let body = format!("client_id=client&client_secret=secret&{PASSWORD}");
    let form = ("content-type", "application/x-www-form-urlencoded");
    let error = |reply: Reply| (reply.status, reply.text("error"));
    let refused = |code: &str| (400, code.to_owned());

    let basic = ("authorization", "Basic Y2xpZW50OnNlY3JldA==");
    assert_eq!(error(post(&url, &[basic], &body)), refused("invalid_request"));
    assert_eq!(error(post(&url, &[], &format!("{body}&username=bob"))), refused("invalid_request"));
    assert_eq!(error(post(&format!("{url}?client_id=x"), &[], &body)), refused("invalid_request"));
    assert_eq!(error(send("POST", &url, &[], &body).unwrap()), refused("invalid_request"));
    assert_eq!(error(exchange(&url, "grant_type=")), refused("invalid_request"));
    assert_eq!(error(exchange(&url, "grant_type=magic")), refused("unsupported_grant_type"));
    let got = send("GET", &url, &[form], "").unwrap();
    assert_eq!((got.status, got.header("allow")), (405, Some("POST")));
}

#[test]
fn scopes_are_granted_as_far_as_they_are_allowed() {
    let server = FakeAuthServer::builder().allowed_scopes("read write").start();
    let ask = |scope: &str| exchange(&server.token_url(), &format!("{PASSWORD}&scope={scope}"));

    let narrow = ask("read");
    let widened = exchange(
        &server.token_url(),
        &format!(
            "grant_type=refresh_token&refresh_token={}&scope=read+write",
            narrow.text("refresh_token")
        ),
    );

    assert_eq!(narrow.text("scope"), "read");
    assert_eq!(ask("admin").text("error"), "invalid_scope");
    assert_eq!(exchange(&server.token_url(), PASSWORD).text("scope"), "read write");
    assert_eq!(widened.text("error"), "invalid_scope");
    assert_eq!(refresh(&server, &narrow.text("refresh_token")).text("scope"), "read");
}

#[test]
fn the_resource_says_what_is_wrong_with_a_token() {
    let server = FakeAuthServer::start();
    let token = exchange(&server.token_url(), &format!("{PASSWORD}&scope=read"));
    let access = token.text("access_token");
    let url = server.resource_url();

    let bare = send("GET", &url, &[], "").unwrap();
    let wrong = get(&url, "nonsense");
    let narrow = get(&format!("{url}/scoped/write"), &access);

    let challenge = |reply: &Reply| reply.header("www-authenticate").unwrap().to_owned();
    assert_eq!((bare.status, wrong.status, narrow.status), (401, 401, 403));
    assert!(!challenge(&bare).contains("error"));
    assert!(challenge(&wrong).contains("error=\"invalid_token\""));
    assert!(challenge(&narrow).contains("error=\"insufficient_scope\""));
    assert_eq!(get(&format!("{url}/scoped/read"), &access).status, 200);
    assert_eq!(get(&format!("{}/apix", server.url()), &access).status, 404);
    assert_eq!((server.stats().resource(200), server.stats().resource(401)), (1, 2));
}

#[test]
fn revoking_a_refresh_token_revokes_its_family_and_an_unknown_one_is_a_success() {
    let server = FakeAuthServer::start();
    let tokens = exchange(&server.token_url(), PASSWORD);
    let again = exchange(&server.token_url(), PASSWORD);
    let revoke = |token: &str| exchange(&server.revocation_url(), &format!("token={token}")).status;

    assert_eq!(revoke(&tokens.text("refresh_token")), 200);
    assert_eq!(revoke("nonsense"), 200);
    assert_eq!(revoke(&again.text("access_token")), 200);

    assert_eq!(server.live_access_tokens(), 0);
    assert_eq!(refresh(&server, &tokens.text("refresh_token")).status, 400);
    assert_eq!(refresh(&server, &again.text("refresh_token")).status, 200);
    assert_eq!(server.stats().revocations(200), 3);
}

#[test]
fn paths_and_members_are_those_of_the_service_it_stands_for() {
    let server = FakeAuthServer::builder()
        .token_path("/realms/mangadex/protocol/openid-connect/token")
        .revocation_path("/realms/mangadex/protocol/openid-connect/revoke")
        .resource_prefix("/v5/")
        .extra("session_state", "s1")
        .without_expires_in()
        .start();

    let reply = exchange(&server.token_url(), PASSWORD);

    assert!(server.token_url().ends_with("/realms/mangadex/protocol/openid-connect/token"));
    assert_eq!(reply.text("session_state"), "s1");
    assert!(reply.json().get("expires_in").is_none());
    assert_eq!(
        get(&format!("{}/user/me", server.resource_url()), &reply.text("access_token")).status,
        200
    );
}

#[test]
fn what_was_received_can_be_looked_at_and_its_debug_shows_no_secret() {
    let server = FakeAuthServer::start();
    exchange(&server.token_url(), PASSWORD);

    let request = server.last_request().unwrap();

    assert_eq!((request.method().as_str(), request.path()), ("POST", "/token"));
    assert_eq!(request.param("password").as_deref(), Some("wonderland"));
    assert!(request.header("content-type").is_some());
    let shown = format!("{request:?} {server:?} {}", server.stats());
    assert!(!shown.contains("wonderland") && !shown.contains("secret"), "{shown}");
    server.reset_counters();
    assert!(server.last_request().is_none());
    assert_eq!(server.requests(), 0);
}

#[test]
fn dropping_it_closes_the_port() {
    let server = FakeAuthServer::start();
    let address = server.url().trim_start_matches("http://").to_owned();

    drop(server);

    assert!(std::net::TcpStream::connect(address).is_err());
}

#[test]
fn the_tokens_of_one_client_are_no_good_to_another() {
    let server = FakeAuthServer::builder()
        .client("client", "secret", ClientAuth::Any)
        .client("other", "o", ClientAuth::Post)
        .start();
    let tokens = exchange(&server.token_url(), PASSWORD);
    let refresh = tokens.text("refresh_token");
    let as_other =
        |url: &str, rest: &str| post(url, &[], &format!("client_id=other&client_secret=o&{rest}"));

    let spent =
        as_other(&server.token_url(), &format!("grant_type=refresh_token&refresh_token={refresh}"));
    let revoked = as_other(&server.revocation_url(), &format!("token={refresh}"));

    assert_eq!((spent.status, spent.text("error")), (400, "invalid_grant".to_owned()));
    assert_eq!((revoked.status, revoked.text("error")), (400, "unauthorized_client".to_owned()));
    assert!(server.is_live(&tokens.text("access_token")));
    assert_eq!(server.reuses(), 0);
}

#[test]
fn a_public_client_has_no_credentials_to_exchange() {
    let server = FakeAuthServer::builder().client("public", "", ClientAuth::None).start();

    let body = "grant_type=client_credentials&client_id=public";
    let reply = post(&server.token_url(), &[], body);

    assert_eq!((reply.status, reply.text("error")), (400, "unauthorized_client".to_owned()));
}

#[test]
fn the_log_of_answers_tells_which_refresh_token_followed_from_which() {
    let server = FakeAuthServer::start();
    let first = exchange(&server.token_url(), PASSWORD).text("refresh_token");
    let second = refresh(&server, &first).text("refresh_token");
    refresh(&server, &first);

    let answers = server.token_answers();

    let presented = answers.iter().map(|answer| answer.request().param("refresh_token"));
    assert_eq!(presented.collect::<Vec<_>>(), [None, Some(first.clone()), Some(first.clone())]);
    let issued = answers.iter().map(|answer| answer.member("refresh_token"));
    assert_eq!(issued.collect::<Vec<_>>(), [Some(first.clone()), Some(second), None]);
    assert_eq!(answers.iter().map(|answer| answer.status()).collect::<Vec<_>>(), [200, 200, 400]);
    assert!(!format!("{answers:?}").contains(&first));
    server.reset_counters();
    assert!(server.token_answers().is_empty());
}

#[test]
fn threads_may_share_a_server() {
    fn shareable<T: Send + Sync>(_: &T) {}

    shareable(&FakeAuthServer::start());
}

#[test]
fn an_api_on_an_origin_of_its_own_takes_the_tokens_of_its_issuer_alone() {
    let issuer = FakeAuthServer::start();
    let api = FakeAuthServer::builder().accept_tokens_of(&issuer).start();
    let (theirs, own) =
        (exchange(&issuer.token_url(), PASSWORD), exchange(&api.token_url(), PASSWORD));

    let accepted = get(&api.resource_url(), &theirs.text("access_token"));
    let refused = get(&api.resource_url(), &own.text("access_token"));
    issuer.revoke_all_access_tokens();
    let revoked = get(&api.resource_url(), &theirs.text("access_token"));

    assert_eq!((accepted.status, accepted.text("username")), (200, "alice".to_owned()));
    assert_eq!((refused.status, revoked.status), (401, 401));
    assert_eq!((api.stats().resource(401), issuer.requests()), (2, 1));
}

#[test]
fn a_public_path_asks_for_no_token_and_looks_at_one_that_comes() {
    let server = FakeAuthServer::builder().public_path("/api/manga").start();
    let url = server.resource_url() + "/manga";

    let bare = send("GET", &url, &[], "").unwrap();
    let below = send("GET", &format!("{url}/1"), &[], "").unwrap();

    assert_eq!((bare.status, bare.text("path")), (200, "/api/manga".to_owned()));
    assert_eq!((get(&url, "wrong").status, below.status), (401, 401));
}
