//! The rules for a request that reached the port.
//!
//! Any program and any web page on this machine can send requests here. So a request counts as a
//! stranger's until it has shown the `state` of the login: until then it gets a page, and changes
//! nothing but a count, so that a login that ends without its callback can say what came instead.

use bytes::Bytes;
use http::header::{HOST, HeaderName};
use http::{Method, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use tokenkeeper::Secret;
use tokenkeeper_providers::Callback;
use tokio::sync::{mpsc, watch};

use crate::page::Page;
use crate::turned_away::TurnedAway;

/// Answers the requests of one login.
#[derive(Debug)]
pub(crate) struct CallbackHandler {
    service_name: String,
    authority: String,
    path: String,
    state: Secret,
    callbacks: mpsc::Sender<Callback>,
    /// How the login ended; absent while it goes on.
    outcome: watch::Receiver<Option<Page>>,
    turned_away: TurnedAway,
}

impl CallbackHandler {
    /// For the path of the redirect URI at this host and port.
    pub(crate) fn new(
        service_name: &str,
        (authority, path): (&str, &str),
        state: Secret,
        callbacks: mpsc::Sender<Callback>,
        outcome: watch::Receiver<Option<Page>>,
    ) -> Self {
        Self {
            service_name: service_name.to_owned(),
            authority: authority.to_owned(),
            path: path.to_owned(),
            state,
            callbacks,
            outcome,
            turned_away: TurnedAway::default(),
        }
    }

    /// The answer to a request. The one to the callback comes when the login has ended, so that the
    /// page says what happened and not what is hoped for.
    pub(crate) async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let page = match self.admit(request) {
            Ok(callback) => {
                // A reloaded page is the same callback again: the first one counts, and all of them
                // are told how it went.
                let _ = self.callbacks.try_send(callback);
                self.outcome().await
            }
            Err(page) => {
                self.turned_away.count(page);
                page
            }
        };
        page.response(&self.service_name)
    }

    /// Ends with the login, also if that was dropped.
    pub(crate) async fn outcome(&self) -> Page {
        let mut outcome = self.outcome.clone();
        loop {
            if let Some(page) = *outcome.borrow_and_update() {
                return page;
            }
            if outcome.changed().await.is_err() {
                return Page::Failed;
            }
        }
    }

    /// What came that was not the callback.
    pub(crate) fn turned_away(&self) -> &TurnedAway {
        &self.turned_away
    }

    fn admit(&self, request: &Request<Incoming>) -> Result<Callback, Page> {
        if !self.is_meant(request) {
            return Err(Page::WrongHost);
        }
        if request.uri().path() != self.path || is_speculative(request) {
            return Err(Page::NotFound);
        }
        if request.method() != Method::GET {
            return Err(Page::NotGet);
        }
        let query = request.uri().query().unwrap_or_default();
        let callback = Callback::parse(query).map_err(|_| Page::Stranger)?;
        let ours = Secret::from(callback.state()).ct_eq(&self.state);
        if ours { Ok(callback) } else { Err(Page::Stranger) }
    }

    /// Whether the browser was asked for this address. Another name that points at this machine (DNS
    /// rebinding) would let a web page read the answers.
    fn is_meant(&self, request: &Request<Incoming>) -> bool {
        let ours = |name: &[u8]| name.eq_ignore_ascii_case(self.authority.as_bytes());
        let mut hosts = request.headers().get_all(HOST).iter();
        let host = hosts.next().is_some_and(|host| ours(host.as_bytes()));
        let target = request.uri().authority();
        host && hosts.next().is_none() && target.is_none_or(|name| ours(name.as_str().as_bytes()))
    }
}

/// A page that the browser loads before anyone asks for it.
fn is_speculative(request: &Request<Incoming>) -> bool {
    [SEC_PURPOSE, PURPOSE, X_MOZ].iter().any(|name| {
        let said = request.headers().get(name).and_then(|value| value.to_str().ok());
        said.is_some_and(|purpose| purpose.to_ascii_lowercase().contains("prefetch"))
    })
}

const SEC_PURPOSE: HeaderName = HeaderName::from_static("sec-purpose");
const PURPOSE: HeaderName = HeaderName::from_static("purpose");
const X_MOZ: HeaderName = HeaderName::from_static("x-moz");
