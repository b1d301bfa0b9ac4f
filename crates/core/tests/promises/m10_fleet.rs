//! M10: any number of processes, one exchange per rotation.

use crate::support::fleet::{DUE, Fleet, OVER, SPACING, seconds, secret};
use tokenkeeper::{ErrorKind, EventKind};
use tokenkeeper_testkit::{Gate, ScriptedProvider, Step, StorageOperation};
use tokio::task::JoinSet;

#[tokio::test]
async fn thirty_two_processes_make_one_exchange_per_rotation() {
    let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
    provider.always_on_fetch(Step::issue().held(&gate));
    provider.always_on_refresh(Step::issue().held(&gate));
    let fleet = Fleet::on_this_runtime(32, &provider);

    for (round, pause) in [DUE, seconds(880), OVER].into_iter().cycle().take(30).enumerate() {
        gate.hold();
        let mut callers = JoinSet::new();
        for manager in &fleet.managers {
            let manager = manager.clone();
            callers.spawn(async move { manager.token().await.unwrap() });
        }
        gate.arrived(1).await;
        for _ in 0..100 {
            tokio::task::yield_now().await; // everybody gets as far as there is a way
        }
        assert_eq!(gate.waiting(), 1, "round {round}");
        gate.release();
        callers.join_all().await;
        fleet.flush().await;

        let newest = format!("access-{}", round + 1);
        assert!(fleet.tokens().await.iter().all(|token| secret(token) == newest));
        assert_eq!(provider.calls(), round + 1);
        fleet.clock.advance(pause);
    }
    assert_eq!((provider.reuses(), provider.fetches()), (0, 1));
}

#[tokio::test]
async fn a_rejected_token_is_replaced_once_for_the_whole_fleet() {
    let provider = ScriptedProvider::new("svc");
    let fleet = Fleet::warm(32, &provider).await;
    let rejected = fleet.managers[0].peek().unwrap();

    let mut callers = JoinSet::new();
    for manager in fleet.managers.iter().cycle().take(320) {
        let (manager, rejected) = (manager.clone(), rejected.clone());
        callers.spawn(async move { manager.replace_rejected(&rejected).await });
    }
    let replacements = callers.join_all().await;

    for replacement in replacements {
        assert_eq!(secret(&replacement.unwrap().unwrap()), "access-2");
    }
    assert_eq!((provider.calls(), provider.reuses()), (2, 0));
}

#[tokio::test]
async fn a_cold_start_on_a_fresh_stored_token_is_one_storage_call_and_no_exchange() {
    let provider = ScriptedProvider::new("svc");
    let fleet = Fleet::warm(1, &provider).await;
    let newcomer = fleet.newcomer();

    let mut callers = JoinSet::new();
    for _ in 0..100 {
        let newcomer = newcomer.clone();
        callers.spawn(async move { newcomer.token().await.unwrap() });
    }
    let tokens = callers.join_all().await;

    assert!(tokens.iter().all(|token| secret(token) == "access-1"));
    assert_eq!(fleet.storage.calls(StorageOperation::Load), 1);
    assert_eq!((fleet.storage.total_calls(), provider.calls()), (1, 1));
}

#[tokio::test]
async fn a_fresh_token_is_served_without_a_storage_call() {
    let fleet = Fleet::warm(1, &ScriptedProvider::new("svc")).await;

    for _ in 0..1_000 {
        fleet.managers[0].token().await.unwrap();
    }

    assert_eq!(fleet.storage.total_calls(), 0);
}

#[tokio::test]
async fn a_refresh_is_lease_load_compare_and_set_and_release() {
    let provider = ScriptedProvider::new("svc");
    let fleet = Fleet::warm(2, &provider).await;
    fleet.clock.advance(DUE);

    fleet.managers[0].token().await.unwrap();
    fleet.flush().await;

    for operation in [
        StorageOperation::Lease,
        StorageOperation::Load,
        StorageOperation::CompareAndSet,
        StorageOperation::Release,
    ] {
        assert_eq!(fleet.storage.calls(operation), 1, "{operation:?}");
    }
    assert_eq!((fleet.storage.total_calls(), provider.refreshes()), (4, 1));
}

#[tokio::test]
async fn taking_over_what_a_sibling_exchanged_writes_nothing() {
    let provider = ScriptedProvider::new("svc");
    let fleet = Fleet::warm(2, &provider).await;
    fleet.clock.advance(DUE);
    fleet.managers[0].token().await.unwrap();
    fleet.flush().await;
    fleet.storage.reset_calls();

    fleet.managers[1].token().await.unwrap();
    fleet.flush().await;

    assert_eq!(secret(&fleet.managers[1].peek().unwrap()), "access-2");
    assert_eq!(fleet.storage.calls(StorageOperation::CompareAndSet), 0);
    assert_eq!((fleet.storage.total_calls(), provider.refreshes()), (3, 1));
}

