//! M6: served at once from the advisory point on, waited for from the mandatory point on.

use std::sync::Arc;
use std::time::Duration;

use crate::support::setup::{Setup, seconds};
use crate::support::waiting::{sleeping, started};
use tokenkeeper::{Clock, Error, ErrorKind, ManualClock, TokenManager, TokenState};
use tokenkeeper_testkit::{Gate, ScriptedProvider, Step};

/// Life, advisory point, mandatory point; in milliseconds.
const EXAMPLES: [(u64, u64, u64); 2] = [(60_000, 45_000, 52_500), (900_000, 675_000, 870_000)];

#[tokio::test]
async fn before_the_advisory_point_there_is_no_exchange() {
    for (life, advisory, _) in EXAMPLES {
        let provider = ScriptedProvider::new("svc").with_lifetime(Some(millis(life)));
        let Setup { manager, clock, .. } = Setup::new(&provider);
        let first = manager.token().await.unwrap();

        clock.advance(millis(advisory - 1));
        let token = manager.token().await.unwrap();
        manager.flush().await.unwrap();

        assert!(Arc::ptr_eq(&token, &first));
        assert_eq!(provider.calls(), 1, "life {life}");
    }
}

#[tokio::test]
async fn at_the_advisory_point_callers_are_served_at_once_and_one_refresh_runs_behind_them() {
    for (life, advisory, _) in EXAMPLES {
        let gate = Gate::closed();
        let provider = ScriptedProvider::new("svc").with_lifetime(Some(millis(life)));
        provider.on_refresh(Step::issue().held(&gate));
        let Setup { manager, clock, .. } = Setup::new(&provider);
        let first = manager.token().await.unwrap();

        clock.advance(millis(advisory));
        for _ in 0..100 {
            assert!(Arc::ptr_eq(&served_at_once(&manager).await, &first), "life {life}");
        }
        gate.arrived(1).await;
        gate.release();
        manager.flush().await.unwrap();

        assert_eq!(served_at_once(&manager).await.authorization(), "Bearer access-2");
        assert_eq!(provider.calls(), 2, "life {life}");
    }
}

#[tokio::test]
async fn a_millisecond_before_the_mandatory_point_nobody_waits() {
    for (life, _, mandatory) in EXAMPLES {
        let gate = Gate::closed();
        let provider = ScriptedProvider::new("svc").with_lifetime(Some(millis(life)));
        provider.on_refresh(Step::issue().held(&gate));
        let Setup { manager, clock, .. } = Setup::new(&provider);
        let first = manager.token().await.unwrap();

        clock.advance(millis(mandatory - 1));

        assert!(Arc::ptr_eq(&served_at_once(&manager).await, &first), "life {life}");
    }
}

#[tokio::test]
async fn at_the_mandatory_point_callers_wait_for_the_new_token() {
    for (life, _, mandatory) in EXAMPLES {
        let gate = Gate::closed();
        let provider = ScriptedProvider::new("svc").with_lifetime(Some(millis(life)));
        provider.on_refresh(Step::issue().held(&gate));
        let Setup { manager, clock, .. } = Setup::new(&provider);
        manager.token().await.unwrap();

        clock.advance(millis(mandatory));
        let caller = started(manager.token()).await;
        assert!(caller.is_waiting(), "life {life}");
        gate.release();

        assert_eq!(caller.end().await.unwrap().authorization(), "Bearer access-2");
        assert_eq!(provider.calls(), 2, "life {life}");
    }
}

#[tokio::test]
async fn callers_wait_at_most_five_seconds_and_then_take_the_old_token_while_it_lasts() {
    let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
    provider.on_refresh(Step::issue().held(&gate));
    let Setup { manager, clock, .. } = Setup::new(&provider);
    let first = manager.token().await.unwrap();
    clock.advance(seconds(870));

    let caller = started(manager.token()).await;
    gate.arrived(1).await;
    sleeping(&clock, 3).await; // the end of the lease, the limit of the request, the five seconds
    assert_eq!(clock.next_wake(), Some(seconds(5)));
    clock.advance(seconds(5));

    assert!(Arc::ptr_eq(&caller.end().await.unwrap(), &first));
    assert!(Arc::ptr_eq(&served_at_once(&manager).await, &first), "nobody waits after that");
    gate.release();
    manager.flush().await.unwrap();
    assert_eq!(served_at_once(&manager).await.authorization(), "Bearer access-2");
    assert_eq!(provider.calls(), 2);
}

