//! What the tests in this package share; the tests are in `tests/tests`.

#![allow(clippy::expect_used, clippy::panic, reason = "code of tests, where a panic is the report")]

use std::env;
use std::io::{Read, Write};
use std::net::TcpStream;

/// The base URL of a server that `cargo xtask test` started, from the environment.
///
/// # Panics
///
/// Without it: a test that needs a server must not pass where there is none.
#[must_use]
pub fn server_url(variable: &str) -> String {
    env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} is not set; run these tests with `cargo xtask test --only interop`")
    })
}

/// Sends a form to a server and gives its whole answer, head and body, as text.
///
/// # Panics
///
/// When the server cannot be reached or does not answer in text.
#[must_use]
pub fn post_form(base_url: &str, path: &str, authorization: &str, form: &str) -> String {
    let host = base_url.strip_prefix("http://").expect("servers of tests speak plain HTTP");
    let mut stream = TcpStream::connect(host).expect("the server accepts a connection");
    let request = format!(
        "POST {path} HTTP/1.0\r\nHost: {host}\r\nAccept: application/json\r\n\
         Authorization: {authorization}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{form}",
        form.len()
    );
    stream.write_all(request.as_bytes()).expect("the server takes the request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the server answers in text");
    answer
}
