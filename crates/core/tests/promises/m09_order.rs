//! M9: what is newer, and what ends a tombstone.

use std::time::{Duration, SystemTime};

use crate::support::records::{holds, stored, tokens_of};
use crate::support::setup::{Setup, manager, seconds};
use tokenkeeper::{
    Clock, ErrorKind, ManualClock, MemoryStorage, Order, TokenManager, TokenStorage,
};
use tokenkeeper_testkit::{PlainStorage, ScriptedProvider};

#[tokio::test]
async fn the_generation_grows_by_every_exchange() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager, clock, storage } = Setup::new(&provider);

    for generation in 1..=5 {
        manager.force_refresh().await.unwrap();
        assert_eq!(order(&storage, &manager).await, Order::new(0, generation));
        clock.advance(seconds(5));
    }
}

#[tokio::test]
async fn install_and_clear_raise_the_epoch_to_the_time_and_exchanges_count_from_there() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager, clock, storage } = Setup::new(&provider);
    manager.token().await.unwrap();

    manager.install(tokens_of("alice", clock.now().wall())).await.unwrap();
    let installed = millis(&clock);
    assert_eq!(order(&storage, &manager).await, Order::new(installed, 0));
    manager.force_refresh().await.unwrap();
    assert_eq!(order(&storage, &manager).await, Order::new(installed, 1));
    clock.advance(seconds(1));
    manager.clear().await.unwrap();

    assert_eq!(order(&storage, &manager).await, Order::new(installed + 1_000, 0));
}

#[tokio::test]
async fn the_epoch_grows_although_the_clock_stands_or_was_stepped_back() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager, clock, storage } = Setup::new(&provider);
    manager.clear().await.unwrap();
    let first = order(&storage, &manager).await.epoch();

    manager.install(tokens_of("alice", clock.now().wall())).await.unwrap();
    assert_eq!(order(&storage, &manager).await, Order::new(first + 1, 0));
    clock.set_wall(clock.now().wall() - DAY);
    manager.clear().await.unwrap();

    assert_eq!(order(&storage, &manager).await, Order::new(first + 2, 0));
}

#[tokio::test]
async fn clear_overrules_a_sibling_whose_clock_is_a_day_ahead() {
    let provider = ScriptedProvider::new("svc").attended();
    let Setup { manager: ahead, clock: early, storage } = Setup::new(&provider);
    let clock = ManualClock::starting_at(early.now().wall() - DAY);
    ahead.install(tokens_of("alice", early.now().wall())).await.unwrap();
    let installed = order(&storage, &ahead).await;

    let cold = manager(&provider, storage.clone(), &clock);
    cold.clear().await.unwrap();

    assert!(stored(&storage, ahead.key()).await.unwrap().is_tombstone());
    assert_eq!(order(&storage, &ahead).await, Order::new(installed.epoch() + 1, 0));
    assert_eq!(cold.token().await.unwrap_err().kind(), ErrorKind::LoginRequired);
    early.advance(seconds(900));
    assert_eq!(ahead.token().await.unwrap_err().kind(), ErrorKind::LoginRequired);
}

#[tokio::test]
async fn install_overrules_a_sibling_whose_clock_is_a_day_ahead() {
    let provider = ScriptedProvider::new("svc").attended();
    let Setup { manager: ahead, clock: early, storage } = Setup::new(&provider);
    let clock = ManualClock::starting_at(early.now().wall() - DAY);
    ahead.install(tokens_of("alice", early.now().wall())).await.unwrap();
    let installed = order(&storage, &ahead).await;

    let cold = manager(&provider, storage.clone(), &clock);
    cold.install(tokens_of("bob", clock.now().wall())).await.unwrap();

    assert_eq!(order(&storage, &ahead).await, Order::new(installed.epoch() + 1, 0));
    assert!(holds(&storage, ahead.key(), "bob-refresh").await);
    clock.advance(seconds(675));
    cold.token().await.unwrap();
    cold.flush().await.unwrap();
    assert_eq!(provider.spent(), ["bob-refresh"]);
}

#[tokio::test]
async fn a_clear_in_one_process_is_noticed_by_the_next_refresh_of_another() {
    let provider = ScriptedProvider::new("svc").attended();
    let Setup { manager: one, clock, storage } = Setup::new(&provider);
    let two = manager(&provider, storage, &clock);
    one.install(tokens_of("alice", clock.now().wall())).await.unwrap();
    two.token().await.unwrap();

    one.clear().await.unwrap();
    assert!(two.token().await.is_ok(), "until then it serves what it has");
    clock.advance(seconds(675));
    two.token().await.unwrap();
    two.flush().await.unwrap();

    assert!(two.peek().is_none());
    assert_eq!(two.token().await.unwrap_err().kind(), ErrorKind::LoginRequired);
    assert_eq!(provider.calls(), 0);
}

