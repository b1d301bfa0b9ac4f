//! M9: logins and logouts that race with exchanges, looks and repeated writes, here and elsewhere.

use crate::support::records::{record_of, tokens_of};
use crate::support::rig::{Rig, login_elsewhere, seconds, until};
use crate::support::waiting::{driver_settled, sleeping, started};
use tokenkeeper::{
    Clock, LeaseRequest, Order, SharedTokenStorage, TokenManager, TokenSet, TokenStorage,
};
use tokenkeeper_testkit::{Gate, ScriptedProvider, Step, StorageFault, StorageOperation};

use StorageOperation::{CompareAndSet, Lease, Load};

fn sibling(rig: &Rig) -> TokenManager {
    crate::support::setup::manager(&rig.provider, rig.shelf.clone(), &rig.clock)
}

fn after(rig: &Rig, operation: StorageOperation) -> Gate {
    let gate = Gate::closed();
    rig.storage.fault_next(operation, 1, StorageFault::GateAfterwards(gate.clone()));
    gate
}

fn run<T: Send + 'static>(
    manager: &TokenManager,
    work: impl AsyncFnOnce(TokenManager) -> T + Send + 'static,
) -> std::thread::JoinHandle<T> {
    let manager = manager.clone();
    std::thread::spawn(move || pollster::block_on(work(manager)))
}

fn holds_tokens(manager: &TokenManager) -> bool {
    manager.peek().is_some() || manager.status().has_refresh_token()
}

async fn put(rig: &Rig, owner: &str, order: Order) {
    let record = record_of(tokens_of(owner, rig.clock.now().wall()), order).await;
    rig.shelf.set(rig.manager.key(), &record).await.unwrap();
}

