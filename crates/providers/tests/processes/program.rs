//! A server that answers one token request when it is told to, and this program once more.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};

pub(crate) const URL: &str = "TOKENKEEPER_TEST_URL";

/// This program with only one test, which finds the URL in its environment.
pub(crate) fn program(test: &str, url: &str) -> Command {
    let mut program = Command::new(std::env::current_exe().unwrap());
    program.args(["--exact", test, "--nocapture"]).env(URL, url);
    program.stdout(Stdio::piped()).stderr(Stdio::piped());
    program
}

/// The URL that the test was started with, or that of a server that answers at once.
pub(crate) fn url() -> String {
    std::env::var(URL).unwrap_or_else(|_| {
        let (listener, address) = listen();
        std::thread::spawn(move || answer(request(&listener)));
        format!("http://{address}/token")
    })
}

pub(crate) fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// The connection of a request that has been read.
pub(crate) fn request(listener: &TcpListener) -> TcpStream {
    let (mut stream, _) = listener.accept().unwrap();
    let (mut seen, mut part) = (Vec::new(), [0; 4096]);
    while !String::from_utf8_lossy(&seen).contains("grant_type=") {
        let length = stream.read(&mut part).unwrap();
        assert!(length > 0, "the request was cut off");
        seen.extend_from_slice(part.get(..length).unwrap());
    }
    stream
}

pub(crate) fn answer(mut stream: TcpStream) {
    let body = r#"{"access_token":"at-2","token_type":"Bearer","refresh_token":"rt-2"}"#;
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
    let length = body.len();
    write!(stream, "{head}content-length: {length}\r\n\r\n{body}").unwrap();
}