#[tokio::test]
async fn a_clear_in_one_process_makes_a_non_interactive_one_fetch_and_not_refresh() {
    for plain in [false, true] {
        let provider = ScriptedProvider::new("svc");
        let (clock, storage) = (ManualClock::new(), MemoryStorage::new());
        let one = manager(&provider, storage.clone(), &clock);
        let two = if plain {
            manager(&provider, PlainStorage::new(storage.clone()), &clock)
        } else {
            manager(&provider, storage.clone(), &clock)
        };
        two.token().await.unwrap();

        one.clear().await.unwrap();
        clock.advance(seconds(900));
        two.token().await.unwrap();

        assert_eq!((provider.fetches(), provider.refreshes()), (2, 0), "plain: {plain}");
        assert!(holds(&storage, two.key(), "refresh-2").await);
    }
}

#[tokio::test]
async fn an_install_in_one_process_is_noticed_by_the_next_refresh_of_another() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager: one, clock, storage } = Setup::new(&provider);
    let two = manager(&provider, storage, &clock);
    two.token().await.unwrap();
    clock.advance(seconds(675));

    one.install(tokens_of("alice", clock.now().wall())).await.unwrap();
    two.token().await.unwrap();
    two.flush().await.unwrap();

    assert_eq!(two.token().await.unwrap().authorization(), "Bearer alice-access");
    assert_eq!(provider.calls(), 1);
}

#[tokio::test]
async fn a_tombstone_is_kept_for_thirty_days_and_holds_nothing() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager, clock, storage } = Setup::new(&provider);
    manager.token().await.unwrap();

    manager.clear().await.unwrap();

    let record = stored(&storage, manager.key()).await.unwrap();
    assert!(record.is_tombstone() && record.payload().is_empty());
    assert_eq!(record.keep_until(), Some(clock.now().wall() + 30 * DAY));
}

#[tokio::test]
async fn a_tombstone_ends_by_install_by_login_and_by_a_fetch_of_a_non_interactive_provider() {
    let provider = ScriptedProvider::new("svc").attended();
    let Setup { manager: attended, clock, storage } = Setup::new(&provider);

    attended.clear().await.unwrap();
    attended.install(tokens_of("alice", clock.now().wall())).await.unwrap();
    assert!(holds(&storage, attended.key(), "alice-refresh").await);

    attended.clear().await.unwrap();
    attended.login().await.unwrap();
    assert!(holds(&storage, attended.key(), "refresh-1").await);

    let non_interactive = ScriptedProvider::new("svc");
    let non_interactive = manager(&non_interactive, storage.clone(), &clock);
    attended.clear().await.unwrap();
    non_interactive.token().await.unwrap();
    assert!(!stored(&storage, attended.key()).await.unwrap().is_tombstone());
}

#[tokio::test]
async fn after_clear_a_provider_that_needs_a_person_starts_nothing() {
    let provider = ScriptedProvider::new("svc").attended();
    let Setup { manager: one, clock, storage } = Setup::new(&provider);
    one.install(tokens_of("alice", clock.now().wall())).await.unwrap();
    one.clear().await.unwrap();
    let cold = manager(&provider, storage, &clock);

    for manager in [&one, &cold] {
        for _ in 0..100 {
            let error = manager.token().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::LoginRequired);
        }
    }

    assert_eq!(provider.calls(), 0);
}

#[tokio::test]
async fn an_older_record_that_comes_back_into_the_storage_is_not_adopted() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager, clock, storage } = Setup::new(&provider);
    manager.token().await.unwrap();
    let old = stored(&storage, manager.key()).await.unwrap();
    clock.advance(seconds(675));
    manager.force_refresh().await.unwrap();

    storage.set(manager.key(), &old).await.unwrap(); // a failover that forgot a write
    clock.advance(seconds(675));
    manager.token().await.unwrap();
    manager.flush().await.unwrap();

    assert_eq!(provider.spent(), ["refresh-1", "refresh-2"]);
    assert_eq!(provider.reuses(), 0);
    assert!(holds(&storage, manager.key(), "refresh-3").await);
}

async fn order(storage: &MemoryStorage, manager: &TokenManager) -> Order {
    stored(storage, manager.key()).await.unwrap().order()
}

fn millis(clock: &ManualClock) -> u64 {
    let since = clock.now().wall().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

const DAY: Duration = Duration::from_secs(24 * 3_600);
