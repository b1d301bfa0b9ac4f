//! The browser of a person, as far as a login needs one.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Opens pages as a browser does, except that it shows where a page sends it and does not go there:
/// so a test has the callback in its hand.
///
/// It blocks the thread that calls it until the answer is there, for at most ten seconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Browser(());

/// What a [`Browser`] got.
#[derive(Clone, Debug)]
pub struct Page {
    status: u16,
    location: Option<String>,
    body: String,
}

impl Browser {
    pub(super) const fn new() -> Self {
        Self(())
    }

    /// Opens the URL of a login and gives the URL that the server sends the browser back to: the
    /// redirect URI with `code` or `error` and all that.
    ///
    /// # Panics
    ///
    /// If the server cannot be reached, or shows a page instead; [`Browser::open`] tells which.
    #[must_use]
    #[expect(clippy::panic, reason = "a test without its callback cannot go on")]
    pub fn visit(&self, authorization_url: &str) -> String {
        let page = self.open(authorization_url);
        let Page { status, location, body } = page;
        location.unwrap_or_else(|| panic!("the browser was not sent back: {status} {body}"))
    }

    /// Opens a URL with one GET, whatever comes of it.
    ///
    /// # Panics
    ///
    /// If it is no `http` URL, or its server does not answer.
    #[must_use]
    #[expect(clippy::panic, reason = "a test without its server cannot go on")]
    pub fn open(&self, url: &str) -> Page {
        let answer = url.strip_prefix("http://").map(get);
        match answer {
            Some(Ok(page)) => page,
            Some(Err(error)) => panic!("the browser got no page: {error}"),
            None => panic!("the browser opens only http URLs"),
        }
    }
}

impl Page {
    /// The status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// Where the page sends the browser, if it does.
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        self.location.as_deref()
    }

    /// What is shown.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.body
    }
}

fn get(rest: &str) -> io::Result<Page> {
    let rest = rest.split('#').next().unwrap_or_default();
    let (host, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let slash = if target.starts_with('/') { "" } else { "/" };
    let port =
        if host.rsplit(']').next().is_some_and(|end| end.contains(':')) { "" } else { ":80" };
    let mut stream = TcpStream::connect(format!("{host}{port}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let head = format!("GET {slash}{target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;

    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_default();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let location = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("location").then(|| value.trim().to_owned())
    });
    let status = status.ok_or_else(|| io::Error::other("the answer is not HTTP"))?;
    Ok(Page { status, location, body: body.to_owned() })
}

const PATIENCE: Duration = Duration::from_secs(10);
