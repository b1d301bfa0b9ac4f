//! Eviction logs nobody out, makes no second manager, and forgets nothing that the service would
//! have to be asked again.

use std::time::Duration;

use crate::support::tenants::{Accounts, Tenants, seconds, secret};
use tokenkeeper::{ErrorKind, MemoryStorage, TokenManagerMap, TokenManagerMapBuilder, TokenSet};
use tokenkeeper_testkit::{Gate, ScriptedProvider, Step, StorageFault, StorageOperation};
use tokio::runtime::{Builder, Handle};

const IDLE: Duration = Duration::from_secs(60);

fn short_idle(builder: TokenManagerMapBuilder<u32>) -> TokenManagerMapBuilder<u32> {
    builder.idle_after(IDLE)
}

#[tokio::test]
async fn who_comes_back_after_eviction_finds_the_same_token_and_the_service_hears_nothing() {
    for is_shared in [true, false] {
        let accounts = Accounts::new(|| ScriptedProvider::new("svc"));
        let tenants =
            Tenants::with(accounts, is_shared, |b| short_idle(b).driver(Handle::current()));
        let before = tenants.settle(1).await;
        tenants.clock.advance(IDLE);

        assert_eq!((tenants.map.evict_idle(), tenants.map.len()), (1, 0));
        let after = tenants.token(1).await;

        assert_eq!((before, tenants.account(1).made()), (after, 2));
        assert_eq!(tenants.account(1).service.calls(), 1);
    }
}

#[tokio::test]
async fn a_map_without_a_storage_keeps_the_tokens_of_those_it_evicts() {
    let service = ScriptedProvider::new("svc").attended();
    let made = service.clone();
    let clock = tokenkeeper::ManualClock::new();
    let map = TokenManagerMap::builder(move |_: &u32| Ok(made.clone()))
        .clock(clock.clone())
        .driver(Handle::current())
        .build()
        .unwrap();
    map.get(&1).unwrap().install(TokenSet::from_refresh_token("from the browser")).await.unwrap();
    map.get(&1).unwrap().token().await.unwrap();
    map.flush().await.unwrap();
    clock.advance(seconds(3_600));
    assert_eq!(map.evict_idle(), 1);

    let token = map.get(&1).unwrap().token().await;

    assert!(token.is_ok(), "{token:?}");
    assert_eq!((service.refreshes(), service.reuses()), (2, 0));
}

#[tokio::test]
async fn whoever_was_asked_for_lately_stays() {
    let tenants = Tenants::new(short_idle);
    tenants.settle(1).await;
    drop(tenants.get(1));
    tenants.clock.advance(IDLE - seconds(1));

    let too_early = tenants.map.evict_idle();
    drop(tenants.get(1));
    tenants.clock.advance(seconds(2));
    let used = tenants.map.evict_idle();
    tenants.clock.advance(IDLE);

    assert_eq!((too_early, used, tenants.map.evict_idle()), (0, 0, 1));
}

#[tokio::test]
async fn above_the_bound_those_go_that_were_idle_the_longest_an_eighth_at_once() {
    let tenants = Tenants::new(|builder| builder.bound(16));
    for user in 0..16 {
        tenants.get(user);
        tenants.clock.advance(seconds(1));
    }
    drop(tenants.get(0)); // the oldest, and used
    tenants.clock.advance(seconds(1));

    tenants.get(16);

    assert_eq!(tenants.map.len(), 14);
    let gone: Vec<u32> = (0..17).filter(|user| !tenants.is_kept(*user)).collect();
    assert_eq!(gone, [1, 2, 3]);
}

#[tokio::test]
async fn managers_of_the_same_age_do_not_all_go_at_once() {
    let tenants = Tenants::new(|builder| builder.bound(16));

    for user in 0..17 {
        tenants.get(user);
    }

    assert_eq!(tenants.map.len(), 14);
}

#[tokio::test]
async fn making_managers_drops_idle_ones_in_passing() {
    let tenants = Tenants::new(short_idle);
    for user in 0..10 {
        tenants.get(user);
    }
    tenants.clock.advance(IDLE + IDLE / 4);

    tenants.get(10);

    assert_eq!(tenants.map.len(), 1);
}

