//! M9: which record wins, when several processes and failed writes meet.

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

use setup::{manager, seconds};
use tokenkeeper::{
    AccessToken, Clock, ManualClock, MemoryStorage, Order, SharedTokenStorage, TokenManager,
    TokenRecord, TokenSet, TokenStorage,
};
use tokenkeeper_testkit::{
    FaultyStorage, Gate, ScriptedProvider, Step, StorageFault, StorageOperation as Op,
};

fn login(name: &str, clock: &ManualClock) -> TokenSet {
    TokenSet::new(AccessToken::new(name, "Bearer").unwrap(), clock.now().wall())
        .with_lifetime(seconds(3_600))
        .with_refresh_token(format!("rt-{name}"))
}

fn secret(token: &AccessToken) -> String {
    token.secret().expose_secret().to_owned()
}

fn peek(m: &TokenManager) -> Option<String> {
    m.peek().map(|t| secret(&t))
}

/// Moves the clock on in small steps, giving the driver time, until it holds.
async fn pump(clock: &ManualClock, most: Duration, done: impl Fn() -> bool) -> bool {
    let step = Duration::from_millis(250);
    let mut gone = Duration::ZERO;
    while gone < most {
        if done() {
            return true;
        }
        clock.advance(step);
        gone += step;
        tokio::time::sleep(Duration::from_millis(4)).await;
    }
    done()
}

async fn order_of(storage: &MemoryStorage, m: &TokenManager) -> Order {
    storage.get(m.key()).await.unwrap().unwrap().order()
}

/// Whoever could not write keeps its lease, so the other process asks the service after that.
async fn refused_after_the_lease(other: &TokenManager, clock: &ManualClock) {
    let asked = tokio::spawn({
        let other = other.clone();
        async move { other.token().await }
    });
    assert!(pump(clock, seconds(35), || asked.is_finished()).await);
    asked.await.unwrap().unwrap_err();
}

/// M9: an exchange in flight loses against a login elsewhere, also if a write retry saw it first.
#[tokio::test]
async fn an_exchange_never_overwrites_a_login_that_a_write_retry_learned_of() {
    let (clock, inner) = (ManualClock::new(), MemoryStorage::new());
    let storage = FaultyStorage::new(inner.clone());
    let (alice, bob) = (ScriptedProvider::new("svc"), ScriptedProvider::new("svc"));
    let a = manager(&alice, storage.clone(), &clock);
    let b = manager(&bob, inner.clone(), &clock);

    storage.fault_until_healed(Op::CompareAndSet, StorageFault::Fail);
    a.token().await.unwrap();
    assert!(a.status().unpersisted().is_some());
    pump(&clock, seconds(6), || false).await;

    let gate = Gate::closed();
    alice.on_refresh(Step::issue().held(&gate));
    let forced = tokio::spawn({
        let a = a.clone();
        async move { a.force_refresh().await }
    });
    gate.arrived(1).await;
    b.install(login("bob", &clock)).await.unwrap();
    storage.heal();
    assert!(pump(&clock, seconds(12), || a.status().unpersisted().is_none()).await);
    assert_eq!(peek(&a).as_deref(), Some("bob"), "the retry learned of the login");
    gate.release();
    let _ = forced.await.unwrap();

    let cold = manager(&bob, inner.clone(), &clock);
    assert_eq!(secret(&cold.token().await.unwrap()), "bob", "storage");
    assert_eq!(peek(&a).as_deref(), Some("bob"), "memory");
}

/// M9: a retried write of old tokens does not replace newer ones (server without rotation).
#[tokio::test]
async fn a_retried_write_never_replaces_newer_tokens_of_a_service_that_does_not_rotate() {
    let (clock, inner) = (ManualClock::new(), MemoryStorage::new());
    let storage = FaultyStorage::new(inner.clone());
    let provider = ScriptedProvider::new("svc").without_rotation();
    let a = manager(&provider, storage.clone(), &clock);
    let b = manager(&provider, inner.clone(), &clock);
    a.token().await.unwrap();
    b.token().await.unwrap();

    clock.advance(seconds(6));
    storage.fault_until_healed(Op::CompareAndSet, StorageFault::Fail);
    let old = secret(&a.force_refresh().await.unwrap()); // only in A's memory
    for _ in 0..3 {
        clock.advance(seconds(600));
        b.force_refresh().await.unwrap();
    }
    let newest = peek(&b).unwrap();
    let before = order_of(&inner, &b).await;
    storage.heal();
    assert!(pump(&clock, seconds(70), || a.status().unpersisted().is_none()).await);

    let after = order_of(&inner, &b).await;
    println!("old {old}, newest {newest}, order {before:?} -> {after:?}");
    provider.always_on_refresh(Step::unavailable());
    provider.always_on_fetch(Step::unavailable());
    let _ = b.force_refresh().await;
    assert_eq!(peek(&b), Some(newest), "M4: a token with minutes left was thrown away");
    assert_eq!(before, after);
}

/// M4, M9: that another process was refused does not take the tokens that we hold.
#[tokio::test]
async fn a_verdict_of_another_process_does_not_clear_memory() {
    let (clock, inner) = (ManualClock::new(), MemoryStorage::new());
    let storage = FaultyStorage::new(inner.clone());
    let (good, bad) = (ScriptedProvider::new("svc"), ScriptedProvider::new("svc"));
    bad.always_on_fetch(Step::refuse_credentials());
    let a = manager(&good, storage.clone(), &clock);
    let b = manager(&bad, inner.clone(), &clock);

    storage.fault_until_healed(Op::CompareAndSet, StorageFault::Fail);
    a.token().await.unwrap();
    refused_after_the_lease(&b, &clock).await;
    storage.heal();
    assert!(pump(&clock, seconds(70), || a.status().unpersisted().is_none()).await);

    assert_eq!(peek(&a).as_deref(), Some("access-1"));
    assert!(a.status().has_refresh_token());
}

