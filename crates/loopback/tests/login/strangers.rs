//! Requests to the port that are not the callback: they are turned away, and the login goes on.

use std::time::Duration;

use crate::person::{Answer, Begun, within_reason};
use http::{Request, Response};
use httpmock::MockServer;
use tokenkeeper::{Error, async_trait};
use tokenkeeper_loopback::LoopbackLogin;
use tokenkeeper_providers::{AuthorizationCodeLogin, ClientAuth, HttpTransport};
use tokenkeeper_testkit::Gate;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The real callback is served, and its code the only one that was exchanged.
async fn the_login_goes_on(server: &MockServer, begun: Begun) {
    let exchange = server.mock(|when, then| {
        when.path("/token").form_urlencoded_tuple("code", "c0de");
        then.status(200).header("content-type", "application/json").body(crate::person::TOKENS);
    });
    let answer = begun.page.comes_back("code=c0de").await;
    assert_eq!(answer.status, 200, "{}", answer.whole);
    begun.tokens().await;
    assert_eq!(exchange.calls(), 1);
}

/// Waits until the connection ends, which is a reset where something was not read.
async fn is_hung_up(stream: &mut TcpStream) -> bool {
    within_reason(stream.read(&mut [0])).await.map_or(true, |length| length == 0)
}

#[tokio::test]
async fn a_callback_with_another_state_or_none_is_told_so_and_ends_nothing() {
    let server = MockServer::start_async().await;
    let begun = Begun::at(&server).await;

    for query in [
        "?code=evil&state=guessed",
        "?code=evil&state=",
        "?code=evil",
        "?error=access_denied&state=guessed",
        "?error=access_denied",
        "?code=evil&state=%FF%00",
        "?",
        "",
    ] {
        let answer = begun.page.get(&format!("/callback{query}")).await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.whole);
        assert!(answer.says("not the login that the program waits for"), "{}", answer.whole);
    }
    let state = begun.page.state.clone();
    for query in [
        format!("?state={state}"),
        format!("?code=evil&state={state}&state=guessed"),
        format!("?code=evil&state=guessed&state={state}"),
        format!("?code=evil&code=c0de&state={state}"),
        format!("?code=evil&state={}", state.to_lowercase().to_uppercase()),
    ] {
        let answer = begun.page.get(&format!("/callback{query}")).await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.whole);
    }

    the_login_goes_on(&server, begun).await;
}

#[tokio::test]
async fn icons_and_other_paths_are_not_found() {
    let server = MockServer::start_async().await;
    let begun = Begun::at(&server).await;

    for path in ["/favicon.ico", "/", "/callback/", "/Callback", "//callback", "/robots.txt"] {
        let target = begun.page.target("code=evil").replace("/callback", path);
        assert_eq!(begun.page.get(&target).await.status, 404, "{path}");
    }

    the_login_goes_on(&server, begun).await;
}

#[tokio::test]
async fn a_callback_that_a_browser_prefetches_is_not_the_callback() {
    let server = MockServer::start_async().await;
    let begun = Begun::at(&server).await;

    for header in ["Sec-Purpose: prefetch;prerender", "Purpose: prefetch", "X-Moz: prefetch"] {
        let (target, host) = (begun.page.target("code=evil"), begun.page.authority());
        let request = format!("GET {target} HTTP/1.1\r\nhost: {host}\r\n{header}\r\n\r\n");
        assert_eq!(begun.page.send(&request).await.status, 404, "{header}");
    }

    the_login_goes_on(&server, begun).await;
}

#[tokio::test]
async fn only_get_counts() {
    let server = MockServer::start_async().await;
    let begun = Begun::at(&server).await;

    for method in ["HEAD", "POST", "PUT", "OPTIONS", "DELETE", "BREW"] {
        let (target, host) = (begun.page.target("code=evil"), begun.page.authority());
        let request =
            format!("{method} {target} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\n\r\n");
        let answer = begun.page.send(&request).await;
        assert_eq!((answer.status, answer.header("allow")), (405, "GET"), "{method}");
    }
    let form = format!("code=evil&state={}", begun.page.state);
    let posted = format!(
        "POST /callback HTTP/1.1\r\nhost: {}\r\ncontent-type: application/x-www-form-urlencoded\r\n\
         content-length: {}\r\n\r\n{form}",
        begun.page.authority(),
        form.len(),
    );
    assert_eq!(begun.page.send(&posted).await.status, 405);

    the_login_goes_on(&server, begun).await;
}

#[tokio::test]
async fn a_name_that_somebody_pointed_at_this_machine_is_not_answered() {
    let server = MockServer::start_async().await;
    let begun = Begun::at(&server).await;
    let (authority, target) = (begun.page.authority(), begun.page.target("code=evil"));
    let port = begun.page.redirect_uri.port().unwrap();

    let hosts = [
        format!("host: evil.example.org:{port}\r\n"),
        format!("host: localhost:{port}\r\n"),
        "host: 127.0.0.1\r\n".to_owned(),
        format!("host: {authority}\r\nhost: evil.example.org\r\n"),
        "host: \r\n".to_owned(),
        String::new(),
    ];
    for host in hosts {
        let answer = begun.page.send(&format!("GET {target} HTTP/1.1\r\n{host}\r\n")).await;
        assert_eq!(answer.status, 421, "{host}: {}", answer.whole);
    }
    let absolute =
        format!("GET http://evil.example.org{target} HTTP/1.1\r\nhost: {authority}\r\n\r\n");
    assert_eq!(begun.page.send(&absolute).await.status, 421);

    the_login_goes_on(&server, begun).await;
}