#[tokio::test]
async fn the_bound_is_exceeded_rather_than_a_manager_dropped_that_somebody_holds() {
    let tenants = Tenants::new(|builder| builder.bound(2));
    let held: Vec<_> = (0..10).map(|user| tenants.get(user)).collect();
    assert_eq!(tenants.map.len(), 10);

    for (user, manager) in (0..10).zip(&held) {
        manager.token().await.unwrap();
        assert!(tenants.get(user).peek().is_some(), "a second manager for {user}");
    }
    drop(held);
    tenants.map.flush().await.unwrap();
    tenants.clock.advance(seconds(6));

    assert_eq!(tenants.map.evict_idle(), 8);
    assert!((0..10).all(|user| tenants.account(user).most_alive() == 1));
}

#[tokio::test]
async fn a_map_of_managers_that_must_stay_is_not_swept_for_each_that_is_made() {
    let tenants = Tenants::new(|builder| builder.bound(8));
    let held: Vec<_> = (0..17).map(|user| tenants.get(user)).collect(); // the last one swept
    drop(held);

    tenants.get(17);
    tenants.get(18);
    let before = tenants.map.len();
    tenants.get(19);

    assert_eq!((before, tenants.map.len()), (19, 7));
}

#[tokio::test]
async fn a_manager_that_is_watched_stays() {
    let tenants = Tenants::new(short_idle);
    tenants.settle(1).await;
    tenants.settle(2).await;
    let stream = tenants.get(1).subscribe();
    let refresher = tenants.get(2).spawn_refresher();
    tenants.clock.advance(IDLE);

    assert_eq!(tenants.map.evict_idle(), 0);
    drop((stream, refresher));
    tokio::task::yield_now().await; // the refresher ends on this thread

    assert_eq!(tenants.map.evict_idle(), 2);
}

#[tokio::test]
async fn a_manager_with_an_exchange_in_flight_stays() {
    let tenants = Tenants::new(|builder| builder.idle_after(seconds(1)));
    let gate = Gate::closed();
    tenants.account(1).service.on_fetch(Step::issue().held_before_answering(&gate));
    let caller = tokio::spawn({
        let manager = tenants.get(1);
        async move { manager.token().await }
    });
    gate.arrived(1).await;
    caller.abort();
    assert!(caller.await.is_err());
    tenants.clock.advance(seconds(10));

    let evicted = tenants.map.evict_idle();
    gate.release();
    let token = tenants.token(1).await;

    assert_eq!((evicted, token.as_str()), (0, "access-1"));
    assert_eq!((tenants.account(1).made(), tenants.account(1).service.calls()), (1, 1));
}

#[tokio::test]
async fn a_manager_whose_tokens_are_not_stored_stays_until_they_are() {
    let tenants = Tenants::new(short_idle);
    tenants.storage.fault_until_healed(StorageOperation::Set, StorageFault::Fail);
    let token = tenants.token(1).await;
    let _ = tenants.map.flush().await;
    tenants.clock.advance(seconds(120));

    assert_eq!(tenants.map.evict_idle(), 0);
    tenants.storage.heal();
    tenants.map.flush().await.unwrap();
    for _ in 0..8 {
        tenants.clock.advance(seconds(60)); // the task that writes later finds nothing to write
        tokio::task::yield_now().await;
    }

    assert_eq!(tenants.map.evict_idle(), 1);
    assert_eq!((tenants.token(1).await, tenants.account(1).service.calls()), (token, 1));
}

#[test]
fn tokens_that_are_not_stored_stay_also_when_nobody_is_left_who_writes_them() {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    let accounts = Accounts::new(|| ScriptedProvider::new("svc"));
    let driver = runtime.handle().clone();
    let tenants = Tenants::with(accounts, false, |b| short_idle(b).driver(driver));
    tenants.storage.fault_until_healed(StorageOperation::Set, StorageFault::Fail);
    tenants.get(1).blocking().token().unwrap();
    assert!(tenants.get(1).blocking().flush().is_err());
    drop(runtime); // and with it the task that would have tried again
    tenants.clock.advance(seconds(120));

    assert_eq!((tenants.map.evict_idle(), tenants.map.remove(&1)), (0, false));

    assert_eq!(tenants.account(1).made(), 1);
}

