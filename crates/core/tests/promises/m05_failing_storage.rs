//! M5: what a storage that fails or hangs costs, and what it does not.

use std::sync::Arc;
use std::time::Duration;

use crate::support::rig::{
    MILLISECOND, Rig, login_elsewhere, pass_with_renewals, poll_once, seconds, until,
};
use tokenkeeper::{Error, ErrorKind, EventKind, Recovery, TokenState};
use tokenkeeper_testkit::{ScriptedProvider, StorageFault, StorageOperation};

fn provider() -> ScriptedProvider {
    ScriptedProvider::new("svc")
}

fn recovered(kind: &EventKind) -> bool {
    matches!(kind, EventKind::WriteRecovered)
}

fn failed_call(call: &'static str) -> impl Fn(&EventKind) -> bool {
    move |kind| matches!(kind, EventKind::StorageFailed { call: failed, .. } if *failed == call)
}

fn name(operation: StorageOperation) -> &'static str {
    match operation {
        StorageOperation::Load => "load",
        StorageOperation::Get => "get",
        StorageOperation::Set => "set",
        StorageOperation::Lease => "lease",
        StorageOperation::Release => "release",
        _ => "compare_and_set",
    }
}

/// Starts `token()`, and gives its answer once the clock has gone on by exactly `deadline`.
async fn token_after(rig: &Rig, deadline: Duration) -> Result<String, Error> {
    token_after_with(rig, deadline, 2).await
}

async fn token_after_with(rig: &Rig, deadline: Duration, sleeps: usize) -> Result<String, Error> {
    let manager = rig.manager.clone();
    let caller = tokio::spawn(async move { manager.token().await });
    // The limit of a caller's wait runs from the start of the flight, that of the call next to it.
    until("the limits run", || rig.clock.sleepers() == sleeps).await;
    rig.clock.advance(deadline - MILLISECOND);
    assert!(poll_once(rig.manager.token()).is_pending());
    assert!(!caller.is_finished());
    rig.clock.advance(MILLISECOND);
    let token = caller.await.unwrap()?;
    Ok(token.secret().expose_secret().to_owned())
}

#[tokio::test]
async fn a_read_that_hangs_is_given_up_after_five_seconds() {
    for rig in Rig::both(provider) {
        rig.storage.fault_next(rig.read(), 1, StorageFault::Hang);

        let error = token_after(&rig, seconds(5)).await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Storage);
        assert_eq!(rig.count(failed_call(name(rig.read()))), 1);
        assert_eq!(rig.provider.calls(), 0);
    }
}

#[tokio::test]
async fn a_write_that_hangs_is_given_up_after_five_seconds_and_the_token_is_served() {
    for rig in Rig::both(provider) {
        rig.with_token_aged(seconds(1_000)).await;
        rig.storage.fault_next(rig.write(), 1, StorageFault::Hang);

        assert_eq!(token_after(&rig, seconds(5)).await.unwrap(), "access-2");

        assert_eq!(rig.manager.status().unpersisted().unwrap().kind(), ErrorKind::Storage);
        assert_eq!(rig.count(failed_call(name(rig.write()))), 1);
        rig.manager.flush().await.unwrap();
        rig.assert_lives_on("refresh-2").await;
    }
}

/// Somebody else may hold the lease to its end, so the storage gets that much longer to answer.
#[tokio::test]
async fn a_lease_that_hangs_is_given_up_five_seconds_after_its_longest_wait() {
    let rig = Rig::shared(&provider());
    rig.with_token_aged(seconds(1_000)).await;
    rig.storage.fault_next(StorageOperation::Lease, 1, StorageFault::Hang);

    // A lease time, and one exchange of whoever gets the lease next. Who waits for a lease also
    // sleeps between two looks into the storage.
    let error = token_after_with(&rig, seconds(30 + 20 + 5), 3).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Storage);
    assert_eq!(rig.provider.calls(), 1);
    rig.clock.advance(seconds(60));
    rig.manager.token().await.unwrap();
    rig.manager.flush().await.unwrap();
    rig.assert_lives_on("refresh-2").await;
}

