//! M3: a rejected token is replaced once, and never comes back.

use std::sync::Arc;

use crate::support::setup::{Setup, manager, seconds};
use crate::support::waiting::started;
use tokenkeeper::{AccessToken, Clock, ErrorKind, TokenManager, TokenSet};
use tokenkeeper_testkit::{Gate, ScriptedProvider, Step};

#[tokio::test]
async fn a_hundred_401s_before_the_refresh_cause_one_exchange() {
    let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
    provider.on_refresh(Step::issue().held(&gate));
    let Setup { manager, .. } = Setup::new(&provider);
    let rejected = manager.token().await.unwrap();

    let mut callers = Vec::new();
    for _ in 0..100 {
        callers.push(started(manager.replace_rejected(&rejected)).await);
    }
    gate.arrived(1).await;
    gate.release();

    for caller in callers {
        assert_eq!(secret(&caller.end().await.unwrap().unwrap()), "access-2");
    }
    assert_eq!(provider.calls(), 2);
}

#[tokio::test]
async fn a_hundred_401s_during_the_refresh_wait_for_it_and_cause_none() {
    let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
    provider.on_refresh(Step::issue().held_before_answering(&gate));
    let Setup { manager, clock, .. } = Setup::new(&provider);
    let rejected = manager.token().await.unwrap();
    clock.advance(seconds(675));
    manager.token().await.unwrap();
    gate.arrived(1).await;

    let mut callers = Vec::new();
    for _ in 0..100 {
        callers.push(started(manager.replace_rejected(&rejected)).await);
    }
    assert!(callers.iter().all(|caller| caller.is_waiting()));
    gate.release();

    for caller in callers {
        assert_eq!(secret(&caller.end().await.unwrap().unwrap()), "access-2");
    }
    assert_eq!(provider.calls(), 2);
}

#[tokio::test]
async fn a_hundred_401s_after_the_refresh_get_the_new_token_and_cause_no_exchange() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager, clock, .. } = Setup::new(&provider);
    let rejected = manager.token().await.unwrap();
    clock.advance(seconds(5));
    let current = manager.force_refresh().await.unwrap();

    for _ in 0..100 {
        let replacement = manager.replace_rejected(&rejected).await.unwrap().unwrap();
        assert!(Arc::ptr_eq(&replacement, &current));
    }

    assert_eq!(provider.calls(), 2);
}

#[tokio::test]
async fn the_same_secret_in_another_value_is_the_rejected_token() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager, .. } = Setup::new(&provider);
    manager.token().await.unwrap();

    let replacement = manager.replace_rejected(&token("access-1")).await.unwrap().unwrap();

    assert_eq!(secret(&replacement), "access-2");
    assert_eq!(secret(&manager.token().await.unwrap()), "access-2");
    assert_eq!(provider.calls(), 2);
}

#[tokio::test]
async fn a_cold_manager_does_not_adopt_a_rejected_secret_from_the_storage() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager: warm, clock, storage } = Setup::new(&provider);
    warm.token().await.unwrap();
    let cold = manager(&provider, storage, &clock);

    assert!(!cold.invalidate(&token("access-1")));
    let adopted = cold.token().await.unwrap();

    assert_eq!(secret(&adopted), "access-2");
    assert_eq!((provider.fetches(), provider.spent()), (1, vec!["refresh-1".to_owned()]));
}

#[tokio::test]
async fn a_siblings_replacement_is_adopted_instead_of_another_exchange() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager: one, clock, storage } = Setup::new(&provider);
    let two = manager(&provider, storage, &clock);
    let rejected = one.token().await.unwrap();
    two.token().await.unwrap();

    one.replace_rejected(&rejected).await.unwrap().unwrap();
    let adopted = two.replace_rejected(&rejected).await.unwrap().unwrap();

    assert_eq!(secret(&adopted), "access-2");
    assert_eq!(provider.calls(), 2);
}

#[tokio::test]
async fn installing_a_rejected_secret_does_not_bring_it_back() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager, clock, .. } = Setup::new(&provider);
    manager.invalidate(&token("from-login"));

    let tokens = TokenSet::new(token("from-login"), clock.now().wall())
        .with_refresh_token("refresh-of-login");
    manager.install(tokens).await.unwrap();

    assert_eq!(manager.peek().map(|t| secret(&t).to_owned()), None);
    assert_eq!(secret(&manager.token().await.unwrap()), "access-1");
    assert_eq!(provider.spent(), ["refresh-of-login"]);
}

#[tokio::test]
async fn a_service_that_issues_the_same_secret_again_gives_no_replacement_and_no_storm() {
    let provider = ScriptedProvider::new("svc");
    provider.always_on_refresh(Step::same_access_token());
    let Setup { manager, clock, .. } = Setup::new(&provider);
    let rejected = manager.token().await.unwrap();
    clock.advance(seconds(60));

    assert!(manager.replace_rejected(&rejected).await.unwrap().is_none());
    for _ in 0..1_000 {
        manager.token().await.unwrap();
        assert!(manager.replace_rejected(&rejected).await.unwrap().is_none());
    }

    assert_eq!(provider.calls(), 2);
}

#[tokio::test]
async fn invalidate_says_whether_the_next_call_replaces_the_token() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager, .. } = Setup::new(&provider);
    let first = manager.token().await.unwrap();

    assert!(manager.invalidate(&first), "it is current");
    assert!(manager.invalidate(&first), "it still is");
    assert!(manager.peek().is_none());
    let second = manager.token().await.unwrap();
    assert!(!manager.invalidate(&first), "it was replaced");
    assert!(!manager.invalidate(&token("stranger")), "it was never ours");
    assert!(!manager.invalidate(&second), "exchanges are paused");
}

#[tokio::test]
async fn a_strangers_token_costs_nothing() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager, .. } = Setup::new(&provider);
    let current = manager.token().await.unwrap();

    for n in 0..100 {
        let stranger = token(&format!("stranger-{n}"));
        assert!(!manager.invalidate(&stranger));
        let replacement = manager.replace_rejected(&stranger).await.unwrap().unwrap();
        assert!(Arc::ptr_eq(&replacement, &current));
    }

    assert_eq!(provider.calls(), 1);
}

#[tokio::test]
async fn a_failing_exchange_after_a_rejection_is_the_callers_error_and_is_paced() {
    let provider = ScriptedProvider::new("svc");
    provider.on_refresh(Step::unavailable());
    let Setup { manager, clock, .. } = Setup::new(&provider);
    let rejected = manager.token().await.unwrap();

    for _ in 0..100 {
        assert_eq!(unreplaced(&manager, &rejected).await, ErrorKind::Unavailable);
        assert_eq!(manager.token().await.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    assert_eq!(provider.calls(), 2);
    clock.advance(seconds(1));
    let replacement = manager.replace_rejected(&rejected).await.unwrap().unwrap();

    assert_eq!(secret(&replacement), "access-2");
    assert_eq!(provider.calls(), 3);
}

async fn unreplaced(manager: &TokenManager, rejected: &AccessToken) -> ErrorKind {
    manager.replace_rejected(rejected).await.unwrap_err().kind()
}

fn token(secret: &str) -> AccessToken {
    AccessToken::new(secret.to_owned(), "Bearer").unwrap()
}

fn secret(token: &AccessToken) -> &str {
    token.secret().expose_secret()
}
