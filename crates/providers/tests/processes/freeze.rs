//! A process that stands still while a token request is on its way: a suspended laptop, a paused
//! container, a debugger. The answer waits in the socket, and with it the rotated refresh token.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "it stops another process")]

use std::process::{Command, ExitStatus};
use std::time::Duration;

use tokenkeeper::{RefreshPolicy, TokenManager, TokenSet};
use tokenkeeper_providers::{BundledTransport, ClientAuth, RefreshTokenProvider, TransportOptions};

use crate::program::{answer, listen, program, request, url};

/// Started by the test below, which stops it in the middle.
#[tokio::test]
async fn a_refresh_gets_its_answer() {
    let options = TransportOptions::new().with_request_timeout(LIMIT);
    let provider = RefreshTokenProvider::builder("svc", &url())
        .client("id", ClientAuth::none())
        .transport(BundledTransport::new(options).unwrap())
        .build()
        .unwrap();
    let policy = RefreshPolicy::new().with_request_timeout(LIMIT);
    let manager = TokenManager::builder(provider).policy(policy).build().unwrap();
    manager.install(TokenSet::from_refresh_token("rt-1")).await.unwrap();

    assert_eq!(manager.token().await.unwrap().authorization(), "Bearer at-2");
}

#[test]
fn an_answer_that_came_while_the_process_stood_still_is_read() {
    let (listener, address) = listen();
    let url = format!("http://{address}/token");
    let child = program("freeze::a_refresh_gets_its_answer", &url).spawn().unwrap();
    let id = child.id();
    let stream = request(&listener);

    std::thread::sleep(LIMIT / 15);
    assert!(signal("-STOP", id).success());
    answer(stream);
    std::thread::sleep(LIMIT + LIMIT / 3);
    assert!(signal("-CONT", id).success());

    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said} {errors}");
}

fn signal(name: &str, id: u32) -> ExitStatus {
    Command::new("kill").args([name, &id.to_string()]).status().unwrap()
}

const LIMIT: Duration = Duration::from_secs(15);
