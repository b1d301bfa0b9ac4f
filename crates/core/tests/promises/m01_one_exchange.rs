//! M1: any number of callers, one exchange.

use std::sync::Arc;
use std::time::Duration;

use crate::support::setup::{Setup, seconds};
use tokenkeeper::ErrorKind;
use tokenkeeper_testkit::{Gate, ScriptedProvider, Step};
use tokio::task::JoinSet;

#[tokio::test]
async fn ten_thousand_cold_callers_share_one_exchange() {
    let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
    provider.on_fetch(Step::issue().held(&gate));
    let Setup { manager, .. } = Setup::new(&provider);

    let mut callers = JoinSet::new();
    for _ in 0..10_000 {
        let manager = manager.clone();
        callers.spawn(async move { manager.token().await });
    }
    gate.arrived(1).await;
    gate.release();
    let tokens = callers.join_all().await;

    let first = tokens[0].as_ref().unwrap();
    assert!(tokens.iter().all(|token| Arc::ptr_eq(token.as_ref().unwrap(), first)));
    assert_eq!(provider.calls(), 1);
}

#[tokio::test]
async fn ten_thousand_callers_of_a_failing_service_share_one_request_per_backoff_step() {
    let provider = ScriptedProvider::new("svc");
    provider.always_on_fetch(Step::unavailable());
    let Setup { manager, clock, .. } = Setup::new(&provider);

    for step in 1..=3 {
        let mut callers = JoinSet::new();
        for _ in 0..10_000 {
            let manager = manager.clone();
            callers.spawn(async move { manager.token().await });
        }
        let errors = callers.join_all().await;

        assert!(errors.iter().all(|e| e.as_ref().unwrap_err().kind() == ErrorKind::Unavailable));
        assert_eq!(provider.calls(), step);
        let pause = manager.status().paused_for().unwrap();
        clock.advance(pause);
    }
}

#[tokio::test]
async fn exchanges_are_half_a_life_apart_at_least_one_second_at_most_five() {
    for (life, apart) in [(1, 1), (4, 2), (900, 5)] {
        let provider = ScriptedProvider::new("svc").with_lifetime(Some(seconds(life)));
        let Setup { manager, clock, .. } = Setup::new(&provider);
        let first = manager.token().await.unwrap();

        clock.advance(seconds(apart) - Duration::from_millis(1));
        assert!(Arc::ptr_eq(&manager.force_refresh().await.unwrap(), &first), "life {life}");
        clock.advance(Duration::from_millis(1));
        manager.force_refresh().await.unwrap();

        assert_eq!(provider.calls(), 2, "life {life}");
    }
}

#[tokio::test]
async fn asking_for_more_than_the_service_issues_fails_without_an_exchange() {
    let provider = ScriptedProvider::new("svc").with_lifetime(Some(seconds(60)));
    let Setup { manager, clock, .. } = Setup::new(&provider);
    manager.token().await.unwrap();
    clock.advance(seconds(30));

    let error = manager.token_valid_for(seconds(61)).await.unwrap_err();

    assert_eq!(error.recovery(), tokenkeeper::Recovery::FixRequest);
    assert_eq!(provider.calls(), 1);
    manager.token_valid_for(seconds(31)).await.unwrap();
    assert_eq!(provider.calls(), 2);
}

#[tokio::test]
async fn force_refresh_joins_an_exchange_under_way() {
    let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
    provider.on_fetch(Step::issue().held(&gate));
    let Setup { manager, .. } = Setup::new(&provider);

    let cold = tokio::spawn({
        let m = manager.clone();
        async move { m.token().await }
    });
    gate.arrived(1).await;
    let mut forced = JoinSet::new();
    for _ in 0..100 {
        let m = manager.clone();
        forced.spawn(async move { m.force_refresh().await });
    }
    tokio::task::yield_now().await;
    gate.release();

    let token = cold.await.unwrap().unwrap();
    for other in forced.join_all().await {
        assert!(Arc::ptr_eq(&other.unwrap(), &token));
    }
    assert_eq!(provider.calls(), 1);
}