fn wall(rig: &Rig) -> u64 {
    let since = rig.clock.now().wall().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

/// T1
#[tokio::test]
async fn a_yielding_install_that_loses_does_not_undo_a_logout_that_came_meanwhile() {
    let rig = Rig::shared(&ScriptedProvider::new("svc"));
    let gate = rig.hold_next(CompareAndSet);
    let absent = run(&rig.manager, async |m| m.install_if_absent(login_elsewhere()).await);
    gate.arrived(1).await;
    sibling(&rig).install(TokenSet::from_refresh_token("sibling")).await.unwrap();
    rig.clock.advance(seconds(1));
    let clear = started(rig.manager.clear()).await;
    gate.release();
    assert!(!absent.join().unwrap().unwrap());
    clear.end().await.unwrap();
    assert!(rig.stored().unwrap().is_tombstone(), "storage");
    assert!(!holds_tokens(&rig.manager), "memory has tokens after a logout");
}

/// T1b: as T1, but with the clock of the sibling ahead, the logout is not even written.
#[tokio::test]
async fn nor_does_it_keep_the_logout_from_being_written() {
    let rig = Rig::shared(&ScriptedProvider::new("svc"));
    let gate = rig.hold_next(CompareAndSet);
    let absent = run(&rig.manager, async |m| m.install_if_absent(login_elsewhere()).await);
    gate.arrived(1).await;
    put(&rig, "sibling", Order::new(wall(&rig) + 86_400_000, 0)).await;
    let clear = started(rig.manager.clear()).await;
    gate.release();
    let _ = absent.join().unwrap();
    clear.end().await.unwrap();
    assert!(rig.stored().unwrap().is_tombstone(), "storage");
    assert!(!holds_tokens(&rig.manager), "memory has tokens after a logout");
}

/// T2
#[tokio::test]
async fn taking_tokens_out_during_a_logout_does_not_bring_them_back() {
    let rig = Rig::shared(&ScriptedProvider::new("svc"));
    rig.with_token_aged(seconds(1)).await;
    let read = after(&rig, Load);
    put(&rig, "sibling", Order::new(wall(&rig) + 60_000, 0)).await;
    let tokens = run(&rig.manager, async |m| m.tokens().await.map(|t| t.is_some()));
    read.arrived(1).await;
    let write = rig.hold_next(CompareAndSet);
    let clear = started(rig.manager.clear()).await;
    write.arrived(1).await;
    assert!(!holds_tokens(&rig.manager));
    read.release();
    let _ = tokens.join().unwrap();
    write.release();
    clear.end().await.unwrap();
    assert!(rig.stored().unwrap().is_tombstone(), "storage");
    assert!(!holds_tokens(&rig.manager), "memory has tokens after a logout");
}

/// T2b: an exchange that meets a sibling's record with a clock ahead, while a logout comes.
#[tokio::test]
async fn an_exchange_that_is_overruled_during_a_logout_does_not_undo_it() {
    let rig = Rig::shared(&ScriptedProvider::new("svc"));
    rig.with_token_aged(seconds(700)).await;
    let write = rig.hold_next(CompareAndSet);
    let force = run(&rig.manager, async |m| m.force_refresh().await.is_ok());
    write.arrived(1).await;
    put(&rig, "sibling", Order::new(wall(&rig) + 86_400_000, 0)).await;
    let clear = started(rig.manager.clear()).await;
    write.release();
    let _ = force.join().unwrap();
    clear.end().await.unwrap();
    assert!(rig.stored().unwrap().is_tombstone(), "storage");
    assert!(!holds_tokens(&rig.manager), "memory has tokens after a logout");
}

/// T3
#[tokio::test]
async fn install_if_absent_never_revokes_the_tokens_that_it_yields_to() {
    let provider = ScriptedProvider::new("svc").attended();
    let rig = Rig::shared(&provider);
    let read = after(&rig, Load);
    let absent = run(&rig.manager, async |m| m.install_if_absent(login_elsewhere()).await);
    read.arrived(1).await;
    let written = after(&rig, CompareAndSet);
    let login = run(&rig.manager, async |m| m.login().await.map(|_| ()));
    written.arrived(1).await;
    read.release();
    driver_settled().await;
    written.release();
    let absent = absent.join().unwrap();
    let login = login.join().unwrap();
    rig.manager.flush().await.unwrap();
    assert_eq!(
        provider.revoked(),
        Vec::<String>::new(),
        "absent {absent:?} login {login:?} stored {:?}",
        rig.stored_refresh_token()
    );
}

/// T4
#[tokio::test]
async fn a_conditional_login_that_could_not_be_written_leaves_nothing_behind() {
    let rig = Rig::shared(&ScriptedProvider::new("svc"));
    rig.storage.fault_next(CompareAndSet, 1, StorageFault::Fail);
    rig.manager.install_if_absent(login_elsewhere()).await.unwrap_err();
    assert!(!rig.manager.status().has_refresh_token());
    assert!(rig.manager.status().unpersisted().is_none());
    sibling(&rig).token().await.unwrap(); // an exchange: the lowest epoch
    rig.manager.flush().await.unwrap();
    assert!(rig.manager.status().unpersisted().is_none(), "flush said Ok, but it is unpersisted");
    assert_eq!(rig.stored_refresh_token().as_deref(), Some("refresh-1"));
    rig.manager.force_refresh().await.unwrap();
    assert_eq!(rig.provider.spent(), ["refresh-1"]);
}

/// T5
#[tokio::test]
async fn tokens_that_were_cleared_are_absent_although_the_mark_is_not_written_yet() {
    let rig = Rig::shared(&ScriptedProvider::new("svc"));
    rig.with_token_aged(seconds(1)).await;
    rig.storage.fault_next(CompareAndSet, 1, StorageFault::Fail);
    rig.manager.clear().await.unwrap_err();
    let installed = rig.manager.install_if_absent(login_elsewhere()).await.unwrap();
    assert_eq!(installed, holds_tokens(&rig.manager), "false, and there is nothing either");
    assert!(installed);
}

/// T6
#[tokio::test]
async fn a_logout_that_was_written_late_does_not_undo_a_later_login_of_a_sibling() {
    let rig = Rig::shared(&ScriptedProvider::new("svc"));
    rig.with_token_aged(seconds(1)).await;
    rig.storage.fault_next(Load, 1, StorageFault::Fail);
    rig.manager.clear().await.unwrap_err();
    rig.clock.advance(std::time::Duration::from_millis(500));
    let other = sibling(&rig);
    other.install(TokenSet::from_refresh_token("later")).await.unwrap();
    sleeping(&rig.clock, 1).await;
    rig.clock.advance(seconds(1));
    rig.manager.flush().await.unwrap();
    assert_eq!(rig.stored_refresh_token().as_deref(), Some("later"));
}

async fn lease_is_free(rig: &Rig) -> bool {
    let want = LeaseRequest::new(seconds(30), seconds(0), std::sync::Arc::new(rig.clock.clone()));
    rig.shelf.lease(rig.manager.key(), &want).await.is_ok()
}

/// T7
#[tokio::test]
async fn a_kept_lease_that_grew_too_short_is_not_let_go_of_while_it_is_needed() {
    let provider = ScriptedProvider::new("svc").attended();
    let rig = Rig::shared(&provider);
    rig.manager.login().await.unwrap();
    rig.manager.flush().await.unwrap();
    rig.clock.advance(seconds(800));
    rig.storage.fault_until_healed(CompareAndSet, StorageFault::Fail);
    rig.manager.force_refresh().await.unwrap(); // spends refresh-1, which stays stored
    assert_eq!(rig.stored_refresh_token().as_deref(), Some("refresh-1"));
    rig.clock.advance(seconds(6));
    let gate = Gate::closed();
    provider.on_refresh(Step::issue().held_before_sending(&gate));
    let force = run(&rig.manager, async |m| m.force_refresh().await.is_ok());
    gate.arrived(1).await;
    let again = rig.hold_next(Lease); // another process is quicker at asking
    rig.clock.advance(seconds(11)); // 17 s of 30 s; 13 s are too short for request and write
    gate.release();
    until("it asks again, or uses what it has", || again.waiting() > 0 || force.is_finished())
        .await;
    assert!(!lease_is_free(&rig).await, "a sibling may spend what was spent");
    again.release();
    let _ = force.join();
}

/// T8
#[tokio::test]
async fn a_late_exchange_does_not_drop_the_lease_that_another_still_needs() {
    let provider = ScriptedProvider::new("svc");
    let rig = Rig::shared(&provider);
    let gate = Gate::closed();
    provider.on_fetch(Step::issue().held_before_answering(&gate));
    let first = run(&rig.manager, async |m| m.token().await.is_ok());
    gate.arrived(1).await;
    rig.manager.clear().await.unwrap();
    rig.clock.suspend(seconds(31)); // the lease is over, the request is not
    rig.storage.fault_until_healed(CompareAndSet, StorageFault::Fail);
    rig.manager.token().await.unwrap();
    until("kept", || rig.manager.status().unpersisted().is_some()).await;
    assert!(!lease_is_free(&rig).await, "kept for the failed write");
    gate.release();
    let _ = first.join().unwrap();
    driver_settled().await;
    assert!(rig.manager.status().unpersisted().is_some());
    assert!(!lease_is_free(&rig).await, "the lease was dropped by the exchange that lost");
}

/// T11
#[tokio::test]
async fn a_repeated_login_does_not_throw_away_what_an_exchange_made_of_it() {
    let provider = ScriptedProvider::new("svc").attended();
    let rig = Rig::shared(&provider);
    rig.storage.fault_next(Load, 1, StorageFault::Fail);
    rig.manager.install(login_elsewhere()).await.unwrap();
    let gate = Gate::closed();
    provider.on_refresh(Step::issue().held_before_answering(&gate));
    let first = run(&rig.manager, async |m| m.token().await.is_ok());
    gate.arrived(1).await;
    // A sibling whose clock is a little ahead wrote in between.
    put(&rig, "sibling", Order::new(wall(&rig) + 5_000, 0)).await;
    rig.clock.advance(seconds(1));
    until("repeated", || rig.manager.status().unpersisted().is_none()).await;
    gate.release();
    let _ = first.join().unwrap();
    rig.manager.flush().await.unwrap();
    rig.clock.advance(seconds(6));
    let _ = rig.manager.force_refresh().await;
    assert_eq!(
        provider.reuses(),
        0,
        "spent {:?}, stored {:?}",
        provider.spent(),
        rig.stored_refresh_token()
    );
}

/// T15
#[tokio::test]
async fn looking_at_the_tokens_of_an_exchange_early_does_not_make_it_uncounted() {
    let provider = ScriptedProvider::new("svc");
    let rig = Rig::shared(&provider);
    rig.with_token_aged(seconds(10)).await;
    let read = rig.hold_next(Load);
    let tokens = run(&rig.manager, async |m| m.tokens().await.is_ok());
    read.arrived(1).await;
    let written = after(&rig, CompareAndSet);
    let force = run(&rig.manager, async |m| m.force_refresh().await.is_ok());
    written.arrived(1).await;
    read.release();
    tokens.join().unwrap();
    written.release();
    force.join().unwrap();
    rig.manager.flush().await.unwrap();
    rig.manager.force_refresh().await.unwrap();
    assert_eq!(provider.refreshes(), 1, "two exchanges within the same millisecond");
}
