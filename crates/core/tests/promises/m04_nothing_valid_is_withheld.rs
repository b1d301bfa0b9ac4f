//! M4: nothing that is still valid is withheld or thrown away.

use std::sync::Arc;
use std::task::Poll;

use crate::support::rig::{MILLISECOND, Rig, poll_once, seconds, until};
use tokenkeeper::{Error, ErrorKind, Recovery, Scopes, TokenState};
use tokenkeeper_testkit::{Gate, ScriptedProvider, Step, StorageFault};

fn provider() -> ScriptedProvider {
    ScriptedProvider::new("svc")
}

/// Every way in which an exchange can fail, by kind.
fn failures() -> Vec<Step> {
    let kinds = [
        ErrorKind::Transport,
        ErrorKind::Unavailable,
        ErrorKind::InvalidResponse,
        ErrorKind::CredentialsRejected,
        ErrorKind::RefreshRejected,
        ErrorKind::RequestRejected,
        ErrorKind::LoginRequired,
        ErrorKind::Internal,
    ];
    let failures = kinds.map(|kind| Step::fail(Error::new(kind, "a failure")));
    failures.into_iter().chain([Step::lose_answer(), Step::panic()]).collect()
}

#[tokio::test]
async fn whatever_fails_the_old_token_is_served_until_it_expires() {
    for failure in failures() {
        for rig in Rig::both(|| provider().attended()) {
            println!("{failure:?}");
            rig.manager.install(crate::support::rig::login_elsewhere()).await.unwrap();
            let old = rig.with_token_aged(seconds(675)).await;
            rig.provider.always_on_refresh(failure.clone());

            for age in 675..900 {
                assert!(Arc::ptr_eq(&rig.manager.token().await.unwrap(), &old), "at {age} s");
                assert!(Arc::ptr_eq(&rig.manager.peek().unwrap(), &old), "at {age} s");
                rig.manager.flush().await.unwrap();
                rig.clock.advance(seconds(1));
            }

            assert!(rig.provider.refreshes() > 1);
            assert_eq!(rig.manager.status().token_state(), TokenState::Expired);
            assert!(rig.manager.token().await.is_err());
            assert!(rig.manager.peek().is_none());
        }
    }
}

#[tokio::test]
async fn a_transient_failure_keeps_the_refresh_token_and_sends_no_credentials() {
    for rig in Rig::both(provider) {
        rig.with_token_aged(seconds(1_000)).await;
        for failure in [ErrorKind::Transport, ErrorKind::Unavailable, ErrorKind::InvalidResponse] {
            rig.provider.on_refresh(Step::fail(Error::new(failure, "a failure")));
            rig.manager.token().await.unwrap_err();
            rig.clock.advance(seconds(60));
        }

        rig.manager.token().await.unwrap();

        assert_eq!(rig.provider.fetches(), 1);
        rig.assert_lives_on("refresh-2").await;
    }
}

#[tokio::test]
async fn what_the_answer_to_a_refresh_leaves_out_stays_as_it_was() {
    for rig in Rig::both(|| provider().attended().without_rotation()) {
        let login =
            crate::support::rig::login_elsewhere().with_scopes(Scopes::parse("a b").unwrap());
        rig.manager.install(login).await.unwrap();

        for refreshes in 1..=3 {
            rig.clock.advance(seconds(1_000));
            let token = rig.manager.token().await.unwrap();
            assert_eq!(token.scopes().to_string(), "a b");
            assert_eq!(rig.provider.spent(), vec!["installed"; refreshes]);
            assert_eq!(rig.stored_refresh_token().as_deref(), Some("installed"));
        }
    }
}

#[tokio::test]
async fn a_forced_refresh_or_login_that_fails_leaves_the_old_token_in_place() {
    for failure in failures() {
        for rig in Rig::both(|| provider().attended()) {
            println!("{failure:?}");
            rig.manager.install(crate::support::rig::login_elsewhere()).await.unwrap();
            let old = rig.with_token_aged(seconds(100)).await;
            rig.provider.always_on_refresh(failure.clone());
            rig.provider.always_on_fetch(failure.clone());

            rig.manager.force_refresh().await.unwrap_err();
            assert!(Arc::ptr_eq(&rig.manager.peek().unwrap(), &old));
            rig.clock.advance(seconds(60));
            rig.manager.login().await.unwrap_err();

            assert!(Arc::ptr_eq(&rig.manager.token().await.unwrap(), &old));
            assert_eq!(rig.manager.status().token_state(), TokenState::Fresh);
        }
    }
}

#[tokio::test]
async fn the_old_token_is_served_while_a_forced_refresh_is_under_way() {
    for rig in Rig::both(provider) {
        let old = rig.with_token_aged(seconds(100)).await;
        let gate = Gate::closed();
        rig.provider.on_refresh(Step::issue().held(&gate));

        let forced = tokio::spawn({
            let manager = rig.manager.clone();
            async move { manager.force_refresh().await }
        });
        gate.arrived(1).await;

        assert!(Arc::ptr_eq(&rig.manager.peek().unwrap(), &old));
        assert!(Arc::ptr_eq(&rig.manager.token().await.unwrap(), &old));
        gate.release();
        assert_eq!(forced.await.unwrap().unwrap().authorization(), "Bearer access-2");
    }
}