/// M5: and the write of the tokens that we hold is not given up for it.
#[tokio::test]
async fn a_verdict_of_another_process_does_not_end_the_write_retries() {
    let (clock, inner) = (ManualClock::new(), MemoryStorage::new());
    let storage = FaultyStorage::new(inner.clone());
    let (good, bad) = (ScriptedProvider::new("svc"), ScriptedProvider::new("svc"));
    bad.always_on_fetch(Step::refuse_credentials());
    let a = manager(&good, storage.clone(), &clock);
    let b = manager(&bad, inner.clone(), &clock);
    storage.fault_until_healed(Op::CompareAndSet, StorageFault::Fail);
    a.token().await.unwrap();
    refused_after_the_lease(&b, &clock).await;
    storage.heal();
    assert!(pump(&clock, seconds(70), || a.status().unpersisted().is_none()).await);
    let payload = inner.get(a.key()).await.unwrap().unwrap().payload().to_vec();
    let text = String::from_utf8(payload).unwrap();
    assert!(text.contains("refresh-1"), "status says persisted, the storage holds {text}");
}

/// The same where the storage lost its record: two verdicts beat our order.
#[tokio::test]
async fn verdicts_after_a_lost_record_do_not_clear_memory() {
    let (clock, inner) = (ManualClock::new(), MemoryStorage::new());
    let (good, bad) = (ScriptedProvider::new("svc"), ScriptedProvider::new("svc"));
    bad.always_on_fetch(Step::refuse_credentials());
    let a = manager(&good, inner.clone(), &clock);
    let b = manager(&bad, inner.clone(), &clock);
    a.token().await.unwrap();
    inner.delete(a.key()).await.unwrap();
    for _ in 0..3 {
        b.token().await.unwrap_err();
        clock.advance(seconds(61));
    }
    good.always_on_refresh(Step::unavailable());
    good.always_on_fetch(Step::unavailable());
    let _ = a.force_refresh().await;
    assert_eq!(peek(&a).as_deref(), Some("access-1"));
    assert!(a.status().has_refresh_token());
}

async fn stored_by_a_clock_ahead(inner: &MemoryStorage, clock: &ManualClock) {
    let ahead = ManualClock::starting_at(clock.now().wall() + seconds(60));
    let b = manager(&ScriptedProvider::new("svc"), inner.clone(), &ahead);
    b.install(login("bob", &ahead)).await.unwrap();
}

/// M9: an install beats what is stored, also if its first write fails and the clocks differ.
#[tokio::test]
async fn an_install_whose_write_is_retried_still_beats_what_was_there() {
    let (clock, inner) = (ManualClock::new(), MemoryStorage::new());
    stored_by_a_clock_ahead(&inner, &clock).await;
    let storage = FaultyStorage::new(inner.clone());
    let a = manager(&ScriptedProvider::new("svc"), storage.clone(), &clock);

    storage.fault_next(Op::CompareAndSet, 1, StorageFault::Fail);
    a.install(login("alice", &clock)).await.unwrap();
    assert_eq!(peek(&a).as_deref(), Some("alice"));
    assert!(pump(&clock, seconds(5), || a.status().unpersisted().is_none()).await);

    assert_eq!(peek(&a).as_deref(), Some("alice"));
}

/// M9: the same for a logout.
#[tokio::test]
async fn a_clear_whose_write_is_retried_does_not_bring_the_tokens_back() {
    let (clock, inner) = (ManualClock::new(), MemoryStorage::new());
    stored_by_a_clock_ahead(&inner, &clock).await;
    let storage = FaultyStorage::new(inner.clone());
    let a = manager(&ScriptedProvider::new("svc"), storage.clone(), &clock);
    a.token().await.unwrap(); // adopts bob: order is known
    let b_again = manager(
        &ScriptedProvider::new("svc"),
        inner.clone(),
        &ManualClock::starting_at(clock.now().wall() + seconds(120)),
    );
    b_again.install(login("carol", &clock)).await.unwrap();

    storage.fault_next(Op::CompareAndSet, 1, StorageFault::Fail);
    a.clear().await.unwrap_err();
    assert_eq!(peek(&a), None);
    assert!(pump(&clock, seconds(5), || a.status().unpersisted().is_none()).await);

    assert_eq!(peek(&a), None, "logged out, then logged in again by a write retry");
    assert!(inner.get(a.key()).await.unwrap().unwrap().is_tombstone());
}

/// M9: dropping a refused refresh token does not lower the order.
#[tokio::test]
async fn dropping_a_refresh_token_never_lowers_the_order() {
    let (clock, inner) = (ManualClock::new(), MemoryStorage::new());
    let provider = ScriptedProvider::new("svc");
    let a = manager(&provider, inner.clone(), &clock);
    a.token().await.unwrap();
    clock.advance(seconds(6));
    let gate = Gate::closed();
    provider.on_refresh(Step::refuse_refresh().held(&gate));
    let forced = tokio::spawn({
        let a = a.clone();
        async move { a.force_refresh().await }
    });
    gate.arrived(1).await;
    let (_, there) = inner.load(a.key()).await.unwrap().unwrap();
    let raised = TokenRecord::from_parts(there.payload().to_vec(), Order::new(0, 50), None, false);
    inner.set(a.key(), &raised).await.unwrap();
    gate.release();
    forced.await.unwrap().unwrap();

    let order = order_of(&inner, &a).await;
    assert!(order > Order::new(0, 50), "{order:?}");
}
