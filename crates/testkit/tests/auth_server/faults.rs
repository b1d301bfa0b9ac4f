//! What the server does when something is made to go wrong.

use std::thread;
use std::time::Duration;

use crate::wire::{self, PASSWORD, exchange, get, send};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokenkeeper::{Clock, SystemClock};
use tokenkeeper_testkit::{EchoForm, Endpoint, FakeAuthServer, Fault, RetryAfter};

/// A token request on a thread of its own; `None` is a connection closed without an answer.
fn in_background(server: &FakeAuthServer, body: &str) -> thread::JoinHandle<Option<u16>> {
    let url = server.token_url();
    let body = format!("client_id=client&client_secret=secret&{body}");
    thread::spawn(move || {
        let form = [("content-type", "application/x-www-form-urlencoded")];
        send("POST", &url, &form, &body).map(|reply| reply.status)
    })
}

fn refresh_body(token: &str) -> String {
    format!("grant_type=refresh_token&refresh_token={token}")
}

#[test]
fn a_lost_response_has_spent_the_refresh_token_all_the_same() {
    let server = FakeAuthServer::start();
    let tokens = exchange(&server.token_url(), PASSWORD);
    server.fail_next(1, Fault::LostResponse);

    let lost = in_background(&server, &refresh_body(&tokens.text("refresh_token")));
    assert_eq!(lost.join().unwrap(), None);
    let replay = exchange(&server.token_url(), &refresh_body(&tokens.text("refresh_token")));

    assert_eq!((replay.status, server.reuses()), (400, 1));
    assert_eq!((server.stats().lost_answers(), server.count("refresh_token", 200)), (1, 1));
}

#[test]
fn a_delayed_answer_comes_after_the_server_has_acted() {
    let server = FakeAuthServer::start();
    let delay = Duration::from_millis(200);
    server.fail_next(1, Fault::DelayAnswer(delay));

    let reply = exchange(&server.token_url(), PASSWORD);

    let acted_at = server.token_answers()[0].acted_at();
    assert_eq!(reply.status, 200);
    // The clock ticks every 10 ms.
    assert!(SystemClock.now().since(&acted_at) + Duration::from_millis(10) >= delay);
}

#[test]
fn a_truncated_body_is_shorter_than_its_announced_length() {
    let server = FakeAuthServer::start();
    server.fail_next(1, Fault::TruncatedBody);

    let reply = exchange(&server.token_url(), PASSWORD);

    let announced: usize = reply.header("content-length").unwrap().parse().unwrap();
    assert_eq!(reply.status, 200);
    assert!(!reply.body.is_empty() && reply.body.len() < announced);
    assert_eq!(server.live_access_tokens(), 1);
}

#[test]
fn busy_answers_say_when_to_come_back() {
    let server = FakeAuthServer::start();
    let minute = Duration::from_secs(60);
    server.fail_next(1, Fault::TooManyRequests(Some(RetryAfter::Seconds(7))));
    server.fail_next(1, Fault::Unavailable(Some(RetryAfter::Date(minute))));
    server.fail_next(1, Fault::Unavailable(None));

    let [limited, dated, bare] = [(); 3].map(|()| exchange(&server.token_url(), PASSWORD));

    assert_eq!((limited.status, limited.header("retry-after")), (429, Some("7")));
    let date = httpdate::parse_http_date(dated.header("retry-after").unwrap()).unwrap();
    let from_now = date.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
    assert!(from_now > minute);
    assert_eq!((dated.status, bare.status, bare.header("retry-after")), (503, 503, None));
    assert_eq!(server.count("password", 503), 2);
    assert_eq!(exchange(&server.token_url(), PASSWORD).status, 200);
}

#[test]
fn answers_that_are_no_token_responses() {
    let server = FakeAuthServer::start();
    server.fail_next(1, Fault::HtmlWith200);
    server.fail_next(1, Fault::ErrorWith200("invalid_grant".to_owned()));
    server.fail_next(1, Fault::Status(403, String::new()));
    server.fail_next(1, Fault::Redirect("http://127.0.0.1:9/".to_owned()));
    server.set_next_response(201, &[("x-test", "1")], "access_token=a");
    server.fail_next(1, Fault::HugeBody(3_000_000));

    let replies = [(); 6].map(|()| exchange(&server.token_url(), PASSWORD));

    assert_eq!(replies.each_ref().map(|reply| reply.status), [200, 200, 403, 307, 201, 200]);
    assert!(replies[0].body.starts_with(b"<!DOCTYPE html>"));
    assert_eq!(replies[1].text("error"), "invalid_grant");
    assert!(replies[2].body.is_empty());
    assert_eq!(replies[3].header("location"), Some("http://127.0.0.1:9/"));
    assert_eq!(
        (replies[4].header("x-test"), &*replies[4].body),
        (Some("1"), &b"access_token=a"[..])
    );
    assert!(replies[5].body.len() > 3_000_000);
    assert_eq!(server.live_access_tokens(), 0);
}

#[test]
fn the_same_access_token_can_come_again() {
    let server = FakeAuthServer::start();
    let first = exchange(&server.token_url(), PASSWORD);
    server.fail_next(1, Fault::SameAccessToken);

    let second = exchange(&server.token_url(), &refresh_body(&first.text("refresh_token")));

    assert_eq!(second.text("access_token"), first.text("access_token"));
    assert_ne!(second.text("refresh_token"), first.text("refresh_token"));
}

