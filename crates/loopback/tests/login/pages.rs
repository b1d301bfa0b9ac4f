//! What the person reads in the browser.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::person::{Begun, issuing};
use httpmock::MockServer;
use tokenkeeper_loopback::LoopbackLogin;
use tokenkeeper_providers::{AuthorizationCodeLogin, ClientAuth};

#[tokio::test]
async fn a_page_is_kept_nowhere_tells_nobody_and_loads_nothing() {
    let server = MockServer::start_async().await;
    let _exchange = issuing(&server);
    let begun = Begun::at(&server).await;

    let answers = [
        begun.page.get("/favicon.ico").await,
        begun.page.get("/callback?code=evil&state=guessed").await,
        begun.page.comes_back("code=c0de").await,
    ];

    begun.tokens().await;
    for answer in answers {
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!(answer.header("connection"), "close");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; "), "{policy}");
        for loading in ["<script", "<style", "<img", "<link", "<a ", "http-equiv", "url("] {
            assert!(!answer.says(loading), "{loading} in {}", answer.whole);
        }
    }
}

#[tokio::test]
async fn a_page_repeats_nothing_of_the_request() {
    let server = MockServer::start_async().await;
    let _exchange = issuing(&server);
    let begun = Begun::at(&server).await;
    let state = begun.page.state.clone();

    let answers = [
        begun.page.get("/callback?code=planted&state=planted&error_description=planted").await,
        begun.page.get("/planted?planted").await,
        begun.page.comes_back("code=planted&session_state=planted").await,
    ];

    begun.tokens().await;
    for answer in answers {
        assert!(!answer.says("planted") && !answer.says(&state), "{}", answer.whole);
    }
}

#[tokio::test]
async fn the_page_says_that_the_login_is_done_when_it_is_and_not_before() {
    let server = MockServer::start_async().await;
    server.mock(|when, then| {
        when.path("/token");
        let refusal = r#"{"error":"invalid_grant","error_description":"too late"}"#;
        then.status(400).header("content-type", "application/json").body(refusal);
    });
    let begun = Begun::at(&server).await;

    let answer = begun.page.comes_back("code=c0de").await;
    let error = begun.error().await;

    assert_eq!(answer.status, 400);
    assert!(answer.says("calendar: the login failed"), "{}", answer.whole);
    assert_eq!(error.oauth().unwrap().code(), "invalid_grant");
}

#[tokio::test]
async fn the_page_of_a_login_that_is_done_names_the_service_and_says_what_to_do_next() {
    let server = MockServer::start_async().await;
    let _exchange = issuing(&server);
    let token_url = server.url("/token");
    let login = AuthorizationCodeLogin::builder("R&D <b>", &server.url("/authorize"), &token_url)
        .client("native", ClientAuth::none())
        .build()
        .unwrap();
    let begun = Begun::with(LoopbackLogin::new(login)).await;

    let answer = begun.page.comes_back("code=c0de").await;

    begun.tokens().await;
    assert!(answer.says("<h1>R&amp;D &lt;b&gt;: you are logged in</h1>"), "{}", answer.whole);
    assert!(answer.says("You can close this window"), "{}", answer.whole);
}

#[tokio::test]
async fn the_page_has_arrived_when_the_login_returns() {
    let server = MockServer::start_async().await;
    let _exchange = issuing(&server);
    let begun = Begun::at(&server).await;
    let (target, host) = (begun.page.target("code=c0de"), begun.page.authority());
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "GET {target} HTTP/1.1\r\nhost: {host}\r\n\r\n").unwrap();

    begun.tokens().await;

    stream.set_nonblocking(true).unwrap(); // a program that ends now has told the person
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("you are logged in"), "{answer}");
}
