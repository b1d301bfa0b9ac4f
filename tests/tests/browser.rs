//! A person at a real browser: Chromium without a window, which a script drives, logs in at
//! `oidc-provider` and comes back to the port that the program waits at.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "these are tests")]

use std::env;

use serde_json::Value;
use tokenkeeper::{Error, ErrorKind, TokenManager, async_trait};
use tokenkeeper_loopback::{Browser, LoopbackLogin};
use tokenkeeper_providers::{AuthorizationCodeLogin, ClientAuth};
use tokenkeeper_tests::OidcProvider;
use tokio::process::Command;
use tokio::sync::mpsc;

#[tokio::test]
async fn a_login_in_the_browser_of_the_system_brings_tokens_that_are_good() {
    let server = OidcProvider::alone().await;
    let login = LoopbackLogin::new(login_at(&server));
    let manager = TokenManager::new(login.login().provider("alice").unwrap());

    login.log_in_to(&manager).await.unwrap();

    assert!(server.knows(manager.token().await.unwrap().secret()).await);
    assert!(manager.status().has_refresh_token());
}

#[tokio::test]
async fn who_logged_in_reads_that_it_is_done() {
    let server = OidcProvider::alone().await;
    let (alice, mut seen) = Chromium::new(&[]);

    LoopbackLogin::new(login_at(&server)).browser(alice).log_in().await.unwrap();

    let page = seen.recv().await.unwrap();
    assert_eq!(page["title"], "calendar: you are logged in");
    assert!(page["text"].as_str().unwrap().contains("go back to the program"), "{page}");
}

#[tokio::test]
async fn who_declined_reads_so_and_the_program_is_told() {
    let server = OidcProvider::alone().await;
    let (alice, mut seen) = Chromium::new(&["--decline"]);

    let result = LoopbackLogin::new(login_at(&server)).browser(alice).log_in().await;

    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LoginRequired, "{error}");
    assert!(error.to_string().contains("declined"), "{error}");
    assert_eq!(seen.recv().await.unwrap()["title"], "calendar: the login was declined");
}

#[tokio::test]
async fn the_browser_comes_back_to_a_port_of_ipv6_as_well() {
    let server = OidcProvider::alone().await;
    let (alice, mut seen) = Chromium::new(&[]);

    let login = LoopbackLogin::new(login_at(&server)).ipv6().browser(alice);
    login.log_in().await.unwrap();

    assert_eq!(seen.recv().await.unwrap()["path"], "/callback");
}

fn login_at(server: &OidcProvider) -> AuthorizationCodeLogin {
    let authorization_url = format!("{}/auth", server.issuer());
    AuthorizationCodeLogin::builder("calendar", &authorization_url, &server.token_url())
        .client("public", ClientAuth::none())
        .issuer(server.issuer())
        .iss_parameter_required()
        .scopes(["openid", "offline_access"])
        .authorization_parameter("prompt", "consent")
        .build()
        .unwrap()
}

/// The script that is also the browser of the system here, with what it says at its end.
#[derive(Debug)]
struct Chromium {
    options: &'static [&'static str],
    seen: mpsc::UnboundedSender<Value>,
}

impl Chromium {
    fn new(options: &'static [&'static str]) -> (Self, mpsc::UnboundedReceiver<Value>) {
        let (seen, pages) = mpsc::unbounded_channel();
        (Self { options, seen }, pages)
    }
}

#[async_trait]
impl Browser for Chromium {
    async fn open(&self, url: &str) -> Result<(), Error> {
        let mut script = Command::new(env::var_os("BROWSER").unwrap());
        script.args(self.options).arg(url);
        let seen = self.seen.clone();
        // The login ends before the browser does.
        tokio::spawn(async move {
            let output = script.output().await.unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            seen.send(serde_json::from_slice(&output.stdout).unwrap()).unwrap();
        });
        Ok(())
    }
}
