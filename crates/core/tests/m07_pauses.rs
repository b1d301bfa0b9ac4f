//! M7: how often anything is asked, whoever asks.

#![allow(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    clippy::restriction,
    clippy::nursery,
    reason = "review"
)]

mod setup;

use std::time::Duration;

use setup::{Setup, manager, seconds};
use tokenkeeper::{AccessToken, Clock, ErrorKind, ManualClock, MemoryStorage, TokenSet};
use tokenkeeper_testkit::{
    FaultyStorage, PlainStorage, ScriptedProvider, Step, StorageFault, StorageOperation as Op,
};

/// M7: 5 s doubling to 10 min.
#[tokio::test]
async fn a_refused_password_is_sent_ever_more_rarely_with_the_default_storage() {
    for plain in [true, false] {
        let (clock, inner) = (ManualClock::new(), MemoryStorage::new());
        let provider = ScriptedProvider::new("svc");
        provider.always_on_fetch(Step::refuse_credentials());
        let m = if plain {
            manager(&provider, PlainStorage::new(inner), &clock)
        } else {
            manager(&provider, inner, &clock)
        };
        for _ in 0..3_600 {
            m.token().await.unwrap_err();
            clock.advance(seconds(1));
        }
        println!("plain {plain}: {} fetches in an hour", provider.fetches());
        assert!(provider.fetches() <= 14, "plain {plain}: {}", provider.fetches());
    }
}

/// M7/M8: a verdict stands for a minute, whatever the clocks say.
#[tokio::test]
async fn a_verdict_from_the_future_does_not_stand_for_ever() {
    let (clock, inner) = (ManualClock::new(), MemoryStorage::new());
    let ahead = ManualClock::starting_at(clock.now().wall() + seconds(86_400));
    let bad = ScriptedProvider::new("svc");
    bad.always_on_fetch(Step::refuse_credentials());
    manager(&bad, inner.clone(), &ahead).token().await.unwrap_err();

    let good = ScriptedProvider::new("svc");
    let m = manager(&good, inner, &clock);
    for minute in 0..60 {
        if m.token().await.is_ok() {
            assert!(minute <= 2, "{minute}");
            return;
        }
        clock.advance(seconds(61));
    }
    panic!("an hour later the service was asked {} times", good.fetches());
}

/// M7: "until install".
#[tokio::test]
async fn an_install_ends_a_verdict_also_if_its_write_fails() {
    let (clock, inner) = (ManualClock::new(), MemoryStorage::new());
    let storage = FaultyStorage::new(inner);
    let provider = ScriptedProvider::new("svc");
    provider.on_fetch(Step::refuse_credentials());
    let m = manager(&provider, storage.clone(), &clock);
    m.token().await.unwrap_err();
    storage.fault_until_healed(Op::CompareAndSet, StorageFault::Fail);
    m.install(TokenSet::from_refresh_token("fresh")).await.unwrap();

    m.token().await.unwrap();
}

/// No busy loop.
#[tokio::test]
async fn a_refresher_does_not_hammer_a_storage_that_is_down() {
    let clock = ManualClock::new();
    let storage = FaultyStorage::new(MemoryStorage::new());
    storage.fault_everything(StorageFault::Fail);
    let provider = ScriptedProvider::new("svc").attended().without_refresh_tokens();
    let m = manager(&provider, storage.clone(), &clock);
    let refresher = m.spawn_refresher();
    tokio::time::sleep(Duration::from_millis(200)).await;
    drop(refresher);
    let calls = storage.total_calls();
    assert!(calls < 10, "{calls} storage calls while the clock stood still");
}

