//! M9: two logouts at the same moment are two.

use tokenkeeper::Clock;
use tokenkeeper_testkit::{Gate, ScriptedProvider, Step};

use crate::support::fleet::{Fleet, seconds};
use crate::support::waiting::settled;

/// All three processes know Alice, and read the same time.
async fn fleet(provider: &ScriptedProvider) -> Fleet {
    let fleet = Fleet::on_this_runtime(3, provider);
    fleet.managers[0].install(fleet.login("alice")).await.unwrap();
    for manager in &fleet.managers {
        manager.token().await.unwrap();
    }
    fleet.flush().await;
    fleet
}

#[tokio::test]
async fn a_login_that_was_asked_for_before_the_second_of_two_logouts_is_not_served_after_it() {
    let provider = ScriptedProvider::new("svc").attended();
    let fleet = fleet(&provider).await;
    let gate = Gate::closed();
    provider.on_fetch(Step::issue().held_before_answering(&gate));
    fleet.managers[0].clear().await.unwrap();
    let login = tokio::spawn({
        let manager = fleet.managers[2].clone();
        async move { manager.login().await }
    });
    gate.arrived(1).await;

    fleet.managers[1].clear().await.unwrap();
    gate.release();
    let login = login.await.unwrap();
    settled().await;

    assert!(login.is_err(), "the logout came after it was asked for");
    assert!(fleet.stored().await.is_tombstone());
    for manager in &fleet.managers {
        assert!(manager.tokens().await.unwrap().is_none());
        assert!(manager.peek().is_none());
    }
}

#[tokio::test]
async fn the_second_of_two_logouts_raises_the_epoch_again() {
    let fleet = fleet(&ScriptedProvider::new("svc").attended()).await;
    let now = fleet.clock.now();

    fleet.managers[0].clear().await.unwrap();
    let first = fleet.stored_order().await;
    fleet.managers[1].clear().await.unwrap();

    assert!(fleet.stored_order().await > first, "{first:?}");
    assert_eq!(fleet.clock.now(), now);
}

#[tokio::test]
async fn a_login_and_a_logout_at_once_leave_the_later_one() {
    let fleet = fleet(&ScriptedProvider::new("svc").attended()).await;

    fleet.managers[0].clear().await.unwrap();
    fleet.managers[1].install(fleet.login("bob")).await.unwrap();
    fleet.managers[2].clear().await.unwrap();
    fleet.clock.advance(seconds(1_000));

    assert!(fleet.stored().await.is_tombstone());
    for manager in &fleet.managers {
        assert!(manager.token().await.is_err());
    }
}
