//! Logins on this machine (RFC 8252) at real servers. Their pages are filled in by a person without a
//! browser, who then goes where a browser would be sent.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use http::Request;
use tokenkeeper::{Error, ErrorKind, TokenManager, async_trait};
use tokenkeeper_loopback::{Browser, LoopbackLogin};
use tokenkeeper_providers::{
    AuthorizationCodeLogin, AuthorizationRequest, BundledTransport, ClientAuth, HttpTransport,
    TransportOptions,
};
use tokenkeeper_tests::{Glewlwyd, Person, server_url};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

#[tokio::test]
async fn oidc_provider_takes_the_loopback_address_with_any_port() {
    for version in [LoopbackLogin::new, |login| LoopbackLogin::new(login).ipv6()] {
        let login = version(at_oidc_provider());
        let manager = TokenManager::new(login.login().provider("alice").unwrap());
        let (url, running) = begin(login, &manager).await;

        let page = open(&Person::alice().consents(&url).await).await;
        running.await.unwrap().unwrap();

        assert!(page.contains("oidc-provider: you are logged in"), "{page}");
        let token = manager.token().await.unwrap();
        let refreshed = manager.force_refresh().await.unwrap();
        assert!(!token.secret().ct_eq(refreshed.secret()), "there was a refresh token");
    }
}

#[tokio::test]
async fn who_declines_at_oidc_provider_reads_it_in_the_browser_and_the_program_is_told() {
    let login = LoopbackLogin::new(at_oidc_provider());
    let manager = TokenManager::new(login.login().provider("alice").unwrap());
    let (url, running) = begin(login, &manager).await;

    let page = open(&Person::alice().declines(&url).await).await;
    let error = running.await.unwrap().unwrap_err();

    assert!(page.contains("oidc-provider: the login was declined"), "{page}");
    assert_eq!(error.kind(), ErrorKind::LoginRequired);
    assert_eq!(error.oauth().unwrap().code(), "access_denied");
}

#[tokio::test]
async fn glewlwyd_takes_the_port_that_was_registered() {
    let _glewlwyd = Glewlwyd::alone().await;
    let server = format!("{}/api/oidc", server_url("TOKENKEEPER_GLEWLWYD_URL"));
    let login = AuthorizationCodeLogin::builder(
        "glewlwyd",
        &format!("{server}/auth"),
        &format!("{server}/token"),
    )
    .client("public", ClientAuth::none())
    .scopes(["openid", "read"])
    .issuer(&server)
    .iss_parameter_required()
    .build()
    .unwrap();
    let login = LoopbackLogin::new(login).port(8400);
    let manager = TokenManager::new(login.login().provider("alice").unwrap());
    let (url, running) = begin(login, &manager).await;

    let page = open(&Person::alice().consents(&url).await).await;
    running.await.unwrap().unwrap();

    assert!(page.contains("glewlwyd: you are logged in"), "{page}");
    manager.token().await.unwrap();
}

fn at_oidc_provider() -> AuthorizationCodeLogin {
    let server = server_url("TOKENKEEPER_OIDC_PROVIDER_URL");
    AuthorizationCodeLogin::builder(
        "oidc-provider",
        &format!("{server}/auth"),
        &format!("{server}/token"),
    )
    .client("public", ClientAuth::none())
    .scopes(["openid", "offline_access"])
    .issuer(&server)
    .iss_parameter_required()
    .build()
    .unwrap()
}

/// The URL that the browser is to open, and the login that waits for it.
async fn begin(
    login: LoopbackLogin,
    manager: &TokenManager,
) -> (String, JoinHandle<Result<(), Error>>) {
    let (window, mut urls) = mpsc::unbounded_channel();
    // OpenID Connect Core §11: without this page there is no refresh token.
    let consent = AuthorizationRequest::new().extra_parameter("prompt", "consent");
    let (login, manager) = (login.request(consent).browser(Window(window)), manager.clone());
    let running = tokio::spawn(async move { login.log_in_to(&manager).await });
    (urls.recv().await.unwrap(), running)
}

/// A browser that hands the URL to the test.
#[derive(Debug)]
struct Window(mpsc::UnboundedSender<String>);

#[async_trait]
impl Browser for Window {
    async fn open(&self, url: &str) -> Result<(), Error> {
        let _ = self.0.send(url.to_owned());
        Ok(())
    }
}

async fn open(url: &str) -> String {
    let transport = BundledTransport::new(TransportOptions::new()).unwrap();
    let page = transport.send(Request::get(url).body(Vec::new()).unwrap()).await.unwrap();
    String::from_utf8(page.into_body()).unwrap()
}
