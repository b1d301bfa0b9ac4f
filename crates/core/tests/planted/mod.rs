//! Secrets to look for, and everything that could show them.
//!
//! Every one of them has `planted` in it, so one search finds them all.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its share")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::error::Error as StdError;
use std::fmt::{self, Debug, Display};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tokenkeeper::{
    AccessToken, Error, ErrorKind, Event, EventKind, FetchContext, OAuthError, Observer,
    ProviderIdentity, Scopes, Secret, TokenProvider, TokenSet, async_trait,
};

/// Collects everything that was shown, and fails if a secret is in it.
#[derive(Clone, Debug, Default)]
pub struct Shown(pub Arc<Mutex<Vec<String>>>);

impl Shown {
    pub fn debug(&self, value: &dyn Debug) {
        self.add(format!("{value:?}"));
        self.add(format!("{value:#?}"));
    }

    pub fn both(&self, value: &(impl Debug + Display)) {
        self.debug(value);
        self.add(format!("{value}"));
        self.add(format!("{value:#}"));
    }

    /// An error, and whatever it says was its cause.
    pub fn chain(&self, error: &Error) {
        self.both(error);
        let mut next = StdError::source(error);
        while let Some(cause) = next {
            self.add(cause.to_string());
            next = cause.source();
        }
    }

    pub fn add(&self, text: String) {
        assert!(!text.contains("planted"), "a secret shows: {text}");
        self.0.lock().push(text);
    }

    pub fn count(&self) -> usize {
        self.0.lock().len()
    }
}

impl Observer for Shown {
    fn on_event(&self, event: &Event) {
        // An observer that panics is ignored, so this one only collects.
        let texts = [format!("{event:?}"), format!("{event:#?}")];
        self.0.lock().extend(texts);
        if let EventKind::ExchangeFailed { error, .. }
        | EventKind::StorageFailed { error, .. }
        | EventKind::AnswerLost { error } = event.kind()
        {
            self.0.lock().push(error.to_string());
        }
    }
}

pub fn token(name: &str) -> AccessToken {
    AccessToken::new(format!("planted-access-{name}"), "Bearer").unwrap()
}

pub fn tokens(name: &str, sent_at: SystemTime) -> TokenSet {
    let mut extra = serde_json::Map::new();
    extra.insert("session".to_owned(), "planted-extra".into());
    TokenSet::new(token(name), sent_at)
        .with_lifetime(Duration::from_secs(900))
        .with_refresh_token(format!("planted-refresh-{name}"))
        .with_id_token(format!("planted-id-{name}"))
        .with_scopes(Scopes::parse("read").unwrap())
        .with_extra(extra)
}

/// Holds a password, issues planted tokens, and does what `mood` says.
#[derive(Clone, Debug)]
pub struct Provider {
    identity: ProviderIdentity,
    password: Secret,
    pub mood: Arc<Mutex<Mood>>,
    issued: Arc<Mutex<usize>>,
}

#[derive(Clone, Copy, Debug)]
pub enum Mood {
    Good,
    Refuses(ErrorKind),
    LosesAnswer,
    Panics,
}

impl Provider {
    pub fn new() -> Self {
        let identity = ProviderIdentity::new("svc").with("subject", "alice");
        let password = Secret::from("planted-password");
        Self { identity, password, mood: Arc::new(Mutex::new(Mood::Good)), issued: Arc::default() }
    }

    fn answer(&self, cx: &FetchContext<'_>) -> Result<TokenSet, Error> {
        let sent_at = cx.ready_to_send()?;
        let mood = *self.mood.lock();
        match mood {
            Mood::Good => {
                *self.issued.lock() += 1;
                Ok(tokens(&self.issued.lock().to_string(), sent_at))
            }
            Mood::Refuses(kind) => Err(Error::new(kind, "refused")
                .with_oauth(OAuthError::new("invalid_grant", Some("no such session")))
                .with_source(Response { body: "planted-body".to_owned() })),
            Mood::LosesAnswer => {
                Err(Error::new(ErrorKind::Transport, "cut off").with_answer_lost())
            }
            Mood::Panics => panic!("{}", self.password.expose_secret()),
        }
    }
}

#[async_trait]
impl TokenProvider for Provider {
    fn identity(&self) -> &ProviderIdentity {
        &self.identity
    }

    async fn fetch_token(&self, cx: &FetchContext<'_>) -> Result<TokenSet, Error> {
        self.answer(cx)
    }

    async fn refresh_token(
        &self,
        _current: &TokenSet,
        cx: &FetchContext<'_>,
    ) -> Result<TokenSet, Error> {
        self.answer(cx)
    }

    async fn revoke(&self, _tokens: &TokenSet) -> Result<(), Error> {
        Ok(())
    }
}

/// A cause as libraries have them: `Display` is careful, the derived `Debug` shows everything.
#[derive(Debug)]
pub struct Response {
    #[expect(dead_code, reason = "Debug reads it, which is the danger")]
    pub body: String,
}

impl Display for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body is no JSON")
    }
}

impl StdError for Response {}
