//! What a service does with a map besides asking it for tokens: dashboards, new credentials, the
//! end of the process.

use std::pin::pin;
use std::task::{Context, Waker};

use crate::support::tenants::{Accounts, Tenants, seconds, secret};
use tokenkeeper::{ErrorKind, EventKind, TokenState};
use tokenkeeper_testkit::{
    Gate, RecordingObserver, ScriptedProvider, Step, StorageFault, StorageOperation,
};

#[tokio::test]
async fn statuses_tell_how_every_user_is_doing_and_do_not_count_as_use() {
    let tenants = Tenants::new(|builder| builder.idle_after(seconds(60)));
    tenants.account(2).service.on_fetch(Step::refuse_credentials());
    tenants.settle(1).await;
    assert!(secret(&tenants.get(2)).await.is_err());
    tenants.map.flush().await.unwrap();

    let mut statuses = tenants.map.statuses();
    statuses.sort_by_key(|(user, _)| *user);
    let (users, states): (Vec<_>, Vec<_>) = statuses.into_iter().unzip();
    tenants.clock.advance(seconds(59));
    let _ = tenants.map.statuses();
    tenants.clock.advance(seconds(1));

    assert_eq!(users, [1, 2]);
    assert_eq!(states[0].token_state(), TokenState::Fresh);
    assert_eq!(states[1].last_error().unwrap().kind(), ErrorKind::CredentialsRejected);
    assert_eq!(tenants.map.evict_idle(), 1);
}

#[tokio::test]
async fn all_managers_get_the_same_policy_clock_and_observer() {
    let events = RecordingObserver::new();
    let tenants = Tenants::new(|builder| builder.observer(events.clone()));

    tenants.token(1).await;
    tenants.token(2).await;

    let succeeded = |kind: &EventKind| matches!(kind, EventKind::TokenRequestSucceeded { .. });
    assert_eq!(events.count(succeeded), 2);
}

#[tokio::test]
async fn flush_waits_for_all_exchanges_at_once() {
    let tenants = Tenants::new(|builder| builder);
    let gate = Gate::closed();
    for user in 1..=3 {
        tenants.account(user).service.on_fetch(Step::issue().held_before_answering(&gate));
        let manager = tenants.get(user);
        let caller = tokio::spawn(async move { manager.token().await });
        gate.arrived(user as usize).await;
        caller.abort();
    }

    let mut flush = pin!(tenants.map.flush());
    assert!(flush.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    gate.release();
    flush.await.unwrap();

    assert!((1..=3).all(|user| tenants.get(user).peek().is_some()));
    assert!(tenants.map.statuses().iter().all(|(_, status)| !status.is_requesting()));
}

#[tokio::test]
async fn flush_says_how_many_users_tokens_are_not_stored() {
    let tenants = Tenants::new(|builder| builder);
    tenants.token(1).await;
    tenants.map.flush().await.unwrap();
    tenants.storage.fault_until_healed(StorageOperation::Set, StorageFault::Fail);
    tenants.token(2).await;

    let of_one = tenants.map.flush().await.unwrap_err();
    tenants.token(3).await;
    let of_two = tenants.map.flush().await.unwrap_err();
    tenants.storage.heal();

    assert_eq!((of_one.kind(), of_one.service_name()), (ErrorKind::Storage, Some("svc")));
    assert_eq!(of_two.kind(), ErrorKind::Storage);
    assert!(of_two.to_string().starts_with("2 of the 2 managers"), "{of_two}");
    assert!(tenants.map.flush().await.is_ok());
}

#[tokio::test]
async fn a_flush_that_is_given_up_loses_nothing() {
    let tenants = Tenants::new(|builder| builder);
    let gate = Gate::closed();
    tenants.account(1).service.on_fetch(Step::issue().held_before_answering(&gate));
    let manager = tenants.get(1);
    let caller = tokio::spawn(async move { manager.token().await });
    gate.arrived(1).await;

    let deadline = tokio::time::timeout(std::time::Duration::ZERO, tenants.map.flush()).await;
    gate.release();

    assert!(deadline.is_err());
    assert!(caller.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_password_that_was_corrected_is_tried_after_remove() {
    let tenants = Tenants::new(|builder| builder);
    tenants.account(1).service.on_fetch(Step::refuse_credentials());
    assert!(secret(&tenants.get(1)).await.is_err());
    tenants.map.flush().await.unwrap();

    assert!(tenants.map.remove(&1));

    assert_eq!((tenants.token(1).await.as_str(), tenants.account(1).made()), ("access-1", 2));
}

#[tokio::test]
async fn who_is_removed_after_a_logout_has_no_tokens() {
    let accounts = Accounts::new(|| ScriptedProvider::new("svc").attended());
    let tenants =
        Tenants::with(accounts, true, |builder| builder.driver(tokio::runtime::Handle::current()));
    let login = tokenkeeper::TokenSet::from_refresh_token("from the browser");
    tenants.get(1).install(login).await.unwrap();
    tenants.settle(1).await;

    tenants.get(1).revoke().await.unwrap();
    tenants.map.flush().await.unwrap();

    assert!(tenants.map.remove(&1) && tenants.map.is_empty());
    assert!(secret(&tenants.get(1)).await.is_err());
    assert_eq!(tenants.account(1).service.revocations(), 1);
}

#[tokio::test]
async fn what_is_removed_goes_as_soon_as_nobody_needs_it() {
    let tenants = Tenants::new(|builder| builder);
    let gate = Gate::closed();
    let made = || tenants.account(1).made();

    let held = tenants.get(1);
    assert!(!tenants.map.remove(&1), "somebody holds it");
    drop(tenants.get(1));
    assert_eq!(made(), 1);

    tenants.account(1).service.on_fetch(Step::issue().held_before_answering(&gate));
    let caller = tokio::spawn(async move { held.token().await });
    gate.arrived(1).await;
    caller.abort();
    assert!(caller.await.is_err());
    drop(tenants.get(1));
    assert_eq!(made(), 1, "an exchange is in flight");

    tenants.storage.fault_until_healed(StorageOperation::Set, StorageFault::Fail);
    gate.release();
    tenants.map.flush().await.unwrap_err();
    drop(tenants.get(1));
    assert_eq!(made(), 1, "its tokens are not stored");

    tenants.storage.heal();
    tenants.map.flush().await.unwrap();
    tenants.clock.advance(seconds(2)); // for the task that would have written
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
    drop(tenants.get(1));
    assert_eq!(made(), 2);
    assert_eq!((tenants.account(1).most_alive(), tenants.map.len()), (1, 1));
    assert_eq!(
        (tenants.token(1).await.as_str(), tenants.account(1).service.calls()),
        ("access-1", 1)
    );
}

#[tokio::test]
async fn what_was_removed_is_evicted_whatever_it_has_learned() {
    let tenants = Tenants::new(|builder| builder.idle_after(seconds(60)));
    tenants.account(1).service.on_fetch(Step::refuse_credentials());
    let held = tenants.get(1);
    held.token().await.unwrap_err();
    tenants.map.flush().await.unwrap();

    assert!(!tenants.map.remove(&1) && tenants.map.remove(&2));
    drop(held);
    tenants.clock.advance(seconds(60));

    assert_eq!(tenants.map.evict_idle(), 1);
}
