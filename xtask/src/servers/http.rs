//! As much HTTP as setting up a server on this machine takes, so that xtask builds in seconds.
//!
//! HTTP/1.0, so that no answer is chunked and every answer ends with its connection.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    head: String,
    pub(super) body: String,
}

impl Answer {
    /// The `name=value` of the first cookie that the answer sets.
    pub(super) fn cookie(&self) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("set-cookie").then_some(value.split(';').next()?.trim())
        })
    }
}

pub(super) fn get(port: u16, path: &str) -> Result<Answer> {
    exchange(port, &format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n"))
}

pub(super) fn post_json(port: u16, path: &str, cookie: &str, body: &Value) -> Result<Answer> {
    let body = body.to_string();
    exchange(
        port,
        &format!(
            "POST {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nCookie: {cookie}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ),
    )
}

fn exchange(port: u16, request: &str) -> Result<Answer> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    parse(&String::from_utf8_lossy(&answer))
}

fn parse(answer: &str) -> Result<Answer> {
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer without an end of head")?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.context("an answer without a status")?;
    Ok(Answer { status, head: head.to_owned(), body: body.to_owned() })
}

const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_gives_its_status_its_cookie_and_its_body() {
        let answer = parse("HTTP/1.1 200 OK\r\nset-cookie: a=b; Path=/\r\n\r\nhello").unwrap();

        assert_eq!(
            (answer.status, answer.cookie(), answer.body.as_str()),
            (200, Some("a=b"), "hello")
        );
    }

    #[test]
    fn half_an_answer_is_an_error() {
        assert!(parse("HTTP/1.1 200 OK\r\n").is_err());
    }
}
