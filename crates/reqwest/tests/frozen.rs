//! A process that is stopped while it waits for an answer, and goes on after its time limit.
//!
//! This is a test binary of its own, because it starts itself again.

#![cfg(all(unix, feature = "transport"))]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::env;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use http::Request;
use tokenkeeper_providers::HttpTransport;
use tokenkeeper_reqwest::ClientTransport;

const URL: &str = "TOKENKEEPER_TEST_URL";
const NAME: &str = "an_answer_that_came_while_the_process_was_stopped_is_read";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\ntoken";

#[test]
fn an_answer_that_came_while_the_process_was_stopped_is_read() {
    match env::var(URL) {
        Ok(url) => ask(&url),
        Err(_) => stop_while_it_asks(),
    }
}

/// In the process that is stopped.
fn ask(url: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answer = runtime.block_on(async {
        let client = reqwest::Client::builder().no_proxy();
        let transport = ClientTransport::new(client).unwrap();
        let transport = transport.with_request_timeout(Duration::from_secs(2));
        transport.send(Request::post(url).body(b"grant".to_vec()).unwrap()).await
    });
    assert_eq!(answer.unwrap().body(), b"token");
}

fn stop_while_it_asks() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(URL, url)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    let mut request = [0; 4096];
    while !request.windows(5).any(|part| part == b"grant") {
        assert_ne!(stream.read(&mut request).unwrap(), 0);
    }
    signal(&child, "-STOP");
    stream.write_all(ANSWER).unwrap();
    thread::sleep(Duration::from_secs(3)); // longer than the time limit
    signal(&child, "-CONT");

    let ended = child.wait_with_output().unwrap();

    assert!(ended.status.success());
}

fn signal(child: &Child, signal: &str) {
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
}