#[tokio::test]
async fn at_the_mandatory_point_in_backoff_nobody_waits_and_nothing_is_sent() {
    let provider = ScriptedProvider::new("svc").with_lifetime(Some(seconds(60)));
    let busy = Error::new(ErrorKind::Unavailable, "busy").with_retry_after(seconds(30));
    provider.on_refresh(Step::fail(busy));
    let Setup { manager, clock, .. } = Setup::new(&provider);
    let first = manager.token().await.unwrap();
    clock.advance(seconds(45));
    manager.token().await.unwrap();
    manager.flush().await.unwrap();

    clock.advance(millis(14_999));
    for _ in 0..100 {
        assert!(Arc::ptr_eq(&served_at_once(&manager).await, &first));
    }
    assert_eq!(provider.calls(), 2);
    clock.advance(millis(1));

    assert_eq!(manager.token().await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(provider.calls(), 2);
}

#[tokio::test]
async fn jitter_makes_the_advisory_point_earlier_by_at_most_a_tenth_and_thirty_seconds() {
    for (life, earliest, advisory) in [(60, 39, 45), (900, 645, 675), (7_200, 5_370, 5_400)] {
        let (managers, clock) = two_hundred_managers_with_jitter(seconds(life)).await;

        clock.advance(seconds(earliest) - millis(1));
        assert_eq!(due(&managers), 0, "life {life}");
        clock.advance(seconds(advisory - earliest) / 2);
        let half_way = due(&managers);
        assert!((40..160).contains(&half_way), "life {life}: {half_way}");
        assert_eq!(due(&managers), half_way, "drawn once per token");
        clock.advance(seconds(advisory - earliest) / 2 + millis(1));

        assert_eq!(due(&managers), 200, "life {life}");
    }
}

#[tokio::test]
async fn life_counts_from_the_moment_of_sending() {
    let clock = ManualClock::new();
    let provider = ScriptedProvider::new("svc");
    let slow = clock.clone();
    provider.on_fetch(Step::answer(move |call| {
        slow.advance(seconds(20));
        let token = tokenkeeper::AccessToken::new("slow", "Bearer")?;
        Ok(tokenkeeper::TokenSet::new(token, call.sent_at()).with_lifetime(seconds(60)))
    }));
    let manager =
        crate::support::setup::manager(&provider, tokenkeeper::MemoryStorage::new(), &clock);
    let sent_at = clock.now().wall();

    let token = manager.token().await.unwrap();

    assert_eq!(token.expires_at(), Some(sent_at + seconds(60)));
    clock.advance(millis(24_999));
    assert_eq!(manager.status().token_state(), TokenState::Fresh);
    clock.advance(millis(1));
    assert_eq!(manager.status().token_state(), TokenState::Due);
    clock.advance(seconds(15));
    assert_eq!(manager.status().token_state(), TokenState::Expired);
}

async fn two_hundred_managers_with_jitter(life: Duration) -> (Vec<TokenManager>, ManualClock) {
    let clock = ManualClock::new();
    let mut managers = Vec::new();
    for _ in 0..200 {
        let provider = ScriptedProvider::new("svc").with_lifetime(Some(life));
        let manager = TokenManager::builder(provider).clock(clock.clone()).build().unwrap();
        manager.token().await.unwrap();
        managers.push(manager);
    }
    (managers, clock)
}

fn due(managers: &[TokenManager]) -> usize {
    managers.iter().filter(|manager| manager.status().token_state() == TokenState::Due).count()
}

async fn served_at_once(manager: &TokenManager) -> Arc<tokenkeeper::AccessToken> {
    let caller = started(manager.token()).await;
    assert!(!caller.is_waiting());
    caller.end().await.unwrap()
}

const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}
