//! M5: what storages cost that hang, or that somebody else writes nonsense into.

use crate::support::rig::{Rig, login_elsewhere, pass_with_renewals, seconds, until};
use crate::support::waiting::settled;
use tokenkeeper::{Order, TokenRecord, TokenStorage};
use tokenkeeper_testkit::{ScriptedProvider, Step, StorageFault};
use tokio::runtime::Handle;

const NONSENSE: &str = "no record at all";

fn provider() -> ScriptedProvider {
    ScriptedProvider::new("svc")
}

#[tokio::test]
async fn a_write_that_an_unreadable_record_keeps_out_is_repeated_ever_more_rarely() {
    for rig in Rig::both(|| provider().attended()) {
        rig.storage.fault_next(rig.write(), 1, StorageFault::Fail);
        rig.manager.install(login_elsewhere()).await.unwrap();
        rig.store(NONSENSE, Order::new(0, 9));
        rig.storage.reset_calls();

        for (repetitions, pause) in [1, 2, 4, 8, 16, 32, 60, 60].into_iter().enumerate() {
            let first = seconds(pause.min(10));
            until("the next one is due", || rig.clock.next_wake() == Some(first)).await;
            assert_eq!(rig.storage.calls(rig.read()), repetitions);
            pass_with_renewals(&rig, pause).await;
        }

        rig.manager.flush().await.unwrap_err();
        assert!(rig.manager.status().unpersisted().is_some());
    }
}

#[tokio::test]
async fn a_refused_refresh_token_is_sent_once_although_its_record_became_unreadable() {
    let rig = Rig::shared(&provider());
    rig.with_token_aged(seconds(6)).await;
    rig.provider.on_refresh(Step::refuse_refresh());
    let gate = rig.hold_next(rig.write());
    let manager = rig.manager.clone();
    let caller = tokio::spawn(async move { manager.force_refresh().await });
    gate.arrived(1).await; // the refusal on its way into the storage

    rig.store(NONSENSE, Order::new(7, 9));
    gate.release();
    until("the exchange ends", || caller.is_finished()).await;

    assert_eq!(caller.await.unwrap().unwrap().authorization(), "Bearer access-2");
    assert_eq!((rig.provider.fetches(), rig.provider.refreshes()), (2, 1));
    rig.assert_lives_on("refresh-2").await;
}

/// One deadline for the look, and one for the look that the write begins with.
#[tokio::test]
async fn a_storage_that_hangs_costs_a_grant_without_refresh_tokens_ten_seconds() {
    let provider = provider().without_refresh_tokens();
    let rig = Rig::with(&provider, true, |builder| builder.driver(Handle::current()));
    rig.storage.fault_everything(StorageFault::Hang);
    let manager = rig.manager.clone();
    let caller = tokio::spawn(async move { manager.token().await });

    for _ in 0..2 {
        settled().await;
        assert!(!caller.is_finished());
        rig.clock.advance(seconds(5));
    }
    settled().await;

    assert!(caller.is_finished());
    assert_eq!(caller.await.unwrap().unwrap().authorization(), "Bearer access-1");
}

#[tokio::test]
async fn login_overwrites_a_record_that_does_not_decode() {
    for order in [Order::new(0, 0), Order::new(u64::MAX / 2, 7)] {
        for rig in Rig::both(|| provider().attended()) {
            rig.store(NONSENSE, order);
            rig.manager.token().await.unwrap_err();
            rig.clock.advance(seconds(5)); // a verdict may be put to the test then

            rig.manager.login().await.unwrap();

            assert!(rig.stored().unwrap().order() > order);
            rig.assert_lives_on("refresh-1").await;
        }
    }
}

/// Its order cannot be read either, and its payload may look like ours.
#[tokio::test]
async fn a_record_in_a_newer_envelope_is_never_overwritten() {
    let newer = concat!(
        r#"{"tokenkeeper":2,"order":{"epoch":1,"generation":1},"keep_until":null,"#,
        r#""tombstone":false}"#,
        "\n",
        r#"{"v":1}"#,
    );
    for rig in Rig::both(provider) {
        let key = rig.manager.key();
        rig.shelf.set(key, &TokenRecord::from_bytes(newer.as_bytes())).await.unwrap();

        rig.manager.token().await.unwrap();
        rig.manager.install(login_elsewhere()).await.unwrap();
        rig.manager.flush().await.unwrap_err();
        rig.manager.clear().await.unwrap_err();

        assert_eq!(rig.stored().unwrap().payload(), newer.as_bytes());
    }
}
