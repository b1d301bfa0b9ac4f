//! M10: nothing is spent without a lease that lasts, and nobody waits longer than one lease.
//!
//! A lease lasts 30 s; a request and a write take 20 s at most, so that is what must be left.

use crate::support::fleet::{DUE, Fleet, OVER, seconds, secret};
use tokenkeeper::{ErrorKind, EventKind, TokenManager};
use tokenkeeper_testkit::{Gate, ScriptedProvider, Step, StorageFault, StorageOperation};

fn start(manager: &TokenManager) -> tokio::task::JoinHandle<String> {
    let manager = manager.clone();
    tokio::spawn(async move { secret(&manager.token().await.unwrap()).to_owned() })
}

#[tokio::test]
async fn a_lease_that_grew_too_short_before_sending_is_asked_for_anew() {
    let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
    provider.on_refresh(Step::issue().held_before_sending(&gate));
    let fleet = Fleet::warm(1, &provider).await;
    fleet.clock.advance(OVER);

    let caller = start(&fleet.managers[0]);
    gate.arrived(1).await;
    fleet.clock.advance(seconds(10));
    gate.release();

    assert_eq!(caller.await.unwrap(), "access-2");
    assert_eq!(provider.refreshes(), 2, "the first attempt ended before it was sent");
    assert_eq!(provider.spent(), ["refresh-1"]);
    assert_eq!(fleet.storage.calls(StorageOperation::Lease), 2);
}

#[tokio::test]
async fn a_lease_that_lasts_for_request_and_write_is_used() {
    let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
    provider.on_refresh(Step::issue().held_before_sending(&gate));
    let fleet = Fleet::warm(1, &provider).await;
    fleet.clock.advance(OVER);

    let caller = start(&fleet.managers[0]);
    gate.arrived(1).await;
    fleet.clock.advance(seconds(10) - std::time::Duration::from_millis(1));
    gate.release();

    assert_eq!(caller.await.unwrap(), "access-2");
    assert_eq!((provider.refreshes(), fleet.storage.calls(StorageOperation::Lease)), (1, 1));
}

#[tokio::test]
async fn the_time_that_the_lease_took_to_arrive_is_not_the_holders() {
    let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
    let fleet = Fleet::warm(1, &provider).await;
    fleet.clock.advance(OVER);
    let fault = StorageFault::GateAfterwards(gate.clone());
    fleet.storage.fault_next(StorageOperation::Lease, 1, fault);

    let caller = start(&fleet.managers[0]);
    gate.arrived(1).await;
    fleet.clock.advance(seconds(10));
    gate.release();

    assert_eq!(caller.await.unwrap(), "access-2");
    assert_eq!(fleet.storage.calls(StorageOperation::Renew), 1);
    assert_eq!((fleet.storage.calls(StorageOperation::Lease), provider.refreshes()), (1, 1));
}

#[tokio::test]
async fn a_lease_that_cannot_be_renewed_is_given_up_before_anything_is_sent() {
    let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
    let fleet = Fleet::warm(1, &provider).await;
    fleet.clock.advance(OVER);
    let fault = StorageFault::GateAfterwards(gate.clone());
    fleet.storage.fault_next(StorageOperation::Lease, 1, fault);
    fleet.storage.fault_next(StorageOperation::Renew, 1, StorageFault::Fail);

    let caller = start(&fleet.managers[0]);
    gate.arrived(1).await;
    fleet.clock.advance(seconds(10));
    gate.release();

    assert_eq!(caller.await.unwrap(), "access-2");
    assert_eq!((fleet.storage.calls(StorageOperation::Lease), provider.refreshes()), (2, 1));
}

#[tokio::test]
async fn a_storage_whose_every_lease_comes_too_late_is_an_error_and_spends_nothing() {
    let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
    let fleet = Fleet::warm(1, &provider).await;
    fleet.clock.advance(OVER);
    fleet
        .storage
        .fault_until_healed(StorageOperation::Lease, StorageFault::GateAfterwards(gate.clone()));
    fleet.storage.fault_until_healed(StorageOperation::Renew, StorageFault::Fail);

    let caller = tokio::spawn({
        let manager = fleet.managers[0].clone();
        async move { manager.token().await.unwrap_err() }
    });
    for _ in 0..3 {
        gate.arrived(1).await;
        fleet.clock.advance(seconds(10));
        gate.let_through(1);
    }
    let error = caller.await.unwrap();

    assert_eq!(error.kind(), ErrorKind::Storage);
    assert_eq!(provider.refreshes(), 0);
}

#[test]
fn a_process_that_was_stopped_over_its_lease_does_not_send() {
    let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
    let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let fleet = rt.block_on(Fleet::warm(1, &provider));
    let stopped = fleet.process();
    fleet.clock.advance(OVER);
    provider.on_refresh(Step::issue().held_before_sending(&gate));
    let manager = stopped.manager.clone();
    let caller = stopped.start(async move { manager.token().await });
    stopped.run(gate.arrived(1));

    fleet.clock.advance(seconds(30));
    let theirs = rt.block_on(fleet.managers[0].token()).unwrap();
    gate.release();
    let ours = stopped.run(caller).unwrap().unwrap();

    assert_eq!((secret(&theirs), secret(&ours)), ("access-2", "access-2"));
    assert_eq!(provider.spent(), ["refresh-1"]);
    assert_eq!(provider.reuses(), 0);
}

