//! OAuth 2.0 for Native Apps (RFC 8252).

use std::io::Write;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::pin::pin;
use std::process;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use crate::person::{Answer, Begun, LoginPage, issuing, login_at};
use httpmock::MockServer;
use tokenkeeper::{Error, ErrorKind, Recovery, async_trait};
use tokenkeeper_loopback::{Browser, LoopbackLogin};
use tokenkeeper_providers::{AuthorizationCodeLogin, AuthorizationRequest, ClientAuth};

#[tokio::test]
async fn s6_a_login_proves_with_pkce_and_with_its_redirect_uri_that_the_code_is_its_own() {
    let server = MockServer::start_async().await;
    let begun = Begun::at(&server).await;
    let (challenge, method) =
        (begun.page.parameter("code_challenge"), begun.page.parameter("code_challenge_method"));
    let redirect_uri = begun.page.redirect_uri.clone();
    let exchange = server.mock(|when, then| {
        when.path("/token")
            .form_urlencoded_tuple("grant_type", "authorization_code")
            .form_urlencoded_tuple("code", "c0de")
            .form_urlencoded_tuple("client_id", "native")
            .form_urlencoded_tuple("redirect_uri", redirect_uri.as_str())
            .form_urlencoded_tuple_exists("code_verifier");
        then.status(200).header("content-type", "application/json").body(crate::person::TOKENS);
    });

    let answer = begun.page.comes_back("code=c0de").await;
    let tokens = begun.tokens().await;

    assert_eq!((method.as_str(), challenge.len()), ("S256", 43));
    assert_eq!(exchange.calls(), 1);
    assert_eq!(answer.status, 200, "{}", answer.whole);
    assert_eq!(tokens.access_token().unwrap().authorization(), "Bearer at-1");
    assert_eq!(tokens.refresh_token().unwrap().expose_secret(), "rt-1");
}

#[tokio::test]
async fn s7_3_the_redirect_uri_is_http_at_127_0_0_1_with_a_free_port() {
    let server = MockServer::start_async().await;

    let (first, second) = (Begun::at(&server).await, Begun::at(&server).await);

    for begun in [&first, &second] {
        let uri = &begun.page.redirect_uri;
        assert_eq!((uri.scheme(), uri.host_str()), ("http", Some("127.0.0.1")));
        assert_eq!(uri.path(), "/callback");
    }
    assert_ne!(first.page.redirect_uri.port(), second.page.redirect_uri.port());
}

#[tokio::test]
async fn s7_3_the_redirect_uri_is_at_the_ipv6_loopback_address_where_that_is_wanted() {
    let server = MockServer::start_async().await;
    let _exchange = issuing(&server);

    let begun = Begun::with(LoopbackLogin::new(login_at(&server)).ipv6()).await;
    let answer = begun.page.comes_back("code=c0de").await;

    assert_eq!(begun.page.redirect_uri.host_str(), Some("[::1]"));
    assert_eq!(answer.status, 200, "{}", answer.whole);
    begun.tokens().await;
}

#[tokio::test]
async fn s7_3_a_server_that_wants_a_port_and_a_path_registered_gets_them() {
    let server = MockServer::start_async().await;
    let _exchange = issuing(&server);
    let own = 20_000 + u16::try_from(process::id() % 10_000).unwrap(); // nobody gets these by chance
    let free = (own..).find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap();
    let login = LoopbackLogin::new(login_at(&server)).port(free).path("/oauth2/calendar");

    let begun = Begun::with(login).await;
    begun.page.comes_back("code=c0de").await;

    let expected = format!("http://127.0.0.1:{free}/oauth2/calendar");
    assert_eq!(begun.page.redirect_uri.as_str(), expected);
    begun.tokens().await;
}

#[tokio::test]
async fn s8_3_other_addresses_of_the_machine_are_not_listened_at() {
    let server = MockServer::start_async().await;

    let begun = Begun::at(&server).await;
    let port = begun.page.redirect_uri.port().unwrap();

    TcpStream::connect(("127.0.0.1", port)).unwrap();
    assert!(TcpStream::connect(("127.0.0.2", port)).is_err());
}

