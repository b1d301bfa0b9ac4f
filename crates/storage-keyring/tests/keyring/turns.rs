//! A keyring that hangs, as behind a prompt, and callers that give up.

use std::time::Duration;

use crate::fake_keyring::{FakeKeyring, key, record};
use tokenkeeper::{ErrorKind, ManualClock, TokenManager, TokenStorage};
use tokenkeeper_testkit::ScriptedProvider;

/// Lets other tasks and threads get on.
async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::task::yield_now().await;
    }
}

/// Begins a call, up to where it first waits, and drops it if it is not lent.
async fn begun<T>(call: impl Future<Output = T>) {
    tokio::select! {
        biased;
        _ = call => {}
        () = std::future::ready(()) => {}
    }
}

#[tokio::test]
async fn a_write_that_was_dropped_lands_before_the_next_one() {
    let keyring = FakeKeyring::new();
    let storage = keyring.storage();
    keyring.hold();
    begun(storage.set(&key(), &record(1, 2_000))).await;
    keyring.wait_for_calls(1);

    let (next_key, next) = (key(), record(2, 2_000));
    let mut later = storage.set(&next_key, &next);
    begun(&mut later).await;
    keyring.let_go();
    later.await.unwrap();

    let found = storage.get(&key()).await.unwrap().unwrap();
    assert_eq!(found.payload(), record(2, 2_000).payload());
    assert_eq!(keyring.most_under_way(), 1);
}

#[tokio::test]
async fn a_write_that_is_dropped_before_its_turn_does_nothing() {
    let keyring = FakeKeyring::new();
    let storage = keyring.storage();
    keyring.hold();
    begun(storage.get(&key())).await;
    keyring.wait_for_calls(1);

    begun(storage.set(&key(), &record(1, 10))).await;
    keyring.let_go();

    assert!(storage.get(&key()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_keyring_that_hangs_holds_one_thread_however_many_give_up() {
    let keyring = FakeKeyring::new();
    let storage = keyring.storage();
    keyring.hold();

    for _ in 0..1_000 {
        begun(storage.set(&key(), &record(1, 10))).await;
        begun(storage.clone().get(&key())).await;
    }
    keyring.wait_for_calls(1);
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    keyring.let_go();
    storage.get(&key()).await.unwrap();

    assert_eq!(keyring.most_under_way(), 1);
    assert_eq!(tasks, 0, "no task is left for those who gave up");
}

#[tokio::test]
async fn storages_of_several_programs_do_not_wait_for_each_other() {
    let (hung, other) = (FakeKeyring::new(), FakeKeyring::new());
    hung.hold();
    begun(hung.storage().get(&key())).await;
    hung.wait_for_calls(1);

    assert!(other.storage().get(&key()).await.unwrap().is_none());
    hung.let_go(); // the runtime waits for it
}

#[tokio::test]
async fn the_manager_gives_up_after_five_seconds_and_goes_on_once_the_prompt_is_answered() {
    let keyring = FakeKeyring::new();
    let (clock, provider) = (ManualClock::new(), ScriptedProvider::new("svc"));
    let manager = TokenManager::builder(provider.clone())
        .storage(keyring.storage())
        .clock(clock.clone())
        .build()
        .unwrap();
    keyring.hold();

    let caller = manager.clone();
    let caller = tokio::spawn(async move { caller.token().await });
    until(|| clock.sleepers() == 2).await;
    clock.advance(Duration::from_secs(5));
    let error = caller.await.unwrap().unwrap_err();
    keyring.let_go();
    clock.advance(Duration::from_secs(60));
    manager.token().await.unwrap();

    assert_eq!(error.kind(), ErrorKind::Storage);
    assert_eq!(provider.calls(), 1);
    assert!(!keyring.names().is_empty());
}
