//! M9: tokens that are given at every start of a program.

use crate::support::setup::{manager, seconds};
use tokenkeeper::{
    AccessToken, Clock, ErrorKind, ManualClock, MemoryStorage, TokenSet, TokenStorage,
};
use tokenkeeper_testkit::{
    FaultyStorage, PlainStorage, ScriptedProvider, Step, StorageFault, StorageOperation,
};

fn seed() -> TokenSet {
    TokenSet::from_refresh_token("seed")
}

async fn restart(storage: impl TokenStorage + Clone) {
    let (provider, clock) = (ScriptedProvider::new("svc").attended(), ManualClock::new());
    let first = manager(&provider, storage.clone(), &clock);
    assert!(first.install_if_absent(seed()).await.unwrap());
    first.token().await.unwrap();
    first.flush().await.unwrap();

    clock.advance(seconds(900));
    let second = manager(&provider, storage, &clock);
    assert!(!second.install_if_absent(seed()).await.unwrap());
    second.token().await.unwrap();

    assert_eq!(provider.spent(), ["seed", "refresh-1"]);
    assert_eq!(provider.reuses(), 0);
}

#[tokio::test]
async fn a_restart_does_not_put_the_spent_token_back() {
    restart(MemoryStorage::new()).await;
    restart(std::sync::Arc::new(PlainStorage::new(MemoryStorage::new()))).await;
}

#[tokio::test]
async fn a_process_that_comes_second_leaves_what_the_first_installed() {
    let (provider, clock) = (ScriptedProvider::new("svc").attended(), ManualClock::new());
    let storage = MemoryStorage::new();
    let late = FaultyStorage::new(storage.clone());
    let (first, second) =
        (manager(&provider, storage, &clock), manager(&provider, late.clone(), &clock));

    let gate = late.hold(StorageOperation::CompareAndSet);
    let install = tokio::spawn({
        let second = second.clone();
        async move { second.install_if_absent(seed()).await }
    });
    gate.arrived(1).await;
    clock.advance(seconds(1));
    assert!(first.install_if_absent(seed()).await.unwrap());
    first.token().await.unwrap();
    gate.release();

    assert!(!install.await.unwrap().unwrap());
    assert_eq!(second.token().await.unwrap().authorization(), "Bearer access-1");
    assert_eq!(provider.spent(), ["seed"]);
}

#[tokio::test]
async fn after_a_logout_the_token_is_taken_again() {
    let (provider, clock) = (ScriptedProvider::new("svc").attended(), ManualClock::new());
    let manager = manager(&provider, MemoryStorage::new(), &clock);
    manager.install_if_absent(seed()).await.unwrap();
    manager.clear().await.unwrap();

    assert!(manager.install_if_absent(seed()).await.unwrap());

    assert!(manager.status().has_refresh_token());
}

#[tokio::test]
async fn a_storage_that_cannot_be_read_is_an_error_because_a_newer_token_may_be_in_it() {
    let (provider, clock) = (ScriptedProvider::new("svc").attended(), ManualClock::new());
    let storage = FaultyStorage::new(MemoryStorage::new());
    storage.fault_everything(StorageFault::Fail);
    let manager = manager(&provider, storage, &clock);

    let error = manager.install_if_absent(seed()).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(!manager.status().has_refresh_token());
}

#[tokio::test]
async fn a_login_that_the_service_ended_counts_as_none() {
    let (provider, clock) = (ScriptedProvider::new("svc").attended(), ManualClock::new());
    let manager = manager(&provider, MemoryStorage::new(), &clock);
    provider.on_refresh(Step::refuse_refresh());
    manager.install_if_absent(seed()).await.unwrap();
    manager.token().await.unwrap_err();

    assert!(manager.install_if_absent(TokenSet::from_refresh_token("new")).await.unwrap());

    manager.token().await.unwrap();
    assert_eq!(provider.spent().last().map(String::as_str), Some("new"));
}

#[tokio::test]
async fn an_access_token_that_still_serves_counts_and_one_whose_time_is_up_does_not() {
    let provider = ScriptedProvider::new("svc").attended();
    let (clock, storage) = (ManualClock::new(), MemoryStorage::new());
    let first = manager(&provider, storage.clone(), &clock);
    let token = AccessToken::new("access", "Bearer").unwrap();
    let tokens = TokenSet::new(token, clock.now().wall()).with_lifetime(seconds(900));
    first.install(tokens).await.unwrap();

    let second = manager(&provider, storage, &clock);
    assert!(!second.install_if_absent(seed()).await.unwrap());
    clock.advance(seconds(900));
    assert!(second.install_if_absent(seed()).await.unwrap());
}

#[tokio::test]
async fn a_refresh_token_that_cannot_be_sent_is_refused_by_name_and_not_shown() {
    let clock = ManualClock::new();
    let users = ScriptedProvider::new("svc");
    let machines = ScriptedProvider::new("svc").without_refresh_tokens();
    for (provider, token) in [(&users, ""), (&users, "abc\n"), (&machines, "abc")] {
        let manager = manager(provider, MemoryStorage::new(), &clock);
        let tokens = TokenSet::from_refresh_token(token);

        let error = manager.install(tokens).await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(
            error.to_string().contains("token") && !error.to_string().contains("abc"),
            "{error}"
        );
    }
}
