//! M1, M6: what a call costs at a service that is slower than its tokens live, and beside records
//! that beat its answer.

use tokenkeeper::{Clock, ErrorKind, ManualClock, Order, TokenSet, TokenStorage};
use tokenkeeper_testkit::{Gate, ScriptedProvider, Step};

use crate::one_thread::{finish, pass, rig};
use crate::support::fleet::Fleet;
use crate::support::records::{record_of, tokens_of};
use crate::support::rig::seconds;

/// Answers with tokens that live for 2 s, and takes 3 s for it.
fn slow(clock: &ManualClock) -> Step {
    let clock = clock.clone();
    Step::answer(move |call| {
        clock.advance(seconds(3));
        let access = tokenkeeper::AccessToken::new("late", "Bearer")?;
        Ok(TokenSet::new(access, call.sent_at()).with_lifetime(seconds(2)))
    })
}

#[tokio::test]
async fn a_service_that_is_slower_than_its_tokens_live_is_asked_once_for_each_call() {
    for is_shared in [true, false] {
        let provider = ScriptedProvider::new("svc").without_refresh_tokens();
        let rig = rig(&provider, is_shared);
        provider.always_on_fetch(slow(&rig.clock));

        let error = finish(&rig.clock, rig.manager.token()).await.unwrap_err();

        assert_eq!(provider.calls(), 1, "{is_shared}");
        assert_ne!(error.kind(), ErrorKind::Superseded, "{error}");
        assert!(error.to_string().contains('2') && error.to_string().contains('3'), "{error}");
        let forced = finish(&rig.clock, rig.manager.force_refresh()).await;
        assert!(provider.calls() <= 2, "{is_shared}");
        assert!(forced.is_err_and(|error| error.kind() != ErrorKind::Superseded));

        provider.always_on_fetch(Step::issue());
        pass(&rig.clock, seconds(120)).await;
        finish(&rig.clock, rig.manager.token()).await.unwrap();
    }
}

#[tokio::test]
async fn a_forced_answer_is_not_lost_to_a_record_that_does_not_serve() {
    let provider = ScriptedProvider::new("svc").without_refresh_tokens();
    let fleet = Fleet::on_this_runtime(1, &provider);
    let manager = &fleet.managers[0];
    manager.token().await.unwrap();
    fleet.flush().await;
    fleet.clock.advance(seconds(10));
    let gate = Gate::closed();
    provider.on_fetch(Step::issue().held_before_answering(&gate));
    let forced = tokio::spawn({
        let manager = manager.clone();
        async move { manager.force_refresh().await }
    });
    gate.arrived(1).await;

    let there = fleet.stored_order().await;
    let ended = fleet.clock.now().wall() - seconds(7_200);
    let tokens = tokens_of("ended", ended);
    let bare = TokenSet::new((**tokens.access_token().unwrap()).clone(), ended)
        .with_lifetime(seconds(900));
    let record = record_of(bare, Order::new(there.epoch(), there.generation() + 5)).await;
    fleet.storage.inner().set(manager.key(), &record).await.unwrap();
    gate.release();

    let token = finish(&fleet.clock, forced).await.unwrap().unwrap();
    assert_eq!(token.secret().expose_secret(), "access-2");
    assert_eq!(manager.token().await.unwrap().secret().expose_secret(), "access-2");
}

#[tokio::test]
async fn a_record_of_the_highest_order_costs_one_request_for_each_call() {
    for order in [Order::new(u64::MAX, u64::MAX), Order::new(7, u64::MAX)] {
        let provider = ScriptedProvider::new("svc").without_refresh_tokens();
        let rig = rig(&provider, true);
        let ended = rig.clock.now().wall() - seconds(7_200);
        let tokens = tokens_of("ended", ended);
        let bare = TokenSet::new((**tokens.access_token().unwrap()).clone(), ended)
            .with_lifetime(seconds(900));
        rig.shelf.set(rig.manager.key(), &record_of(bare, order).await).await.unwrap();

        let token = finish(&rig.clock, rig.manager.token()).await;

        assert!(provider.calls() <= 1, "{order:?}: {}", provider.calls());
        assert!(token.is_ok_and(|t| t.secret().expose_secret() == "access-1"), "{order:?}");
    }
}
