//! M5: what becomes of a record that cannot be read.

use std::sync::Arc;

use crate::support::rig::{Rig, login_elsewhere, seconds, until};
use tokenkeeper::{ErrorKind, EventKind, Order, TokenState};
use tokenkeeper_testkit::{Gate, ScriptedProvider, Step, StorageFault};

const NONSENSE: &str = "no record at all";
const NEWER: &str = "{\"v\":2,\"tokens\":[]}";
const SEALED: &str = "tkenc\u{1} what only a wrapper reads";

fn provider() -> ScriptedProvider {
    ScriptedProvider::new("svc")
}

fn unreadable(is_newer: bool) -> impl Fn(&EventKind) -> bool {
    move |kind| matches!(kind, EventKind::RecordUnreadable { newer } if *newer == is_newer)
}

/// Orders that a record may have: that of garbage, one of this year, one far ahead.
const ORDERS: [Order; 3] =
    [Order::new(0, 0), Order::new(1_893_456_000_000, 7), Order::new(u64::MAX / 2, 7)];

fn assert_stays(rig: &Rig, payload: &str, order: Order) {
    let stored = rig.stored().unwrap();
    assert_eq!((stored.payload(), stored.order()), (payload.as_bytes(), order));
}

#[tokio::test]
async fn a_non_interactive_provider_fetches_and_overwrites_a_record_that_does_not_decode() {
    for order in ORDERS {
        for rig in Rig::both(provider) {
            rig.store(NONSENSE, order);

            rig.manager.token().await.unwrap();

            assert_eq!((rig.provider.fetches(), rig.provider.refreshes()), (1, 0));
            assert!(rig.count(unreadable(false)) > 0);
            assert!(rig.stored().unwrap().order() > order);
            assert!(rig.manager.status().unpersisted().is_none());
            rig.manager.flush().await.unwrap();
            rig.assert_lives_on("refresh-1").await;
        }
    }
}

/// What was stored may have been newer, so the refresh token in memory may be spent.
#[tokio::test]
async fn a_record_that_was_damaged_later_is_fetched_anew() {
    for order in ORDERS {
        for rig in Rig::both(provider) {
            rig.with_token_aged(seconds(1_000)).await;
            rig.store(NONSENSE, order);

            rig.manager.token().await.unwrap();

            assert_eq!((rig.provider.fetches(), rig.provider.refreshes()), (2, 0));
            rig.manager.flush().await.unwrap();
            rig.assert_lives_on("refresh-2").await;
        }
    }
}

#[tokio::test]
async fn an_attended_provider_gets_an_error_that_names_the_key_and_the_record_stays() {
    for (payload, order) in
        [NONSENSE, NEWER, SEALED].into_iter().flat_map(|p| ORDERS.map(|o| (p, o)))
    {
        for rig in Rig::both(|| provider().attended()) {
            rig.store(payload, order);

            for error in [
                rig.manager.token().await.unwrap_err(),
                rig.manager.force_refresh().await.unwrap_err(),
                rig.manager.token_valid_for(seconds(1)).await.unwrap_err(),
            ] {
                assert_eq!(error.kind(), ErrorKind::RecordUnreadable);
                assert!(error.to_string().contains(rig.manager.key().as_str()), "{error}");
            }

            assert_eq!(rig.provider.calls(), 0);
            assert_stays(&rig, payload, order);
        }
    }
}

#[tokio::test]
async fn an_attended_provider_serves_its_memory_while_that_is_valid() {
    for rig in Rig::both(|| provider().attended()) {
        rig.manager.install(login_elsewhere()).await.unwrap();
        let old = rig.with_token_aged(seconds(880)).await;
        rig.store(NONSENSE, Order::new(0, 0));

        assert!(Arc::ptr_eq(&rig.manager.token().await.unwrap(), &old));
        rig.clock.advance(seconds(20));
        assert_eq!(rig.manager.token().await.unwrap_err().kind(), ErrorKind::RecordUnreadable);

        assert_eq!(rig.provider.refreshes(), 1);
        assert_stays(&rig, NONSENSE, Order::new(0, 0));
    }
}

#[tokio::test]
async fn a_login_elsewhere_overwrites_a_record_that_does_not_decode() {
    for order in ORDERS {
        for rig in Rig::both(|| provider().attended()) {
            rig.store(NONSENSE, order);
            rig.manager.token().await.unwrap_err();

            rig.manager.install(login_elsewhere()).await.unwrap();

            assert!(rig.stored().unwrap().order() > order);
            assert!(rig.manager.status().unpersisted().is_none());
            rig.assert_lives_on("installed").await;
        }
    }
}

