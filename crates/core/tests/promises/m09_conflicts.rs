//! M9: what becomes of a successful exchange when the record changed meanwhile.

use crate::support::records::{holds, record_of, stored, tokens_of};
use crate::support::setup::{Setup, seconds};
use crate::support::waiting::{Started, started};
use tokenkeeper::{
    AccessToken, Clock, Error, ManualClock, MemoryStorage, Order, TokenManager, TokenRecord,
    TokenStorage,
};
use tokenkeeper_testkit::{Gate, ScriptedProvider, Step};

type Caller<'a> = Started<'a, Result<std::sync::Arc<AccessToken>, Error>>;

#[tokio::test]
async fn a_record_that_was_written_anew_with_the_spent_refresh_token_is_overwritten() {
    let Refreshing { provider, manager, storage, gate, .. } = Refreshing::new().await;
    let caller = refreshing(&manager, &gate).await;

    let same = stored(&storage, manager.key()).await.unwrap();
    storage.set(manager.key(), &same).await.unwrap(); // re-encrypted, say: a new version
    gate.release();

    assert_eq!(caller.end().await.unwrap().authorization(), "Bearer access-2");
    assert!(holds(&storage, manager.key(), "refresh-2").await);
    assert_eq!(provider.calls(), 2);
}

#[tokio::test]
async fn the_spent_refresh_token_is_overwritten_even_under_a_higher_order() {
    let Refreshing { provider, manager, storage, gate, .. } = Refreshing::new().await;
    let caller = refreshing(&manager, &gate).await;

    let same = stored(&storage, manager.key()).await.unwrap();
    let higher = with_order(&same, Order::new(0, 7));
    storage.set(manager.key(), &higher).await.unwrap();
    gate.release();

    assert_eq!(caller.end().await.unwrap().authorization(), "Bearer access-2");
    assert!(holds(&storage, manager.key(), "refresh-2").await);
    let record = stored(&storage, manager.key()).await.unwrap();
    assert_eq!(record.order(), Order::new(0, 8));
    assert_eq!(provider.calls(), 2);
}

#[tokio::test]
async fn the_order_under_which_it_was_written_in_the_end_is_the_managers_own() {
    let Refreshing { provider, manager, storage, gate, clock } = Refreshing::new().await;
    let caller = refreshing(&manager, &gate).await;
    let same = stored(&storage, manager.key()).await.unwrap();
    storage.set(manager.key(), &with_order(&same, Order::new(0, 7))).await.unwrap();
    gate.release();
    caller.end().await.unwrap();

    clock.advance(seconds(900));
    manager.token().await.unwrap();

    let record = stored(&storage, manager.key()).await.unwrap();
    assert_eq!(record.order(), Order::new(0, 9));
    assert_eq!(provider.spent(), ["refresh-1", "refresh-2"]);
}

#[tokio::test]
async fn a_newer_exchange_of_somebody_else_is_adopted_and_ours_is_not_revoked() {
    let Refreshing { provider, manager, storage, gate, clock } = Refreshing::new().await;
    let caller = refreshing(&manager, &gate).await;

    let newer = record_of(tokens_of("sibling", clock.now().wall()), Order::new(0, 2)).await;
    storage.set(manager.key(), &newer).await.unwrap();
    gate.release();

    assert_eq!(caller.end().await.unwrap().authorization(), "Bearer sibling-access");
    manager.flush().await.unwrap();
    assert_eq!(manager.token().await.unwrap().authorization(), "Bearer sibling-access");
    assert!(holds(&storage, manager.key(), "sibling-refresh").await);
    assert!(provider.revoked().is_empty(), "it may be of the same family");
}

#[tokio::test]
async fn a_login_elsewhere_is_adopted_and_ours_is_revoked() {
    let Refreshing { provider, manager, storage, gate, clock } = Refreshing::new().await;
    let caller = refreshing(&manager, &gate).await;

    let login = record_of(tokens_of("login", clock.now().wall()), Order::new(9, 0)).await;
    storage.set(manager.key(), &login).await.unwrap();
    gate.release();

    assert_eq!(caller.end().await.unwrap().authorization(), "Bearer login-access");
    manager.flush().await.unwrap();
    assert!(holds(&storage, manager.key(), "login-refresh").await);
    assert_eq!(provider.revoked(), ["refresh-2"]);
}

#[tokio::test]
async fn a_logout_elsewhere_stays_and_what_we_brought_is_revoked() {
    let Refreshing { provider, manager, storage, gate, clock } = Refreshing::new().await;
    drop(refreshing(&manager, &gate).await);

    let sibling = crate::support::setup::manager(&provider, storage.clone(), &clock);
    sibling.clear().await.unwrap();
    gate.release();
    manager.flush().await.unwrap();

    assert!(manager.peek().is_none());
    assert!(stored(&storage, manager.key()).await.unwrap().is_tombstone());
    assert_eq!(provider.revoked(), ["refresh-2"]);
}

#[tokio::test]
async fn a_storage_that_lost_the_record_gets_ours() {
    let Refreshing { provider, manager, storage, gate, .. } = Refreshing::new().await;
    let caller = refreshing(&manager, &gate).await;

    storage.delete(manager.key()).await.unwrap();
    gate.release();

    assert_eq!(caller.end().await.unwrap().authorization(), "Bearer access-2");
    assert!(holds(&storage, manager.key(), "refresh-2").await);
    assert_eq!(provider.calls(), 2);
}

#[tokio::test]
async fn a_storage_that_fell_back_to_an_older_record_gets_ours_and_theirs_is_never_spent() {
    let Refreshing { provider, manager, storage, gate, clock } = Refreshing::new().await;
    let caller = refreshing(&manager, &gate).await;

    let older = record_of(tokens_of("older", clock.now().wall()), Order::new(0, 0)).await;
    storage.set(manager.key(), &older).await.unwrap();
    gate.release();

    assert_eq!(caller.end().await.unwrap().authorization(), "Bearer access-2");
    assert!(holds(&storage, manager.key(), "refresh-2").await);
    clock.advance(seconds(900));
    manager.token().await.unwrap();
    assert_eq!(provider.spent(), ["refresh-1", "refresh-2"]);
}

/// A manager whose token is over, and whose refresh is held after the service has acted.
struct Refreshing {
    provider: ScriptedProvider,
    manager: TokenManager,
    storage: MemoryStorage,
    gate: Gate,
    clock: ManualClock,
}

impl Refreshing {
    async fn new() -> Self {
        let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
        provider.on_refresh(Step::issue().held_before_answering(&gate));
        let Setup { manager, clock, storage } = Setup::new(&provider);
        manager.token().await.unwrap();
        clock.advance(seconds(900));
        Self { provider, manager, storage, gate, clock }
    }
}

async fn refreshing<'a>(manager: &'a TokenManager, gate: &Gate) -> Caller<'a> {
    let caller = started(manager.token()).await;
    gate.arrived(1).await;
    caller
}

fn with_order(record: &TokenRecord, order: Order) -> TokenRecord {
    TokenRecord::from_parts(record.payload().to_vec(), order, record.keep_until(), false)
}
