//! What the tests share: a transport that plays back answers, and a context to call providers in.

#![allow(dead_code, missing_docs, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

use std::collections::VecDeque;
use std::error::Error as StdError;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Request, Response, StatusCode};
use tokenkeeper::{
    Clock, Error, FetchContext, ManualClock, Secret, TokenProvider, TokenSet, async_trait,
};
use tokenkeeper_providers::{AssertionSource, HttpTransport};

pub(crate) const TOKEN_URL: &str = "https://auth.example.org/token";
pub(crate) const OK: &str = r#"{"access_token":"at-1","token_type":"Bearer","expires_in":900}"#;
pub(crate) const OK_WITH_REFRESH: &str =
    r#"{"access_token":"at-1","token_type":"Bearer","expires_in":900,"refresh_token":"rt-1"}"#;

/// An answer, or none.
type Outcome = Result<Response<Vec<u8>>, Error>;

/// Plays back answers in order and keeps the requests. Clones share both.
#[derive(Clone, Debug, Default)]
pub(crate) struct Playback {
    answers: Arc<Mutex<VecDeque<Outcome>>>,
    requests: Arc<Mutex<Vec<Request<Vec<u8>>>>>,
    clock: Option<ManualClock>,
}

impl Playback {
    pub(crate) fn of(bodies: &[&str]) -> Self {
        bodies.iter().fold(Self::default(), |playback, body| playback.and(200, body))
    }

    pub(crate) fn and(self, status: u16, body: impl AsRef<[u8]>) -> Self {
        self.and_with(status, &[], body)
    }

    pub(crate) fn and_with(
        self,
        status: u16,
        headers: &[(&'static str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Self {
        let mut answer = Response::new(body.as_ref().to_vec());
        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
        for (name, value) in headers {
            answer.headers_mut().append(*name, value.parse().unwrap());
        }
        self.answers.lock().unwrap().push_back(Ok(answer));
        self
    }

    /// No answer but this error.
    pub(crate) fn and_error(self, error: Error) -> Self {
        self.answers.lock().unwrap().push_back(Err(error));
        self
    }

    /// Every answer takes ten seconds of this clock.
    pub(crate) fn slowly(mut self, clock: &ManualClock) -> Self {
        self.clock = Some(clock.clone());
        self
    }

    pub(crate) fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    pub(crate) fn request(&self, at: usize) -> Request<Vec<u8>> {
        self.requests.lock().unwrap().get(at).expect("a request").clone()
    }

    pub(crate) fn body(&self, at: usize) -> String {
        String::from_utf8(self.request(at).into_body()).unwrap()
    }

    pub(crate) fn authorization(&self, at: usize) -> Option<String> {
        let request = self.request(at);
        let all: Vec<_> = request.headers().get_all("authorization").iter().collect();
        assert!(all.len() < 2, "one method of authentication");
        all.first().map(|value| value.to_str().unwrap().to_owned())
    }
}

#[async_trait]
impl HttpTransport for Playback {
    async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, Error> {
        self.requests.lock().unwrap().push(request);
        if let Some(clock) = &self.clock {
            clock.advance(Duration::from_secs(10));
        }
        self.answers.lock().unwrap().pop_front().expect("an answer for every request")
    }
}

/// Counts, so that two assertions are never the same.
#[derive(Debug, Default)]
pub(crate) struct Counting(pub(crate) std::sync::atomic::AtomicU32);

#[async_trait]
impl AssertionSource for Counting {
    async fn assertion(&self, audience: &str) -> Result<Secret, Error> {
        let number = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(Secret::from(format!("jwt-{number}-for-{audience}")))
    }
}

pub(crate) async fn fetch(provider: &impl TokenProvider) -> Result<TokenSet, Error> {
    fetch_at(provider, &ManualClock::new()).await
}

pub(crate) async fn fetch_at(
    provider: &impl TokenProvider,
    clock: &ManualClock,
) -> Result<TokenSet, Error> {
    let clock: Arc<dyn Clock> = Arc::new(clock.clone());
    provider.fetch_token(&FetchContext::detached(&clock, Duration::from_secs(20))).await
}

pub(crate) async fn refresh(
    provider: &impl TokenProvider,
    current: &TokenSet,
) -> Result<TokenSet, Error> {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new());
    let cx = FetchContext::detached(&clock, Duration::from_secs(20));
    provider.refresh_token(current, &cx).await
}

/// The error in every form in which it could be printed, causes included.
pub(crate) fn printed(error: &Error) -> String {
    let mut all = format!("{error} {error:?} {error:#?}");
    let mut cause = StdError::source(error);
    while let Some(error) = cause {
        all += &format!(" {error} {error:?} {error:#?}");
        cause = error.source();
    }
    all
}