#[tokio::test]
async fn a_wrong_password_is_not_tried_again_because_its_manager_was_dropped() {
    let tenants = Tenants::new(short_idle);
    let service = &tenants.account(1).service;
    service.always_on_fetch(Step::refuse_credentials());
    for pause in [5, 10, 20, 40, 80, 160] {
        let error = secret(&tenants.get(1)).await.unwrap_err();
        assert_eq!(error.retry_after(), Some(seconds(pause)));
        tenants.map.flush().await.unwrap();

        tenants.clock.advance(seconds(pause - 1));
        assert_eq!(tenants.map.evict_idle(), 0);
        assert!(secret(&tenants.get(1)).await.is_err());
        tenants.clock.advance(seconds(1));
        assert_eq!(tenants.map.evict_idle(), 0, "the next pause would be 5 s again");
    }
    assert_eq!(service.fetches(), 6);

    tenants.clock.advance(seconds(599));
    assert_eq!(tenants.map.evict_idle(), 0);
    tenants.clock.advance(seconds(1));
    assert_eq!(tenants.map.evict_idle(), 1);
}

#[tokio::test]
async fn a_service_that_is_down_is_not_asked_sooner_because_a_manager_was_dropped() {
    let tenants = Tenants::new(|builder| builder.idle_after(Duration::from_millis(1)));
    let service = &tenants.account(1).service;
    service.always_on_fetch(Step::unavailable());
    for pause in [1, 2, 4, 8, 16, 32, 60] {
        let error = secret(&tenants.get(1)).await.unwrap_err();
        assert_eq!(error.retry_after(), Some(seconds(pause)));
        tenants.map.flush().await.unwrap();
        tenants.clock.advance(seconds(pause));
        assert_eq!(tenants.map.evict_idle(), 0);
    }

    tenants.clock.advance(seconds(60));

    assert_eq!((tenants.map.evict_idle(), service.fetches()), (1, 7));
}

#[tokio::test]
async fn a_user_whom_the_service_wants_to_see_is_not_forgotten_while_there_is_something_to_send() {
    let tenants = Tenants::new(short_idle);
    let service = &tenants.account(1).service;
    let wants = || Step::fail(tokenkeeper::Error::new(ErrorKind::LoginRequired, "consent"));
    service.on_fetch(wants());
    assert!(secret(&tenants.get(1)).await.is_err());
    tenants.map.flush().await.unwrap();

    tenants.clock.advance(seconds(1_000_000));

    assert_eq!(tenants.map.evict_idle(), 0);
    assert!(secret(&tenants.get(1)).await.is_err());
    assert_eq!(service.fetches(), 1);
}

#[tokio::test]
async fn a_login_that_is_dead_goes_because_nothing_of_it_can_be_sent_again() {
    let accounts = Accounts::new(|| ScriptedProvider::new("svc").attended());
    let tenants = Tenants::with(accounts, false, |b| short_idle(b).driver(Handle::current()));
    let service = &tenants.account(1).service;
    tenants.get(1).install(TokenSet::from_refresh_token("dead")).await.unwrap();
    service.on_refresh(Step::refuse_refresh());
    assert!(secret(&tenants.get(1)).await.is_err());
    tenants.map.flush().await.unwrap();
    tenants.clock.advance(seconds(5 + 60));

    assert_eq!(tenants.map.evict_idle(), 1);
    let error = secret(&tenants.get(1)).await.unwrap_err();

    assert_eq!((error.kind(), service.calls()), (ErrorKind::LoginRequired, 1));
}

#[tokio::test]
async fn a_login_that_was_refused_is_not_tried_again_at_once_because_its_manager_was_dropped() {
    let accounts = Accounts::new(|| ScriptedProvider::new("svc").attended());
    let tenants = Tenants::with(accounts, false, |builder| {
        builder.idle_after(Duration::from_millis(1)).driver(Handle::current())
    });
    let service = &tenants.account(1).service;
    let error = tokenkeeper::Error::new(ErrorKind::LoginRequired, "consent is needed");
    service.always_on_fetch(Step::fail(error));
    tenants.get(1).login().await.unwrap_err();
    tenants.map.flush().await.unwrap();

    tenants.clock.advance(seconds(4));
    let evicted = tenants.map.evict_idle();
    tenants.get(1).login().await.unwrap_err();

    assert_eq!((evicted, service.calls()), (0, 1));
}