#[tokio::test]
async fn nobody_waits_for_the_release_of_a_lease_and_it_is_given_up_after_five_seconds() {
    let rig = Rig::shared(&provider());
    rig.storage.fault_next(StorageOperation::Release, 1, StorageFault::Hang);

    rig.manager.token().await.unwrap();

    let manager = rig.manager.clone();
    let flushed = tokio::spawn(async move { manager.flush().await });
    until("the limit of the call runs", || rig.clock.next_wake() == Some(seconds(5))).await;
    rig.clock.advance(seconds(5));
    flushed.await.unwrap().unwrap();
    assert_eq!(rig.count(failed_call("release")), 1);
}

#[tokio::test]
async fn a_failed_write_is_repeated_after_one_second_to_sixty_until_it_succeeds() {
    for rig in Rig::both(provider) {
        rig.storage.fault_until_healed(rig.write(), StorageFault::Fail);

        let token = rig.manager.token().await.unwrap();
        rig.manager.flush().await.unwrap_err(); // the exchange is over, its lease released
        for (repetition, pause) in [1, 2, 4, 8, 16, 32, 60, 60].into_iter().enumerate() {
            let next = || rig.clock.next_wake() == Some(seconds(pause.min(10)));
            until("the next repetition is due in time", next).await;
            assert_eq!(rig.storage.calls(rig.write()), 2 + repetition);
            assert!(rig.manager.status().unpersisted().is_some());
            assert!(rig.manager.status().to_string().contains("not persisted"));
            if pause == 60 {
                break;
            }
            pass_with_renewals(&rig, pause).await;
        }
        assert!(Arc::ptr_eq(&rig.manager.token().await.unwrap(), &token));
        assert!(rig.stored().is_none());
        rig.storage.heal();
        pass_with_renewals(&rig, 60).await;

        until("it is stored", || rig.manager.status().unpersisted().is_none()).await;
        until("somebody told of it", || rig.count(recovered) == 1).await;
        assert_eq!(rig.count(failed_call(name(rig.write()))), 8);
        rig.assert_lives_on("refresh-1").await;
    }
}

#[tokio::test]
async fn only_the_newest_of_several_unwritten_records_is_written() {
    for rig in Rig::both(provider) {
        rig.storage.fault_until_healed(rig.write(), StorageFault::Fail);
        for _ in 0..3 {
            rig.manager.force_refresh().await.unwrap();
            rig.clock.advance(seconds(6));
        }
        let _ = rig.manager.flush().await;
        rig.storage.heal();
        let before = rig.storage.calls(rig.write());

        rig.manager.flush().await.unwrap();

        assert_eq!(rig.storage.calls(rig.write()), before + 1);
        assert_eq!(rig.count(recovered), 1);
        rig.assert_lives_on("refresh-3").await;
    }
}

#[tokio::test]
async fn an_exchange_that_is_stored_leaves_no_older_write_to_repeat() {
    for rig in Rig::both(provider) {
        rig.storage.fault_next(rig.write(), 1, StorageFault::Fail);
        rig.manager.token().await.unwrap();
        assert!(rig.manager.status().unpersisted().is_some());
        rig.clock.advance(MILLISECOND * 999);

        rig.manager.clear().await.unwrap();
        assert!(rig.manager.status().unpersisted().is_none());
        rig.clock.advance(seconds(60));
        until("the repetition has nothing to do", || rig.clock.sleepers() == 0).await;

        assert!(rig.stored().unwrap().is_tombstone());
    }
}

#[tokio::test]
async fn a_write_whose_confirmation_was_lost_recovers_like_any_other() {
    for rig in Rig::both(provider) {
        rig.with_token_aged(seconds(1_000)).await;
        rig.storage.fault_next(rig.write(), 1, StorageFault::FailAfterwards);
        let token = rig.manager.token().await.unwrap();
        assert!(rig.manager.status().unpersisted().is_some());

        rig.manager.flush().await.unwrap();

        assert!(rig.manager.status().unpersisted().is_none());
        assert_eq!(rig.count(recovered), 1);
        assert!(Arc::ptr_eq(&rig.manager.peek().unwrap(), &token));
        rig.assert_lives_on("refresh-2").await;
    }
}

