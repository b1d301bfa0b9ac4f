//! M10: what a fleet does while its storage fails, and after it forgot something.

use crate::support::fleet::{DUE, Fleet, OVER, SPACING, seconds, secret};
use tokenkeeper::{ErrorKind, EventKind, RefreshPolicy, TokenManager, TokenStorage};
use tokenkeeper_testkit::{
    FaultyStorage, Gate, PlainStorage, ScriptedProvider, Step, StorageFault, StorageOperation,
};

#[tokio::test]
async fn without_a_lease_the_old_token_is_served_and_nothing_is_spent() {
    let provider = ScriptedProvider::new("svc");
    let fleet = Fleet::warm(2, &provider).await;
    fleet.storage.fault_until_healed(StorageOperation::Lease, StorageFault::Fail);

    fleet.clock.advance(DUE);
    let served = fleet.tokens().await;
    fleet.flush().await;
    fleet.clock.advance(seconds(300));
    let error = fleet.managers[0].token().await.unwrap_err();

    assert!(served.iter().all(|token| secret(token) == "access-1"));
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert_eq!(provider.refreshes(), 0);

    fleet.storage.heal();
    fleet.clock.advance(seconds(60));
    assert_eq!(secret(&fleet.managers[0].token().await.unwrap()), "access-2");
    assert_eq!(provider.reuses(), 0);
}

#[tokio::test]
async fn where_no_refresh_token_can_exist_an_exchange_needs_no_lease() {
    let provider = ScriptedProvider::new("svc").without_refresh_tokens();
    let fleet = Fleet::warm(1, &provider).await;
    fleet.storage.fault_everything(StorageFault::Fail);
    fleet.clock.advance(OVER);

    let token = fleet.managers[0].token().await.unwrap();

    assert_eq!(secret(&token), "access-2");
    assert!(fleet.managers[0].status().unpersisted().is_some());
}

