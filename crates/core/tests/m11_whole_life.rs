//! M11: a whole life of a manager, with all that can go wrong in it, shows no secret.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod planted;

use std::time::Duration;

use planted::{Mood, Provider, Shown, tokens};
use tokenkeeper::{
    Clock, Error, ErrorKind, ManualClock, MemoryStorage, RefreshPolicy, TokenManager, TokenRecord,
    TokenSet, TokenStorage,
};
use tokenkeeper_testkit::{FaultyStorage, StorageFault, StorageOperation};

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

/// A token of 900 s is over, and so is every pause.
const OVER: Duration = Duration::from_secs(1_000);
const SPACING: Duration = Duration::from_secs(5);