#[tokio::test]
async fn the_refresh_token_that_is_stored_is_spent_and_not_the_one_in_memory() {
    let provider = ScriptedProvider::new("svc");
    let fleet = Fleet::warm(2, &provider).await;
    fleet.clock.advance(SPACING);
    fleet.managers[0].force_refresh().await.unwrap();

    let token = fleet.managers[1].force_refresh().await.unwrap();

    assert_eq!(secret(&token), "access-3");
    assert_eq!(provider.spent(), ["refresh-1", "refresh-2"]);
    assert_eq!(provider.reuses(), 0);
}

#[tokio::test]
async fn a_stored_token_that_was_rejected_here_is_not_taken_over() {
    let provider = ScriptedProvider::new("svc");
    let fleet = Fleet::warm(2, &provider).await;
    fleet.clock.advance(OVER);
    let theirs = fleet.managers[0].token().await.unwrap();

    fleet.managers[1].invalidate(&theirs);
    let ours = fleet.managers[1].token().await.unwrap();

    assert_eq!((secret(&theirs), secret(&ours)), ("access-2", "access-3"));
    assert_eq!(provider.spent(), ["refresh-1", "refresh-2"]);
}

#[tokio::test]
async fn clearing_in_one_process_ends_refreshing_in_the_others() {
    let provider = ScriptedProvider::new("svc").attended();
    let fleet = Fleet::logged_in(3, &provider).await;

    fleet.managers[0].clear().await.unwrap();
    fleet.clock.advance(DUE);
    for manager in &fleet.managers[1..] {
        manager.token().await.unwrap();
        manager.flush().await.unwrap();

        assert!(manager.peek().is_none());
        let error = manager.token().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LoginRequired);
    }
    assert!(fleet.stored().await.is_tombstone());
    assert_eq!(provider.calls(), 0);
}

#[tokio::test]
async fn after_a_clear_a_non_interactive_process_logs_in_anew_instead_of_refreshing() {
    let provider = ScriptedProvider::new("svc");
    let fleet = Fleet::warm(2, &provider).await;

    fleet.managers[0].clear().await.unwrap();
    fleet.clock.advance(OVER);
    let token = fleet.managers[1].token().await.unwrap();

    assert_eq!(secret(&token), "access-2");
    assert_eq!((provider.fetches(), provider.refreshes()), (2, 0));
    assert!(!fleet.stored().await.is_tombstone());
}

#[tokio::test]
async fn an_exchange_that_a_sibling_cleared_meanwhile_is_dropped_and_revoked() {
    let (provider, gate) = (ScriptedProvider::new("svc").attended(), Gate::closed());
    provider.on_refresh(Step::issue().held(&gate));
    let fleet = Fleet::logged_in(2, &provider).await;
    fleet.clock.advance(OVER);

    let caller = tokio::spawn({
        let manager = fleet.managers[1].clone();
        async move { manager.token().await }
    });
    gate.arrived(1).await;
    fleet.managers[0].clear().await.unwrap();
    gate.release();
    let error = caller.await.unwrap().unwrap_err();
    fleet.flush().await;

    assert_eq!(error.kind(), ErrorKind::LoginRequired);
    assert!(fleet.stored().await.is_tombstone());
    assert_eq!(provider.revoked(), ["refresh-1"]);
    assert_eq!(fleet.diary.count(|kind| matches!(kind, EventKind::Overtaken)), 1);
}

#[tokio::test]
async fn a_login_in_one_process_is_taken_over_by_the_others() {
    let provider = ScriptedProvider::new("svc").attended();
    let fleet = Fleet::logged_in(2, &provider).await;

    fleet.managers[0].install(fleet.login("later")).await.unwrap();
    fleet.clock.advance(seconds(690));
    fleet.managers[1].token().await.unwrap();
    fleet.flush().await;

    assert_eq!(secret(&fleet.managers[1].peek().unwrap()), "access-later");
    assert_eq!(provider.calls(), 0);
}

#[tokio::test]
async fn a_verdict_does_not_undo_a_login_that_came_meanwhile_with_the_same_refresh_token() {
    let (provider, gate) = (ScriptedProvider::new("svc").attended(), Gate::closed());
    provider.on_refresh(Step::refuse_refresh().held(&gate));
    let fleet = Fleet::logged_in(2, &provider).await;
    fleet.clock.advance(SPACING);

    let caller = tokio::spawn({
        let manager = fleet.managers[0].clone();
        async move { manager.force_refresh().await }
    });
    gate.arrived(1).await;
    let again = fleet.login("later").with_refresh_token("refresh-login");
    fleet.managers[1].install(again).await.unwrap();
    let order = fleet.stored_order().await;
    gate.release();
    caller.await.unwrap().unwrap_err();
    fleet.flush().await;

    assert!(fleet.stored_order().await > order);
    assert_eq!(secret(&fleet.newcomer().token().await.unwrap()), "access-later");
    assert_eq!(secret(&fleet.managers[0].token().await.unwrap()), "access-later");
}