/// Callers neither.
#[tokio::test]
async fn callers_without_a_login_do_not_hammer_the_storage() {
    let mut leases = Vec::new();
    for person in [false, true] {
        let clock = ManualClock::new();
        let storage = FaultyStorage::new(MemoryStorage::new());
        let mut provider = ScriptedProvider::new("svc");
        if person {
            let what = tokenkeeper::Error::new(ErrorKind::LoginRequired, "login_required");
            provider.always_on_fetch(Step::fail(what));
        } else {
            provider = provider.attended();
        }
        let m = manager(&provider, storage.clone(), &clock);
        for _ in 0..100 {
            m.token().await.unwrap_err();
        }
        println!("person {person}: {} calls of the provider", provider.calls());
        leases.push(storage.calls(Op::Lease));
    }
    assert!(leases.iter().all(|n| *n < 10), "{leases:?} leases while the clock stood still");
}

/// A logout with a refresher running: nobody asked for a token.
#[tokio::test]
async fn a_refresher_does_not_log_in_again_after_clear() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager, clock, .. } = Setup::new(&provider);
    manager.token().await.unwrap();
    let _refresher = manager.spawn_refresher();
    manager.clear().await.unwrap();
    for _ in 0..20 {
        clock.advance(seconds(1));
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    assert_eq!(provider.fetches(), 1);
}

/// M1: one call, one exchange.
#[tokio::test]
async fn token_valid_for_makes_one_exchange_also_where_the_service_is_slow() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager, clock, .. } = Setup::new(&provider);
    let slow = clock.clone();
    let step = Step::answer(move |call| {
        slow.advance(seconds(6));
        let token = AccessToken::new(format!("t{:?}", slow.now().mono()), "Bearer").unwrap();
        Ok(TokenSet::new(token, call.sent_at()).with_lifetime(seconds(900)))
    });
    provider.always_on_fetch(step);

    let result = manager.token_valid_for(seconds(900)).await;
    println!("{} calls, {result:?}", provider.calls());
    assert_eq!(provider.calls(), 1);
    result.unwrap();
}

/// A refresher keeps the token fresh.
#[tokio::test]
async fn a_refresher_comes_back_when_the_spacing_is_over() {
    let provider = ScriptedProvider::new("svc").with_lifetime(Some(seconds(1)));
    let Setup { manager, clock, .. } = Setup::new(&provider);
    manager.token().await.unwrap();
    let _refresher = manager.spawn_refresher();
    for _ in 0..300 {
        clock.advance(Duration::from_millis(100));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    println!("{} calls in 30 s", provider.calls());
    assert!(provider.calls() >= 15, "{} calls in 30 s for tokens of 1 s", provider.calls());
}

/// M1 speaks of the life last issued; what is left of an installed token says nothing about that.
#[tokio::test]
async fn an_installed_token_with_little_left_does_not_block_token_valid_for() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager, clock, .. } = Setup::new(&provider);
    let token = AccessToken::new("installed", "Bearer").unwrap();
    let set = TokenSet::new(token, clock.now().wall())
        .with_lifetime(seconds(20))
        .with_refresh_token("rt");
    manager.install(set).await.unwrap();
    clock.advance(seconds(21)); // long dead
    manager.token_valid_for(seconds(60)).await.unwrap();
}

/// A limbo flight's failure is about what was before the install.
#[tokio::test]
async fn an_overtaken_flight_does_not_pause_what_came_after_it() {
    let clock = ManualClock::new();
    let storage = FaultyStorage::new(MemoryStorage::new());
    let provider = ScriptedProvider::new("svc");
    let m = manager(&provider, storage.clone(), &clock);
    storage.fault_next(Op::Load, 1, StorageFault::Hang);
    let waiting = tokio::spawn({
        let m = m.clone();
        async move { m.token().await }
    });
    while storage.calls(Op::Load) == 0 {
        tokio::task::yield_now().await;
    }
    m.install(TokenSet::from_refresh_token("fresh")).await.unwrap();
    while !waiting.is_finished() {
        clock.advance(Duration::from_millis(200));
        tokio::time::sleep(Duration::from_millis(4)).await;
    }
    println!("waiter: {:?}", waiting.await.unwrap().map(|t| t.secret().expose_secret().to_owned()));
    m.token().await.unwrap();
}
