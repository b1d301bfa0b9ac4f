//! M11: no secret shows in any Debug, Display, error chain, event or panic.
//!
//! Every secret that these tests plant has `planted` in it, so one search finds them all.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod fleet;

use std::error::Error as StdError;
use std::fmt::{self, Debug, Display};
use std::panic::catch_unwind;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fleet::{OVER, SPACING};
use parking_lot::Mutex;
use tokenkeeper::{
    AccessToken, Clock, Error, ErrorKind, Event, EventKind, FetchContext, LeaseRequest,
    ManualClock, MemoryStorage, OAuthError, Observer, Order, ProviderIdentity, RefreshPolicy,
    Scopes, Secret, SharedTokenStorage, SystemClock, TokenManager, TokenProvider, TokenRecord,
    TokenSet, TokenStorage, async_trait,
};
use tokenkeeper_testkit::{FaultyStorage, StorageFault, StorageOperation};

/// Collects everything that was shown, and fails if a secret is in it.
#[derive(Clone, Debug, Default)]
struct Shown(Arc<Mutex<Vec<String>>>);

impl Shown {
    fn debug(&self, value: &dyn Debug) {
        self.add(format!("{value:?}"));
        self.add(format!("{value:#?}"));
    }

    fn both(&self, value: &(impl Debug + Display)) {
        self.debug(value);
        self.add(format!("{value}"));
        self.add(format!("{value:#}"));
    }

    /// An error, and whatever it says was its cause.
    fn chain(&self, error: &Error) {
        self.both(error);
        let mut next = StdError::source(error);
        while let Some(cause) = next {
            self.add(cause.to_string());
            next = cause.source();
        }
    }

    fn add(&self, text: String) {
        assert!(!text.contains("planted"), "a secret shows: {text}");
        self.0.lock().push(text);
    }

