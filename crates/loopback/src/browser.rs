//! How the person gets to see the login page.
//!
//! A seam, because a browser is the one part of a login that no program can vouch for: tests play
//! it themselves, and programs with a window of their own know better than this crate.

use std::env;
use std::fmt::Debug;

use tokenkeeper::{Error, ErrorKind, async_trait};

/// Shows the authorization page to the person at this machine.
///
/// It must be a browser of its own (RFC 8252 §8.12): in a web view of the program the person cannot
/// see who asks for the password, and the program could read it.
///
/// # Contract
///
/// - The URL is for that person alone: whoever reads it can meddle with the login. It belongs in no
///   log and no error.
/// - `open` may return when the browser was started, or when it was closed. The login goes on in the
///   meantime, and drops the call when it is over.
/// - An error says that the person sees no page, and ends the login, unless
///   [`show_url_with`](crate::LoopbackLogin::show_url_with) shows the URL.
#[async_trait]
pub trait Browser: Debug + Send + Sync + 'static {
    /// Opens the page.
    async fn open(&self, url: &str) -> Result<(), Error>;
}

/// The browser that the operating system opens web pages with.
///
/// Where the environment variable `BROWSER` names a program, that one is used (not on Windows).
/// `xdg-open`, which is asked otherwise, knows lists and command lines in that variable too. What
/// the browser prints is not seen, so one that runs in the terminal is of no use here.
///
/// # Errors
///
/// [`ErrorKind::Unsupported`] where nothing opens web pages, on a server or in a container. A
/// browser that starts and shows nothing, because there is no display for it say, is noticed only
/// if it ends within a quarter of a second.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemBrowser;

#[async_trait]
impl Browser for SystemBrowser {
    async fn open(&self, url: &str) -> Result<(), Error> {
        let url = url.to_owned();
        // The launcher is watched for a moment. Its error repeats the URL, so it is not passed on.
        let opened = tokio::task::spawn_blocking(move || launch(&url).is_ok()).await;
        if opened.unwrap_or(false) { Ok(()) } else { Err(no_browser()) }
    }
}

fn launch(url: &str) -> std::io::Result<()> {
    match chosen_program() {
        Some(program) => open::with_detached(url, program).or_else(|_| open::that_detached(url)),
        None => open::that_detached(url),
    }
}

/// `BROWSER`, if it is a program and not a list or a command line.
fn chosen_program() -> Option<String> {
    let program = env::var("BROWSER").ok().filter(|_| cfg!(unix))?;
    let plain = !program.is_empty() && !program.contains([':', ' ', '%']);
    plain.then_some(program)
}

fn no_browser() -> Error {
    Error::new(ErrorKind::Unsupported, "no browser could be opened on this machine")
        .with_advice("show the URL with show_url_with, or log in with a device code")
}