#[tokio::test]
async fn a_revocation_that_the_service_does_not_confirm_clears_nothing() {
    for rig in Rig::both(provider) {
        let old = rig.with_token_aged(seconds(100)).await;
        rig.provider.on_revoke(Step::unavailable());

        let error = rig.manager.revoke().await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(Arc::ptr_eq(&rig.manager.token().await.unwrap(), &old));
        rig.assert_lives_on("refresh-1").await;
    }
}

#[tokio::test]
async fn the_advisory_window_waits_for_nothing() {
    for rig in Rig::both(provider) {
        let old = rig.with_token_aged(seconds(675)).await;
        let gate = Gate::closed();
        rig.provider.on_refresh(Step::issue().held(&gate));

        for _ in 0..3 {
            let Poll::Ready(token) = poll_once(rig.manager.token()) else { panic!("it waits") };
            assert!(Arc::ptr_eq(&token.unwrap(), &old));
        }

        gate.arrived(1).await;
        gate.release();
        rig.manager.flush().await.unwrap();
        assert_eq!(rig.manager.peek().unwrap().authorization(), "Bearer access-2");
        assert_eq!(rig.provider.calls(), 2);
    }
}

#[tokio::test]
async fn the_mandatory_window_waits_five_seconds_then_takes_the_old_token() {
    for rig in Rig::both(provider) {
        let old = rig.with_token_aged(seconds(870)).await;
        let gate = Gate::closed();
        rig.provider.on_refresh(Step::issue().held(&gate));

        let callers: Vec<_> = (0..10)
            .map(|_| {
                let manager = rig.manager.clone();
                tokio::spawn(async move { manager.token().await })
            })
            .collect();
        gate.arrived(1).await;
        // Where there is a lease, the request must not outlive it either.
        let sleepers = if rig.is_shared() { 3 } else { 2 };
        until("the limits of wait and request run", || rig.clock.sleepers() == sleepers).await;
        rig.clock.advance(seconds(5) - MILLISECOND);
        assert!(poll_once(rig.manager.token()).is_pending());
        assert!(callers.iter().all(|caller| !caller.is_finished()));
        rig.clock.advance(MILLISECOND);

        for caller in callers {
            assert!(Arc::ptr_eq(&caller.await.unwrap().unwrap(), &old));
        }
        let Poll::Ready(late) = poll_once(rig.manager.token()) else { panic!("it waits again") };
        assert!(Arc::ptr_eq(&late.unwrap(), &old));
        gate.release();
        rig.manager.flush().await.unwrap();
        assert_eq!(rig.manager.peek().unwrap().authorization(), "Bearer access-2");
        assert_eq!(rig.provider.calls(), 2);
    }
}

#[tokio::test]
async fn the_mandatory_window_takes_the_old_token_also_from_a_storage_that_hangs() {
    for rig in Rig::both(provider) {
        let old = rig.with_token_aged(seconds(870)).await;
        rig.storage.fault_everything(StorageFault::Hang);

        let manager = rig.manager.clone();
        let caller = tokio::spawn(async move { manager.token().await });
        // Who waits for a lease also looks into the storage now and then.
        let sleepers = if rig.is_shared() { 3 } else { 2 };
        until("the limits of the wait and the call run", || rig.clock.sleepers() == sleepers).await;
        rig.clock.advance(seconds(5));

        assert!(Arc::ptr_eq(&caller.await.unwrap().unwrap(), &old));
    }
}

#[tokio::test]
async fn during_a_pause_the_mandatory_window_does_not_wait_at_all() {
    for rig in Rig::both(provider) {
        let old = rig.with_token_aged(seconds(870)).await;
        rig.provider.on_refresh(Step::unavailable());
        assert!(Arc::ptr_eq(&rig.manager.token().await.unwrap(), &old));
        rig.manager.flush().await.unwrap();

        for _ in 0..3 {
            let Poll::Ready(token) = poll_once(rig.manager.token()) else { panic!("it waits") };
            assert!(Arc::ptr_eq(&token.unwrap(), &old));
        }

        assert_eq!(rig.provider.calls(), 2);
    }
}

#[tokio::test]
async fn after_the_end_callers_get_the_error_and_when_to_come_back() {
    for rig in Rig::both(provider) {
        rig.with_token_aged(seconds(900)).await;
        rig.provider.always_on_refresh(Step::unavailable());

        for pause in [1, 2, 4] {
            let error = rig.manager.token().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            assert_eq!(error.recovery(), Recovery::Retry { after: Some(seconds(pause)) });
            rig.clock.advance(MILLISECOND * 400);
            let left = rig.manager.token().await.unwrap_err().retry_after();
            assert_eq!(left, Some(seconds(pause) - MILLISECOND * 400));
            rig.clock.advance(seconds(pause) - MILLISECOND * 400);
        }

        assert_eq!(rig.provider.calls(), 4);
    }
}

#[tokio::test]
async fn a_call_for_more_time_than_is_left_that_fails_leaves_the_old_token_to_the_others() {
    for rig in Rig::both(provider) {
        let old = rig.with_token_aged(seconds(600)).await;
        rig.provider.on_refresh(Step::unavailable());

        rig.manager.token_valid_for(seconds(301)).await.unwrap_err();

        assert!(Arc::ptr_eq(&rig.manager.token().await.unwrap(), &old));
        assert!(Arc::ptr_eq(&rig.manager.token_valid_for(seconds(300)).await.unwrap(), &old));
    }
}
