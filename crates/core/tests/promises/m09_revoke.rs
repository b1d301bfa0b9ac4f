//! M9: `revoke` tells the service first, and clears only if it agreed.

use crate::support::records::{holds, stored};
use crate::support::setup::{Setup, manager, seconds};
use crate::support::waiting::started;
use tokenkeeper::{Error, ErrorKind};
use tokenkeeper_testkit::{Gate, ScriptedProvider, Step};

#[tokio::test]
async fn the_service_is_told_first_and_then_the_tokens_are_cleared() {
    let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
    provider.on_revoke(Step::issue().held(&gate));
    let Setup { manager, storage, .. } = Setup::new(&provider);
    manager.token().await.unwrap();

    let revoke = started(manager.revoke()).await;
    gate.arrived(1).await;
    assert!(holds(&storage, manager.key(), "refresh-1").await);
    gate.release();
    revoke.end().await.unwrap();

    assert_eq!(provider.revoked(), ["refresh-1"]);
    assert!(manager.peek().is_none());
    assert!(stored(&storage, manager.key()).await.unwrap().is_tombstone());
}

#[tokio::test]
async fn where_the_service_refuses_nothing_is_cleared() {
    for kind in [ErrorKind::Unavailable, ErrorKind::Unsupported] {
        let provider = ScriptedProvider::new("svc");
        provider.on_revoke(Step::fail(Error::new(kind, "x")));
        let Setup { manager, storage, .. } = Setup::new(&provider);
        manager.token().await.unwrap();

        assert_eq!(manager.revoke().await.unwrap_err().kind(), kind);

        assert_eq!(manager.token().await.unwrap().authorization(), "Bearer access-1");
        assert!(holds(&storage, manager.key(), "refresh-1").await);
    }
}

#[tokio::test]
async fn a_revocation_that_panics_clears_nothing() {
    let provider = ScriptedProvider::new("svc");
    provider.on_revoke(Step::panic());
    let Setup { manager, .. } = Setup::new(&provider);
    manager.token().await.unwrap();

    assert_eq!(manager.revoke().await.unwrap_err().kind(), ErrorKind::Internal);

    assert!(manager.peek().is_some());
}

#[tokio::test]
async fn a_cold_manager_revokes_the_tokens_that_are_stored() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager: before, clock, storage } = Setup::new(&provider);
    before.token().await.unwrap();
    let cold = manager(&provider, storage.clone(), &clock);

    cold.revoke().await.unwrap();

    assert_eq!(provider.revoked(), ["refresh-1"]);
    assert!(stored(&storage, cold.key()).await.unwrap().is_tombstone());
}

#[tokio::test]
async fn the_tokens_of_an_exchange_under_way_are_the_ones_that_are_revoked() {
    let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
    provider.on_fetch(Step::issue().held(&gate));
    let Setup { manager, storage, .. } = Setup::new(&provider);
    let caller = started(manager.token()).await;
    gate.arrived(1).await;

    let revoke = started(manager.revoke()).await;
    gate.release();
    revoke.end().await.unwrap();

    assert_eq!(caller.end().await.unwrap().authorization(), "Bearer access-1");
    assert_eq!(provider.revoked(), ["refresh-1"]);
    assert!(stored(&storage, manager.key()).await.unwrap().is_tombstone());
}

#[tokio::test]
async fn tokens_that_were_refreshed_during_a_revocation_are_revoked_too() {
    let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
    provider.on_revoke(Step::issue().held(&gate));
    let Setup { manager, clock, storage } = Setup::new(&provider);
    manager.token().await.unwrap();
    let revoke = started(manager.revoke()).await;
    gate.arrived(1).await;

    clock.advance(seconds(5));
    manager.force_refresh().await.unwrap();
    gate.release();
    revoke.end().await.unwrap();

    assert_eq!(provider.revoked(), ["refresh-1", "refresh-2"]);
    assert!(stored(&storage, manager.key()).await.unwrap().is_tombstone());
}

#[tokio::test]
async fn revoke_without_tokens_asks_the_service_for_nothing() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager, storage, .. } = Setup::new(&provider);

    manager.revoke().await.unwrap();

    assert_eq!(provider.revocations(), 0);
    assert!(stored(&storage, manager.key()).await.unwrap().is_tombstone());
}

#[tokio::test]
async fn a_revocation_runs_to_its_end_although_its_caller_is_gone() {
    let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
    provider.on_revoke(Step::issue().held(&gate));
    let Setup { manager, storage, .. } = Setup::new(&provider);
    manager.token().await.unwrap();

    let revoke = started(manager.revoke()).await;
    gate.arrived(1).await;
    drop(revoke);
    gate.release();
    manager.flush().await.unwrap();

    assert_eq!(provider.revoked(), ["refresh-1"]);
    assert!(stored(&storage, manager.key()).await.unwrap().is_tombstone());
}
