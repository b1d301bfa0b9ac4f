//! Many tasks, many managers, everything at once.

#![allow(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    clippy::restriction,
    clippy::nursery,
    reason = "review"
)]

mod setup;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use setup::{Setup, manager, seconds};
use tokenkeeper::{
    AccessToken, Clock, Event, EventKind, ManualClock, MemoryStorage, Observer, RefreshPolicy,
    TokenManager, TokenSet,
};
use tokenkeeper_testkit::{Gate, ScriptedProvider, Step};
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_rejections_before_during_and_after_cause_one_exchange() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager, clock, .. } = Setup::new(&provider);
    let old = manager.token().await.unwrap();
    clock.advance(seconds(6));
    let gate = Gate::closed();
    provider.on_refresh(Step::issue().held(&gate));
    let mut calls = JoinSet::new();
    for n in 0..300 {
        let (m, old, gate, clock) = (manager.clone(), old.clone(), gate.clone(), clock.clone());
        calls.spawn(async move {
            if n >= 100 {
                gate.arrived(1).await;
            }
            if n == 200 {
                tokio::time::sleep(Duration::from_millis(20)).await;
                gate.release();
            }
            if n > 200 {
                tokio::time::sleep(Duration::from_millis(40)).await;
                clock.advance(Duration::from_millis(10));
            }
            m.replace_rejected(&old).await
        });
    }
    for answer in calls.join_all().await {
        assert_eq!(answer.unwrap().unwrap().secret().expose_secret(), "access-2");
    }
    assert_eq!(provider.calls(), 2);
}

#[test]
fn a_driver_that_is_shut_down_gives_errors_and_no_hang() {
    let provider = ScriptedProvider::new("svc");
    let driver =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let m =
        TokenManager::builder(provider.clone()).driver(driver.handle().clone()).build().unwrap();
    let gate = Gate::closed();
    provider.on_fetch(Step::issue().held(&gate));
    let waiter = std::thread::spawn({
        let m = m.clone();
        move || m.blocking().token()
    });
    pollster::block_on(gate.arrived(1));
    driver.shutdown_background();
    println!("{}", waiter.join().unwrap().unwrap_err());
    println!("{}", m.blocking().token().unwrap_err());
    println!("{:?}", m.blocking().flush());
    println!("{:?}", m.blocking().clear());
    println!("{:?}", m.blocking().revoke());
    println!("{:?}", m.blocking().install(TokenSet::from_refresh_token("x")));
    assert!(!m.status().is_exchanging());
}

#[test]
fn a_driver_without_timers_gives_an_error_and_no_hang() {
    let driver = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let provider = ScriptedProvider::new("svc");
    let m =
        TokenManager::builder(provider.clone()).driver(driver.handle().clone()).build().unwrap();
    provider.on_fetch(Step::hang());
    println!("{}", m.blocking().token().unwrap_err());
}

#[derive(Debug, Default)]
struct Meddler(OnceLock<TokenManager>);

impl Observer for Meddler {
    fn on_event(&self, event: &Event) {
        let Some(m) = self.0.get() else { return };
        let _ = (m.status(), m.peek());
        m.credentials_changed();
        if let Some(t) = m.peek() {
            m.invalidate(&t);
        }
        let _ = m.subscribe().current();
        let _ = format!("{m:?}");
        drop(m.spawn_refresher());
        if matches!(event.kind(), EventKind::ExchangeSucceeded { .. }) {
            panic!("observers may");
        }
    }
}

#[tokio::test]
async fn observers_may_call_back_and_panic() {
    let provider = ScriptedProvider::new("svc");
    let meddler = Arc::new(Meddler::default());
    let clock = ManualClock::new();
    let m = TokenManager::builder(provider)
        .clock(clock.clone())
        .observer(Arc::clone(&meddler))
        .build()
        .unwrap();
    meddler.0.set(m.clone()).unwrap();
    m.token().await.unwrap();
    for _ in 0..5 {
        clock.advance(seconds(700));
        m.token().await.unwrap();
        let _ = m.force_refresh().await;
    }
    m.clear().await.unwrap();
    m.flush().await.unwrap();
}

