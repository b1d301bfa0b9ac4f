//! The smallest HTTP client that still sees everything: one connection for each request, read to
//! its end, cut or not.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "clippy takes only functions marked as tests for tests"
)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub(crate) fn text(&self, member: &str) -> String {
        self.json()[member].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// The reply, or `None` where the connection was closed without one.
pub(crate) fn send(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> Option<Reply> {
    let rest = url.strip_prefix("http://").unwrap();
    let at = rest.find('/').unwrap_or(rest.len());
    let (host, path) = rest.split_at(at);
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));

    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);

    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Some(Reply { status, head, body: bytes[end + 4..].to_vec() })
}

pub(crate) fn post(url: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    let form = ("content-type", "application/x-www-form-urlencoded");
    send("POST", url, &[&[form], headers].concat(), body).expect("an answer")
}

pub(crate) fn get(url: &str, token: &str) -> Reply {
    send("GET", url, &[("authorization", &format!("Bearer {token}"))], "").expect("an answer")
}

/// A token request of the default client, its secret in the body.
pub(crate) fn exchange(url: &str, rest: &str) -> Reply {
    post(url, &[], &format!("client_id=client&client_secret=secret&{rest}"))
}

pub(crate) const PASSWORD: &str = "grant_type=password&username=alice&password=wonderland";