#[tokio::test]
async fn s8_3_the_port_is_open_before_the_browser_is_and_closed_when_the_login_has_ended() {
    let server = MockServer::start_async().await;
    let _exchange = issuing(&server);
    let opened = Arc::new(Mutex::new(None));
    let connecting = Connecting(opened.clone());
    let login = LoopbackLogin::new(login_at(&server)).browser(connecting);
    let running = tokio::spawn(async move { login.log_in().await });

    let page = loop {
        if let Some(page) = opened.lock().unwrap().take() {
            break page;
        }
        tokio::task::yield_now().await;
    };
    page.comes_back("code=c0de").await;
    running.await.unwrap().unwrap();

    assert!(page.is_closed().await);
}

/// A browser that connects at once, and so fast that nobody could open the port meanwhile.
#[derive(Debug)]
struct Connecting(Arc<Mutex<Option<LoginPage>>>);

#[async_trait]
impl Browser for Connecting {
    async fn open(&self, url: &str) -> Result<(), Error> {
        let page = LoginPage::of(url);
        TcpStream::connect(page.authority()).unwrap();
        *self.0.lock().unwrap() = Some(page);
        Ok(())
    }
}

#[tokio::test]
async fn s8_3_a_login_that_is_dropped_closes_its_port() {
    let server = MockServer::start_async().await;
    let Begun { page, result, .. } = Begun::at(&server).await;

    result.abort();
    assert!(result.await.unwrap_err().is_cancelled());

    assert!(page.is_closed().await);
}

#[tokio::test]
async fn s8_3_localhost_is_said_only_where_it_is_asked_for_and_then_both_addresses_listen() {
    let server = MockServer::start_async().await;
    let _exchange = issuing(&server);

    let begun = Begun::with(LoopbackLogin::new(login_at(&server)).danger_localhost()).await;
    let port = begun.page.redirect_uri.port().unwrap();
    let v6 = TcpStream::connect(("::1", port));
    let answer = begun.page.comes_back("code=c0de").await;

    assert_eq!(begun.page.redirect_uri.host_str(), Some("localhost"));
    assert!(v6.is_ok());
    assert_eq!(answer.status, 200, "{}", answer.whole);
    begun.tokens().await;
}

#[tokio::test]
async fn s8_10_a_login_comes_back_to_the_path_that_its_server_was_given() {
    let server = MockServer::start_async().await;
    let _exchange = issuing(&server);
    let begun = Begun::with(LoopbackLogin::new(login_at(&server)).path("/of-calendar")).await;

    let other = begun.page.target("code=c0de").replace("/of-calendar", "/of-mail");
    let answer = begun.page.get(&other).await;

    assert_eq!(answer.status, 404, "{}", answer.whole);
    begun.page.comes_back("code=c0de").await;
    begun.tokens().await;
}

#[tokio::test]
async fn what_one_login_asks_for_besides_is_in_its_url_and_the_port_is_that_of_the_listener() {
    let server = MockServer::start_async().await;
    let request = AuthorizationRequest::new()
        .scopes(["calendar.write"])
        .extra_parameter("prompt", "consent")
        .redirect_uri("https://elsewhere.example.org/callback");

    let begun = Begun::with(LoopbackLogin::new(login_at(&server)).request(request)).await;

    assert_eq!(begun.page.parameter("scope"), "calendar.write");
    assert_eq!(begun.page.parameter("prompt"), "consent");
    assert_eq!(begun.page.redirect_uri.host_str(), Some("127.0.0.1"));
}

#[tokio::test]
async fn a_person_who_declines_ends_the_login_with_an_error_that_says_so() {
    let server = MockServer::start_async().await;
    let exchange = issuing(&server);
    let begun = Begun::at(&server).await;

    let answer = begun.page.comes_back("error=access_denied").await;
    let error = begun.error().await;

    assert_eq!(error.kind(), ErrorKind::LoginRequired);
    assert_eq!(error.oauth().unwrap().code(), "access_denied");
    assert!(error.to_string().starts_with("calendar: "), "{error}");
    assert!(answer.says("calendar: the login was declined"), "{}", answer.whole);
    assert_eq!(exchange.calls(), 0);
}

