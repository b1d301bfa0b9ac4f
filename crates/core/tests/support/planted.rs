//! Secrets to look for, and everything that could show them.
//!
//! Every one of them has `planted` in it, so one search finds them all.

use std::error::Error as StdError;
use std::fmt::{self, Debug, Display};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tokenkeeper::{
    AccessToken, Clock, Error, ErrorKind, Event, EventKind, FetchContext, ManualClock,
    MemoryStorage, OAuthError, Observer, ProviderIdentity, RefreshPolicy, Scopes, Secret,
    TokenManager, TokenManagerBuilder, TokenProvider, TokenRecord, TokenSet, TokenStorage,
    async_trait,
};
use tokenkeeper_testkit::{FaultyStorage, StorageFault, StorageOperation};

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
        if let EventKind::TokenRequestFailed { error, .. }
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
        let identity = ProviderIdentity::new("svc")
            .with("subject", "alice")
            .with("token_url", "https://[::1]:8443/token?key=planted");
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

/// A manager with planted secrets, and what it takes to let everything go wrong for it.
pub struct Life {
    pub manager: TokenManager,
    pub storage: FaultyStorage<MemoryStorage>,
    provider: Provider,
    clock: ManualClock,
}

impl Life {
    pub fn new(more: impl FnOnce(TokenManagerBuilder) -> TokenManagerBuilder) -> Self {
        let (provider, clock) = (Provider::new(), ManualClock::new());
        let storage = FaultyStorage::new(MemoryStorage::new());
        let builder = TokenManager::builder(provider.clone())
            .storage(storage.clone())
            .clock(clock.clone())
            .policy(RefreshPolicy::new().without_jitter());
        Self { manager: more(builder).build().unwrap(), storage, provider, clock }
    }

    /// Goes through all of it, and calls `look` after each turn, with the error that it brought.
    pub async fn live(&self, look: impl Fn(Option<&Error>) + Send + Sync) {
        let Self { manager, storage, provider, clock } = self;
        let first = manager.token().await.unwrap();
        look(None);
        let moods = [
            Mood::Refuses(ErrorKind::Unavailable),
            Mood::LosesAnswer,
            Mood::Refuses(ErrorKind::InvalidResponse),
            Mood::Panics,
            Mood::Refuses(ErrorKind::CredentialsRejected),
            Mood::Refuses(ErrorKind::RequestRejected),
            Mood::Refuses(ErrorKind::RefreshRejected),
        ];
        for mood in moods {
            clock.advance(OVER);
            *provider.mood.lock() = mood;
            look(Some(&manager.token().await.unwrap_err()));
        }
        *provider.mood.lock() = Mood::Good;
        clock.advance(OVER);
        storage.fault_until_healed(StorageOperation::CompareAndSet, StorageFault::Fail);
        let second = manager.token().await.unwrap();
        look(None);
        storage.heal();
        manager.flush().await.unwrap();
        manager.invalidate(&second);
        look(None);
        clock.advance(SPACING);
        manager.replace_rejected(&first).await.unwrap();
        manager.install(tokens("installed", clock.now().wall())).await.unwrap();
        look(None);
        look(Some(
            &manager
                .install(TokenSet::from_refresh_token("x"))
                .await
                .map_or_else(|error| error, |()| Error::new(ErrorKind::Config, "installed")),
        ));
        look(Some(&manager.token_valid_for(Duration::from_secs(9_999)).await.unwrap_err()));
        storage.inner().set(manager.key(), &TokenRecord::from_bytes(b"planted")).await.unwrap();
        clock.advance(OVER);
        manager.token().await.unwrap();
        manager.revoke().await.unwrap();
        manager.flush().await.unwrap();
        look(None);
    }
}

/// A token of 900 s is over, and so is every pause.
const OVER: Duration = Duration::from_secs(1_000);
const SPACING: Duration = Duration::from_secs(5);

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
