//! What a status stream tells.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod rig;

use std::task::Poll;

use rig::{Rig, poll_once};
use tokenkeeper_testkit::{Gate, ScriptedProvider, Step};

#[tokio::test]
async fn that_an_exchange_began_is_a_change_of_status() {
    let (rig, gate) = (Rig::shared(&ScriptedProvider::new("svc")), Gate::closed());
    rig.provider.on_fetch(Step::issue().held(&gate));
    let mut changes = rig.manager.subscribe();
    assert!(!changes.current().is_exchanging());

    let manager = rig.manager.clone();
    let caller = tokio::spawn(async move { manager.token().await });
    gate.arrived(1).await;

    assert_eq!(poll_once(changes.changed()), Poll::Ready(true));
    assert!(changes.current().is_exchanging());
    gate.release();
    caller.await.unwrap().unwrap();
}