#[tokio::test]
async fn a_record_that_somebody_else_can_read_is_never_overwritten() {
    for (payload, order) in [NEWER, SEALED].into_iter().flat_map(|p| ORDERS.map(|o| (p, o))) {
        for rig in Rig::both(provider) {
            rig.store(payload, order);
            let manager = &rig.manager;

            assert_eq!(manager.token().await.unwrap().authorization(), "Bearer access-1");
            assert_eq!(manager.status().token_state(), TokenState::Fresh);
            let unpersisted = manager.status().unpersisted().unwrap().kind();
            assert_eq!(unpersisted, ErrorKind::RecordUnreadable);
            assert_stays(&rig, payload, order);
            assert!(rig.count(unreadable(payload == NEWER)) > 0);

            rig.clock.advance(seconds(6));
            manager.force_refresh().await.unwrap();
            assert_stays(&rig, payload, order);
            rig.clock.advance(seconds(6));
            manager.login().await.unwrap();
            assert_stays(&rig, payload, order);
            manager.install(login_elsewhere()).await.unwrap();
            assert_stays(&rig, payload, order);
            assert_eq!(manager.flush().await.unwrap_err().kind(), ErrorKind::RecordUnreadable);
            assert_stays(&rig, payload, order);
            let _ = manager.revoke().await;
            assert_stays(&rig, payload, order);
            assert_eq!(manager.clear().await.unwrap_err().kind(), ErrorKind::RecordUnreadable);
            assert_stays(&rig, payload, order);
            assert_eq!(rig.provider.reuses(), 0);
        }
    }
}

#[tokio::test]
async fn a_repeated_write_does_not_overwrite_a_record_of_a_newer_format() {
    for order in ORDERS {
        for rig in Rig::both(provider) {
            rig.storage.fault_until_healed(rig.write(), StorageFault::Fail);
            rig.manager.token().await.unwrap();
            let _ = rig.manager.flush().await;
            rig.storage.heal();
            rig.store(NEWER, order);

            let due = || rig.clock.next_wake() == Some(seconds(1));
            until("the repetition is due", due).await;
            rig.clock.advance(seconds(1));
            until("it was tried", || rig.count(unreadable(true)) == 1).await;

            assert_stays(&rig, NEWER, order);
            assert!(rig.manager.status().unpersisted().is_some());
        }
    }
}

/// A record that was damaged while our write was failing is nobody's newer record.
#[tokio::test]
async fn a_repeated_write_of_a_non_interactive_provider_overwrites_a_record_that_does_not_decode() {
    for order in ORDERS {
        for rig in Rig::both(provider) {
            rig.storage.fault_until_healed(rig.write(), StorageFault::Fail);
            rig.manager.token().await.unwrap();
            let _ = rig.manager.flush().await;
            rig.storage.heal();
            rig.store(NONSENSE, order);

            rig.manager.flush().await.unwrap();

            assert!(rig.manager.status().unpersisted().is_none());
            assert!(rig.stored().unwrap().order() > order);
            rig.assert_lives_on("refresh-1").await;
        }
    }
}

/// It knows tokens that nobody else has, so it neither drops them nor says that all is well.
#[tokio::test]
async fn a_repeated_write_of_an_attended_provider_leaves_a_record_that_does_not_decode() {
    let order = Order::new(u64::MAX / 2, 7);
    for rig in Rig::both(|| provider().attended()) {
        rig.storage.fault_until_healed(rig.write(), StorageFault::Fail);
        rig.manager.install(login_elsewhere()).await.unwrap();
        rig.storage.heal();
        rig.store(NONSENSE, order);

        let error = rig.manager.flush().await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::RecordUnreadable);
        assert!(rig.manager.status().unpersisted().is_some());
        assert!(rig.manager.status().has_refresh_token());
        assert_stays(&rig, NONSENSE, order);
    }
}

#[tokio::test]
async fn a_record_damaged_during_an_exchange_costs_a_non_interactive_provider_nothing() {
    for order in ORDERS {
        for rig in Rig::both(provider) {
            rig.with_token_aged(seconds(1_000)).await;
            let gate = Gate::closed();
            rig.provider.on_refresh(Step::issue().held_before_answering(&gate));

            let manager = rig.manager.clone();
            let caller = tokio::spawn(async move { manager.token().await });
            gate.arrived(1).await;
            rig.store(NONSENSE, order);
            gate.release();

            assert_eq!(caller.await.unwrap().unwrap().authorization(), "Bearer access-2");
            rig.manager.flush().await.unwrap();
            assert!(rig.provider.revoked().is_empty());
            rig.assert_lives_on("refresh-2").await;
        }
    }
}
