//! M2: the refresher works on the driver, keeps nothing alive and stops nothing.

use crate::support::rig::{Rig, seconds, until};
use tokenkeeper_testkit::{Gate, ScriptedProvider, Step};

fn provider() -> ScriptedProvider {
    ScriptedProvider::new("svc")
}

#[tokio::test]
async fn the_refresher_keeps_the_token_fresh_although_nobody_asks() {
    let rig = Rig::shared(&provider());

    let refresher = rig.manager.spawn_refresher();
    until("the first token", || rig.manager.peek().is_some()).await;
    for minute in 0..60 {
        // Nobody who should be awake sleeps, then no exchange is left, then there is but the nap.
        until("awake", || rig.clock.next_wake().is_some_and(|left| !left.is_zero())).await;
        rig.manager.flush().await.unwrap();
        until("a nap", || rig.clock.sleepers() == 1).await;
        assert!(rig.manager.peek().is_some(), "after {minute} minutes");
        rig.clock.advance(seconds(60));
    }
    rig.manager.flush().await.unwrap();
    drop(refresher);

    let calls = rig.provider.calls();
    assert!((5..=6).contains(&calls), "{calls} exchanges in an hour, due every 675 s");
    assert_eq!(rig.provider.reuses(), 0);
}

#[tokio::test]
async fn the_refresher_does_not_keep_the_manager_alive() {
    let rig = Rig::shared(&provider());
    let refresher = rig.manager.spawn_refresher();
    until("the first token", || rig.manager.peek().is_some()).await;
    rig.manager.flush().await.unwrap();
    let mut changes = rig.manager.subscribe();

    let Rig { manager, clock, .. } = rig;
    drop(manager);

    while changes.changed().await {}
    until("the end of the nap", || clock.sleepers() == 0).await;
    drop(refresher);
}

#[tokio::test]
async fn dropping_the_refresher_stops_it_but_not_its_exchange() {
    let rig = Rig::shared(&provider());
    let gate = Gate::closed();
    rig.provider.on_fetch(Step::issue().held(&gate));

    let refresher = rig.manager.spawn_refresher();
    gate.arrived(1).await;
    drop(refresher);
    gate.release();
    rig.manager.flush().await.unwrap();

    assert_eq!(rig.stored_refresh_token().as_deref(), Some("refresh-1"));
    until("no more naps", || rig.clock.sleepers() == 0).await;
    rig.clock.advance(seconds(3_600));
    rig.manager.flush().await.unwrap();
    assert_eq!(rig.provider.calls(), 1);
}
