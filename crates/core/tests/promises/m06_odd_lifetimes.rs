//! M6: tokens that live for no time, for ages, or nobody knows how long.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::support::setup::{Setup, seconds};
use parking_lot::Mutex;
use tokenkeeper::{AccessToken, TokenSet, TokenState};
use tokenkeeper_testkit::{ScriptedProvider, Step};

#[tokio::test]
async fn a_token_of_unknown_lifetime_is_served_until_it_is_rejected() {
    let provider = ScriptedProvider::new("svc").with_lifetime(None);
    let Setup { manager, clock, .. } = Setup::new(&provider);
    let first = manager.token().await.unwrap();

    clock.advance(10 * YEAR);
    assert!(Arc::ptr_eq(&manager.token().await.unwrap(), &first));
    assert!(Arc::ptr_eq(&manager.token_valid_for(YEAR).await.unwrap(), &first));
    manager.flush().await.unwrap();
    assert_eq!(provider.calls(), 1);
    let second = manager.replace_rejected(&first).await.unwrap().unwrap();

    assert!(!Arc::ptr_eq(&second, &first));
    assert_eq!(provider.calls(), 2);
}

#[tokio::test]
async fn a_token_that_lives_for_two_seconds_or_less_is_usable_and_causes_no_busy_loop() {
    for life in 1..=2 {
        let provider = ScriptedProvider::new("svc").with_lifetime(Some(seconds(life)));
        let Setup { manager, clock, .. } = Setup::new(&provider);

        for _ in 0..1_000 {
            manager.token().await.unwrap();
        }
        assert_eq!(provider.calls(), 1, "life {life}");
        for _ in 0..100 {
            clock.advance(Duration::from_millis(100));
            manager.token().await.unwrap();
            manager.flush().await.unwrap();
        }

        assert!((5..=11).contains(&provider.calls()), "life {life}: {}", provider.calls());
    }
}

#[tokio::test]
async fn ever_shorter_tokens_are_exchanged_at_most_once_a_second() {
    let (provider, sent) = (ScriptedProvider::new("svc"), Arc::new(Mutex::new(Vec::new())));
    for halvings in 0..600 {
        provider.on_fetch(ever_shorter(halvings, &sent));
        provider.on_refresh(ever_shorter(halvings + 1, &sent));
    }
    let Setup { manager, clock, .. } = Setup::new(&provider);

    for _ in 0..3_000 {
        let _ = manager.token().await; // those that live for 0 s are not served
        manager.flush().await.unwrap();
        clock.advance(Duration::from_millis(100));
    }

    let sent = sent.lock();
    let apart = sent.windows(2).map(|pair| pair[1].duration_since(pair[0]).unwrap());
    assert!(apart.min().unwrap() >= seconds(1));
    assert!((100..=300).contains(&sent.len()), "{}", sent.len());
}

#[tokio::test]
async fn a_lifetime_of_more_seconds_than_32_bits_hold_is_taken_at_its_word() {
    let life = seconds(1 << 40);
    let provider = ScriptedProvider::new("svc").with_lifetime(Some(life));
    let Setup { manager, clock, .. } = Setup::new(&provider);
    let token = manager.token().await.unwrap();

    clock.advance(life * 3 / 4 - seconds(1));
    assert_eq!(manager.status().token_state(), TokenState::Fresh);
    clock.advance(seconds(1));

    assert_eq!(manager.status().token_state(), TokenState::Due);
    assert!(Arc::ptr_eq(&manager.peek().unwrap(), &token));
    assert_eq!(provider.calls(), 1);
}

#[tokio::test]
async fn a_lifetime_that_no_clock_can_name_is_an_unknown_one() {
    let provider = ScriptedProvider::new("svc").with_lifetime(Some(Duration::MAX));
    let Setup { manager, clock, .. } = Setup::new(&provider);
    manager.token().await.unwrap();

    clock.advance(100 * YEAR);
    manager.token().await.unwrap();
    manager.flush().await.unwrap();

    assert_eq!(manager.status().expires_at(), None);
    assert_eq!(provider.calls(), 1);
}

/// Keycloak near the end of a session: a token lives no longer than the session does.
fn ever_shorter(halvings: u32, sent: &Arc<Mutex<Vec<SystemTime>>>) -> Step {
    let (sent, life) = (Arc::clone(sent), 64_u64.checked_shr(halvings).unwrap_or(0));
    Step::answer(move |call| {
        sent.lock().push(call.sent_at());
        let token = AccessToken::new(format!("access-{halvings}"), "Bearer")?;
        Ok(TokenSet::new(token, call.sent_at())
            .with_lifetime(seconds(life))
            .with_refresh_token(format!("refresh-{halvings}")))
    })
}

const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);
