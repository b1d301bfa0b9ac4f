//! M4, M8: a token that has ended is served by no rule, and replaces none that has not.

use std::time::Duration;

use tokenkeeper::{Clock, Order, Recovery, TokenSet};
use tokenkeeper_testkit::{ScriptedProvider, Step, StorageFault};

use crate::one_thread::{finish, pass, rig};
use crate::support::records::{record_of, tokens_of};
use crate::support::rig::{Rig, seconds};

/// What a process of yesterday left: its access token ended two hours ago, under a high order.
async fn store_ended_token(rig: &Rig, order: Order) {
    let ended = rig.clock.now().wall() - seconds(2 * 3_600 + 900);
    let tokens = tokens_of("yesterday", ended);
    let bare = TokenSet::new((**tokens.access_token().unwrap()).clone(), ended)
        .with_lifetime(seconds(900));
    let record = record_of(bare, order).await;
    tokenkeeper::TokenStorage::set(&rig.shelf, rig.manager.key(), &record).await.unwrap();
}

fn client_credentials() -> ScriptedProvider {
    ScriptedProvider::new("svc").without_refresh_tokens()
}

const HIGH: Order = Order::new(u64::MAX / 2, 7);

async fn secret_of(rig: &Rig) -> Result<String, tokenkeeper::Error> {
    let token = finish(&rig.clock, rig.manager.token()).await?;
    Ok(token.secret().expose_secret().to_owned())
}

#[tokio::test]
async fn a_token_got_while_the_storage_was_down_is_not_replaced_by_one_that_has_ended() {
    for is_shared in [true, false] {
        let provider = client_credentials();
        let rig = rig(&provider, is_shared);
        store_ended_token(&rig, HIGH).await;
        rig.storage.fault_everything(StorageFault::Fail);
        assert_eq!(secret_of(&rig).await.unwrap(), "access-1");

        rig.storage.heal();
        for _ in 0..12 {
            pass(&rig.clock, Duration::from_millis(500)).await;
            assert_eq!(secret_of(&rig).await.unwrap(), "access-1", "{is_shared}");
        }
        pass(&rig.clock, seconds(120)).await;

        let payload = String::from_utf8(rig.stored().unwrap().payload().to_vec()).unwrap();
        assert!(payload.contains("access-1"), "{is_shared}: {payload}");
        assert_eq!(provider.calls(), 1, "{is_shared}");
    }
}

#[tokio::test]
async fn looking_at_the_stored_tokens_does_not_replace_a_good_one_by_one_that_has_ended() {
    for is_shared in [true, false] {
        let rig = rig(&client_credentials(), is_shared);
        assert_eq!(secret_of(&rig).await.unwrap(), "access-1");
        finish(&rig.clock, rig.manager.flush()).await.unwrap();
        let order = rig.stored().unwrap().order();
        store_ended_token(&rig, Order::new(order.epoch(), order.generation() + 1)).await;

        let _ = finish(&rig.clock, rig.manager.tokens()).await;

        assert!(rig.manager.peek().is_some(), "{is_shared}");
        assert_eq!(secret_of(&rig).await.unwrap(), "access-1", "{is_shared}");
    }
}

#[tokio::test]
async fn a_token_that_ends_within_the_minimum_interval_is_not_served_after_its_end() {
    for is_shared in [true, false] {
        for non_interactive in [true, false] {
            let provider = ScriptedProvider::new("svc").with_lifetime(Some(HALF));
            let provider = if non_interactive { provider } else { provider.attended() };
            let rig = rig(&provider, is_shared);
            finish(&rig.clock, rig.manager.login()).await.unwrap();
            pass(&rig.clock, Duration::from_millis(600)).await;

            let answer = finish(&rig.clock, async { rig.manager.token().await }).await;
            if let Ok(token) = &answer {
                let left = token.expires_at().unwrap().duration_since(rig.clock.now().wall());
                assert!(left.is_ok_and(|left| !left.is_zero()), "it had ended");
            }
            let peeked = rig.manager.peek();
            assert!(peeked.is_none_or(|t| t.expires_at().unwrap() > rig.clock.now().wall()));
        }
    }
}

/// The minimum interval still holds: what has ended is refused, not replaced at once.
#[tokio::test]
async fn within_the_minimum_interval_an_ended_token_is_an_error_that_says_when_to_ask_again() {
    let provider = ScriptedProvider::new("svc").with_lifetime(Some(HALF));
    let rig = rig(&provider, true);
    rig.manager.token().await.unwrap();
    rig.clock.advance(Duration::from_millis(600));

    let error = rig.manager.token().await.unwrap_err();

    assert_eq!(provider.calls(), 1);
    let Recovery::Retry { after: Some(after) } = error.recovery() else { panic!("{error}") };
    assert!(after <= Duration::from_millis(400), "{error}");
    rig.clock.advance(after);
    rig.manager.token().await.unwrap();
    assert_eq!(provider.calls(), 2);
}

#[tokio::test]
async fn force_refresh_within_the_minimum_interval_does_not_answer_with_an_ended_token() {
    let provider = ScriptedProvider::new("svc").with_lifetime(Some(HALF));
    let rig = rig(&provider, true);
    rig.manager.token().await.unwrap();
    rig.clock.advance(Duration::from_millis(600));

    assert!(rig.manager.force_refresh().await.is_err());
    assert!(rig.manager.token_valid_for(Duration::from_millis(1)).await.is_err());
    assert_eq!(provider.calls(), 1);
}

#[tokio::test]
async fn tokens_that_are_dead_on_arrival_are_not_served() {
    for is_shared in [true, false] {
        let provider = ScriptedProvider::new("svc").with_lifetime(Some(Duration::ZERO));
        let rig = rig(&provider, is_shared);

        assert!(finish(&rig.clock, rig.manager.token()).await.is_err());
        assert!(finish(&rig.clock, rig.manager.force_refresh()).await.is_err());
        assert_eq!(provider.calls(), 1);

        provider.always_on_refresh(Step::issue_for(Some(seconds(900))));
        pass(&rig.clock, seconds(120)).await;
        finish(&rig.clock, rig.manager.token()).await.unwrap();
    }
}

#[tokio::test]
async fn an_ended_token_is_not_served_because_requests_for_rejected_ones_are_paused() {
    let provider = ScriptedProvider::new("svc").with_lifetime(Some(seconds(2)));
    let rig = rig(&provider, true);
    for _ in 0..3 {
        let token = rig.manager.token().await.unwrap();
        let _ = rig.manager.replace_rejected(&token).await;
    }
    rig.clock.advance(seconds(3));

    let answer = rig.manager.token().await;

    let wall = rig.clock.now().wall();
    assert!(answer.is_err() || answer.unwrap().expires_at().unwrap() > wall);
}

const HALF: Duration = Duration::from_millis(500);
