//! What a status tells, and when it changes.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod rig;

use std::task::Poll;

use rig::{Rig, poll_once};
use tokenkeeper::TokenSet;
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

#[tokio::test]
async fn a_status_tells_a_login_that_is_needed_from_one_that_is_there() {
    let rig = Rig::shared(&ScriptedProvider::new("svc").attended());
    assert!(!rig.manager.status().needs_login(), "nobody has looked yet");

    rig.manager.token().await.unwrap_err();
    let needed = rig.manager.status();
    rig.manager.install(TokenSet::from_refresh_token("seed")).await.unwrap();
    let there = rig.manager.status();

    assert!(needed.needs_login() && needed.last_error().is_some());
    assert!(needed.to_string().starts_with("svc: no token, login needed"), "{needed}");
    assert!(!there.needs_login() && there.last_error().is_none());
}
