//! M3: an API that always says 401 does not become a login storm.

use std::sync::Arc;
use std::time::Duration;

use crate::support::setup::{Setup, seconds};
use tokenkeeper::TokenManager;
use tokenkeeper_testkit::ScriptedProvider;

#[tokio::test]
async fn the_first_young_rejection_is_exchanged_at_once_the_next_after_5_s_doubling_to_10_min() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager, clock, .. } = Setup::new(&provider);
    let first = manager.token().await.unwrap();
    let mut newest = manager.replace_rejected(&first).await.unwrap().unwrap();

    for pause in [5, 10, 20, 40, 80, 160, 320, 600, 600] {
        let calls = provider.calls();
        assert!(!manager.invalidate(&newest), "{pause}");
        assert!(manager.replace_rejected(&newest).await.unwrap().is_none(), "{pause}");
        assert!(Arc::ptr_eq(&manager.token().await.unwrap(), &newest), "{pause}");
        clock.advance(seconds(pause) - Duration::from_millis(1));
        assert!(manager.replace_rejected(&newest).await.unwrap().is_none(), "{pause}");
        assert!(Arc::ptr_eq(&manager.token().await.unwrap(), &newest), "{pause}");
        assert_eq!(provider.calls(), calls, "{pause}");

        clock.advance(Duration::from_millis(1));
        newest = manager.replace_rejected(&newest).await.unwrap().unwrap();
        assert_eq!(provider.calls(), calls + 1, "{pause}");
    }
}

#[tokio::test]
async fn an_api_that_always_says_401_costs_few_exchanges_in_an_hour_of_calls_every_second() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager, clock, .. } = Setup::new(&provider);

    for _ in 0..3_600 {
        call_an_api_that_always_says_401(&manager).await;
        clock.advance(seconds(1));
    }

    assert!((8..20).contains(&provider.calls()), "{}", provider.calls());
}

#[tokio::test]
async fn an_api_that_always_says_401_costs_few_exchanges_in_an_hour_of_calls_every_two_minutes() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager, clock, .. } = Setup::new(&provider);

    for _ in 0..30 {
        call_an_api_that_always_says_401(&manager).await;
        clock.advance(seconds(120));
    }

    assert!((8..20).contains(&provider.calls()), "{}", provider.calls());
}

/// Whoever sends a request again with the replacement, and leaves it at that, tells nobody that this
/// was rejected too.
#[tokio::test]
async fn an_api_that_always_says_401_costs_few_exchanges_an_hour_however_often_it_is_called() {
    for spacing in [1, 2, 5, 7, 15, 30, 59, 60, 61, 90, 120, 150, 181, 240, 299, 300, 301, 450, 600]
    {
        let provider = ScriptedProvider::new("svc");
        let Setup { manager, clock, .. } = Setup::new(&provider);

        for _ in 0..3_600 / spacing {
            let token = manager.token().await.unwrap();
            manager.replace_rejected(&token).await.unwrap();
            clock.advance(seconds(spacing));
        }

        assert!(provider.calls() < 20, "every {spacing} s: {} exchanges", provider.calls());
    }
}

#[tokio::test]
async fn a_token_that_served_for_five_minutes_is_replaced_at_once_and_ends_the_pauses() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager, clock, .. } = Setup::new(&provider);
    let mut newest = manager.token().await.unwrap();
    for pause in [5, 10, 20, 40, 80, 160, 320] {
        manager.invalidate(&newest);
        newest = manager.token().await.unwrap();
        if pause < 320 {
            clock.advance(seconds(pause));
        }
    }

    clock.advance(seconds(300) - Duration::from_millis(1));
    assert_eq!(manager.token().await.unwrap().authorization(), newest.authorization());
    clock.advance(Duration::from_millis(1));
    let next = manager.replace_rejected(&newest).await.unwrap().unwrap();
    assert!(!Arc::ptr_eq(&next, &newest), "20 s before the end of the pause");

    assert!(manager.invalidate(&next), "the first young one of a new row");
    assert_eq!(provider.calls(), 9);
}

#[tokio::test]
async fn a_token_rejected_a_millisecond_before_its_five_minutes_are_over_is_young() {
    for (age, paused) in [(299_999, true), (300_000, false)] {
        let provider = ScriptedProvider::new("svc");
        let Setup { manager, clock, .. } = Setup::new(&provider);
        let first = manager.token().await.unwrap();

        clock.advance(Duration::from_millis(age));
        let second = manager.replace_rejected(&first).await.unwrap().unwrap();

        assert_eq!(manager.invalidate(&second), !paused, "after {age} ms");
    }
}

#[tokio::test]
async fn while_exchanges_are_paused_the_newest_token_serves_everybody() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager, .. } = Setup::new(&provider);
    let first = manager.token().await.unwrap();
    let second = manager.replace_rejected(&first).await.unwrap().unwrap();
    manager.invalidate(&second);

    assert!(Arc::ptr_eq(&manager.peek().unwrap(), &second));
    assert!(Arc::ptr_eq(&manager.force_refresh().await.unwrap(), &second));
    let late = manager.replace_rejected(&first).await.unwrap();

    assert!(late.is_none(), "the newest was rejected too, so a replay is of no use");
    assert_eq!(provider.calls(), 2);
}

/// What an integration does: one replay with the replacement, and its 401 is reported as well.
async fn call_an_api_that_always_says_401(manager: &TokenManager) {
    let token = manager.token().await.unwrap();
    if let Some(replacement) = manager.replace_rejected(&token).await.unwrap() {
        manager.invalidate(&replacement);
    }
}

#[tokio::test]
async fn the_status_says_for_how_long_a_rejected_token_is_not_replaced() {
    let provider = ScriptedProvider::new("svc");
    let Setup { manager, clock, .. } = Setup::new(&provider);
    let first = manager.token().await.unwrap();
    let second = manager.replace_rejected(&first).await.unwrap().unwrap();
    assert_eq!(manager.status().paused_for(), None, "nobody has rejected this one");

    manager.invalidate(&second);
    clock.advance(seconds(1));

    assert_eq!(manager.status().paused_for(), Some(seconds(4)));
    assert_eq!(manager.status().to_string(), "svc: token rejected, 1 s old, paused for 4 s");
}
