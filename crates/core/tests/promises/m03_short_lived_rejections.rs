//! M3: an API that rejects everything meets the pauses, however short its tokens live.

use std::time::Duration;

use tokenkeeper::AccessToken;
use tokenkeeper_testkit::{ScriptedProvider, Step};

use crate::one_thread::{finish, pass, rig};
use crate::support::rig::{Rig, seconds};

/// What an integration does whose every request is answered with 401.
async fn be_rejected(rig: &Rig, last: &mut Option<std::sync::Arc<AccessToken>>) {
    if let Ok(token) = finish(&rig.clock, rig.manager.token()).await {
        *last = Some(token);
    }
    if let Some(token) = last.clone()
        && let Ok(Some(replacement)) =
            finish(&rig.clock, rig.manager.replace_rejected(&token)).await
    {
        *last = Some(replacement);
    }
}

#[tokio::test]
async fn tokens_that_are_dead_on_arrival_and_rejected_cost_two_requests_while_the_clock_stands() {
    for is_shared in [true, false] {
        for life in [Duration::ZERO, Duration::from_millis(1)] {
            let provider = ScriptedProvider::new("svc").with_lifetime(Some(life));
            provider.on_fetch(Step::issue_for(Some(seconds(900))));
            let rig = rig(&provider, is_shared);
            let mut last = None;

            for _ in 0..200 {
                be_rejected(&rig, &mut last).await;
            }

            assert!(provider.calls() <= 2, "{is_shared}, {life:?}: {}", provider.calls());
        }
    }
}

#[tokio::test]
async fn a_rejected_token_that_has_ended_is_replaced_no_sooner_than_one_that_has_not() {
    for life in [seconds(1), seconds(2), seconds(4), seconds(60)] {
        let provider = ScriptedProvider::new("svc").with_lifetime(Some(life));
        let rig = rig(&provider, true);
        let mut last = None;

        for _ in 0..120 {
            be_rejected(&rig, &mut last).await;
            pass(&rig.clock, seconds(1)).await;
        }

        // At once, after 5, 10, 20 and 40 s; in 120 s no more than six.
        assert!(provider.calls() <= 7, "{life:?}: {}", provider.calls());
    }
}
