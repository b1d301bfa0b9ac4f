//! How the person gets to the page where there is no browser, and where there is one.

use std::sync::{Arc, Mutex};

use crate::person::{LoginPage, issuing, login_at};
use httpmock::MockServer;
use tokenkeeper::{Error, ErrorKind, TokenManager, async_trait};
use tokenkeeper_loopback::{Browser, LoopbackLogin};
use tokio::sync::mpsc;

/// A machine on which nothing shows web pages.
#[derive(Debug)]
struct NoBrowser;

#[async_trait]
impl Browser for NoBrowser {
    async fn open(&self, _url: &str) -> Result<(), Error> {
        Err(Error::new(ErrorKind::Unsupported, "no browser could be opened"))
    }
}

#[tokio::test]
async fn without_a_browser_and_without_somebody_who_shows_the_url_the_login_fails_at_once() {
    let server = MockServer::start_async().await;

    let login = LoopbackLogin::new(login_at(&server)).browser(NoBrowser);
    let no_browser = login.log_in().await.unwrap_err();
    let nothing = LoopbackLogin::new(login_at(&server)).without_browser();
    let not_shown = nothing.log_in().await.unwrap_err();

    assert_eq!(no_browser.kind(), ErrorKind::Unsupported);
    assert!(no_browser.to_string().starts_with("calendar: no browser could be opened"));
    assert_eq!(not_shown.kind(), ErrorKind::Config);
    assert!(not_shown.to_string().contains("show_url_with"), "{not_shown}");
}

#[tokio::test]
async fn a_url_that_is_shown_will_do_where_no_browser_can_be_opened() {
    let server = MockServer::start_async().await;
    let _exchange = issuing(&server);
    for login in [
        LoopbackLogin::new(login_at(&server)).browser(NoBrowser),
        LoopbackLogin::new(login_at(&server)).without_browser(),
    ] {
        let (shown, mut urls) = mpsc::unbounded_channel();
        let login = login.show_url_with(move |url| shown.send(url.to_owned()).unwrap());
        let running = tokio::spawn(async move { login.log_in().await });

        let page = LoginPage::of(&urls.recv().await.unwrap());
        let answer = page.comes_back("code=c0de").await;

        assert_eq!(answer.status, 200, "{}", answer.whole);
        running.await.unwrap().unwrap();
        assert!(urls.recv().await.is_none(), "shown once");
    }
}

/// A browser in the terminal: the call ends when the person closes it.
#[derive(Debug)]
struct UntilClosed(Arc<Mutex<Option<u16>>>);

#[async_trait]
impl Browser for UntilClosed {
    async fn open(&self, url: &str) -> Result<(), Error> {
        let answer = LoginPage::of(url).comes_back("code=c0de").await;
        *self.0.lock().unwrap() = Some(answer.status);
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_browser_that_stays_open_does_not_hold_up_the_login() {
    let server = MockServer::start_async().await;
    let _exchange = issuing(&server);
    let status = Arc::new(Mutex::new(None));
    let login = LoopbackLogin::new(login_at(&server)).browser(UntilClosed(status.clone()));

    login.log_in().await.unwrap();
}

#[tokio::test]
async fn the_tokens_go_into_the_manager_of_that_login() {
    let server = MockServer::start_async().await;
    let _exchange = issuing(&server);
    let (shown, mut urls) = mpsc::unbounded_channel();
    let login = LoopbackLogin::new(login_at(&server))
        .without_browser()
        .show_url_with(move |url| shown.send(url.to_owned()).unwrap());
    let manager = TokenManager::new(login.login().provider("alice").unwrap());
    let tokens = manager.clone();
    let running = tokio::spawn(async move { login.log_in_to(&tokens).await });

    let page = LoginPage::of(&urls.recv().await.unwrap());
    page.comes_back("code=c0de").await;
    running.await.unwrap().unwrap();

    assert_eq!(manager.token().await.unwrap().authorization(), "Bearer at-1");
}

#[tokio::test]
async fn m11_nothing_that_is_printed_or_returned_holds_a_secret_of_the_login() {
    let server = MockServer::start_async().await;
    let (shown, mut urls) = mpsc::unbounded_channel();
    let login = LoopbackLogin::new(login_at(&server))
        .without_browser()
        .show_url_with(move |url| shown.send(url.to_owned()).unwrap());
    server.mock(|when, then| {
        when.path("/token");
        then.status(400).body(r#"{"error":"invalid_grant","error_description":"c0de-planted"}"#);
    });
    let printed = format!("{login:?} {login:#?}");
    let running = tokio::spawn(async move { login.log_in().await });

    let page = LoginPage::of(&urls.recv().await.unwrap());
    page.comes_back("code=c0de-planted").await;
    let error = running.await.unwrap().unwrap_err();

    let printed = format!("{printed} {error} {error:?} {error:#?}");
    assert!(!printed.contains("planted") && !printed.contains(&page.state), "{printed}");
}
