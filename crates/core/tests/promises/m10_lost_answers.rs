//! M10: when the service acted and its answer was lost, the stored refresh token is tried again,
//! and what the service says to that counts.

use crate::support::fleet::{Fleet, OVER, seconds, secret};
use tokenkeeper::{AccessToken, Clock, Error, ErrorKind, EventKind, TokenSet};
use tokenkeeper_testkit::{Gate, ScriptedProvider, Step};

fn answers_lost(fleet: &Fleet) -> usize {
    fleet.diary.count(|kind| matches!(kind, EventKind::AnswerLost { .. }))
}

#[tokio::test]
async fn after_a_lost_answer_the_stored_token_is_replayed_and_a_non_interactive_provider_logs_in() {
    let provider = ScriptedProvider::new("svc");
    let fleet = Fleet::warm(1, &provider).await;
    provider.on_refresh(Step::lose_answer());
    fleet.clock.advance(OVER);

    let error = fleet.managers[0].token().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport);
    assert!(error.answer_lost());
    assert_eq!(answers_lost(&fleet), 1);
    fleet.clock.advance(error.retry_after().unwrap());
    let token = fleet.managers[0].token().await.unwrap();

    assert_eq!(secret(&token), "access-3");
    assert_eq!((provider.refreshes(), provider.reuses(), provider.fetches()), (2, 1, 2));
    assert_eq!(fleet.diary.count(|kind| matches!(kind, EventKind::RefreshTokenDropped)), 1);
    assert_eq!(secret(&fleet.newcomer().token().await.unwrap()), "access-3");
}

#[tokio::test]
async fn after_a_lost_answer_and_a_verdict_a_person_has_to_log_in() {
    let provider = ScriptedProvider::new("svc").attended();
    let fleet = Fleet::logged_in(2, &provider).await;
    provider.on_refresh(Step::lose_answer());
    fleet.clock.advance(OVER);

    let lost = fleet.managers[0].token().await.unwrap_err();
    fleet.clock.advance(lost.retry_after().unwrap());
    let verdict = fleet.managers[0].token().await.unwrap_err();
    let sibling = fleet.managers[1].token().await.unwrap_err();

    assert_eq!(verdict.kind(), ErrorKind::RefreshRejected);
    assert_eq!(sibling.kind(), ErrorKind::LoginRequired);
    assert_eq!((provider.refreshes(), provider.fetches()), (2, 0), "nobody asks a third time");

    fleet.managers[1].install(fleet.login("again")).await.unwrap();
    fleet.clock.advance(seconds(600));
    assert_eq!(secret(&fleet.managers[0].token().await.unwrap()), "access-again");
}

#[tokio::test]
async fn a_server_that_grants_a_grace_period_answers_the_replay() {
    let provider = ScriptedProvider::new("svc").attended().without_rotation();
    let fleet = Fleet::logged_in(1, &provider).await;
    provider.on_refresh(Step::lose_answer());
    fleet.clock.advance(OVER);

    let lost = fleet.managers[0].token().await.unwrap_err();
    fleet.clock.advance(lost.retry_after().unwrap());
    let token = fleet.managers[0].token().await.unwrap();

    assert_eq!(secret(&token), "access-2");
    assert_eq!(provider.spent(), ["refresh-login", "refresh-login"]);
}

#[tokio::test]
async fn a_refresh_that_ran_out_of_time_after_sending_counts_as_a_lost_answer() {
    let provider = ScriptedProvider::new("svc");
    let fleet = Fleet::warm(1, &provider).await;
    provider.on_refresh(Step::hang());
    fleet.clock.advance(OVER);

    let caller = tokio::spawn({
        let manager = fleet.managers[0].clone();
        async move { manager.token().await }
    });
    while provider.running() == 0 || fleet.clock.sleepers() < 2 {
        tokio::task::yield_now().await;
    }
    fleet.clock.advance(seconds(15));
    let error = caller.await.unwrap().unwrap_err();

    assert!(error.answer_lost());
    assert_eq!(answers_lost(&fleet), 1);
}

/// What a process gets that is stopped for so long after it has asked, while its answer arrives.
fn stopped_for(time: u64, provider: &ScriptedProvider) -> (Result<String, Error>, usize) {
    let gate = Gate::closed();
    let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let fleet = rt.block_on(Fleet::warm(1, provider));
    let stopped = fleet.process();
    fleet.clock.advance(OVER);
    provider.on_refresh(Step::issue().held_before_answering(&gate));
    let (manager, clock) = (stopped.manager.clone(), fleet.clock.clone());
    let caller = stopped.start(async move { manager.token().await });
    stopped.run(gate.arrived(1));
    // The task of an HTTP client, which finds the answer when the process goes on.
    stopped.start(async move {
        clock.sleep(seconds(15)).await;
        gate.release();
    });
    stopped.run(async {
        while fleet.clock.sleepers() < 4 {
            tokio::task::yield_now().await;
        }
    });

    fleet.clock.advance(seconds(time));
    let result = stopped.run(caller).unwrap();
    (result.map(|token| secret(&token).to_owned()), answers_lost(&fleet))
}

#[test]
fn a_process_that_was_stopped_over_its_patience_takes_the_answer_that_came_meanwhile() {
    let provider = ScriptedProvider::new("svc");

    let (result, answers_lost) = stopped_for(15, &provider);

    assert_eq!((result.unwrap().as_str(), answers_lost), ("access-2", 0));
}

/// It may have been stopped before it sent its request, and must not send it now.
#[test]
fn a_process_that_was_stopped_over_its_lease_does_not_go_on_with_its_request() {
    let provider = ScriptedProvider::new("svc");

    let (result, answers_lost) = stopped_for(30, &provider);

    assert!(result.unwrap_err().answer_lost());
    assert_eq!(answers_lost, 1);
}

#[tokio::test]
async fn a_refresh_that_was_never_sent_is_not_a_lost_answer() {
    let (provider, gate) = (ScriptedProvider::new("svc"), Gate::closed());
    let fleet = Fleet::warm(1, &provider).await;
    provider.on_refresh(Step::issue().held_before_sending(&gate));
    fleet.clock.advance(OVER);

    let caller = tokio::spawn({
        let manager = fleet.managers[0].clone();
        async move { manager.token().await }
    });
    gate.arrived(1).await;
    while fleet.clock.sleepers() < 2 {
        tokio::task::yield_now().await;
    }
    fleet.clock.advance(seconds(15));
    let error = caller.await.unwrap().unwrap_err();

    assert!(!error.answer_lost());
    assert_eq!((answers_lost(&fleet), provider.spent().len()), (0, 0));
}

#[tokio::test]
async fn what_a_sibling_stored_after_a_lost_answer_is_taken_over_instead_of_replayed() {
    let provider = ScriptedProvider::new("svc").attended();
    let fleet = Fleet::logged_in(2, &provider).await;
    provider.on_refresh(Step::lose_answer());
    fleet.clock.advance(OVER);
    let lost = fleet.managers[0].token().await.unwrap_err();
    let token = AccessToken::new("access-elsewhere", "Bearer").unwrap();
    let sent_at = fleet.login("clock").requested_at();
    let tokens = TokenSet::new(token, sent_at).with_lifetime(seconds(900));
    fleet.managers[1].install(tokens).await.unwrap();

    fleet.clock.advance(lost.retry_after().unwrap());
    let token = fleet.managers[0].token().await.unwrap();

    assert_eq!(secret(&token), "access-elsewhere");
    assert_eq!((provider.refreshes(), provider.reuses()), (1, 0));
}
