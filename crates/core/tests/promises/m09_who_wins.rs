//! M9: which record wins when a write is repeated, and the storage has changed meanwhile.

use crate::support::records::{holds, tokens_of};
use crate::support::rig::{Rig, seconds, until};
use crate::support::setup::manager;
use crate::support::waiting::started;
use tokenkeeper::{Clock, ManualClock, Order, TokenManager, TokenStorage};
use tokenkeeper_testkit::{Gate, ScriptedProvider, Step, StorageFault, StorageOperation};

fn provider() -> ScriptedProvider {
    ScriptedProvider::new("svc")
}

/// Another process on the same storage, which works for it.
fn sibling(rig: &Rig, provider: &ScriptedProvider) -> TokenManager {
    manager(provider, rig.shelf.clone(), &rig.clock)
}

/// A process whose clock is ahead logs in.
async fn login_ahead(rig: &Rig, owner: &str, ahead: u64) {
    let clock = ManualClock::starting_at(rig.clock.now().wall() + seconds(ahead));
    let sibling = manager(&provider(), rig.shelf.clone(), &clock);
    sibling.install(tokens_of(owner, clock.now().wall())).await.unwrap();
}

fn fail_next_write(rig: &Rig) {
    rig.storage.fault_next(rig.write(), 1, StorageFault::Fail);
}

fn fail_every_write(rig: &Rig) {
    rig.storage.fault_until_healed(rig.write(), StorageFault::Fail);
    rig.storage.fault_until_healed(StorageOperation::Renew, StorageFault::Fail);
}

/// A process that could not write keeps the lease; others get it when it is over, if it cannot be
/// renewed either.
async fn after_the_lease<T: Send + 'static>(
    rig: &Rig,
    call: impl Future<Output = T> + Send + 'static,
) -> T {
    let call = tokio::spawn(call);
    let mut left = 40;
    until("the lease is over", || {
        if left > 0 {
            rig.clock.advance(seconds(1));
            left -= 1;
        }
        call.is_finished()
    })
    .await;
    call.await.unwrap()
}

fn holds_token(manager: &TokenManager, secret: &str) -> bool {
    manager.peek().is_some_and(|token| token.secret().expose_secret() == secret)
}

#[tokio::test]
async fn an_exchange_never_overwrites_a_login_that_a_repeated_write_learned_of() {
    let rig = Rig::shared(&provider());
    let gate = Gate::closed();
    rig.provider.on_refresh(Step::issue().held(&gate));
    fail_next_write(&rig);
    let old = rig.manager.token().await.unwrap();
    until("the repetition is due", || rig.clock.next_wake() == Some(seconds(1))).await;

    let caller = started(rig.manager.replace_rejected(&old)).await;
    gate.arrived(1).await;
    let login = tokens_of("bob", rig.clock.now().wall());
    sibling(&rig, &provider()).install(login).await.unwrap();
    rig.clock.advance(seconds(1));
    until("it learned of the login", || holds_token(&rig.manager, "bob-access")).await;
    gate.release();
    caller.end().await.unwrap();

    rig.manager.flush().await.unwrap();
    assert!(holds_token(&rig.manager, "bob-access"));
    rig.assert_lives_on("bob-refresh").await;
}

/// Every record holds the same refresh token there, so it cannot tell which one is behind.
#[tokio::test]
async fn a_repeated_write_never_replaces_newer_tokens_of_a_service_that_does_not_rotate() {
    let rig = Rig::shared(&provider().without_rotation());
    rig.with_token_aged(seconds(6)).await;
    fail_every_write(&rig);
    rig.manager.force_refresh().await.unwrap();
    for _ in 0..2 {
        let sibling = sibling(&rig, &rig.provider);
        after_the_lease(&rig, async move { sibling.force_refresh().await }).await.unwrap();
    }
    let newest = rig.stored().unwrap();

    rig.storage.heal();
    rig.manager.flush().await.unwrap();

    let stored = rig.stored().unwrap();
    assert_eq!((stored.order(), stored.payload()), (newest.order(), newest.payload()));
    assert!(holds(&rig.shelf, rig.manager.key(), "access-4").await);
    assert!(!holds_token(&rig.manager, "access-2")); // it took over what beat its own
}

#[tokio::test]
async fn a_verdict_of_another_process_does_not_keep_our_tokens_out_of_the_storage() {
    let rig = Rig::shared(&provider());
    let refused = provider();
    refused.always_on_fetch(Step::refuse_credentials());
    fail_every_write(&rig);
    rig.manager.token().await.unwrap();

    let sibling = sibling(&rig, &refused);
    after_the_lease(&rig, async move { sibling.token().await }).await.unwrap_err();
    assert!(holds(&rig.shelf, rig.manager.key(), "rejected").await);
    rig.storage.heal();
    rig.manager.flush().await.unwrap();

    assert!(rig.manager.status().unpersisted().is_none());
    assert!(holds_token(&rig.manager, "access-1"));
    rig.assert_lives_on("refresh-1").await;
}

#[tokio::test]
async fn however_many_verdicts_follow_a_lost_record_they_never_outrank_our_tokens() {
    let rig = Rig::shared(&provider());
    let refused = provider();
    refused.always_on_fetch(Step::refuse_credentials());
    rig.with_token_aged(seconds(6)).await;
    rig.shelf.delete(rig.manager.key()).await.unwrap();

    let sibling = sibling(&rig, &refused);
    for _ in 0..3 {
        sibling.token().await.unwrap_err();
        rig.clock.advance(seconds(61));
    }
    assert_eq!(refused.calls(), 3);
    rig.manager.force_refresh().await.unwrap();

    assert_eq!((rig.provider.fetches(), rig.provider.spent()), (1, vec!["refresh-1".to_owned()]));
}

#[tokio::test]
async fn an_install_whose_write_is_repeated_still_beats_what_was_there() {
    let rig = Rig::shared(&provider());
    login_ahead(&rig, "bob", 60).await;
    fail_next_write(&rig);
    rig.manager.install(tokens_of("alice", rig.clock.now().wall())).await.unwrap();
    assert!(rig.manager.status().unpersisted().is_some());

    rig.manager.flush().await.unwrap();

    assert!(holds_token(&rig.manager, "alice-access"));
    rig.assert_lives_on("alice-refresh").await;
}

#[tokio::test]
async fn a_clear_whose_write_is_repeated_does_not_bring_the_tokens_back() {
    let rig = Rig::shared(&provider());
    login_ahead(&rig, "bob", 60).await;
    rig.manager.token().await.unwrap();
    assert!(holds_token(&rig.manager, "bob-access"));
    login_ahead(&rig, "carol", 120).await;
    fail_next_write(&rig);
    rig.manager.clear().await.unwrap_err();

    rig.manager.flush().await.unwrap();

    assert!(rig.manager.peek().is_none());
    assert!(rig.stored().unwrap().is_tombstone());
}

#[tokio::test]
async fn dropping_a_refused_refresh_token_never_lowers_the_order() {
    let rig = Rig::shared(&provider());
    let gate = Gate::closed();
    rig.provider.on_refresh(Step::refuse_refresh().held(&gate));
    rig.with_token_aged(seconds(6)).await;
    let caller = started(rig.manager.force_refresh()).await;
    gate.arrived(1).await;

    let there = rig.stored().unwrap();
    rig.store(std::str::from_utf8(there.payload()).unwrap(), Order::new(0, 50));
    gate.release();
    caller.end().await.unwrap();

    assert_eq!(rig.stored().unwrap().order(), Order::new(0, 52)); // once dropped, once fetched anew
}