    fn count(&self) -> usize {
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

fn token(name: &str) -> AccessToken {
    AccessToken::new(format!("planted-access-{name}"), "Bearer").unwrap()
}

fn tokens(name: &str, sent_at: SystemTime) -> TokenSet {
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
struct Provider {
    identity: ProviderIdentity,
    password: Secret,
    mood: Arc<Mutex<Mood>>,
    issued: Arc<Mutex<usize>>,
}

#[derive(Clone, Copy, Debug)]
enum Mood {
    Good,
    Refuses(ErrorKind),
    LosesAnswer,
    Panics,
}

impl Provider {
    fn new() -> Self {
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
struct Response {
    #[expect(dead_code, reason = "Debug reads it, which is the danger")]
    body: String,
}

impl Display for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body is no JSON")
    }
}

impl StdError for Response {}

#[test]
fn values_that_hold_a_secret_do_not_show_it() {
    let shown = Shown::default();
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new());
    let set = tokens("1", SystemTime::UNIX_EPOCH);

    shown.debug(&Secret::from("planted"));
    shown.debug(&Some(Secret::from("planted".to_owned())));
    shown.debug(&token("1"));
    shown.debug(&Arc::new(token("1")));
    shown.debug(&token("1").authorization());
    shown.debug(&set);
    shown.debug(&set.with_expires_at(None));
    shown.debug(&TokenSet::from_refresh_token("planted-refresh"));
    shown.debug(&TokenRecord::from_parts(b"planted".to_vec(), Order::new(1, 0), None, false));
    shown.debug(&TokenRecord::from_bytes(b"planted"));
    shown.debug(&FetchContext::detached(&clock, Duration::from_secs(15)));
    shown.debug(&Provider::new());

    assert!(token("1").authorization().is_sensitive());
    assert_eq!(shown.count(), 24);
}

#[test]
fn errors_show_neither_their_causes_insides_nor_what_was_refused() {
    let shown = Shown::default();
    let cause = || Response { body: "planted-body".to_owned() };
    let inner = Error::new(ErrorKind::Transport, "cut off").with_source(cause());

    shown.chain(&AccessToken::new("planted\n", "Bearer").unwrap_err());
    shown.chain(&AccessToken::new("planted", "plan ted").unwrap_err());
    shown.chain(&Scopes::new(["planted\n"]).unwrap_err());
    shown.chain(&tokenkeeper::StorageKey::new("/planted").unwrap_err());
    shown.chain(&Error::new(ErrorKind::InvalidResponse, "no JSON").with_source(cause()));
    shown.chain(&Error::new(ErrorKind::Storage, "no answer").with_source(inner));

    assert!(shown.count() > 24);
}

#[tokio::test]
async fn a_whole_life_shows_no_secret_anywhere() {
    let (shown, provider, clock) = (Shown::default(), Provider::new(), ManualClock::new());
    let storage = FaultyStorage::new(MemoryStorage::new());
    let builder = TokenManager::builder(provider.clone())
        .storage(storage.clone())
        .clock(clock.clone())
        .observer(shown.clone())
        .policy(RefreshPolicy::new().without_jitter());
    shown.debug(&builder);
    let manager = builder.build().unwrap();
    let statuses = manager.subscribe();
    let show_all = || {
        shown.debug(&manager);
        shown.debug(&manager.blocking());
        shown.debug(&manager.peek());
        shown.both(&manager.status());
        shown.debug(&statuses);
        shown.debug(&statuses.current());
        shown.debug(&storage);
        shown.both(manager.key());
        if let Some(error) = manager.status().last_error() {
            shown.chain(error);
        }
        if let Some(error) = manager.status().unpersisted() {
            shown.chain(error);
        }
    };
    let refresher = manager.spawn_refresher();
    shown.debug(&refresher);
    drop(refresher);

    let first = manager.token().await.unwrap();
    show_all();
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
        shown.chain(&manager.token().await.unwrap_err());
        show_all();
    }
    *provider.mood.lock() = Mood::Good;
    clock.advance(OVER);
    storage.fault_until_healed(StorageOperation::CompareAndSet, StorageFault::Fail);
    let second = manager.token().await.unwrap();
    show_all();
    storage.heal();
    manager.flush().await.unwrap();
    manager.invalidate(&second);
    show_all();
    clock.advance(SPACING);
    manager.replace_rejected(&first).await.unwrap();
    manager.install(tokens("installed", clock.now().wall())).await.unwrap();
    show_all();
    shown.chain(
        &manager
            .install(TokenSet::from_refresh_token("x"))
            .await
            .map_or_else(|error| error, |()| Error::new(ErrorKind::Config, "installed")),
    );
    shown.chain(&manager.token_valid_for(Duration::from_secs(9_999)).await.unwrap_err());
    storage.inner().set(manager.key(), &TokenRecord::from_bytes(b"planted")).await.unwrap();
    clock.advance(OVER);
    manager.token().await.unwrap();
    manager.revoke().await.unwrap();
    manager.flush().await.unwrap();
    show_all();

    let texts = shown.0.lock();
    for event in [
        "ExchangeStarted",
        "ExchangeSucceeded",
        "ExchangeFailed",
        "AnswerLost",
        "Panicked",
        "RefreshTokenDropped",
        "StorageFailed",
        "WriteRecovered",
        "Rejected",
        "Installed",
        "RecordUnreadable",
        "Cleared",
    ] {
        assert!(texts.iter().any(|text| text.contains(event)), "{event} did not happen");
    }
    assert_eq!(texts.iter().find(|text| text.contains("planted")), None);
}

#[tokio::test]
async fn what_storages_deal_in_shows_no_secret() {
    let (shown, storage) = (Shown::default(), MemoryStorage::new());
    let provider = Provider::new();
    let manager = TokenManager::builder(provider)
        .storage(storage.clone())
        .clock(SystemClock)
        .build()
        .unwrap();
    manager.token().await.unwrap();
    manager.flush().await.unwrap();
    let key = manager.key();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let want = LeaseRequest::new(Duration::from_secs(30), Duration::ZERO, clock);
    shown.debug(&want);

    let lease = storage.lease(key, &want).await.unwrap();
    shown.debug(&lease);
    shown.chain(&storage.lease(key, &want).await.unwrap_err());
    let (version, record) = storage.load(key).await.unwrap().unwrap();
    assert!(record.to_bytes().windows(7).any(|bytes| bytes == b"planted"));
    shown.debug(&(&version, &record));
    shown.debug(&storage.compare_and_set(key, None, &record).await.unwrap());
    shown.debug(&storage.compare_and_set(key, Some(&version), &record).await.unwrap());
    shown.debug(&storage);
}

#[test]
fn panics_of_those_who_unwrap_show_no_secret() {
    fn set() -> Result<TokenSet, Error> {
        Ok(tokens("1", SystemTime::UNIX_EPOCH))
    }
    fn no_token() -> Result<(), Arc<AccessToken>> {
        Err(Arc::new(token("1")))
    }
    fn no_secret() -> Result<(), Secret> {
        Err(Secret::from("planted"))
    }
    fn no_answer() -> Result<(), Error> {
        let cause = Response { body: "planted-body".to_owned() };
        Err(Error::new(ErrorKind::Transport, "cut off").with_source(cause))
    }
    let panics: [fn(); 4] = [
        || drop(set().unwrap_err()),
        || no_token().unwrap(),
        || no_secret().expect("a secret"),
        || no_answer().unwrap(),
    ];
    for panic in panics {
        let payload = catch_unwind(panic).unwrap_err();
        let message = payload.downcast_ref::<String>().expect("a message");
        assert!(!message.contains("planted"), "{message}");
    }
}
