//! M7, M10: what a process does that was told to have a person log in.

use tokenkeeper::{Error, ErrorKind};
use tokenkeeper_testkit::{ScriptedProvider, Step};

use crate::one_thread::{finish, pass, rig};
use crate::support::fleet::{Fleet, OVER, secret};
use crate::support::rig::seconds;

fn login_required() -> Step {
    Step::fail(Error::new(ErrorKind::LoginRequired, "the service wants a person"))
}

#[tokio::test]
async fn callers_who_join_each_other_do_not_ask_a_service_that_wants_a_person() {
    for is_shared in [true, false] {
        let provider = ScriptedProvider::new("svc");
        provider.always_on_fetch(login_required());
        let rig = rig(&provider, is_shared);
        rig.manager.token().await.unwrap_err();
        assert_eq!(provider.calls(), 1);

        for _ in 0..100 {
            let both = async { tokio::join!(rig.manager.token(), rig.manager.force_refresh()) };
            let (token, forced) = finish(&rig.clock, both).await;
            assert_eq!(token.unwrap_err().kind(), ErrorKind::LoginRequired);
            assert_eq!(forced.unwrap_err().kind(), ErrorKind::LoginRequired);
        }

        assert_eq!(provider.calls(), 1, "{is_shared}");
    }
}

#[tokio::test]
async fn callers_who_join_each_other_do_not_ask_a_service_that_just_refused_the_credentials() {
    for is_shared in [true, false] {
        let provider = ScriptedProvider::new("svc");
        provider.always_on_fetch(Step::refuse_credentials());
        let rig = rig(&provider, is_shared);
        for _ in 0..20 {
            let both = async { tokio::join!(rig.manager.token(), rig.manager.force_refresh()) };
            let _ = finish(&rig.clock, both).await;
        }

        assert_eq!(provider.calls(), 1, "{is_shared}");
    }
}

#[tokio::test]
async fn a_login_of_another_process_ends_the_wait_for_one_also_when_its_access_token_is_over() {
    let provider = ScriptedProvider::new("svc");
    provider.always_on_fetch(login_required());
    let fleet = Fleet::on_this_runtime(2, &provider);
    let [waits, logs_in] = &fleet.managers[..] else { unreachable!() };
    let error = finish(&fleet.clock, waits.token()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LoginRequired);

    provider.on_fetch(Step::issue());
    finish(&fleet.clock, logs_in.login()).await.unwrap();
    finish(&fleet.clock, logs_in.flush()).await.unwrap();
    pass(&fleet.clock, OVER).await;

    let token = finish(&fleet.clock, waits.token()).await.unwrap();
    assert_eq!(secret(&token), "access-2");
    assert_eq!(provider.reuses(), 0);
}

#[tokio::test]
async fn a_login_of_another_process_ends_the_wait_for_one_after_a_refresh_wanted_a_person() {
    let provider = ScriptedProvider::new("svc").attended();
    let fleet = Fleet::on_this_runtime(2, &provider);
    let [waits, logs_in] = &fleet.managers[..] else { unreachable!() };
    waits.install(fleet.login("person")).await.unwrap();
    fleet.flush().await;
    pass(&fleet.clock, OVER).await;
    provider.on_refresh(login_required());
    let error = finish(&fleet.clock, waits.token()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LoginRequired);

    finish(&fleet.clock, logs_in.login()).await.unwrap();
    finish(&fleet.clock, logs_in.flush()).await.unwrap();
    pass(&fleet.clock, OVER).await;

    finish(&fleet.clock, waits.token()).await.unwrap();
    assert!(!waits.status().needs_login());
}

/// The refresh token of another process serves, its access token is rejected here.
#[tokio::test]
async fn a_login_of_another_process_ends_the_wait_for_one_also_when_its_access_token_is_due() {
    let provider = ScriptedProvider::new("svc");
    provider.always_on_fetch(login_required());
    let fleet = Fleet::on_this_runtime(2, &provider);
    let [waits, logs_in] = &fleet.managers[..] else { unreachable!() };
    finish(&fleet.clock, waits.token()).await.unwrap_err();

    provider.on_fetch(Step::issue());
    finish(&fleet.clock, logs_in.login()).await.unwrap();
    finish(&fleet.clock, logs_in.flush()).await.unwrap();
    pass(&fleet.clock, seconds(880)).await;

    finish(&fleet.clock, waits.token()).await.unwrap();
}