#[tokio::test]
async fn flush_reports_a_write_that_still_fails_and_it_is_repeated_all_the_same() {
    for rig in Rig::both(provider) {
        rig.storage.fault_until_healed(rig.write(), StorageFault::Fail);
        rig.manager.token().await.unwrap();

        assert_eq!(rig.manager.flush().await.unwrap_err().kind(), ErrorKind::Storage);
        assert_eq!(rig.manager.flush().await.unwrap_err().kind(), ErrorKind::Storage);
        rig.storage.heal();
        until("the repetition is due", || rig.clock.next_wake() == Some(seconds(1))).await;
        rig.clock.advance(seconds(1));

        until("it is stored", || rig.manager.status().unpersisted().is_none()).await;
        assert_eq!(rig.stored_refresh_token().as_deref(), Some("refresh-1"));
    }
}

#[tokio::test]
async fn a_manager_lives_until_its_write_is_done() {
    for rig in Rig::both(provider) {
        rig.storage.fault_until_healed(rig.write(), StorageFault::Fail);
        rig.manager.token().await.unwrap();
        let _ = rig.manager.flush().await;
        let key = rig.manager.key().clone();
        let Rig { manager, storage, shelf, clock, .. } = rig;

        drop(manager);
        storage.heal();
        until("the repetition is due", || clock.next_wake() == Some(seconds(1))).await;
        clock.advance(seconds(1));

        let stored = || pollster::block_on(tokenkeeper::TokenStorage::get(&shelf, &key)).unwrap();
        until("it is stored", || stored().is_some()).await;
    }
}

/// Which calls may fail before a refresh token is spent.
fn before_spending(rig: &Rig) -> Vec<StorageOperation> {
    match rig.is_shared() {
        true => vec![StorageOperation::Lease, StorageOperation::Load],
        false => vec![StorageOperation::Get],
    }
}

#[tokio::test]
async fn without_a_read_or_lease_memory_serves_while_it_is_valid_then_there_is_an_error_to_retry() {
    for which in [0, 1] {
        for rig in Rig::both(provider) {
            let Some(operation) = before_spending(&rig).get(which).copied() else { continue };
            let old = rig.with_token_aged(seconds(675)).await;
            rig.storage.fault_until_healed(operation, StorageFault::Fail);

            for _ in 675..900 {
                assert!(Arc::ptr_eq(&rig.manager.token().await.unwrap(), &old));
                rig.manager.flush().await.unwrap();
                rig.clock.advance(seconds(1));
            }
            rig.clock.advance(seconds(60));
            let error = rig.manager.token().await.unwrap_err();
            let later = matches!(error.recovery(), Recovery::Retry { after: Some(_) });
            assert!(error.kind() == ErrorKind::Storage && later, "{error}");
            assert_eq!(rig.provider.calls(), 1, "a refresh token could be spent twice");

            rig.storage.heal();
            rig.clock.advance(seconds(60));
            rig.manager.token().await.unwrap();
            rig.manager.flush().await.unwrap();
            rig.assert_lives_on("refresh-2").await;
        }
    }
}

#[tokio::test]
async fn a_grant_without_refresh_tokens_needs_no_storage() {
    for rig in Rig::both(|| provider().without_refresh_tokens()) {
        rig.storage.fault_everything(StorageFault::Fail);

        let token = rig.manager.token().await.unwrap();

        assert_eq!(token.authorization(), "Bearer access-1");
        assert!(rig.manager.status().unpersisted().is_some());
        assert_eq!(rig.manager.status().token_state(), TokenState::Fresh);
        rig.storage.heal();
        rig.manager.flush().await.unwrap();
        assert!(rig.stored().is_some());
        rig.clock.advance(seconds(1_000));
        rig.storage.fault_everything(StorageFault::Fail);
        assert_eq!(rig.manager.token().await.unwrap().authorization(), "Bearer access-2");
    }
}

#[tokio::test]
async fn an_install_that_cannot_be_stored_is_served_and_a_clear_that_cannot_be_says_so() {
    for rig in Rig::both(provider) {
        rig.storage.fault_everything(StorageFault::Fail);
        rig.manager.install(login_elsewhere()).await.unwrap();
        assert!(rig.manager.status().has_refresh_token());
        assert!(rig.manager.status().unpersisted().is_some());

        assert_eq!(rig.manager.clear().await.unwrap_err().kind(), ErrorKind::Storage);
        assert_eq!(rig.manager.status().token_state(), TokenState::Absent);
        rig.storage.heal();
        rig.manager.flush().await.unwrap();

        assert!(rig.stored().unwrap().is_tombstone());
        assert!(rig.manager.status().unpersisted().is_none());
    }
}