#[tokio::test]
async fn a_person_who_does_not_come_back_in_five_minutes_ends_the_login() {
    let server = MockServer::start_async().await;
    let begun = Begun::at(&server).await;
    let page = begun.page.clone();

    begun.clock.advance(crate::person::FIVE_MINUTES);
    let error = begun.error().await;

    assert_eq!(error.recovery(), Recovery::Reauthenticate);
    let expected = format!(
        "calendar: no callback of this login reached {} within 300 s; no request came instead; \
         begin a new login, and open its page in a browser on this machine",
        page.redirect_uri
    );
    assert!(error.to_string().starts_with(&expected), "{error}");
    assert!(page.is_closed().await);
}

#[tokio::test]
async fn a_login_without_its_callback_says_what_came_instead() {
    let server = MockServer::start_async().await;
    let begun = Begun::at(&server).await;
    let page = begun.page.clone();
    for target in ["/favicon.ico", "/callback?code=planted&state=guessed", "/planted"] {
        page.get(target).await;
    }

    begun.clock.advance(crate::person::FIVE_MINUTES);
    let error = begun.error().await.to_string();

    let came = "within 300 s; 1 request without the `state` of this login, 2 requests for another \
                path came instead";
    assert!(error.contains(came), "{error}");
    assert!(!error.contains("planted"), "{error}");
}

#[tokio::test]
async fn a_callback_whose_client_ends_its_side_of_the_connection_is_served() {
    let server = MockServer::start_async().await;
    let exchange = issuing(&server);
    let begun = Begun::at(&server).await;
    let request = format!(
        "GET {} HTTP/1.1\r\nhost: {}\r\n\r\n",
        begun.page.target("code=c0de"),
        begun.page.authority()
    );

    // The request and the end of the stream are there before the login can accept the connection,
    // because this thread runs both.
    let mut stream = TcpStream::connect(begun.page.authority()).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    stream.set_nonblocking(true).unwrap();
    let answer = Answer::read(tokio::net::TcpStream::from_std(stream).unwrap()).await;

    assert_eq!(answer.status, 200, "{}", answer.whole);
    assert_eq!(exchange.calls(), 1);
    begun.tokens().await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_named_and_no_browser_is_opened() {
    let server = MockServer::start_async().await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let shown = Arc::new(Mutex::new(Vec::new()));
    let login = LoopbackLogin::new(login_at(&server)).port(port).without_browser();
    let urls = shown.clone();
    let login = login.show_url_with(move |url| urls.lock().unwrap().push(url.to_owned()));

    let error = login.log_in().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Config);
    let expected = format!(
        "calendar: cannot wait for the browser at 127.0.0.1:{port}: another program has that port; \
         end that program, or log in at another port"
    );
    assert_eq!(error.to_string(), expected);
    assert!(shown.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_path_that_browsers_would_change_is_refused() {
    let server = MockServer::start_async().await;

    for path in ["", "callback", "/a b", "/a?b", "/a#b", "/a/../b", "/a\"b", "@example.org/"] {
        let login = LoopbackLogin::new(login_at(&server)).path(path);
        let error = login.log_in().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{path}");
        assert!(error.to_string().contains("path of the redirect URI"), "{error}");
    }
}

#[tokio::test]
async fn s8_9_two_logins_at_once_do_not_disturb_each_other() {
    let server = MockServer::start_async().await;
    let exchange = issuing(&server);
    let (first, second) = (Begun::at(&server).await, Begun::at(&server).await);

    let mixed_up = first.page.get(&second.page.target("code=c0de")).await;
    let answers =
        [second.page.comes_back("code=c0de").await, first.page.comes_back("code=c0de").await];

    assert_eq!(mixed_up.status, 400, "{}", mixed_up.whole);
    assert_eq!(answers.map(|answer| answer.status), [200, 200]);
    assert_eq!(exchange.calls(), 2);
    first.tokens().await;
    second.tokens().await;
}

#[test]
fn a_login_outside_of_a_tokio_runtime_is_an_error_and_no_panic() {
    let login = AuthorizationCodeLogin::builder("calendar", "https://as/authorize", "https://as/t")
        .client("native", ClientAuth::none())
        .build()
        .unwrap();
    let login = LoopbackLogin::new(login).without_browser().show_url_with(|_| {});
    let mut attempt = pin!(login.log_in());

    let Poll::Ready(outcome) = attempt.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    else {
        unreachable!("there is nothing to wait for")
    };

    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("in a tokio runtime"), "{error}");
}