/// A fleet without faults: no refresh token is spent twice, whatever is called in whatever order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stress() {
    let skip = std::env::var("SKIP").unwrap_or("ci".to_owned()) /* clear and install: see review_order */;
    let step_ms: u64 = std::env::var("STEP_MS").ok().and_then(|s| s.parse().ok()).unwrap_or(20);
    let (no_clear, no_install, no_login, no_revoke) =
        (skip.contains('c'), skip.contains('i'), skip.contains('l'), skip.contains('r'));
    for round in 0..6_u64 {
        let clock = ManualClock::new();
        let storage = MemoryStorage::new();
        let provider = ScriptedProvider::new("svc").with_lifetime(Some(seconds(30)));
        let fleet: Vec<_> = (0..4).map(|_| manager(&provider, storage.clone(), &clock)).collect();
        let mut tasks = JoinSet::new();
        for n in 0..24_u64 {
            let (m, clock) = (fleet[(n % 4) as usize].clone(), clock.clone());
            tasks.spawn(async move {
                let mut x = round * 1_000 + n + 1;
                for step in 0..150 {
                    x = x
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    let what = (x >> 33) % 100;
                    let limit = Duration::from_micros((x >> 40) % 3_000 + 50);
                    let m2 = m.clone();
                    let clock2 = clock.clone();
                    let work = async move {
                        match what {
                            0..50 => drop(m2.token().await),
                            50..65 => drop(m2.force_refresh().await),
                            65..80 => {
                                if let Some(t) = m2.peek() {
                                    drop(m2.replace_rejected(&t).await);
                                }
                            }
                            80..83 if !no_clear => drop(m2.clear().await),
                            83..86 if !no_install => {
                                let t = AccessToken::new(format!("i{n}-{step}"), "Bearer").unwrap();
                                let set = TokenSet::new(t, clock2.now().wall())
                                    .with_lifetime(seconds(30))
                                    .with_refresh_token(format!("ri{n}-{step}"));
                                drop(m2.install(set).await);
                            }
                            86..88 if !no_login => drop(m2.login().await),
                            88..90 => drop(m2.flush().await),
                            90..91 if !no_revoke => drop(m2.revoke().await),
                            _ => clock2.advance(Duration::from_millis(step_ms)),
                        }
                    };
                    let _ = tokio::time::timeout(limit, work).await; // dropped anywhere
                }
            });
        }
        tasks.join_all().await;
        for m in &fleet {
            tokio::time::timeout(seconds(5), m.flush()).await.expect("flush hangs").unwrap();
            assert!(!m.status().is_exchanging(), "{}", m.status());
        }
        clock.advance(seconds(3_600));
        for m in &fleet {
            tokio::time::timeout(seconds(5), m.token()).await.expect("token hangs").unwrap();
        }
        println!(
            "{} calls, {} reuses, {} at once",
            provider.calls(),
            provider.reuses(),
            provider.most_at_once()
        );
        assert_eq!(provider.reuses(), 0);
        assert_eq!(provider.most_at_once(), 1);
    }
}

/// A refresher neither leaks nor keeps the manager.
#[tokio::test]
async fn nothing_keeps_a_dropped_manager_alive() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager, clock, .. } = Setup::new(&provider);
    let mut stream = manager.subscribe();
    let refresher = manager.spawn_refresher();
    manager.token().await.unwrap();
    manager.flush().await.unwrap();
    drop(manager);
    while tokio::time::timeout(seconds(2), stream.changed()).await.expect("the manager is alive") {}
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(clock.sleepers(), 0);
    drop(refresher);
}

/// Both clocks stepping to and fro: a token is never served past its end by either.
#[tokio::test]
async fn stepped_clocks_and_suspension() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager, clock, .. } = Setup::new(&provider);
    manager.token().await.unwrap();
    clock.suspend(seconds(901));
    assert!(manager.peek().is_none());
    manager.token().await.unwrap();
    clock.set_wall(std::time::UNIX_EPOCH);
    assert!(manager.peek().is_some());
    clock.advance(seconds(900));
    assert!(manager.peek().is_none());
    manager.token().await.unwrap();
    manager.clear().await.unwrap();
    manager.token().await.unwrap();
    assert_eq!(provider.calls(), 4);
    let _ = RefreshPolicy::new();
}