#[tokio::test]
async fn who_asks_in_vain_does_not_look_into_the_storage_more_often_because_of_eviction() {
    let accounts = Accounts::new(|| ScriptedProvider::new("svc").attended());
    let tenants = Tenants::with(accounts, false, |builder| {
        builder.idle_after(Duration::from_millis(1)).driver(Handle::current())
    });
    secret(&tenants.get(1)).await.unwrap_err();
    tenants.map.flush().await.unwrap();
    let looks = tenants.storage.total_calls();

    tenants.clock.advance(Duration::from_millis(900));
    let evicted = tenants.map.evict_idle();
    secret(&tenants.get(1)).await.unwrap_err();

    assert_eq!((evicted, tenants.storage.total_calls()), (0, looks));
    tenants.clock.advance(Duration::from_millis(100));
    assert_eq!(tenants.map.evict_idle(), 1);
}

#[tokio::test]
async fn a_token_that_was_rejected_is_not_served_again_after_eviction() {
    let tenants = Tenants::new(short_idle);
    let rejected = tenants.settle(1).await;
    let manager = tenants.get(1);
    assert!(manager.invalidate(&manager.peek().unwrap()));
    drop(manager);
    tenants.clock.advance(IDLE);

    assert_eq!(tenants.map.evict_idle(), 0);

    assert_ne!(tenants.token(1).await, rejected);
}

#[tokio::test]
async fn an_api_that_rejects_every_token_does_not_get_faster_by_eviction() {
    let tenants = Tenants::new(|builder| builder.idle_after(Duration::from_millis(1)));
    tenants.token(1).await;
    for pause in [5, 10, 20] {
        tenants.clock.advance(seconds(6));
        let manager = tenants.get(1);
        manager.invalidate(&manager.peek().unwrap());
        manager.token().await.unwrap();
        manager.flush().await.unwrap();
        drop(manager);
        tenants.clock.advance(seconds(pause - 1));
        assert_eq!(tenants.map.evict_idle(), 0, "before {pause} s");
        tenants.clock.advance(seconds(1));
        assert_eq!(tenants.map.evict_idle(), 0, "the next pause would be 5 s again");
    }
    tenants.clock.advance(seconds(280)); // as old as a token that is not young

    assert_eq!(tenants.map.evict_idle(), 1);
}

#[tokio::test]
async fn an_exchange_is_not_made_too_soon_after_another_because_of_eviction() {
    let tenants = Tenants::new(|builder| builder.idle_after(Duration::from_millis(1)));
    tenants.token(1).await;
    tenants.map.flush().await.unwrap();
    tenants.clock.advance(seconds(4));

    assert_eq!(tenants.map.evict_idle(), 0);
    tenants.get(1).force_refresh().await.unwrap();
    assert_eq!(tenants.account(1).service.calls(), 1);
    tenants.clock.advance(seconds(1));

    assert_eq!(tenants.map.evict_idle(), 1);
}

#[tokio::test]
async fn who_logged_out_stays_logged_out() {
    let accounts = Accounts::new(|| ScriptedProvider::new("svc").attended());
    let tenants = Tenants::with(accounts, false, |b| short_idle(b).driver(Handle::current()));
    tenants.get(1).install(TokenSet::from_refresh_token("from the browser")).await.unwrap();
    tenants.settle(1).await;
    tenants.get(1).clear().await.unwrap();
    tenants.map.flush().await.unwrap();
    tenants.clock.advance(IDLE);
    assert_eq!(tenants.map.evict_idle(), 1);

    let error = secret(&tenants.get(1)).await.unwrap_err();

    assert_eq!((error.kind(), tenants.account(1).service.calls()), (ErrorKind::LoginRequired, 1));
}

#[tokio::test]
async fn who_is_evicted_gives_up_what_it_holds() {
    let storage = MemoryStorage::new();
    let tenants = Tenants::new(|builder| short_idle(builder).storage(storage.clone()));
    tenants.settle(1).await;
    let token = std::sync::Arc::downgrade(&tenants.get(1).peek().unwrap());
    tenants.clock.advance(IDLE);

    tenants.map.evict_idle();

    assert!(token.upgrade().is_none());
}
