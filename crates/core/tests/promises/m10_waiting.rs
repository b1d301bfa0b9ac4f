//! M10: what a process does while another one holds the lease.

use crate::support::fleet::{Fleet, OVER, Process, seconds, secret};
use std::time::Duration;

use crate::support::waiting::{driver_settled, settled};
use tokenkeeper::{Error, EventKind, RefreshPolicy, TokenManager};
use tokenkeeper_testkit::{Gate, ScriptedProvider, Step, StorageFault, StorageOperation};
use tokio::task::JoinHandle;

fn start(manager: &TokenManager) -> JoinHandle<Result<String, Error>> {
    let manager = manager.clone();
    tokio::spawn(async move { Ok(secret(&*manager.token().await?).to_owned()) })
}

async fn asked(fleet: &Fleet, times: usize) {
    while fleet.storage.calls(StorageOperation::Lease) < times {
        tokio::task::yield_now().await;
    }
}

/// Waits until a caller has its answer, and moves the clock on meanwhile, as time does.
async fn while_time_passes<T>(fleet: &Fleet, most: u64, caller: JoinHandle<T>) -> T {
    for _ in 0..=most {
        driver_settled().await;
        settled().await;
        if caller.is_finished() {
            return caller.await.unwrap();
        }
        fleet.clock.advance(seconds(1));
    }
    panic!("no answer within {most} s");
}

/// A process that has the lease and is killed before it sends anything.
fn killed_with_the_lease(fleet: &Fleet, rt: &tokio::runtime::Runtime) {
    let gate = Gate::closed();
    fleet.provider.on_refresh(Step::issue().held_before_sending(&gate));
    let killed: Process = fleet.process();
    let manager = killed.manager.clone();
    killed.start(async move { manager.token().await });
    killed.run(gate.arrived(1));
    std::mem::forget(killed); // whoever is killed releases nothing
    rt.block_on(asked(fleet, 1));
}

#[tokio::test]
async fn who_waits_for_the_lease_takes_over_what_is_stored_meanwhile() {
    let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
    let fleet = Fleet::warm(2, &provider).await;
    fleet.clock.advance(OVER);
    fleet.storage.fault_next(StorageOperation::Release, 1, StorageFault::Gate(gate.clone()));
    let first = fleet.managers[0].token().await.unwrap();
    gate.arrived(1).await; // it has stored its token, and has not let go of the lease

    let waits = start(&fleet.managers[1]);
    asked(&fleet, 2).await;
    let token = while_time_passes(&fleet, 3, waits).await.unwrap();
    gate.release();

    assert_eq!((secret(&first), &*token), ("access-2", "access-2"));
    assert_eq!(provider.spent(), ["refresh-1"]);
}

#[tokio::test]
async fn who_waits_for_the_lease_is_not_kept_waiting_after_a_login() {
    let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
    let fleet = Fleet::warm(2, &provider).await;
    fleet.clock.advance(OVER);
    provider.on_refresh(Step::issue().held(&gate));
    let holder = start(&fleet.managers[0]);
    gate.arrived(1).await;

    let waits = start(&fleet.managers[1]);
    asked(&fleet, 2).await;
    fleet.managers[1].install(fleet.login("login")).await.unwrap();
    let token = while_time_passes(&fleet, 3, waits).await.unwrap();
    gate.release();
    let _ = holder.await.unwrap();

    assert_eq!(token, "access-login");
}

#[tokio::test]
async fn what_another_call_found_meanwhile_is_as_good_as_found_under_the_lease() {
    let (provider, exchange) = (ScriptedProvider::new("svc"), Gate::closed());
    let (look, release) = (Gate::closed(), Gate::closed());
    let fleet = Fleet::warm(2, &provider).await;
    fleet.clock.advance(OVER);
    provider.on_refresh(Step::issue().held(&exchange));
    fleet.storage.fault_next(StorageOperation::Release, 1, StorageFault::Gate(release.clone()));
    let first = start(&fleet.managers[0]);
    exchange.arrived(1).await;
    fleet.storage.fault_next(StorageOperation::Load, 1, StorageFault::Gate(look.clone()));
    let takes_out = fleet.managers[1].clone();
    let takes_out = tokio::spawn(async move { takes_out.tokens().await });
    look.arrived(1).await;

    let waits = start(&fleet.managers[1]);
    asked(&fleet, 2).await;
    exchange.release();
    first.await.unwrap().unwrap();
    look.release();
    assert!(takes_out.await.unwrap().unwrap().is_some());
    release.release();

    assert_eq!(waits.await.unwrap().unwrap(), "access-2");
    assert_eq!(provider.spent(), ["refresh-1"]);
}

#[tokio::test]
async fn while_the_clock_stands_still_who_waits_does_not_look_however_short_leases_are() {
    let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
    let fleet = Fleet::new(0, &provider);
    let ten = Duration::from_millis(10);
    let policy = RefreshPolicy::new().with_request_timeout(ten).with_storage_timeout(ten);
    let manager = || {
        TokenManager::builder(provider.clone())
            .storage(fleet.storage.clone())
            .clock(fleet.clock.clone())
            .policy(policy.with_lease_ttl(Duration::from_millis(21)))
            .driver(tokio::runtime::Handle::current())
            .build()
            .unwrap()
    };
    let (holds, waits) = (manager(), manager());
    provider.on_fetch(Step::issue().held(&gate));
    let holder = start(&holds);
    gate.arrived(1).await;

    let waiter = start(&waits);
    asked(&fleet, 2).await;
    fleet.storage.reset_calls();
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }

    assert_eq!(fleet.storage.calls(StorageOperation::Load), 0);
    holder.abort();
    waiter.abort();
}

#[test]
fn after_a_kill_all_but_the_next_holder_have_the_patience_for_its_exchange() {
    let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
    let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let fleet = rt.block_on(Fleet::warm(3, &provider));
    fleet.clock.advance(OVER);
    killed_with_the_lease(&fleet, &rt);

    let callers: Vec<_> = rt.block_on(async { fleet.managers.iter().map(start).collect() });
    rt.block_on(asked(&fleet, 4));
    provider.on_refresh(Step::issue().held(&gate));
    fleet.clock.advance(seconds(30)); // the lease of the dead is over
    rt.block_on(gate.arrived(1));
    fleet.clock.advance(seconds(10)); // the service takes its time
    gate.release();

    for caller in callers {
        let token = rt.block_on(while_time_passes(&fleet, 3, caller));
        assert_eq!(token.unwrap(), "access-2");
    }
    assert_eq!((provider.spent().len(), provider.reuses()), (1, 0));
    assert_eq!(fleet.diary.count(|kind| matches!(kind, EventKind::StorageFailed { .. })), 0);
}