#[tokio::test]
async fn a_machine_that_was_suspended_over_its_lease_does_not_send() {
    let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
    let fleet = Fleet::warm(2, &provider).await;
    fleet.clock.advance(OVER);
    provider.on_refresh(Step::issue().held_before_sending(&gate));

    let caller = start(&fleet.managers[0]);
    gate.arrived(1).await;
    fleet.clock.suspend(seconds(30));
    let theirs = fleet.managers[1].token().await.unwrap();
    gate.release();

    assert_eq!((secret(&theirs), &*caller.await.unwrap()), ("access-2", "access-2"));
    assert_eq!((provider.spent().len(), provider.reuses()), (1, 0));
}

#[test]
fn a_process_killed_before_sending_costs_the_others_one_lease_time() {
    let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
    let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let fleet = rt.block_on(Fleet::warm(1, &provider));
    let other = fleet.process();
    let killed = fleet.process();
    fleet.clock.advance(OVER);
    provider.on_refresh(Step::issue().held_before_sending(&gate));
    let manager = killed.manager.clone();
    killed.start(async move { manager.token().await });
    killed.run(gate.arrived(1));
    std::mem::forget(killed); // whoever is killed releases nothing

    let manager = other.manager.clone();
    let caller = other.start(async move { manager.token().await });
    other.run(async {
        while fleet.storage.calls(StorageOperation::Lease) < 2 {
            tokio::task::yield_now().await;
        }
    });
    fleet.clock.advance(seconds(30));
    let token = other.run(caller).unwrap().unwrap();

    assert_eq!(secret(&token), "access-2");
    assert_eq!((provider.spent().len(), provider.reuses()), (1, 0));
    assert_eq!(fleet.storage.calls(StorageOperation::Lease), 2, "it waited, and did not give up");
}

#[test]
fn a_driver_that_is_shut_down_before_sending_costs_the_others_nothing() {
    let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
    let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let fleet = rt.block_on(Fleet::warm(1, &provider));
    let short_lived = fleet.process();
    fleet.clock.advance(OVER);
    provider.on_refresh(Step::issue().held_before_sending(&gate));
    let manager = short_lived.manager.clone();
    short_lived.start(async move { manager.token().await });
    short_lived.run(gate.arrived(1));

    drop(short_lived);
    let token = rt.block_on(fleet.managers[0].token()).unwrap();

    assert_eq!(secret(&token), "access-2");
    assert_eq!((provider.spent().len(), provider.reuses()), (1, 0));
}

#[tokio::test]
async fn the_loser_of_a_race_takes_over_the_winners_tokens_and_leaves_them_alone() {
    let (provider, gate) = (ScriptedProvider::new("svc").attended(), Gate::closed());
    let fleet = Fleet::logged_in(2, &provider).await;
    fleet.clock.advance(OVER);
    provider.on_refresh(Step::issue().held(&gate));
    let loser = start(&fleet.managers[0]);
    gate.arrived(1).await;
    fleet.clock.suspend(seconds(30)); // after sending: nobody can call the request back
    let theirs = fleet.managers[1].token().await.unwrap();
    let order = fleet.stored_order().await;

    gate.release();

    assert_eq!((secret(&theirs), &*loser.await.unwrap()), ("access-1", "access-1"));
    fleet.flush().await;
    assert_eq!(fleet.stored_order().await, order);
    assert_eq!((provider.revocations(), provider.reuses()), (0, 1));
    assert_eq!(fleet.diary.count(|kind| matches!(kind, EventKind::RefreshTokenDropped)), 0);
}

#[tokio::test]
async fn tokens_that_came_after_a_siblings_are_dropped_without_revoking_the_family() {
    let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
    let fleet = Fleet::warm(2, &provider).await;
    fleet.clock.advance(OVER);
    provider.on_refresh(Step::issue().held_before_answering(&gate));
    let loser = start(&fleet.managers[0]);
    gate.arrived(1).await;
    fleet.clock.suspend(seconds(30));
    let theirs = fleet.managers[1].token().await.unwrap();
    let order = fleet.stored_order().await;

    gate.release();

    assert_eq!(loser.await.unwrap(), secret(&theirs));
    fleet.flush().await;
    assert_eq!(fleet.stored_order().await, order);
    assert_eq!(provider.revocations(), 0);
}

#[tokio::test]
async fn a_lease_is_let_go_of_after_every_kind_of_end() {
    for step in [Step::issue(), Step::unavailable(), Step::panic(), Step::refuse_credentials()] {
        let provider = ScriptedProvider::new("svc");
        provider.on_refresh(step.clone());
        let fleet = Fleet::warm(2, &provider).await;
        fleet.clock.advance(DUE);

        fleet.managers[0].token().await.unwrap();
        fleet.managers[0].flush().await.unwrap();

        let calls = |operation| fleet.storage.calls(operation);
        assert_eq!(calls(StorageOperation::Lease), calls(StorageOperation::Release), "{step:?}");
    }
}