#[test]
fn every_form_of_an_echo_holds_the_secret() {
    let server = FakeAuthServer::start();
    let secret = "w/nd é\"";
    let sent = "w%2Fnd+%C3%A9%22";
    let expected = |form| match form {
        EchoForm::Raw => secret.to_owned(),
        EchoForm::Json => r#"{"password":"w/nd é\""}"#.to_owned(),
        EchoForm::Form => sent.to_owned(),
        EchoForm::Percent => "w%2Fnd%20%C3%A9%22".to_owned(),
        EchoForm::Base64 => STANDARD.encode(secret),
        _ => format!("Basic {}", STANDARD.encode("client:secret")),
    };

    for form in EchoForm::ALL {
        server.fail_next(1, Fault::Echo(form));
        let body = format!("grant_type=password&username=alice&password={sent}");
        let said = exchange(&server.token_url(), &body).text("error_description");
        assert!(said.contains(&expected(form)), "{form:?}: {said}");
    }
}

#[test]
fn an_echo_finds_the_secret_of_a_basic_header() {
    let server = FakeAuthServer::start();
    server.fail_next(1, Fault::Echo(EchoForm::Raw));

    let header = ("authorization", "Basic Y2xpZW50OnNlY3JldA==");
    let reply = wire::post(&server.token_url(), &[header], PASSWORD);

    assert!(reply.text("error_description").contains("client_secret=secret"));
}

#[test]
fn held_requests_wait_and_are_let_go_in_their_order() {
    let server = FakeAuthServer::start();
    let held = server.hold();
    let first = in_background(&server, PASSWORD);
    pollster::block_on(held.arrived(1));
    let second = in_background(&server, PASSWORD);
    pollster::block_on(held.arrived(2));

    assert_eq!((server.exchanges(), server.stats().in_flight()), (2, 2));
    held.let_through(1);
    assert_eq!(first.join().unwrap(), Some(200));
    assert!(!second.is_finished());
    held.release();

    assert_eq!(second.join().unwrap(), Some(200));
    assert_eq!((server.stats().max_in_flight(), server.stats().in_flight()), (2, 0));
}

#[test]
fn a_server_acts_on_what_it_received_also_when_the_client_has_left() {
    use std::io::Write;
    let server = FakeAuthServer::start();
    let held = server.hold();
    let body = format!("client_id=client&client_secret=secret&{PASSWORD}");
    let mut stream =
        std::net::TcpStream::connect(server.url().trim_start_matches("http://")).unwrap();
    write!(
        stream,
        "POST /token HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    pollster::block_on(held.arrived(1));

    drop(stream);
    held.release();
    while server.stats().in_flight() > 0 {
        thread::yield_now();
    }

    assert_eq!((server.live_access_tokens(), server.count("password", 200)), (1, 1));
}

#[test]
fn a_hanging_request_acts_when_it_is_released_and_a_hanging_answer_has_acted_before() {
    let server = FakeAuthServer::start();
    server.fail_next(1, Fault::Hang);
    server.fail_next(1, Fault::HangAnswer);
    let hanging = in_background(&server, PASSWORD);
    while server.hung() < 1 {
        thread::yield_now();
    }
    assert_eq!(server.live_access_tokens(), 0);

    let answering = in_background(&server, PASSWORD);
    while server.hung() < 2 {
        thread::yield_now();
    }
    assert_eq!(server.live_access_tokens(), 1);
    server.release_hung();

    assert_eq!((hanging.join().unwrap(), answering.join().unwrap()), (Some(200), Some(200)));
    assert_eq!(server.live_access_tokens(), 2);
}

#[test]
fn a_server_with_hanging_requests_ends_at_once() {
    let server = FakeAuthServer::start();
    server.fail_next(1, Fault::Hang);
    let hanging = in_background(&server, PASSWORD);
    while server.hung() < 1 {
        thread::yield_now();
    }

    drop(server);

    assert_eq!(hanging.join().unwrap(), None);
}

#[test]
fn a_delayed_request_is_answered_and_faults_of_other_endpoints_are_their_own() {
    let server = FakeAuthServer::start();
    server.fail_next(1, Fault::Delay(Duration::from_millis(5)));
    server.fail_next_at(Endpoint::Resource, 1, Fault::Unavailable(None));
    server.fail_next_at(Endpoint::Revocation, 1, Fault::LostResponse);

    let token = exchange(&server.token_url(), PASSWORD).text("access_token");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let body = format!("client_id=client&client_secret=secret&token={token}");
    let busy = get(&server.resource_url(), &token);
    let cut = send("POST", &server.revocation_url(), &form, &body);

    assert_eq!(busy.status, 503);
    assert!(cut.is_none());
    assert!(!server.is_live(&token));
    server.fail_next(1, Fault::Unavailable(None));
    server.heal();
    assert_eq!(exchange(&server.token_url(), PASSWORD).status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_paused_runtime_does_not_stop_the_server() {
    let server = FakeAuthServer::start();
    server.fail_next(1, Fault::Delay(Duration::from_millis(5)));

    let url = server.token_url();
    let reply = tokio::task::spawn_blocking(move || exchange(&url, PASSWORD)).await.unwrap();

    assert_eq!(reply.status, 200);
}
