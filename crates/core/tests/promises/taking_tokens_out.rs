//! What `tokens` gives to programs that keep the refresh token somewhere of their own.

use crate::support::setup::{Setup, manager};
use tokenkeeper_testkit::{Gate, ScriptedProvider, Step};

#[tokio::test]
async fn the_newest_tokens_come_out_of_the_storage_without_an_exchange() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager: first, clock, storage } = Setup::new(&provider);
    let token = first.token().await.unwrap();

    let after_restart = manager(&provider, storage, &clock);
    let tokens = after_restart.tokens().await.unwrap().unwrap();

    assert!(tokens.refresh_token().is_some());
    assert!(tokens.access_token().unwrap().secret().ct_eq(token.secret()));
    assert_eq!(provider.calls(), 1);
}

#[tokio::test]
async fn nobody_takes_out_a_refresh_token_that_is_being_spent() {
    let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
    let Setup { manager, clock, .. } = Setup::new(&provider);
    manager.token().await.unwrap();
    let before = manager.tokens().await.unwrap().unwrap();
    clock.advance(crate::support::setup::seconds(60));
    provider.on_refresh(Step::issue().held(&gate));

    let (renewing, looking) = (manager.clone(), manager.clone());
    let renewal = tokio::spawn(async move { renewing.force_refresh().await });
    gate.arrived(1).await;
    let look = tokio::spawn(async move { looking.tokens().await });
    for _ in 0..10_000 {
        tokio::task::yield_now().await; // time enough to take out the wrong ones
    }
    gate.release();
    renewal.await.unwrap().unwrap();
    let after = look.await.unwrap().unwrap().unwrap();

    assert!(!after.refresh_token().unwrap().ct_eq(before.refresh_token().unwrap()));
}

#[tokio::test]
async fn there_is_nothing_to_take_out_before_a_login_and_after_a_clear() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager, .. } = Setup::new(&provider);

    assert!(manager.tokens().await.unwrap().is_none());
    manager.token().await.unwrap();
    manager.clear().await.unwrap();

    assert!(manager.tokens().await.unwrap().is_none());
}
