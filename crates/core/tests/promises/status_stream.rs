//! What a status tells, and when it changes.

use std::task::Poll;
use std::time::Duration;

use crate::support::rig::{Rig, poll_once, seconds};
use tokenkeeper::{Clock, TokenSet};
use tokenkeeper_testkit::{Gate, ScriptedProvider, Step};

#[tokio::test]
async fn that_an_exchange_began_is_a_change_of_status() {
    let (rig, gate) = (Rig::shared(&ScriptedProvider::new("svc")), Gate::closed());
    rig.provider.on_fetch(Step::issue().held(&gate));
    let mut changes = rig.manager.subscribe();
    assert!(!changes.current().is_requesting());

    let manager = rig.manager.clone();
    let caller = tokio::spawn(async move { manager.token().await });
    gate.arrived(1).await;

    assert_eq!(poll_once(changes.changed()), Poll::Ready(true));
    assert!(changes.current().is_requesting());
    gate.release();
    caller.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_status_says_in_one_line_how_old_the_token_is_and_how_long_it_lasts() {
    let rig = Rig::shared(&ScriptedProvider::new("svc"));
    let line = || rig.manager.status().to_string();
    assert_eq!(line(), "svc: no token");

    rig.with_token_aged(seconds(88)).await;
    assert_eq!(line(), "svc: token fresh, 88 s old, good for 812 s");
    let status = rig.manager.status();
    assert_eq!(status.token_age(), Some(seconds(88)));
    assert_eq!(status.expires_in(), Some(seconds(812)));

    rig.clock.advance(seconds(612));
    assert_eq!(line(), "svc: token due for renewal, 700 s old, good for 200 s");
    rig.clock.advance(seconds(300));
    assert_eq!(line(), "svc: token expired, 1000 s old");
    assert_eq!(rig.manager.status().expires_in(), Some(Duration::ZERO));

    rig.provider.on_refresh(Step::unavailable());
    rig.manager.token().await.unwrap_err();
    let start = "svc: token expired, 1000 s old, paused for 1 s: the scripted service is";
    assert!(line().starts_with(start), "{}", line());
    assert_eq!(line().lines().count(), 1);
}

#[tokio::test]
async fn a_rejected_token_is_good_for_nothing_and_an_endless_one_has_no_end() {
    let rig = Rig::shared(&ScriptedProvider::new("svc").with_lifetime(None));
    let token = rig.with_token_aged(seconds(7)).await;

    let endless = rig.manager.status();
    rig.manager.invalidate(&token);
    let rejected = rig.manager.status();

    assert_eq!(endless.to_string(), "svc: token fresh, 7 s old");
    assert_eq!((endless.expires_in(), endless.expires_at()), (None, None));
    assert_eq!(rejected.to_string(), "svc: token rejected, 7 s old");
}

#[tokio::test]
async fn where_the_clocks_disagree_a_status_trusts_the_one_that_says_the_less() {
    let rig = Rig::shared(&ScriptedProvider::new("svc"));
    rig.with_token_aged(seconds(100)).await;

    rig.clock.set_wall(rig.clock.now().wall() - seconds(3_600));

    assert_eq!(rig.manager.status().expires_in(), Some(seconds(800)));
    assert_eq!(rig.manager.status().token_age(), Some(Duration::ZERO));
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
