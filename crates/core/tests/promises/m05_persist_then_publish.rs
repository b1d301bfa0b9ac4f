//! M5: what an exchange brought is in the storage before anybody sees it.

use std::sync::Arc;

use crate::support::rig::{Rig, login_elsewhere, poll_once, seconds, until};
use tokenkeeper::{AccessToken, EventKind, TokenSet};
use tokenkeeper_testkit::{Gate, ScriptedProvider, StorageFault};
use tokio::task::JoinSet;

fn provider() -> ScriptedProvider {
    ScriptedProvider::new("svc")
}

/// Starts ten callers of everything that ends with a token.
fn callers(rig: &Rig) -> JoinSet<Arc<AccessToken>> {
    let mut callers = JoinSet::new();
    for n in 0..10 {
        let manager = rig.manager.clone();
        callers.spawn(async move {
            let token = match n % 3 {
                0 => manager.token().await,
                1 => manager.force_refresh().await.map(tokenkeeper::Refreshed::into_token),
                _ => manager.token_valid_for(seconds(60)).await,
            };
            token.unwrap()
        });
    }
    callers
}

#[tokio::test]
async fn a_rotated_refresh_token_is_stored_before_anybody_sees_its_access_token() {
    for rig in Rig::both(provider) {
        rig.with_token_aged(seconds(1_000)).await;
        let gate = rig.hold_next(rig.write());

        let mut callers = callers(&rig);
        gate.arrived(1).await;
        assert_eq!(rig.provider.spent(), ["refresh-1"]);
        assert_eq!(rig.stored_refresh_token().as_deref(), Some("refresh-1"));
        assert!(rig.manager.peek().is_none());
        assert!(poll_once(rig.manager.token()).is_pending());
        assert!(callers.try_join_next().is_none());
        gate.release();

        while let Some(token) = callers.join_next().await {
            assert_eq!(rig.stored_refresh_token().as_deref(), Some("refresh-2"));
            assert_eq!(token.unwrap().authorization(), "Bearer access-2");
        }
    }
}

/// The storage has to say that it has it; that it may have it is not enough.
#[tokio::test]
async fn nobody_sees_a_token_before_the_storage_has_confirmed_it() {
    for rig in Rig::both(provider) {
        let gate = Gate::closed();
        rig.storage.fault_next(rig.write(), 1, StorageFault::GateAfterwards(gate.clone()));

        let mut callers = callers(&rig);
        gate.arrived(1).await;
        assert_eq!(rig.stored_refresh_token().as_deref(), Some("refresh-1"));
        assert!(rig.manager.peek().is_none());
        assert!(callers.try_join_next().is_none());
        gate.release();

        callers.join_all().await;
        assert!(rig.manager.peek().is_some());
    }
}

#[tokio::test]
async fn the_old_token_is_served_until_the_new_one_is_stored() {
    for rig in Rig::both(provider) {
        let old = rig.with_token_aged(seconds(700)).await;
        let gate = rig.hold_next(rig.write());

        rig.manager.token().await.unwrap();
        gate.arrived(1).await;
        assert!(Arc::ptr_eq(&rig.manager.token().await.unwrap(), &old));
        assert!(Arc::ptr_eq(&rig.manager.peek().unwrap(), &old));
        gate.release();

        rig.manager.flush().await.unwrap();
        assert_eq!(rig.manager.peek().unwrap().authorization(), "Bearer access-2");
    }
}

#[tokio::test]
async fn installed_tokens_are_stored_before_they_are_served() {
    for rig in Rig::both(provider) {
        let gate = rig.hold_next(rig.write());
        let token = AccessToken::new("installed", "Bearer").unwrap();
        let tokens = TokenSet::new(token, tokenkeeper::Clock::now(&rig.clock).wall())
            .with_lifetime(seconds(900))
            .with_refresh_token("installed");

        let manager = rig.manager.clone();
        let install = tokio::spawn(async move { manager.install(tokens).await });
        gate.arrived(1).await;
        assert!(rig.manager.peek().is_none());
        gate.release();
        install.await.unwrap().unwrap();

        assert_eq!(rig.stored_refresh_token().as_deref(), Some("installed"));
        assert_eq!(rig.manager.peek().unwrap().authorization(), "Bearer installed");
    }
}

#[tokio::test]
async fn the_next_manager_goes_on_with_what_was_stored() {
    for rig in Rig::both(provider) {
        rig.manager.install(login_elsewhere()).await.unwrap();
        rig.with_token_aged(seconds(10)).await;

        let next = tokenkeeper::TokenManager::builder(rig.provider.clone())
            .storage(rig.storage.clone())
            .clock(rig.clock.clone())
            .observer(rig.events.clone())
            .build()
            .unwrap();
        assert_eq!(next.token().await.unwrap().authorization(), "Bearer access-1");
        rig.clock.advance(seconds(1_000));
        assert_eq!(next.token().await.unwrap().authorization(), "Bearer access-2");

        assert_eq!(rig.provider.spent(), ["installed", "refresh-1"]);
        assert_eq!(rig.count(|kind| matches!(kind, EventKind::Adopted)), 1);
        next.flush().await.unwrap();
        until("nothing is left to do", || rig.clock.sleepers() == 0).await;
    }
}
