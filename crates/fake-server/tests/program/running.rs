//! The program while a test uses it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::Value;

pub(crate) struct Running {
    child: Child,
    pub(crate) issuer: String,
    pub(crate) port: u16,
    admin: u16,
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Running {
    /// At any port that is free, with an admin endpoint at another.
    pub(crate) fn start(flags: &[&str]) -> Self {
        let mut child = program(flags)
            .args(["--admin-port", "0"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut line = |name: &str| {
            let line = lines.next().expect("a line").unwrap();
            line.strip_prefix(name).unwrap_or_else(|| panic!("not {name}: {line}")).to_owned()
        };
        let (issuer, admin) = (line("issuer "), line("admin http://"));
        assert_eq!(line("ready"), "");
        let port = |url: &str| url.rsplit(':').next().unwrap().parse().unwrap();
        Self { port: port(&issuer), admin: port(&admin), issuer, child }
    }

    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        send(connect(self.port), method, path, headers, body)
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> (u16, Value) {
        self.send("POST", path, &[form()], body).json()
    }

    pub(crate) fn get(&self, path: &str) -> (u16, Value) {
        self.get_with(path, &[])
    }

    pub(crate) fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> (u16, Value) {
        self.send("GET", path, headers, "").json()
    }

    pub(crate) fn text(&self, path: &str) -> String {
        self.send("GET", path, &[], "").body
    }

    /// Where the page sends the browser.
    pub(crate) fn location(&self, path: &str) -> String {
        let head = self.send("GET", path, &[], "").head;
        let location = head.lines().find_map(|line| line.strip_prefix("location: "));
        location.unwrap_or_else(|| panic!("sent nowhere: {head}")).to_owned()
    }

    pub(crate) fn admin(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, Value) {
        send(connect(self.admin), method, path, headers, body).json()
    }

    pub(crate) fn command(&self, name: &str, body: &Value) -> (u16, Value) {
        let json = [("content-type", "application/json")];
        self.admin("POST", &format!("/{name}"), &json, &body.to_string())
    }

    pub(crate) fn counters(&self) -> Value {
        self.admin("GET", "/counters", &[], "").1
    }

    /// By TLS, trusting the certificate in this file alone.
    pub(crate) fn get_trusting(&self, certificate: &str, path: &str) -> Value {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(certificate).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let stream = StreamOwned::new(connection, connect(self.port));
        send(stream, "GET", path, &[], "").json().1
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Reply {
    fn json(&self) -> (u16, Value) {
        (self.status, serde_json::from_str(&self.body).unwrap_or(Value::Null))
    }
}

/// What it says when it does not start with these flags.
pub(crate) fn refused(flags: &[&str]) -> String {
    let output = program(flags).output().unwrap();
    assert!(!output.status.success(), "it started with {flags:?}");
    String::from_utf8(output.stderr).unwrap()
}

pub(crate) fn form() -> (&'static str, &'static str) {
    ("content-type", "application/x-www-form-urlencoded")
}

fn program(flags: &[&str]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_tokenkeeper-fake-server"));
    if !flags.contains(&"--port") {
        program.args(["--port", "0"]);
    }
    program.args(flags);
    program
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

fn send(
    mut stream: impl Read + Write,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Reply {
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: here\r\nconnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    stream.write_all(request.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").expect("an answer");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Reply { status, head: head.to_owned(), body: body.to_owned() }
}