#[tokio::test]
async fn tokens_that_could_not_be_stored_serve_from_memory_and_reach_the_siblings_later() {
    let provider = ScriptedProvider::new("svc");
    let fleet = Fleet::warm(2, &provider).await;
    let before = fleet.stored_order().await;
    fleet.clock.advance(DUE);
    fleet.storage.fault_until_healed(StorageOperation::CompareAndSet, StorageFault::Fail);

    let token = fleet.managers[0].force_refresh().await.unwrap();

    assert_eq!(secret(&token), "access-2");
    assert!(fleet.managers[0].status().unpersisted().is_some());
    assert_eq!(fleet.stored_order().await, before);

    fleet.storage.heal();
    fleet.managers[0].flush().await.unwrap();
    fleet.managers[1].token().await.unwrap();
    fleet.flush().await;

    assert!(fleet.managers[0].status().unpersisted().is_none());
    assert!(fleet.stored_order().await > before);
    assert_eq!(secret(&fleet.managers[1].peek().unwrap()), "access-2");
    assert_eq!((provider.refreshes(), provider.reuses()), (1, 0));
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_recognised_as_ours() {
    let provider = ScriptedProvider::new("svc");
    let fleet = Fleet::warm(2, &provider).await;
    fleet.clock.advance(OVER);
    fleet.storage.fault_next(StorageOperation::CompareAndSet, 1, StorageFault::FailAfterwards);

    let token = fleet.managers[0].token().await.unwrap();
    let order = fleet.stored_order().await;
    fleet.flush().await;

    assert_eq!(secret(&token), "access-2");
    assert!(fleet.managers[0].status().unpersisted().is_none());
    assert_eq!(fleet.stored_order().await, order);
    for manager in &fleet.managers {
        assert_eq!(secret(&manager.token().await.unwrap()), "access-2");
    }
    assert_eq!((provider.revocations(), provider.reuses()), (0, 0));
}

#[tokio::test]
async fn a_record_that_vanished_is_written_back() {
    let provider = ScriptedProvider::new("svc");
    let fleet = Fleet::warm(2, &provider).await;
    fleet.storage.inner().delete(fleet.managers[0].key()).await.unwrap();
    fleet.clock.advance(OVER);

    fleet.tokens().await;

    assert_eq!(provider.spent(), ["refresh-1"]);
    assert_eq!((provider.fetches(), provider.refreshes()), (1, 1));
    let newcomer = fleet.newcomer().token().await.unwrap();
    assert_eq!(secret(&newcomer), "access-2");
}

#[tokio::test]
async fn an_older_record_that_came_back_is_overwritten_and_never_spent() {
    let provider = ScriptedProvider::new("svc");
    let fleet = Fleet::warm(1, &provider).await;
    let old = fleet.stored().await;
    fleet.clock.advance(OVER);
    fleet.tokens().await;
    let newest = fleet.stored_order().await;
    fleet.put_back(&old).await;
    fleet.clock.advance(OVER);

    let token = fleet.managers[0].token().await.unwrap();

    assert_eq!(secret(&token), "access-3");
    assert_eq!(provider.spent(), ["refresh-1", "refresh-2"]);
    assert_eq!(provider.reuses(), 0);
    assert!(fleet.stored_order().await > newest);
}

#[tokio::test]
async fn a_failover_during_the_exchange_does_not_lose_its_tokens() {
    let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
    let fleet = Fleet::warm(1, &provider).await;
    let old = fleet.stored().await;
    fleet.clock.advance(OVER);
    fleet.tokens().await;
    let newest = fleet.stored_order().await;

    for round in [0, 1] {
        fleet.clock.advance(OVER);
        provider.on_refresh(Step::issue().held(&gate));
        gate.hold();
        let caller = tokio::spawn({
            let manager = fleet.managers[0].clone();
            async move { secret(&manager.token().await.unwrap()).to_owned() }
        });
        gate.arrived(1).await;
        match round {
            0 => fleet.put_back(&old).await,
            _ => fleet.storage.inner().delete(fleet.managers[0].key()).await.unwrap(),
        }
        gate.release();

        assert_eq!(caller.await.unwrap(), format!("access-{}", 3 + round));
        assert!(fleet.stored_order().await > newest);
    }
    assert_eq!((provider.reuses(), provider.revocations(), provider.fetches()), (0, 0, 1));
}

#[tokio::test]
async fn a_record_rewritten_with_the_token_that_was_spent_is_replaced() {
    let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
    let fleet = Fleet::warm(1, &provider).await;
    let spent = fleet.stored().await;
    fleet.clock.advance(OVER);
    provider.on_refresh(Step::issue().held(&gate));

    let caller = tokio::spawn({
        let manager = fleet.managers[0].clone();
        async move { secret(&manager.token().await.unwrap()).to_owned() }
    });
    gate.arrived(1).await;
    let order = tokenkeeper::Order::new(spent.order().epoch(), spent.order().generation() + 9);
    let rewritten = tokenkeeper::TokenRecord::from_parts(
        spent.payload().to_vec(),
        order,
        spent.keep_until(),
        false,
    );
    fleet.put_back(&rewritten).await;
    gate.release();

    assert_eq!(caller.await.unwrap(), "access-2");
    assert!(fleet.stored_order().await > order);
    assert_eq!(secret(&fleet.newcomer().token().await.unwrap()), "access-2");
}

#[tokio::test]
async fn a_plain_storage_is_read_again_before_its_token_is_spent() {
    let provider = ScriptedProvider::new("svc");
    let fleet = Fleet::new(0, &provider);
    let storage = FaultyStorage::new(PlainStorage::new(fleet.storage.clone()));
    let manager = || {
        TokenManager::builder(provider.clone())
            .storage(storage.clone())
            .clock(fleet.clock.clone())
            .policy(RefreshPolicy::new().without_jitter())
            .build()
            .unwrap()
    };
    let (first, second) = (manager(), manager());
    first.token().await.unwrap();
    second.token().await.unwrap();
    fleet.clock.advance(SPACING);
    first.force_refresh().await.unwrap();

    let token = second.force_refresh().await.unwrap();
    fleet.clock.advance(OVER);
    second.token().await.unwrap();
    first.token().await.unwrap();

    assert_eq!(secret(&token), "access-3");
    assert_eq!(provider.spent(), ["refresh-1", "refresh-2", "refresh-3"]);
    assert_eq!((provider.reuses(), provider.fetches()), (0, 1));
    assert_eq!(storage.calls(StorageOperation::Lease), 0);
    assert_eq!(fleet.diary.count(|kind| matches!(kind, EventKind::StorageFailed { .. })), 0);
}

#[tokio::test]
async fn a_failed_write_does_not_let_a_sibling_spend_the_old_token_and_end_the_session() {
    let provider = ScriptedProvider::new("svc").attended();
    let fleet = Fleet::logged_in(2, &provider).await;
    fleet.clock.advance(DUE);
    fleet.storage.fault_next(StorageOperation::CompareAndSet, 1, StorageFault::Fail);
    fleet.managers[0].force_refresh().await.unwrap();

    fleet.managers[1].token().await.unwrap();
    while fleet.storage.calls(StorageOperation::Lease) < 2 {
        tokio::task::yield_now().await;
    }
    fleet.managers[0].flush().await.unwrap();
    fleet.flush().await;

    for manager in &fleet.managers {
        assert_eq!(secret(&manager.peek().unwrap()), "access-1");
        assert!(manager.status().has_refresh_token());
    }
    assert_eq!((provider.refreshes(), provider.reuses()), (1, 0));
}

#[tokio::test]
async fn a_lease_kept_for_a_failed_write_is_used_for_the_next_exchange_and_ends_by_itself() {
    let provider = ScriptedProvider::new("svc");
    let fleet = Fleet::warm(2, &provider).await;
    fleet.clock.advance(DUE);
    fleet.storage.fault_until_healed(StorageOperation::CompareAndSet, StorageFault::Fail);
    fleet.managers[0].force_refresh().await.unwrap();

    fleet.clock.advance(SPACING);
    fleet.managers[0].force_refresh().await.unwrap();
    assert_eq!(fleet.storage.calls(StorageOperation::Lease), 1);
    fleet.clock.advance(seconds(60));
    fleet.storage.heal();
    fleet.managers[0].force_refresh().await.unwrap();
    fleet.clock.advance(OVER);
    fleet.managers[1].token().await.unwrap();

    assert_eq!(provider.spent(), ["refresh-1", "refresh-2", "refresh-3", "refresh-4"]);
    assert_eq!((provider.reuses(), provider.fetches()), (0, 1));
}

#[tokio::test]
async fn a_flight_that_waits_for_the_lease_gets_the_one_that_its_own_process_keeps() {
    let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
    let fleet = Fleet::warm(1, &provider).await;
    let manager = &fleet.managers[0];
    let force = || {
        let manager = manager.clone();
        tokio::spawn(async move { manager.force_refresh().await })
    };
    fleet.clock.advance(DUE);
    provider.on_refresh(Step::issue().held(&gate));
    let overtaken = force();
    gate.arrived(1).await;
    fleet.storage.fault_until_healed(StorageOperation::CompareAndSet, StorageFault::Fail);
    manager.install(fleet.login("login")).await.unwrap(); // is not written, so the lease is kept

    let waits = force();
    while fleet.storage.calls(StorageOperation::Lease) < 2 {
        tokio::task::yield_now().await;
    }
    gate.release();
    let token = tokio::time::timeout(seconds(60), waits).await.expect("it waits for itself");

    assert_eq!(secret(&token.unwrap().unwrap()), "access-3");
    assert_eq!(provider.spent(), ["refresh-1", "refresh-login"]);
    assert_eq!(overtaken.await.unwrap().unwrap_err().kind(), ErrorKind::Superseded);
}

/// Lets everything run that can run without the clock being moved.
async fn settle() {
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_logout_that_cannot_be_written_does_not_give_away_the_lease_of_a_failed_write() {
    let provider = ScriptedProvider::new("svc");
    let fleet = Fleet::on_this_runtime(2, &provider);
    fleet.tokens().await;
    fleet.clock.advance(DUE);
    fleet.storage.fault_until_healed(StorageOperation::CompareAndSet, StorageFault::Fail);
    fleet.managers[0].force_refresh().await.unwrap(); // the storage has the token that was spent
    settle().await;

    fleet.clock.advance(seconds(1)); // the write is about to be repeated
    fleet.managers[0].clear().await.unwrap_err();
    settle().await;
    let sibling = tokio::spawn({
        let manager = fleet.managers[1].clone();
        async move { manager.force_refresh().await }
    });
    settle().await;
    let spent_meanwhile = provider.reuses();
    fleet.storage.heal();
    fleet.managers[0].flush().await.unwrap();
    let token = sibling.await.unwrap().unwrap();

    assert_eq!((spent_meanwhile, provider.reuses()), (0, 0));
    assert_eq!(secret(&token), "access-3");
}

#[tokio::test]
async fn a_flight_that_a_logout_overtook_does_not_give_away_the_lease_of_a_failed_write() {
    let (provider, sends) = (ScriptedProvider::new("svc"), Gate::closed());
    let fleet = Fleet::on_this_runtime(2, &provider);
    fleet.tokens().await;
    fleet.flush().await;
    fleet.clock.advance(DUE);
    fleet.storage.fault_until_healed(StorageOperation::CompareAndSet, StorageFault::Fail);
    fleet.storage.fault_until_healed(StorageOperation::Renew, StorageFault::Fail);
    fleet.managers[0].force_refresh().await.unwrap();
    fleet.clock.advance(SPACING);
    settle().await;
    provider.on_refresh(Step::issue().held_before_sending(&sends));
    let manager = fleet.managers[0].clone();
    let overtaken = tokio::spawn(async move { manager.force_refresh().await });
    sends.arrived(1).await;
    fleet.clock.advance(seconds(5)); // what is left of the lease is too short to send
    settle().await;
    fleet.storage.reset_calls();
    let _reads = fleet.storage.hold(StorageOperation::Load);
    let manager = fleet.managers[0].clone();
    let logout = tokio::spawn(async move { manager.clear().await });
    settle().await;

    sends.release();
    settle().await;
    let released_before = fleet.storage.calls(StorageOperation::Release);
    fleet.storage.heal();
    logout.await.unwrap().unwrap();
    let token = fleet.managers[1].force_refresh().await.unwrap();

    assert_eq!(released_before, 0, "the logout is not written yet");
    assert_eq!((secret(&token), provider.reuses()), ("access-3", 0));
    assert!(overtaken.await.unwrap().is_err());
}
