//! M1: what `force_refresh` and `login` share with others, and what they do not.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::support::setup::{Setup, manager, seconds};
use crate::support::waiting::started;
use parking_lot::Mutex;
use tokenkeeper::{
    AccessToken, Event, EventKind, MemoryStorage, Observer, RefreshPolicy, TokenManager,
};
use tokenkeeper_testkit::{
    FaultyStorage, Gate, ScriptedProvider, Step, StorageFault, StorageOperation,
};

#[tokio::test]
async fn force_refresh_turns_an_adoption_that_is_not_decided_yet_into_an_exchange() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager: sibling, clock, storage } = Setup::new(&provider);
    sibling.token().await.unwrap();
    let (faulty, gate) = (FaultyStorage::new(storage), Gate::closed());
    faulty.fault_next(StorageOperation::Load, 1, StorageFault::GateAfterwards(gate.clone()));
    let cold = manager(&provider, faulty, &clock);

    let renewing = started(cold.token()).await;
    gate.arrived(1).await;
    let forced = started(cold.force_refresh()).await;
    gate.release();

    assert_eq!(secret(&forced.end().await.unwrap()), "access-2");
    assert_eq!(secret(&renewing.end().await.unwrap()), "access-2");
    assert_eq!(provider.calls(), 2);
}

#[tokio::test]
async fn force_refresh_does_not_join_an_adoption_that_is_decided() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager: sibling, clock, storage } = Setup::new(&provider);
    sibling.token().await.unwrap();
    let (observer, adopting, go_on) = PausedAdoption::new();
    let cold = TokenManager::builder(provider.clone())
        .storage(storage)
        .clock(clock)
        .policy(RefreshPolicy::new().without_jitter())
        .observer(observer)
        .build()
        .unwrap();

    let renewing = started(cold.token()).await;
    adopting.recv().unwrap();
    let forced = started(cold.force_refresh()).await;
    go_on.send(()).unwrap();

    assert_eq!(secret(&renewing.end().await.unwrap()), "access-1");
    assert_eq!(secret(&forced.end().await.unwrap()), "access-2");
    assert_eq!(provider.calls(), 2);
}

#[tokio::test]
async fn login_makes_an_exchange_although_the_token_is_good() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager, .. } = Setup::new(&provider);
    manager.token().await.unwrap();

    let token = manager.login().await.unwrap();

    assert_eq!(secret(&token), "access-2");
    assert_eq!((provider.fetches(), provider.refreshes()), (2, 0));
}

#[tokio::test]
async fn login_on_a_cold_manager_does_not_answer_from_the_storage() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager: sibling, clock, storage } = Setup::new(&provider);
    sibling.token().await.unwrap();
    let cold = manager(&provider, storage, &clock);

    let token = cold.login().await.unwrap();

    assert_eq!(secret(&token), "access-2");
    assert_eq!((provider.fetches(), provider.refreshes()), (2, 0));
}

#[tokio::test]
async fn concurrent_logins_share_one_exchange() {
    let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
    provider.on_fetch(Step::issue().held(&gate));
    let Setup { manager, .. } = Setup::new(&provider);

    let mut callers = Vec::new();
    for _ in 0..100 {
        callers.push(started(manager.login()).await);
    }
    gate.arrived(1).await;
    gate.release();

    for caller in callers {
        assert_eq!(secret(&caller.end().await.unwrap()), "access-1");
    }
    assert_eq!(provider.calls(), 1);
}

#[tokio::test]
async fn login_waits_for_a_refresh_under_way_and_then_makes_its_own_exchange() {
    let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
    provider.on_refresh(Step::issue().held(&gate));
    let Setup { manager, clock, .. } = Setup::new(&provider);
    manager.token().await.unwrap();
    clock.advance(seconds(675));
    manager.token().await.unwrap();
    gate.arrived(1).await;

    let login = started(manager.login()).await;
    gate.release();
    let token = login.end().await.unwrap();

    assert_eq!(secret(&token), "access-3");
    assert_eq!((provider.fetches(), provider.refreshes()), (2, 1));
    assert_eq!(provider.most_at_once(), 1);
}

#[tokio::test]
async fn a_login_that_fails_leaves_the_token_in_place() {
    let provider = ScriptedProvider::new("svc");
    let (clock, storage) = (tokenkeeper::ManualClock::new(), MemoryStorage::new());
    let manager = manager(&provider, storage, &clock);
    manager.token().await.unwrap();
    provider.on_fetch(Step::refuse_credentials());

    manager.login().await.unwrap_err();

    assert_eq!(secret(&manager.token().await.unwrap()), "access-1");
}

fn secret(token: &AccessToken) -> &str {
    token.secret().expose_secret()
}

/// Stops the driver when an adoption is decided, until the test says so.
#[derive(Debug)]
struct PausedAdoption {
    adopting: SyncSender<()>,
    go_on: Mutex<Receiver<()>>,
}

impl PausedAdoption {
    fn new() -> (Self, Receiver<()>, SyncSender<()>) {
        let (adopting, adopted) = sync_channel(1);
        let (go_on, going_on) = sync_channel(1);
        (Self { adopting, go_on: Mutex::new(going_on) }, adopted, go_on)
    }
}

impl Observer for PausedAdoption {
    fn on_event(&self, event: &Event) {
        if matches!(event.kind(), EventKind::Adopted) {
            self.adopting.send(()).unwrap();
            self.go_on.lock().recv().unwrap();
        }
    }
}