#[tokio::test]
async fn what_is_no_http_is_hung_up_on() {
    let server = MockServer::start_async().await;
    let begun = Begun::at(&server).await;

    for garbage in [
        "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n",
        "hello\r\n\r\n",
        "GET\r\n\r\n",
        "GET /callback HTTP/9.9\r\n\r\n",
        "GET /call back HTTP/1.1\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut stream = begun.page.connect().await;
        stream.write_all(garbage.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = within_reason(stream.read_to_end(&mut answer)).await; // a reset will do
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{garbage:?}");
    }

    the_login_goes_on(&server, begun).await;
}

#[tokio::test]
async fn a_head_that_does_not_end_is_cut_off_after_sixteen_kilobytes() {
    let server = MockServer::start_async().await;
    let begun = Begun::at(&server).await;

    let mut stream = begun.page.connect().await;
    let head = format!("GET /callback?code={} HTTP/1.1\r\n", "x".repeat(64 * 1024));
    let _ = stream.write_all(head.as_bytes()).await; // it may be cut off meanwhile
    let mut answer = Vec::new();
    let _ = within_reason(stream.read_to_end(&mut answer)).await;
    assert!(!answer.starts_with(b"HTTP/1.1 200"));

    the_login_goes_on(&server, begun).await;
}

#[tokio::test]
async fn connections_that_say_nothing_hold_up_nobody_and_are_closed_after_ten_seconds() {
    let server = MockServer::start_async().await;
    let begun = Begun::at(&server).await;
    let mut silent = begun.page.connect().await;
    let mut slow = begun.page.connect().await;
    slow.write_all(b"GET /callback?code=").await.unwrap();

    begun.sleepers(3).await; // the login and both connections
    begun.clock.advance(Duration::from_secs(10));

    assert!(is_hung_up(&mut silent).await && is_hung_up(&mut slow).await);
    the_login_goes_on(&server, begun).await;
}

#[tokio::test]
async fn the_oldest_of_many_silent_connections_makes_room() {
    let server = MockServer::start_async().await;
    let begun = Begun::at(&server).await;
    let mut silent = Vec::<TcpStream>::new();
    for _ in 0..65 {
        silent.push(begun.page.connect().await);
    }

    assert!(is_hung_up(silent.first_mut().unwrap()).await);
    begun.sleepers(65).await; // the login, and the other 64

    the_login_goes_on(&server, begun).await;
}

#[tokio::test]
async fn a_connection_serves_one_request_and_is_closed() {
    let server = MockServer::start_async().await;
    let begun = Begun::at(&server).await;
    let host = begun.page.authority();

    let twice = format!(
        "GET /favicon.ico HTTP/1.1\r\nhost: {host}\r\nconnection: keep-alive\r\n\r\n\
         GET {} HTTP/1.1\r\nhost: {host}\r\n\r\n",
        begun.page.target("code=evil"),
    );
    let mut stream = begun.page.connect().await;
    stream.write_all(twice.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = within_reason(stream.read_to_end(&mut answer)).await; // what was not read makes it a reset

    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.matches("HTTP/1.1").count() <= 1, "{answer}");
    the_login_goes_on(&server, begun).await;
}

#[tokio::test]
async fn a_body_that_never_comes_holds_up_neither_the_login_nor_its_end() {
    let server = MockServer::start_async().await;
    let begun = Begun::at(&server).await;
    let host = begun.page.authority();
    let mut streams = Vec::new();

    for expecting in ["", "expect: 100-continue\r\n"] {
        let head = format!(
            "POST /callback HTTP/1.1\r\nhost: {host}\r\n{expecting}content-length: 9999\r\n\r\n"
        );
        let mut stream = begun.page.connect().await;
        stream.write_all(head.as_bytes()).await.unwrap();
        streams.push(stream);
    }
    begun.sleepers(1).await; // both were heard, and only the login waits

    the_login_goes_on(&server, begun).await;
}

#[tokio::test]
async fn a_page_that_is_reloaded_is_the_same_login_and_both_are_told_how_it_went() {
    let gate = Gate::closed();
    let login = AuthorizationCodeLogin::builder("calendar", "https://as/authorize", "https://as/t")
        .client("native", ClientAuth::none())
        .transport(Held(gate.clone()))
        .build()
        .unwrap();
    let begun = Begun::with(LoopbackLogin::new(login)).await;
    let (target, host) = (begun.page.target("code=c0de"), begun.page.authority());
    let request = format!("GET {target} HTTP/1.1\r\nhost: {host}\r\n\r\n");
    let (mut one, mut two) = (begun.page.connect().await, begun.page.connect().await);

    one.write_all(request.as_bytes()).await.unwrap();
    gate.arrived(1).await;
    begun.sleepers(1).await; // the second connection has said nothing yet
    two.write_all(request.as_bytes()).await.unwrap();
    begun.sleepers(0).await;
    gate.let_through(1); // and no second exchange
    let answers = [Answer::read(one).await, Answer::read(two).await];

    assert_eq!(answers.map(|answer| answer.status), [200, 200]);
    begun.tokens().await;
    assert_eq!(gate.waiting(), 0);
}

/// A token endpoint that answers when the gate opens.
#[derive(Debug)]
struct Held(Gate);

#[async_trait]
impl HttpTransport for Held {
    async fn send(&self, _request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Error> {
        self.0.wait().await;
        Ok(Response::new(crate::person::TOKENS.into()))
    }
}
