//! A system without certificate authorities, such as a container image from scratch.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use tokenkeeper::{ErrorKind, TokenManager, TokenSet};
use tokenkeeper_providers::{
    BundledTransport, ClientAuth, HttpTransport, RefreshTokenBuilder, RefreshTokenProvider,
    TransportOptions,
};

use crate::program::{program, url};

fn provider(url: &str) -> RefreshTokenBuilder {
    RefreshTokenProvider::builder("svc", url).client("id", ClientAuth::none())
}

/// Started by the test below without certificates; with them it is a refresh like any other.
#[tokio::test]
async fn a_loopback_endpoint_needs_no_certificates() {
    let manager = TokenManager::new(provider(&url()).build().unwrap());
    manager.install(TokenSet::from_refresh_token("rt-1")).await.unwrap();

    assert_eq!(manager.token().await.unwrap().authorization(), "Bearer at-2");
}

/// Started by the test below without certificates.
#[tokio::test]
async fn what_is_missing_for_https_is_said_where_it_is_missing() {
    let is_missing = std::env::var_os("SSL_CERT_FILE").is_some_and(|path| path == NOWHERE);
    let https = "https://auth.example.org/token";

    let built = provider(https).build();
    let transport = BundledTransport::new(TransportOptions::new()).unwrap();
    assert_eq!(built.is_err(), is_missing);
    let Err(error) = built else { return };

    assert_eq!(error.kind(), ErrorKind::Config);
    let text = error.to_string();
    assert!(text.contains("no certificate authorities"), "{text}");
    assert!(text.contains("No CA certificates were loaded"), "the cause: {text}");
    assert!(text.contains("TransportOptions::with_root_certificates"), "{text}");
    let mut request = http::Request::new(Vec::new());
    *request.uri_mut() = https.parse().unwrap();
    let sent = transport.send(request).await.unwrap_err();
    assert!(sent.to_string().contains("with_root_certificates"), "{sent}");
}

#[test]
fn a_system_without_certificates_reaches_loopback_and_names_what_https_needs() {
    for test in [
        "certificates::a_loopback_endpoint_needs_no_certificates",
        "certificates::what_is_missing_for_https_is_said_where_it_is_missing",
    ] {
        let mut program = program(test, "");
        program.env_remove(crate::program::URL);
        program.env("SSL_CERT_FILE", NOWHERE).env("SSL_CERT_DIR", NOWHERE);

        let output = program.output().unwrap();

        let said = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("1 passed"), "{said} {errors}");
    }
}

const NOWHERE: &str = "/nonexistent/tokenkeeper";
